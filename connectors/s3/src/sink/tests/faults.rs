//! The sink over each server there is, and a proxy before it: each fault at each call. What passes
//! is overcome, and each record is in one object; what does not is said, and once it is mended each
//! record is in one object, too.

use towpath_rig::{Call, Fault, Proxy, Rule, Store, try_each};

use super::*;
use crate::client::tests::bucket;
use crate::client::{Client, Multipart, NewObject};

const RECORDS: usize = 8;
/// The calls that a sink makes.
const CALLS: [Call; 6] = [
    Call::ListUploads,
    Call::CreateUpload,
    Call::UploadPart,
    Call::CompleteUpload,
    Call::AbortUpload,
    Call::Head,
];
/// More often than a call is made before it has failed: the task is opened anew.
const MANY: u64 = 6;

/// A fault at a call, so often.
struct Case {
    call: Call,
    fault: Fault,
    times: u64,
}

/// A sink whose objects begin with `prefix`, behind a proxy.
async fn world(proxy: &Proxy, prefix: &str) -> World {
    let path = format!("{prefix}/{{partition}}-{{start_offset:03}}");
    let options = options(&[("path", &path), ("rotate.records", "3")]);
    let mut world = World::new(options, log_of(&[&["x"; RECORDS], &["y"; RECORDS]]));
    world.limits = Limits::new(0, None);
    let client = Client::new(&bucket(proxy.endpoint())).await.unwrap();
    world.uploads = Arc::new(Multipart::new(client, NewObject::default()));
    world
}

/// A proxy with what has the sink make each of its calls: it begins objects again whose upload is
/// not there any more, or that it may have begun or completed before.
fn proxy(store: &Store) -> Proxy {
    let proxy = Proxy::new(&store.endpoint());
    let gone = Fault::answer(404, "NoSuchUpload", "The specified upload does not exist.");
    let second = |rule| Rule { skip: 1, ..rule };
    proxy.add(second(Rule::once(Call::CreateUpload, gone.clone())));
    proxy.add(second(Rule::once(Call::UploadPart, gone)));
    proxy.add(Rule::once(Call::CompleteUpload, Fault::ResetAfter));
    proxy
}

/// Opens the task, has it write all, and closes it.
async fn live(world: &mut World) -> Result<()> {
    let mut engine = world.open().await?;
    let ended = world.drain(&mut engine).await;
    ended.and(engine.close().await)
}

/// Opens the task anew, as the runtime does, until it is done or cannot be.
async fn deliver(world: &mut World) -> Result<()> {
    for _ in 0..20 {
        match live(world).await {
            Err(error) if error.kind() == ErrorKind::Transient => {}
            ended => return ended,
        }
    }
    panic!("it fails again and again");
}

/// Each record is in one object below `prefix`, in order.
#[track_caller]
fn check_all(store: &Store, prefix: &str) {
    let keys = store.keys();
    let mut found = [String::new(), String::new()];
    for key in keys
        .iter()
        .filter(|key| key.starts_with(&format!("{prefix}/")))
    {
        let partition = usize::from(key.contains("/1-"));
        let content = store.get(key).expect("it was listed").bytes;
        found[partition] += &String::from_utf8(content).unwrap();
    }
    for (partition, found) in found.iter().enumerate() {
        let line = |offset| format!("{partition}-{offset}\n");
        let expected: String = (0..RECORDS).map(line).collect();
        assert_eq!(*found, expected, "{}: {prefix}", store.name);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn each_fault_at_each_call_is_overcome() {
    let faults = [
        Fault::SLOW_DOWN,
        Fault::answer(500, "InternalError", "We encountered an internal error."),
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::SilenceAfter,
        Fault::EXPIRED_TOKEN,
        Fault::ERROR_IN_BODY,
        Fault::PRECONDITION,
    ];
    let mut cases = Vec::new();
    for fault in faults {
        // Only of this call the answer begins before its outcome is known, or has a condition.
        let only = matches!(
            fault,
            Fault::Answer {
                status: 200 | 412,
                ..
            }
        );
        let calls = CALLS.into_iter();
        for call in calls.filter(|call| !only || *call == Call::CompleteUpload) {
            for times in [1, MANY] {
                let fault = fault.clone();
                cases.push(Case { call, fault, times });
            }
        }
    }
    for store in Store::all() {
        try_each(&cases, |number, case| {
            let prefix = format!("case-{number}");
            let what = format!("{} times {:?} at {:?}", case.times, case.fault, case.call);
            let proxy = proxy(&store);
            let rule = Rule::each(case.call, case.fault.clone());
            let times = case.times;
            proxy.add(Rule {
                times,
                ..rule.clone()
            });
            if case.call == Call::Head {
                // A store explains what it refuses to HEAD when it is asked with GET.
                proxy.add(Rule {
                    call: Some(Call::Get),
                    ..rule
                });
            }
            runtime().block_on(async {
                let mut world = world(&proxy, &prefix).await;
                let ended = deliver(&mut world).await;
                assert!(ended.is_ok(), "{prefix}: {what}: {ended:?}");
            });
            // Of the base trouble three.
            assert!(proxy.struck() > 3, "{prefix}: {what} never struck");
            check_all(&store, &prefix);
        });
        assert_eq!(store.uploads(), 0, "{}", store.name);
    }
}

/// A fault that a person must mend, with what the sink says of it.
type Stop = (Fault, &'static [&'static str]);

#[test]
fn what_stops_the_sink_is_said_at_each_call() {
    let stops: [Stop; 6] = [
        (
            Fault::answer(404, "NoSuchBucket", "The specified bucket does not exist"),
            &["NoSuchBucket", "make it, or mend `bucket`"],
        ),
        (Fault::WRONG_REGION, &["set `region` to eu-west-1"]),
        (Fault::REDIRECT, &["set `region` to eu-west-1"]),
        (
            Fault::CLOCK_SKEW,
            &["RequestTimeTooSkewed", "set the clock of this machine"],
        ),
        (
            Fault::answer(403, "SignatureDoesNotMatch", "It does not match"),
            &["SignatureDoesNotMatch", "mend `credentials`"],
        ),
        (
            Fault::answer(403, "AccessDenied", "Access Denied"),
            &["allow it to these credentials: s3:"],
        ),
    ];
    let mut cases = Vec::new();
    for call in CALLS {
        for (fault, told) in &stops {
            // Whoever may not list uploads keeps an empty one at most; a bucket that is not there
            // holds no object that could be looked at.
            let denied = matches!(
                fault,
                Fault::Answer {
                    code: "AccessDenied",
                    ..
                }
            );
            let missing = matches!(fault, Fault::Answer { status: 404, .. });
            if !(denied && call == Call::ListUploads || missing && call == Call::Head) {
                cases.push((call, fault, told));
            }
        }
    }
    for store in Store::all() {
        try_each(&cases, |number, (call, fault, told)| {
            let prefix = format!("stop-{number}");
            let proxy = proxy(&store);
            proxy.add(Rule::each(*call, (*fault).clone()));
            if *call == Call::Head {
                proxy.add(Rule::each(Call::Get, (*fault).clone()));
            }
            runtime().block_on(async {
                let mut world = world(&proxy, &prefix).await;
                let error = deliver(&mut world).await.expect_err("it must stop");
                let line = error.to_string();
                let what = format!("{prefix}: {fault:?} at {call:?}: {line}");
                assert_eq!(error.kind(), ErrorKind::Configuration, "{what}");
                assert!(told.iter().all(|told| line.contains(told)), "{what}");
                assert!(line.contains("s3://bucket/"), "{what}");
                proxy.heal();
                deliver(&mut world).await.unwrap();
            });
            check_all(&store, &prefix);
        });
        assert_eq!(store.uploads(), 0, "{}", store.name);
    }
}

/// 412 and an object of that name that bears another mark, whether it was there before or came
/// while the upload was completed.
#[test]
fn an_object_of_somebody_else_is_never_overwritten() {
    for store in Store::all() {
        for (number, fault) in [None, Some(Fault::ResetBefore)].into_iter().enumerate() {
            let prefix = format!("foreign-{number}");
            let proxy = proxy(&store);
            if let Some(fault) = fault {
                proxy.add(Rule::once(Call::CompleteUpload, fault));
            }
            let key = format!("{prefix}/0-003");
            store.put(&key, "somebody's");
            runtime().block_on(async {
                let mut world = world(&proxy, &prefix).await;
                let error = deliver(&mut world).await.expect_err("it must stop");
                assert_eq!(error.kind(), ErrorKind::Fatal, "{error}");
                let line = error.to_string();
                assert!(line.contains("an object of that name is there"), "{line}");
                assert_eq!(store.get(&key).expect("it").bytes, b"somebody's");
                store.delete(&key);
                deliver(&mut world).await.unwrap();
            });
            check_all(&store, &prefix);
        }
        assert_eq!(store.uploads(), 0, "{}", store.name);
    }
}
