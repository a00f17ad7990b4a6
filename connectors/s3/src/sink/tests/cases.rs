//! Each thing by itself.

use std::io::Write;

use towpath_sdk::testing::{SinkSubject, check_sink};
use towpath_sdk::{Sink, now_ms as wall_ms};

use super::super::S3Sink;
use super::super::schedule;
use super::*;

/// The keys and texts of all objects.
fn found(world: &World) -> Vec<(String, String)> {
    world.texts().into_iter().collect()
}

fn expected(objects: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, text): &(&str, &str)| ((*key).to_owned(), (*text).to_owned());
    objects.iter().map(owned).collect()
}

fn constant(others: &[(&'static str, &'static str)]) -> S3SinkOptions {
    options(&[&[("path", "{partition}-{start_offset}")], others].concat())
}

#[tokio::test]
async fn a_full_object_is_there_and_the_rest_at_the_end() {
    let options = options(&[
        ("path", "a/{key}-{partition}-{start_offset:03}"),
        ("rotate.records", "2"),
    ]);
    let mut world = World::new(options, log_of(&[&["x", "y", "x", "x", "y"]]));
    world.deliver().await.unwrap();
    let objects = [
        ("a/x-0-000", "0-0\n0-2\n"),
        ("a/x-0-003", "0-3\n"),
        ("a/y-0-001", "0-1\n0-4\n"),
    ];
    assert_eq!(found(&world), expected(&objects));
    assert_eq!(world.offsets, [5]);
}

#[tokio::test]
async fn it_is_compressed_in_members_that_are_one_stream() {
    let options = constant(&[("compression", "gzip"), ("rotate.size", "1MiB")]);
    let mut world = World::new(options, log_of(&[&["x"; 300]]));
    world.deliver().await.unwrap();
    let lines: String = (0..300).map(|offset| format!("0-{offset}\n")).collect();
    assert_eq!(found(&world), expected(&[("0-0", &lines)]));
    let content = &world.store.objects()["0-0"].content;
    let members = content.windows(3).filter(|bytes| *bytes == [0x1f, 0x8b, 8]);
    assert!(members.count() > 10);
}

#[tokio::test]
async fn what_is_due_by_the_clock_is_closed_without_a_record() {
    NOW_MS.set(wall_ms());
    let options = constant(&[("rotate.time", "1h")]);
    let mut world = World::new(options, log_of(&[&["x"; 2]]));
    let mut engine = world.open().await.unwrap();
    assert_eq!(engine.deadline(), None);
    engine.write(vec![world.batch(0, 0, 1)]).await.unwrap();
    let left = engine.deadline().unwrap() - std::time::Instant::now();
    assert!((3590..=3600).contains(&left.as_secs()), "{left:?}");
    world.flush(&mut engine, false).await.unwrap();
    drop(engine);

    // A restart does not begin the hour anew.
    NOW_MS.set(NOW_MS.get() + 3_000_000);
    let mut engine = world.open().await.unwrap();
    engine.write(vec![world.batch(0, 0, 1)]).await.unwrap();
    assert!(found(&world).is_empty());
    NOW_MS.set(NOW_MS.get() + 600_000);
    while world.offsets == [0] {
        assert!(engine.deadline().is_some(), "it wants to be flushed");
        world.flush(&mut engine, false).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(found(&world), expected(&[("0-0", "0-0\n")]));
    world.flush(&mut engine, false).await.unwrap();
    assert_eq!(engine.deadline(), None, "nothing is left to do");
}

#[tokio::test]
async fn an_object_of_somebody_else_stops_the_task_until_it_is_gone() {
    let options = constant(&[("rotate.records", "1")]);
    let mut world = World::new(options, log_of(&[&["x"; 2]]));
    world.store.put_foreign("0-1", b"mine");
    for _ in 0..2 {
        let error = world.deliver().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fatal);
        let told = error.to_string();
        assert!(
            told.starts_with("cannot complete 0-1: an object of that name"),
            "{told}"
        );
        assert!(told.contains("`towpath restart test.sink`"), "{told}");
    }
    world.store.remove("0-1");
    world.deliver().await.unwrap();
    assert_eq!(
        found(&world),
        expected(&[("0-0", "0-0\n"), ("0-1", "0-1\n")])
    );
}

#[tokio::test]
async fn a_reset_writes_all_anew_and_overwrites_nothing() {
    let options = constant(&[("rotate.records", "2")]);
    let mut world = World::new(options, log_of(&[&["x"; 3]]));
    world.deliver().await.unwrap();
    world.generation += 1;
    world.offsets = vec![0];
    let error = world.deliver().await.unwrap_err().to_string();
    assert!(
        error.contains("after `offsets reset` the objects of before have to go"),
        "{error}"
    );
    for key in ["0-0", "0-2"] {
        world.store.remove(key);
    }
    world.deliver().await.unwrap();
    assert_eq!(
        found(&world),
        expected(&[("0-0", "0-0\n0-1\n"), ("0-2", "0-2\n")])
    );
    assert!(world.store.open_keys().is_empty());
}

#[tokio::test]
async fn records_without_a_value_are_treated_as_told() {
    for (on_null, text, letters) in [
        ("write", "0-0\nnull\n0-2\n", 0),
        ("skip", "0-0\n0-2\n", 0),
        ("fail", "0-0\n0-2\n", 1),
    ] {
        let options = constant(&[("rotate.records", "9"), ("on_null", on_null)]);
        let mut log = log_of(&[&["x"; 3]]);
        log[0][1].value = None;
        let mut world = World::new(options, log);
        world.deliver().await.unwrap();
        assert_eq!(found(&world), expected(&[("0-0", text)]), "{on_null}");
        assert_eq!(world.letters.len(), letters);
    }
}

#[tokio::test]
async fn hostile_keys_stay_where_the_path_says() {
    let long = "x".repeat(2_000);
    let hostile = [
        "../../etc",
        "",
        "..",
        ".",
        "a/b",
        "/",
        "\\",
        "a\0b",
        "\u{202e}é日本",
        "%2e",
        "a?b#c",
        &long,
        "\n",
        " ",
    ];
    let options = options(&[
        ("path", "safe/{key}/{partition}-{start_offset}"),
        ("rotate.records", "1"),
    ]);
    let mut world = World::new(options, log_of(&[&hostile]));
    world.deliver().await.unwrap();
    let texts = world.texts();
    assert_eq!(texts.len(), hostile.len(), "{texts:?}");
    for key in texts.keys() {
        let names: Vec<_> = key.split('/').collect();
        assert_eq!((names.len(), names[0]), (3, "safe"), "{key}");
        assert!(!names[1].is_empty() && !names[1].starts_with('.'), "{key}");
        assert!(
            key.len() <= 1024 && !key.contains(|c: char| c.is_control()),
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_key_longer_than_s3_takes_is_a_bad_record() {
    let deep = "{key}/".repeat(10);
    let path = format!("{deep}{{partition}}-{{start_offset}}");
    let options = options(&[("path", &path), ("rotate.records", "1")]);
    let long = "x".repeat(140);
    let mut world = World::new(options, log_of(&[&["a", &long, "b"]]));
    world.deliver().await.unwrap();
    assert_eq!(world.texts().len(), 2);
    assert_eq!(world.letters, [(0, 1)]);
}

/// As many paths as there may be, with the limits that hold.
#[tokio::test]
async fn what_does_not_fit_in_memory_waits_on_disk() {
    let mut options = options(&[
        ("path", "{key}/{partition}-{start_offset}"),
        ("rotate.size", "1GiB"),
    ]);
    options.compression = Compression::None;
    let keys: Vec<String> = (0..2_000).map(|key| format!("k{key}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut log = log_of(&[&keys.repeat(10)]);
    for sent in &mut log[0] {
        let text = sent.value.take().unwrap();
        sent.value = Some(format!("{text} {}", "x".repeat(4_000)));
    }
    let mut world = World::new(options, log);
    world.limits = Limits::new(5 << 20, None);
    let mut engine = world.open().await.unwrap();
    for from in (0..20_000).step_by(500) {
        engine
            .write(vec![world.batch(0, from, from + 500)])
            .await
            .unwrap();
        let slots = engine.objects.slots.iter().flatten();
        let held: usize = slots.map(|object| object.held()).sum();
        assert!(held <= world.limits.resting, "{held}");
    }
    assert!(world.texts().is_empty());
    world.flush(&mut engine, true).await.unwrap();
    let texts = world.texts();
    assert_eq!(texts.len(), 2_000);
    for (key, text) in texts {
        let number: usize = key[1..key.find('/').unwrap()].parse().unwrap();
        let offsets = text
            .lines()
            .map(|line| line.split([' ', '-']).nth(1).unwrap());
        let offsets: Vec<usize> = offsets.map(|offset| offset.parse().unwrap()).collect();
        let sent: Vec<usize> = (0..10).map(|round| round * 2_000 + number).collect();
        assert_eq!(offsets, sent, "{key}");
    }
}

#[test]
fn a_schedule_follows_the_clock_on_the_wall() {
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let ms = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let hour = 3_600_000;
    for (now, every, expected) in [
        ("2026-01-05T10:20:00Z", hour, "2026-01-05T11:00:00Z"),
        ("2026-01-05T11:00:00Z", hour, "2026-01-05T12:00:00Z"),
        ("2026-01-05T22:30:00Z", 24 * hour, "2026-01-05T23:00:00Z"),
        // Every 7 hours, and at midnight.
        ("2026-01-05T20:30:00Z", 7 * hour, "2026-01-05T23:00:00Z"),
        // The clock is set forward from 2:00 to 3:00, and back from 3:00 to 2:00.
        ("2026-03-29T00:30:00Z", hour, "2026-03-29T01:00:00Z"),
        ("2026-03-29T00:30:00Z", 6 * hour, "2026-03-29T04:00:00Z"),
        ("2026-10-25T00:10:00Z", hour, "2026-10-25T02:00:00Z"),
        ("2026-10-25T01:10:00Z", hour / 2, "2026-10-25T01:40:00Z"),
    ] {
        assert_eq!(
            schedule::next(ms(now), every, &berlin),
            ms(expected),
            "{now}"
        );
    }
}

/// One object a record, for the conformance kit.
struct Objects(Arc<MemoryStore>);

#[async_trait]
impl SinkSubject for Objects {
    fn sink(&self) -> Box<dyn Sink> {
        let options = options(&[
            ("path", "{partition}-{start_offset:03}"),
            ("rotate.records", "4"),
        ]);
        let mut sink = S3Sink::new(Arc::new(options));
        sink.store = Some(self.0.clone());
        Box::new(sink)
    }

    async fn arrived(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for object in self.0.objects().into_values() {
            all.write_all(&object.content).unwrap();
        }
        let lines = all.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        lines.filter(|line| !line.is_empty()).collect()
    }
}

#[tokio::test]
async fn it_passes_the_conformance_kit() {
    check_sink(|| Objects(Arc::default())).await;
}
