//! What retention drops, and what holds it back.

use std::path::Path;
use std::sync::Arc;

use towpath_record::{Batch, BatchBuilder, Record};

use super::{batch, config};
use crate::entry::Entry;
use crate::round::{Answer, Request};
use crate::testing::{ManualClock, SimDisk, checkpoint, open_stepped};
use crate::{
    AppendSet, ConnectorKind, Durability, GroupOffset, Log, LogConfig, LogError, LogErrorKind,
    ReadTo, Registration, Retention, TopicBatch, TopicConfig,
};

const DIR: &str = "/data";
const HOUR_MS: u64 = 3_600_000;

struct Held {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    log: Log,
}

/// Four segments of one batch of ten records each; all of segment n has timestamp n hours.
fn held(retention: Retention) -> Held {
    let (disk, clock) = (SimDisk::new(1), Arc::new(ManualClock::default()));
    let log = open(&disk, &clock, Durability::Fsync);
    let topic = TopicConfig {
        retention,
        ..config(1)
    };
    log.create_topic("t", &topic).unwrap();
    for hour in 0..4 {
        append(&log, &[hour * HOUR_MS; 10]);
    }
    assert_eq!(segments(&log), 4);
    Held { disk, clock, log }
}

fn open(disk: &SimDisk, clock: &Arc<ManualClock>, durability: Durability) -> Log {
    let config = LogConfig {
        durability,
        segment_bytes: 1024,
        ..LogConfig::default()
    };
    let (disk, clock) = (Arc::new(disk.clone()), Arc::clone(clock));
    let (log, _, recovery) = open_stepped(Path::new(DIR), config, disk, clock).unwrap();
    assert_eq!(recovery.damage, Vec::<String>::new());
    log
}

fn append(log: &Log, values: &[u64]) {
    submit(log, batch(values, 100));
}

fn submit(log: &Log, batch: Batch) {
    let batch = TopicBatch {
        topic: "t".into(),
        partition: 0,
        batch,
    };
    let set = AppendSet {
        batches: vec![batch],
        ..AppendSet::default()
    };
    let writer = log.open_writer("p.source", 0).unwrap();
    writer.submit(set, Box::new(|result| assert!(result.is_ok())));
    checkpoint(log).unwrap();
}

fn segments(log: &Log) -> usize {
    log.topic("t").unwrap().partitions[0].segments
}

fn start(log: &Log) -> u64 {
    log.start_offset("t", 0).unwrap()
}

/// Runs until nothing is dropped any more.
fn run(log: &Log) {
    while !log.run_retention().unwrap().is_empty() {}
}

fn time(hours: u64) -> Retention {
    Retention {
        time_ms: Some(hours * HOUR_MS),
        bytes: None,
    }
}

#[test]
fn drops_by_time_one_segment_a_run() {
    let Held { disk, clock, log } = held(time(2));
    clock.advance(4 * HOUR_MS);
    let dropped = log.run_retention().unwrap();
    assert_eq!(dropped.len(), 1);
    assert!(
        dropped[0].starts_with("t partition 0: offsets 0 to 10"),
        "{dropped:?}"
    );
    run(&log);
    assert_eq!(
        (start(&log), segments(&log)),
        (20, 2),
        "two hours are kept whole"
    );
    let error = log.reader("t", 0, 19, ReadTo::Durable).unwrap().next(1000);
    assert_eq!(error.unwrap_err().kind(), LogErrorKind::OutOfRange);
    // The active segment is sealed once all of it has expired, and dropped by the next run.
    clock.advance(10 * HOUR_MS);
    run(&log);
    assert_eq!((start(&log), segments(&log)), (30, 1));
    run(&log);
    assert_eq!((start(&log), segments(&log)), (40, 0));
    append(&log, &[9]);
    drop(log);
    disk.cut_power();
    let log = open(&disk, &clock, Durability::Fsync);
    assert_eq!(
        (
            start(&log),
            log.end_offset("t", 0, ReadTo::Durable).unwrap()
        ),
        (40, 41)
    );
}

#[test]
fn drops_by_size_but_never_below_it() {
    let each = batch(&[0; 10], 100).as_bytes().len() as u64;
    for (bytes, kept) in [
        (4 * each, 4),
        (3 * each, 3),
        (3 * each - 1, 3),
        (2 * each, 2),
        (1, 1),
    ] {
        let retention = Retention {
            time_ms: None,
            bytes: Some(bytes),
        };
        let Held { log, .. } = held(retention);
        run(&log);
        assert_eq!(
            segments(&log),
            kept,
            "{bytes} bytes of segments with {each}"
        );
    }
}

/// What a table has read it keeps, and goes on with what is left.
#[test]
fn a_table_goes_on_behind_what_was_dropped() {
    let held = held(time(2));
    let mut table = held.log.table("t").unwrap();
    held.clock.advance(4 * HOUR_MS);
    run(&held.log);
    assert_eq!(start(&held.log), 20);
    let mut builder = BatchBuilder::default();
    builder.push(0, Some(b"key"), None, &[]).unwrap();
    submit(&held.log, builder.finish().unwrap());
    let mut offsets = Vec::new();
    let apply = |record: &Record<'_>| {
        offsets.push(record.offset);
        Ok::<_, LogError>(())
    };
    table.catch_up(apply).unwrap();
    assert_eq!(offsets, [40]);
}

#[test]
fn a_registered_sink_pins_until_it_is_done_or_forgotten() {
    let Held { disk, clock, log } = held(time(1));
    clock.advance(2 * HOUR_MS + HOUR_MS / 2);
    let sink = Registration {
        name: "p.sink".into(),
        kind: ConnectorKind::Sink,
        connector_type: "file".into(),
        far_side: "out".into(),
        group: Some("g".into()),
        topics: vec!["t".into()],
    };
    log.register(&sink).unwrap();
    run(&log);
    assert_eq!(start(&log), 0, "a sink that never committed needs all");
    for (offset, expected) in [(9, 0), (10, 10)] {
        let (group, topic) = ("g".into(), "t".into());
        let set = AppendSet {
            offsets: vec![GroupOffset {
                group,
                topic,
                partition: 0,
                offset,
            }],
            ..AppendSet::default()
        };
        log.open_writer("g", 0)
            .unwrap()
            .submit(set, Box::new(|result| assert!(result.is_ok())));
        checkpoint(&log).unwrap();
        run(&log);
        assert_eq!(start(&log), expected, "offset {offset} is done");
    }
    // An absent one pins as well: nobody has told the log otherwise.
    clock.advance(10 * HOUR_MS);
    drop(log);
    disk.kill();
    let log = open(&disk, &clock, Durability::Fsync);
    run(&log);
    assert_eq!(start(&log), 10);
    log.forget("p.sink").unwrap();
    run(&log);
    run(&log);
    assert_eq!(start(&log), 40);
}

/// As of what is to be retried of it.
#[test]
fn a_source_pins_where_its_group_has_an_offset() {
    let Held { clock, log, .. } = held(time(1));
    clock.advance(2 * HOUR_MS + HOUR_MS / 2);
    let source = Registration {
        name: "p.source".into(),
        kind: ConnectorKind::Source,
        connector_type: "file".into(),
        far_side: "in".into(),
        group: None,
        topics: vec!["t".into()],
    };
    log.register(&source).unwrap();
    for (offset, expected) in [(0, 0), (10, 10)] {
        let set = AppendSet {
            offsets: vec![GroupOffset {
                group: "p.source".into(),
                topic: "t".into(),
                partition: 0,
                offset,
            }],
            ..AppendSet::default()
        };
        log.open_writer("p.other", 0)
            .unwrap()
            .submit(set, Box::new(|result| assert!(result.is_ok())));
        checkpoint(&log).unwrap();
        run(&log);
        assert_eq!(start(&log), expected, "offset {offset} is done");
    }
}

#[test]
fn a_source_and_another_topics_sink_pin_nothing() {
    let Held { clock, log, .. } = held(time(1));
    clock.advance(HOUR_MS * 5 / 2);
    for (kind, topic) in [(ConnectorKind::Source, "t"), (ConnectorKind::Sink, "u")] {
        let registration = Registration {
            name: format!("p.{topic}"),
            kind,
            connector_type: "file".into(),
            far_side: "out".into(),
            group: None,
            topics: vec![topic.into()],
        };
        log.register(&registration).unwrap();
    }
    run(&log);
    assert_eq!(start(&log), 20);
}

#[test]
fn a_clock_that_was_set_drops_nothing_in_that_run() {
    let Held { clock, log, .. } = held(time(24));
    // The first run already compares, with the start.
    clock.advance(30_000);
    clock.set((1000 * HOUR_MS) as i64);
    assert_eq!(log.run_retention().unwrap(), Vec::<String>::new());
    assert_eq!(start(&log), 0);
    // Set right again: that is a step as well, and nothing has expired by then.
    clock.advance(30_000);
    clock.set(4 * HOUR_MS as i64);
    run(&log);
    clock.advance(30_000);
    run(&log);
    assert_eq!(start(&log), 0);
    clock.advance(24 * HOUR_MS);
    run(&log);
    assert_eq!(start(&log), 40 - 10);
}

/// A segment that was begun when the disk was full stays empty; the gap after a lost machine makes
/// the next one begin elsewhere.
#[test]
fn an_empty_segment_does_not_hold_retention_up() {
    for after in 1..12 {
        let (disk, clock) = (SimDisk::new(after), Arc::new(ManualClock::default()));
        let log = open(&disk, &clock, Durability::Os);
        let retention = Retention {
            time_ms: None,
            bytes: Some(1),
        };
        let topic = TopicConfig {
            retention,
            ..config(1)
        };
        log.create_topic("t", &topic).unwrap();
        let writer = log.open_writer("p.source", 0).unwrap();
        disk.plan(after, crate::testing::Fault::Full);
        let batch = TopicBatch {
            topic: "t".into(),
            partition: 0,
            batch: batch(&[1], 100),
        };
        let set = AppendSet {
            batches: vec![batch],
            ..AppendSet::default()
        };
        writer.submit(set, Box::new(|_| {}));
        let _ = checkpoint(&log);
        drop((log, writer));
        disk.cut_power();
        let log = open(&disk, &clock, Durability::Os);
        for hour in 0..3 {
            append(&log, &[hour; 10]);
        }
        run(&log);
        assert_eq!(segments(&log), 1, "the disk was full after {after}");
    }
}

/// A sink that is registered after retention has looked, and before the drop is written, keeps
/// what it pins.
#[test]
fn a_pin_that_comes_between_look_and_drop_holds() {
    let Held { clock, log, .. } = held(time(1));
    clock.advance(10 * HOUR_MS);
    let registration = Registration {
        name: "p.sink".into(),
        kind: ConnectorKind::Sink,
        connector_type: "file".into(),
        far_side: "out".into(),
        group: None,
        topics: vec!["t".into()],
    };
    let entry = Entry::Registered {
        registration,
        configured_ms: 0,
    };
    // It waits in front of stage 1, where retention does not see it yet.
    log.inner.send(Request::Change {
        change: Box::new(|_| Ok(vec![entry])),
        done: Answer::default(),
    });
    assert_eq!(log.registrations(), vec![]);
    assert_eq!(log.run_retention().unwrap(), Vec::<String>::new());
    assert_eq!((log.registrations().len(), start(&log)), (1, 0));
}
