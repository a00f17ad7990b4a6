//! `os` mode: files go while records that name them are not proven, and the machine stops. What
//! dropped them was durable: the next start must not step back before it.

use std::path::Path;
use std::sync::Arc;

use towpath_record::BatchBuilder;

use super::config;
use crate::testing::{ManualClock, SimDisk, Step, Steps, open_stepped};
use crate::{
    AppendSet, Cleanup, Durability, Log, LogConfig, ReadTo, Recovery, Retention, TopicBatch,
    TopicConfig, Writer, compaction,
};

fn open(disk: &SimDisk) -> (Log, Arc<Steps>, Recovery) {
    let config = LogConfig {
        durability: Durability::Os,
        segment_bytes: 1024,
        ..LogConfig::default()
    };
    let clock = Arc::new(ManualClock::default());
    let storage = Arc::new(disk.clone());
    let (log, steps, recovery) = open_stepped(Path::new("/data"), config, storage, clock).unwrap();
    (log, steps.unwrap(), recovery)
}

/// One record of one key, committed and no more.
fn append(writer: &Writer, steps: &Steps, topic: &str) {
    let mut builder = BatchBuilder::default();
    builder.push(0, Some(b"key"), Some(&[7; 400]), &[]).unwrap();
    let batch = TopicBatch {
        topic: topic.into(),
        partition: 0,
        batch: builder.finish().unwrap(),
    };
    let set = AppendSet {
        batches: vec![batch],
        ..AppendSet::default()
    };
    writer.submit(set, Box::new(|result| assert!(result.is_ok())));
    while steps.step(Step::Append(1)) || steps.step(Step::Sync) || steps.step(Step::Commit(1)) {}
}

/// Appends to topic `t` a sealed segment and a record more, and one record to `other`; then `drop`
/// removes files of `t`, and the machine stops. All of `other` must be there, and `t` as `is_done`
/// says.
fn check(cleanup: Cleanup, drop_files: fn(&Log), is_done: fn(&Log) -> bool) {
    for seed in 0..16 {
        let disk = SimDisk::new(seed);
        let (log, steps, _) = open(&disk);
        let retention = Retention {
            time_ms: None,
            bytes: Some(1),
        };
        let topic = TopicConfig {
            cleanup,
            retention,
            ..config(1)
        };
        log.create_topic("t", &topic).unwrap();
        log.create_topic("other", &config(1)).unwrap();
        let writer = log.open_writer("p.s", 0).unwrap();
        for _ in 0..4 {
            append(&writer, &steps, "t");
        }
        append(&writer, &steps, "other");
        drop_files(&log);
        assert!(is_done(&log), "seed {seed}");
        drop((log, steps, writer));
        disk.cut_power();
        let (log, _, recovery) = open(&disk);
        assert_eq!(recovery.damage, Vec::<String>::new(), "seed {seed}");
        let notes = recovery.notes.join("\n");
        assert!(!notes.contains("steps back"), "seed {seed}: {notes}");
        assert!(is_done(&log), "seed {seed}");
        let mut reader = log.reader("other", 0, 0, ReadTo::Durable).unwrap();
        let batches = reader.next(1000).unwrap().unwrap();
        assert_eq!(batches[0].len(), 1, "seed {seed}");
    }
}

#[test]
fn a_segment_that_retention_dropped() {
    check(
        Cleanup::Delete,
        |log| assert_eq!(log.run_retention().unwrap().len(), 1),
        |log| log.start_offset("t", 0).unwrap() > 0,
    );
}

#[test]
fn a_segment_that_compaction_replaced() {
    check(
        Cleanup::Compact,
        |log| assert_eq!(compaction::run(log, None).done.len(), 1),
        |log| log.topic("t").unwrap().partitions[0].records < 4,
    );
}

#[test]
fn the_segments_of_a_topic_that_was_deleted() {
    check(
        Cleanup::Delete,
        |log| log.delete_topic("t").unwrap(),
        |log| log.topic("t").is_none(),
    );
}
