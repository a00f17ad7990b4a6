//! The client against each server there is, and against each fault.

use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Runtime;
use towpath_rig::{ACCESS_KEY, BUCKET, Call, Fault, Proxy, REGION, Rule, SECRET_KEY, Store};
use towpath_sdk::config::{Key, Node, NodeValue, Problems, Span};
use towpath_sdk::{Error, ErrorKind};

use super::{Client, Failure, Multipart, NewObject};
use crate::bucket::{Bucket, Checksum, Credentials};
use crate::uploads::{Completed, Found, Upload, Uploads};

fn credentials(texts: &[(&str, &str)]) -> Option<Credentials> {
    let entry = |(name, text): &(&str, &str)| {
        let key = Key {
            name: (*name).to_owned(),
            span: Span::NONE,
        };
        (key, Node::new(Span::NONE, *text))
    };
    let map = NodeValue::Map(texts.iter().map(entry).collect());
    Credentials::parse(&Node::new(Span::NONE, map), &mut Problems::default())
}

/// The server at `endpoint`; calls are given up soon.
pub(crate) fn bucket(endpoint: &str) -> Bucket {
    Bucket {
        name: BUCKET.to_owned(),
        region: Some(REGION.to_owned()),
        endpoint: Some(endpoint.to_owned()),
        path_style: None,
        credentials: credentials(&[("access_key", ACCESS_KEY), ("secret_key", SECRET_KEY)]),
        checksum: Checksum::WhenRequired,
        timeout: Duration::from_millis(700),
    }
}

/// A server, a proxy before it, and a client of the proxy.
struct Rig {
    store: Store,
    proxy: Proxy,
    client: Client,
    runtime: Runtime,
}

impl Rig {
    fn new(store: Store, checksum: Checksum) -> Self {
        let proxy = Proxy::new(&store.endpoint());
        let runtime = Runtime::new().unwrap();
        let bucket = Bucket {
            checksum,
            ..bucket(proxy.endpoint())
        };
        let client = runtime.block_on(Client::new(&bucket)).unwrap();
        Self {
            store,
            proxy,
            client,
            runtime,
        }
    }

    fn uploads(&self) -> Multipart {
        Multipart::new(self.client.clone(), NewObject::default())
    }

    fn listing(&self) -> Result<Vec<String>, Failure> {
        let page = self.runtime.block_on(self.client.list("", ""))?;
        Ok(page.objects.into_iter().map(|object| object.key).collect())
    }

    fn read(&self, key: &str, from: u64) -> Result<Vec<u8>, Failure> {
        self.runtime.block_on(async {
            let object = self.client.look_at(key).await?.expect("an object");
            let mut body = self.client.get(&object, from).await?;
            let mut read = Vec::new();
            while let Some(bytes) = body.next().await {
                read.extend_from_slice(&bytes.expect("a whole body"));
            }
            Ok(read)
        })
    }
}

fn on_each(checksum: Checksum, test: impl Fn(&Rig)) {
    for store in Store::all() {
        println!("on {}", store.name);
        test(&Rig::new(store, checksum));
    }
}

#[test]
fn objects_are_listed_read_tagged_copied_and_deleted() {
    on_each(Checksum::WhenRequired, |rig| {
        let keys = ["a b+c%20", "d/e=1/ü", "plain"];
        for key in keys {
            rig.store.put(key, format!("content of {key}"));
        }
        assert_eq!(rig.listing().unwrap(), keys);
        let behind = rig
            .runtime
            .block_on(rig.client.list("", "a b+c%20"))
            .unwrap();
        assert_eq!(behind.objects.len(), 2);
        assert_eq!(rig.read("plain", 0).unwrap(), b"content of plain");
        assert_eq!(rig.read("plain", 11).unwrap(), b"plain");
        assert_eq!(rig.read("plain", 16).unwrap(), b"");
        rig.runtime.block_on(async {
            let client = &rig.client;
            assert_eq!(client.look_at("nothing").await.unwrap(), None);
            client.tag("plain", "one", "1").await.unwrap();
            client.tag("plain", "two", "2").await.unwrap();
            let object = client.look_at(keys[0]).await.unwrap().expect("an object");
            client.copy(&object, "moved/a b+c%20").await.unwrap();
            client.delete(&object).await.unwrap();
        });
        assert_eq!(rig.store.tags("plain").len(), 2);
        assert_eq!(rig.store.get(keys[0]), None);
        let moved = rig.store.get("moved/a b+c%20").expect("a copy");
        assert_eq!(moved.bytes, b"content of a b+c%20");
    });
}

#[test]
fn a_replaced_object_is_not_read_for_the_one_before() {
    on_each(Checksum::WhenRequired, |rig| {
        rig.store.put("key", "one");
        let object = rig
            .runtime
            .block_on(rig.client.look_at("key"))
            .unwrap()
            .expect("it");
        rig.store.put("key", "two");
        let failure = rig
            .runtime
            .block_on(rig.client.get(&object, 0))
            .unwrap_err();
        assert!(failure.is("PreconditionFailed"), "{}", failure.error);
        let failure = rig
            .runtime
            .block_on(rig.client.copy(&object, "copy"))
            .unwrap_err();
        assert!(failure.is("PreconditionFailed"), "{}", failure.error);
        rig.store.delete("key");
        let failure = rig
            .runtime
            .block_on(rig.client.get(&object, 0))
            .unwrap_err();
        assert!(failure.is("NoSuchKey"), "{}", failure.error);
    });
}

const PART_BYTES: usize = 5 << 20;

/// Uploads `key` in two parts; what `complete` gave, with the upload.
fn upload(
    rig: &Rig,
    uploads: &Multipart,
    key: &str,
) -> (Upload, Vec<crate::uploads::Part>, Completed) {
    rig.runtime.block_on(async {
        let id = uploads.create(key, "mark").await.unwrap();
        let upload = Upload {
            key: key.to_owned(),
            id,
        };
        let open = uploads.open_uploads(key).await.unwrap();
        assert_eq!(open, std::slice::from_ref(&upload.id));
        let mut parts = Vec::new();
        for (number, content) in (1..).zip([vec![b'a'; PART_BYTES], b"end".to_vec()]) {
            let content = Bytes::from(content);
            parts.push(uploads.upload_part(&upload, number, content).await.unwrap());
        }
        let completed = uploads.complete(&upload, &parts).await.unwrap();
        (upload, parts, completed)
    })
}

#[test]
fn an_upload_makes_an_object_once() {
    for checksum in [Checksum::WhenRequired, Checksum::Always] {
        on_each(checksum, |rig| {
            let uploads = rig.uploads();
            let (first, parts, completed) = upload(rig, &uploads, "dir/key");
            assert_eq!(completed, Completed::Done);
            let object = rig.store.get("dir/key").expect("an object");
            assert_eq!(object.bytes.len(), PART_BYTES + 3);
            assert_eq!(object.metadata["towpath-mark"], "mark");
            rig.runtime.block_on(async {
                let mark = Some("mark".to_owned());
                assert_eq!(
                    uploads.look_up("dir/key").await.unwrap(),
                    Found::Object { mark }
                );
                assert_eq!(uploads.look_up("dir/other").await.unwrap(), Found::Nothing);
                let again = uploads.complete(&first, &parts).await.unwrap();
                // MinIO looks at the condition first.
                assert_ne!(again, Completed::Done);
                uploads.abort(&first).await.unwrap();
            });
            let (second, _, completed) = upload(rig, &uploads, "dir/key");
            assert_eq!(completed, Completed::Occupied);
            rig.runtime.block_on(uploads.abort(&second)).unwrap();
            assert_eq!(rig.store.uploads(), 0);
        });
    }
}

/// Each fault at each call, once: the call is made again, or its outcome can be told.
#[test]
fn a_fault_that_passes_is_overcome() {
    let faults = [
        Fault::SLOW_DOWN,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::SilenceAfter,
        Fault::ERROR_IN_BODY,
    ];
    on_each(Checksum::WhenRequired, |rig| {
        rig.store.put("there", "content");
        let uploads = rig.uploads();
        for (number, fault) in faults.iter().enumerate() {
            let calls = [Call::CreateUpload, Call::UploadPart, Call::CompleteUpload];
            // Only some calls are answered with 200 before their outcome is known.
            let in_body = matches!(fault, Fault::Answer { status: 200, .. });
            for call in calls
                .into_iter()
                .filter(|call| !in_body || *call == Call::CompleteUpload)
            {
                println!("{fault:?} at {call:?}");
                let key = format!("{call:?}/{number}");
                let struck = rig.proxy.struck();
                rig.proxy.add(Rule::once(call, fault.clone()));
                let id = rig.runtime.block_on(uploads.create(&key, "mark")).unwrap();
                let upload = Upload {
                    key: key.clone(),
                    id,
                };
                let content = Bytes::from_static(b"content");
                let part = rig
                    .runtime
                    .block_on(uploads.upload_part(&upload, 1, content))
                    .unwrap();
                let completed = rig
                    .runtime
                    .block_on(uploads.complete(&upload, &[part]))
                    .unwrap();
                let done_before = call == Call::CompleteUpload
                    && matches!(fault, Fault::ResetAfter | Fault::SilenceAfter);
                assert_eq!(completed == Completed::Done, !done_before, "{completed:?}");
                assert_eq!(rig.store.get(&key).expect("an object").bytes, b"content");
                assert_eq!(rig.proxy.struck(), struck + 1);
                rig.proxy.heal();
            }
            for call in [Call::List, Call::Head, Call::Get] {
                if in_body {
                    continue;
                }
                println!("{fault:?} at {call:?}");
                rig.proxy.add(Rule::once(call, fault.clone()));
                rig.listing().unwrap();
                assert_eq!(rig.read("there", 0).unwrap(), b"content");
                rig.proxy.heal();
            }
        }
    });
}

/// What a call that fails for good says, and what kind of error it is.
#[track_caller]
fn check(failed: Result<Vec<String>, Failure>, kind: ErrorKind, told: &[&str]) {
    let error: Error = failed.expect_err("a failure").into();
    let line = error.to_string();
    assert_eq!(error.kind(), kind, "{line}");
    assert!(!line.contains('\n'), "{line}");
    for told in told {
        assert!(line.contains(told), "no {told:?} in: {line}");
    }
}

#[test]
fn what_does_not_pass_is_explained() {
    use ErrorKind::{Configuration, Transient};
    let rig = Rig::new(Store::in_process(), Checksum::WhenRequired);
    let cases: &[(Fault, ErrorKind, &[&str])] = &[
        (
            Fault::SLOW_DOWN,
            Transient,
            &[
                "cannot list s3://bucket/",
                "ListObjectsV2 answered 503 SlowDown",
                "request id RIG",
            ],
        ),
        (
            Fault::ResetBefore,
            Transient,
            &["cannot list s3://bucket/ at http://127.0.0.1:"],
        ),
        (
            Fault::SilenceAfter,
            Transient,
            &["cannot list s3://bucket/ at http://127.0.0.1:"],
        ),
        (
            Fault::REDIRECT,
            Configuration,
            &["301 PermanentRedirect", "set `region` to eu-west-1"],
        ),
        (
            Fault::WRONG_REGION,
            Configuration,
            &["expecting 'eu-west-1'", "set `region` to eu-west-1"],
        ),
        (
            Fault::CLOCK_SKEW,
            Configuration,
            &[
                "RequestTimeTooSkewed",
                "set the clock of this machine right",
            ],
        ),
        (Fault::EXPIRED_TOKEN, Transient, &["ExpiredToken"]),
        (
            Fault::answer(403, "AccessDenied", "Access Denied"),
            Configuration,
            &["allow it to these credentials: s3:ListBucket"],
        ),
        (
            Fault::answer(404, "NoSuchBucket", "The specified bucket does not exist"),
            Configuration,
            &["make it, or mend `bucket`"],
        ),
        (
            Fault::answer(501, "NotImplemented", "No"),
            Configuration,
            &["this store does not know ListObjectsV2"],
        ),
        (
            Fault::answer(400, "Unheard", "Of"),
            Configuration,
            &["400 Unheard: Of"],
        ),
    ];
    for (fault, kind, told) in cases {
        println!("{fault:?}");
        rig.proxy.add(Rule::each(Call::List, fault.clone()));
        check(rig.listing(), *kind, told);
        rig.proxy.heal();
    }
}

fn listing_of(bucket: &Bucket) -> Result<Vec<String>, Failure> {
    let runtime = Runtime::new().unwrap();
    let client = runtime.block_on(Client::new(bucket)).unwrap();
    let page = runtime.block_on(client.list("", ""))?;
    Ok(page.objects.into_iter().map(|object| object.key).collect())
}

#[test]
fn wrong_options_are_explained() {
    for store in Store::all() {
        let right = bucket(&store.endpoint());
        let missing = Bucket {
            name: "none".to_owned(),
            ..right.clone()
        };
        check(
            listing_of(&missing),
            ErrorKind::Configuration,
            &["s3://none/", "NoSuchBucket", "make it"],
        );
        let key = credentials(&[("access_key", "nobody"), ("secret_key", SECRET_KEY)]);
        let nobody = Bucket {
            credentials: key,
            ..right.clone()
        };
        check(listing_of(&nobody), ErrorKind::Configuration, &["403"]);
        let key = credentials(&[("access_key", ACCESS_KEY), ("secret_key", "wrong")]);
        let wrong = Bucket {
            credentials: key,
            ..right.clone()
        };
        check(
            listing_of(&wrong),
            ErrorKind::Configuration,
            &["SignatureDoesNotMatch", "mend `credentials`"],
        );
        assert!(
            !listing_of(&wrong)
                .unwrap_err()
                .error
                .to_string()
                .contains("wrong")
        );
        drop(store);
        check(
            listing_of(&right),
            ErrorKind::Transient,
            &["Connection refused", " at http://127.0.0.1:"],
        );
    }
}
