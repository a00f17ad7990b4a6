//! Whole tasks against each server there is, and against a store that fails.

use std::io::Read;
use std::sync::Arc;

use tokio::runtime::Runtime;
use towpath_record::BatchBuilder;
use towpath_rig::{Call, Fault, Rule, Store};
use towpath_sdk::testing::source_context;
use towpath_sdk::{Decoder, Envelope, Error, ErrorKind, Result};

use super::{Rig, gzip, lines, map, on_each, source, text};

#[test]
fn objects_are_read_once_late_and_replaced_ones_too() {
    let options = [("prefix", text("in/")), ("exclude", text("*.tmp"))];
    on_each(&options, |rig| {
        rig.store.put("in/b", "b1\nb2\n");
        rig.store.put("in/d", "d1");
        rig.store.put("in/x.tmp", "no\n");
        rig.store.put("other", "no\n");
        rig.drain().unwrap();
        assert_eq!(rig.news(), ["in/b: b1", "in/b: b2", "in/d: d1"]);
        rig.store.put("in/a", "a1\n");
        rig.store.put("in/c", "");
        rig.store.put("in/d", "new\n");
        rig.drain().unwrap();
        assert_eq!(rig.news(), ["in/a: a1", "in/d: new"]);
        rig.drain().unwrap();
        assert!(rig.news().is_empty());
    });
}

#[test]
fn compressed_objects_are_gone_on_with_in_the_middle() {
    let content = lines("line", 20_000);
    let (first, second) = content.split_at(content.len() / 2);
    let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    let frames = zstd::encode_all(content.as_bytes(), 1).unwrap();
    for packed in [content.clone().into_bytes(), members, frames] {
        on_each(&[], |rig| {
            rig.store.put("object", packed.clone());
            while rig.drain_for(1, true).is_ok() && rig.records.len() < 20_000 {}
            rig.check_all("object", &content);
        });
    }
}

/// Its first line stands before each of the others.
#[derive(Default)]
struct Headed(Option<Vec<u8>>);

impl Decoder for Headed {
    fn decode(
        &mut self,
        line: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        let Some(head) = &self.0 else {
            self.0 = Some(line.to_vec());
            return Ok(());
        };
        let value = [head, line].concat();
        let pushed = out.push(envelope.timestamp_ms, None, Some(&value), &[]);
        pushed.map_err(|error| Error::record("take", "a line").because(error))
    }

    fn wants_beginning(&self) -> bool {
        self.0.is_none()
    }
}

#[test]
fn a_decoder_that_wants_the_beginning_gets_it_when_an_object_is_gone_on_with() {
    let content = lines("line", 20_000);
    let headed = format!("head \n{content}");
    for packed in [headed.clone().into_bytes(), gzip(headed.as_bytes())] {
        on_each(&[], |rig| {
            rig.new_decoder = Arc::new(|| Box::new(Headed::default()));
            rig.store.put("object", packed.clone());
            while rig.drain_for(1, true).is_ok() && rig.records.len() < 20_000 {}
            let expected: String = content
                .lines()
                .map(|line| format!("head {line}\n"))
                .collect();
            rig.check_all("object", &expected);
        });
    }
}

#[test]
fn a_body_that_breaks_off_is_read_on() {
    let content = lines("line", 40_000);
    on_each(&[], |rig| {
        rig.store.put("object", content.clone());
        for bytes in [0, 1, 100_000, 3_000_000] {
            rig.proxy.add(Rule::once(Call::Get, Fault::CutAfter(bytes)));
        }
        rig.drain().unwrap();
        rig.check_all("object", &content);
        assert!(rig.proxy.calls(Call::Get) > 3);
    });
}

#[test]
fn an_object_that_is_replaced_while_it_is_read_is_read_from_its_start() {
    let content = lines("old", 40_000);
    on_each(&[], |rig| {
        rig.store.put("object", content.clone());
        rig.proxy
            .add(Rule::once(Call::Get, Fault::CutAfter(5_000_000)));
        // As long as the old one: only the ETag tells them apart.
        let new = lines("new", 40_000);
        let mut source = source(rig.proxy.endpoint(), &rig.options);
        let context = source_context(rig.state.clone(), true);
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            source.open(context).await.unwrap();
            let mut replaced = false;
            while let Some(batch) = source.read().await.unwrap() {
                rig.commit(&batch);
                if !std::mem::replace(&mut replaced, true) {
                    rig.store.put("object", new.clone());
                }
            }
            source.close().await.unwrap();
        });
        let is_new = |(_, value): &(String, String)| value.starts_with("new");
        let first = rig.records.iter().position(is_new).expect("new lines");
        let behind = rig.records.split_off(first);
        assert!(first > 0, "the old content was read in part");
        rig.records = behind;
        rig.check_all("object", &new);
    });
}

#[test]
fn what_is_damaged_stops_only_itself() {
    let good = gzip(lines("good", 10).as_bytes());
    let cut = gzip(lines("cut", 1000).as_bytes());
    let bomb = zstd::encode_all(std::io::repeat(b'\n').take(300 << 20), 1).unwrap();
    let options = [
        ("multiline", map(vec![("start", text("never"))])),
        ("max_line", text("1KiB")),
    ];
    on_each(&options, |rig| {
        rig.store.put("1-cut", cut[..cut.len() / 2].to_vec());
        rig.store.put("2-bomb", bomb.clone());
        rig.store.put("3-good", good.clone());
        let error = rig.drain().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(
            error
                .to_string()
                .contains("2 objects, the first of them 1-cut"),
            "{error}"
        );
        assert!(rig.records.iter().any(|(key, _)| key == "3-good"));
        let problems = rig.health.problems();
        assert!(
            problems["2-bomb"].contains("more than 1000 times its size"),
            "{problems:?}"
        );
        rig.store.delete("2-bomb");
        rig.store.put("1-cut", good.clone());
        rig.news();
        rig.drain().unwrap();
        assert!(rig.records.iter().all(|(key, _)| key == "1-cut"));
        assert!(!rig.records.is_empty());
    });
}

#[test]
fn an_object_that_may_not_be_read_waits() {
    let rig = &mut Rig::new(Store::in_process(), &[]);
    rig.store.put("a", "a\n");
    rig.store.put("b", "b\n");
    let denied = Fault::answer(403, "AccessDenied", "Access Denied");
    rig.proxy.add(Rule::once(Call::Get, denied));
    let error = rig.drain().unwrap_err();
    assert!(error.to_string().contains("cannot read a:"), "{error}");
    assert!(error.to_string().contains("s3:GetObject"), "{error}");
    assert_eq!(rig.news(), ["b: b"]);
    rig.drain().unwrap();
    assert_eq!(rig.news(), ["a: a"]);
}

#[test]
fn a_bucket_that_may_not_be_listed_any_more_ends_the_task() {
    let rig = &mut Rig::new(Store::in_process(), &[]);
    rig.store.put("a", "a\n");
    let denied = Fault::answer(403, "AccessDenied", "Access Denied");
    let mut rule = Rule::each(Call::List, denied);
    rule.skip = 1;
    rig.proxy.add(rule);
    let mut source = source(rig.proxy.endpoint(), &rig.options);
    let context = source_context(rig.state.clone(), false);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        source.open(context).await.unwrap();
        let batch = source.read().await.unwrap().expect("a batch");
        rig.commit(&batch);
        let error = source.read().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("s3:ListBucket"), "{error}");
        source.close().await.unwrap();
    });
    assert_eq!(rig.news(), ["a: a"]);
}

#[test]
fn what_was_read_is_deleted_tagged_or_moved_once_it_is_durable() {
    let moved = map(vec![("move", text("done/"))]);
    for after in [text("delete"), text("tag"), moved] {
        let options = [("prefix", text("in/")), ("after", after.clone())];
        on_each(&options, |rig| {
            rig.store.put("in/a b", "one\n");
            rig.store.put("in/c", "two\n");
            rig.drain_for(usize::MAX, false).unwrap();
            let read = rig.news();
            assert_eq!(read, ["in/a b: one", "in/c: two"]);
            assert_eq!(
                rig.store.keys(),
                ["in/a b", "in/c"],
                "nobody said it was durable"
            );
            rig.store.put("in/c", "three\n");
            // What was durable before, and what becomes so now.
            rig.drain().unwrap();
            assert_eq!(rig.news(), ["in/c: three"]);
            match after.text() {
                Some("delete") => assert!(rig.store.keys().is_empty()),
                Some(_) => {
                    assert_eq!(rig.store.tags("in/a b")["towpath"], "read");
                    assert_eq!(rig.store.tags("in/c")["towpath"], "read");
                }
                None => assert_eq!(rig.store.keys(), ["done/a b", "done/c"]),
            }
            rig.drain().unwrap();
            assert!(rig.news().is_empty());
        });
    }
}

#[test]
fn a_first_start_may_leave_out_what_is_there() {
    on_each(&[("start", text("latest"))], |rig| {
        rig.store.put("a", "old\n");
        rig.store.put("b", "old\n");
        rig.drain().unwrap();
        rig.store.put("0", "new\n");
        rig.store.put("b", "new\n");
        rig.drain().unwrap();
        assert_eq!(rig.news(), ["0: new", "b: new"]);
    });
}

#[test]
fn the_order_may_be_that_of_time() {
    let rig = &mut Rig::new(Store::in_process(), &[("order", text("last_modified"))]);
    for (age, key) in (1..).zip(["b", "a", "c"]) {
        rig.store.put(key, "x\n");
        rig.store.age(key, std::time::Duration::from_secs(60 * age));
    }
    rig.drain().unwrap();
    assert_eq!(rig.news(), ["c: x", "a: x", "b: x"]);
    rig.store.put("d", "x\n");
    rig.drain().unwrap();
    assert_eq!(rig.news(), ["d: x"]);
}

#[test]
fn a_drain_ends_at_what_was_there() {
    on_each(&[], |rig| {
        rig.store.put("a", lines("line", 20_000));
        let mut source = source(rig.proxy.endpoint(), &rig.options);
        let context = source_context(rig.state.clone(), true);
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            source.open(context).await.unwrap();
            // Times are told in whole seconds by some servers.
            std::thread::sleep(std::time::Duration::from_millis(1100));
            rig.store.put("b", "later\n");
            while let Some(batch) = source.read().await.unwrap() {
                rig.commit(&batch);
            }
            source.close().await.unwrap();
        });
        assert!(rig.records.iter().all(|(key, _)| key == "a"));
        rig.news();
        rig.drain().unwrap();
        assert_eq!(rig.news(), ["b: later"]);
    });
}

#[test]
fn other_keys_are_refused_fewer_are_not() {
    let rig = &mut Rig::new(Store::in_process(), &[("include", text("a*"))]);
    rig.store.put("a1", "x\n");
    rig.drain().unwrap();
    rig.options = vec![("include", text("*"))];
    let error = rig.drain().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    rig.options = vec![("include", text("a*")), ("exclude", text("a1"))];
    rig.drain().unwrap();
}
