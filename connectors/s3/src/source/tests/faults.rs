//! The source over each server there is, and a proxy before it: each fault at each call. What passes
//! is overcome, what does not is said; in the end each record was read once, and each object was
//! disposed of.

use std::sync::Arc;

use towpath_rig::{Call, Fault, Rule, Store, try_each};
use towpath_sdk::ErrorKind;

use super::{Rig, lines, map, text};

/// More often than a call is made before it has failed: the task is opened anew.
const MANY: u64 = 6;

/// The calls that a source makes, each with the `after` that it is made for.
const CALLS: [(Call, &str); 7] = [
    (Call::List, "keep"),
    (Call::Get, "keep"),
    (Call::Head, "delete"),
    (Call::Delete, "delete"),
    (Call::Copy, "move"),
    (Call::GetTags, "tag"),
    (Call::PutTags, "tag"),
];

/// A bucket with two objects below `prefix`, and a source that does `after` with them.
fn rig(store: &Arc<Store>, prefix: &str, after: &str) -> (Rig, Vec<String>) {
    let moved = || map(vec![("move", text(&format!("{prefix}-moved/")))]);
    let after = if after == "move" {
        moved()
    } else {
        text(after)
    };
    let options = [("prefix", text(&format!("{prefix}/"))), ("after", after)];
    let rig = Rig::new(store.clone(), &options);
    let contents = ["a", "b"].map(|name| lines(name, 1_500));
    for (name, content) in ["a", "b"].into_iter().zip(&contents) {
        rig.store.put(&format!("{prefix}/{name}"), content.clone());
    }
    let expected = contents.iter().flat_map(|content| content.lines());
    (rig, expected.map(str::to_owned).collect())
}

/// A store explains what it refuses to HEAD when it is asked with GET; two objects are read before.
fn explained(rule: &Rule) -> Rule {
    Rule {
        call: Some(Call::Get),
        skip: 2,
        ..rule.clone()
    }
}

impl Rig {
    /// Drains as often as the runtime would, until that ends well and nothing is left to be done.
    fn drain_until_done(&mut self, what: &str) {
        for _ in 0..10 {
            self.health = Arc::default();
            match self.drain() {
                Ok(()) if self.health.problems().is_empty() => return,
                Ok(()) => {}
                Err(error) => {
                    // What cannot be disposed of ends a drain, too.
                    let of_one = error.to_string().contains("all other objects were read");
                    let passes = error.kind() == ErrorKind::Transient || of_one;
                    assert!(passes, "{what}: {error}");
                }
            }
        }
        panic!("{what}: it fails again and again");
    }

    /// Each line was read once, and the objects are where `after` says.
    fn check_done(&mut self, prefix: &str, after: &str, expected: &[String], what: &str) {
        // The order holds within an object.
        self.records.sort_by(|(one, _), (other, _)| one.cmp(other));
        let found: Vec<_> = self.records.drain(..).map(|(_, value)| value).collect();
        assert!(
            found == expected,
            "{what}: {} of {}",
            found.len(),
            expected.len()
        );
        let keys = self.store.keys();
        let below = |prefix: &str| keys.iter().filter(|key| key.starts_with(prefix)).count();
        let (left, moved) = (
            below(&format!("{prefix}/")),
            below(&format!("{prefix}-moved/")),
        );
        match after {
            "delete" => assert_eq!((left, moved), (0, 0), "{what}"),
            "move" => assert_eq!((left, moved), (0, 2), "{what}"),
            _ => assert_eq!((left, moved), (2, 0), "{what}"),
        }
        if after == "tag" {
            let tags = self.store.tags(&format!("{prefix}/a"));
            assert_eq!(tags["towpath"], "read", "{what}");
        }
    }
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
        Fault::CutAfter(10),
        Fault::ERROR_IN_BODY,
        Fault::PRECONDITION,
    ];
    let mut cases = Vec::new();
    for fault in faults {
        for (call, after) in CALLS {
            let can_be = match fault {
                Fault::CutAfter(_) => call == Call::Get,
                // Of this call the answer begins before its outcome is known.
                Fault::Answer { status: 200, .. } => call == Call::Copy,
                // These name the content that they are about.
                Fault::Answer { status: 412, .. } => call == Call::Get,
                _ => true,
            };
            for times in [1, MANY].into_iter().filter(|_| can_be) {
                cases.push((
                    call,
                    after,
                    Rule {
                        times,
                        ..Rule::each(call, fault.clone())
                    },
                ));
            }
        }
    }
    for store in Store::all().into_iter().map(Arc::new) {
        try_each(&cases, |number, (call, after, rule)| {
            let prefix = format!("case-{number}");
            let what = format!("{}: {prefix}: {rule:?}, after: {after}", store.name);
            let (mut rig, expected) = rig(&store, &prefix, after);
            rig.proxy.add(rule.clone());
            if *call == Call::Head {
                rig.proxy.add(explained(rule));
            }
            rig.drain_until_done(&what);
            assert!(rig.proxy.struck() > 0, "{what}: {call:?} never struck");
            rig.check_done(&prefix, after, &expected, &what);
        });
    }
}

#[test]
fn what_stops_the_source_is_said_at_each_call() {
    let stops: [(Fault, &str); 6] = [
        (
            Fault::answer(404, "NoSuchBucket", "The specified bucket does not exist"),
            "make it, or mend `bucket`",
        ),
        (Fault::WRONG_REGION, "set `region` to eu-west-1"),
        (Fault::REDIRECT, "set `region` to eu-west-1"),
        (Fault::CLOCK_SKEW, "set the clock of this machine"),
        (
            Fault::answer(403, "SignatureDoesNotMatch", "It does not match"),
            "mend `credentials`",
        ),
        (
            Fault::answer(403, "AccessDenied", "Access Denied"),
            "allow it to these credentials: s3:",
        ),
    ];
    let mut cases = Vec::new();
    for (call, after) in CALLS {
        for (fault, told) in &stops {
            // A bucket that is not there holds no object that could be looked at.
            if !(call == Call::Head && matches!(fault, Fault::Answer { status: 404, .. })) {
                cases.push((call, after, fault, told));
            }
        }
    }
    for store in Store::all().into_iter().map(Arc::new) {
        try_each(&cases, |number, (call, after, fault, told)| {
            let prefix = format!("stop-{number}");
            let what = format!("{}: {prefix}: {fault:?} at {call:?}", store.name);
            let (mut rig, expected) = rig(&store, &prefix, after);
            let rule = Rule::each(*call, (*fault).clone());
            rig.proxy.add(rule.clone());
            if *call == Call::Head {
                rig.proxy.add(explained(&rule));
            }
            let ended = rig.drain();
            let mut said: Vec<String> = rig.health.problems().into_values().collect();
            match ended {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Configuration, "{what}: {error}");
                    said.push(error.to_string());
                }
            }
            assert!(!said.is_empty(), "{what}: nothing was said");
            let is_told = said.iter().all(|line| line.contains(*told));
            assert!(is_told, "{what}: no {told:?} in {said:?}");
            rig.proxy.heal();
            rig.drain_until_done(&what);
            rig.check_done(&prefix, after, &expected, &what);
        });
    }
}
