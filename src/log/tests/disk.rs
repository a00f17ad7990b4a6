//! The log on a real disk, with its threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{batch, commit, config, one, put, values};
use crate::{
    AppendSet, Disk, Durability, GroupOffset, Log, LogConfig, LogErrorKind, ReadTo, TopicBatch,
    verify,
};

fn open(dir: &std::path::Path, durability: Durability) -> Log {
    let config = LogConfig {
        durability,
        segment_bytes: 4096,
        ..LogConfig::default()
    };
    let (log, recovery) = Log::open_disk(dir, config).unwrap();
    assert_eq!(recovery.damage, Vec::<String>::new());
    log
}

fn read(log: &Log, topic: &str, from: u64) -> Vec<u64> {
    let mut reader = log.reader(topic, 0, from, ReadTo::Committed).unwrap();
    let mut all = Vec::new();
    while let Some(batches) = reader.next(1000).unwrap() {
        all.extend(batches.iter().flat_map(values).map(|(_, value)| value));
    }
    all
}

#[test]
fn survives_a_restart() {
    for durability in [Durability::Fsync, Durability::Os] {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path(), durability);
        log.create_topic("t", &config(2)).unwrap();
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let watch = log.watch(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        let writer = log.open_writer("p.s", 0).unwrap();
        for n in 0..100 {
            let mut set = one("t", 0, &[2 * n, 2 * n + 1]);
            set.state = vec![put("at", (n > 0).then(|| n - 1), n)];
            let committed = commit(&writer, set).unwrap();
            assert_eq!(committed.base_offsets, [2 * n]);
        }
        drop(watch);
        assert!(woken.load(Ordering::Relaxed) >= 100);
        assert_eq!(read(&log, "t", 0), (0..200).collect::<Vec<_>>());
        assert_eq!(read(&log, "t", 151), (150..200).collect::<Vec<_>>());
        assert_eq!(log.offset_at("t", 0, 77).unwrap(), 77);
        assert_eq!(log.offset_at("t", 0, 10_000).unwrap(), 200);
        let id = log.id();
        log.close().unwrap();
        assert_eq!(
            log.open_writer("p.s", 0).unwrap_err().kind(),
            LogErrorKind::Failed
        );
        drop(log);

        let log = open(dir.path(), durability);
        assert_eq!(log.id(), id);
        assert_eq!(read(&log, "t", 0), (0..200).collect::<Vec<_>>());
        assert_eq!(log.offset_at("t", 0, 77).unwrap(), 77);
        assert_eq!(log.open_writer("p.s", 0).unwrap().generation(), 2);
        assert_eq!(
            verify(dir.path(), &Disk).unwrap().damage,
            Vec::<String>::new()
        );
    }
}

#[test]
fn refuses_what_contradicts_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), Durability::Fsync);
    log.create_topic("t", &config(1)).unwrap();
    let kind = |set: AppendSet| {
        commit(&log.open_writer("p.s", 0).unwrap(), set).map_err(|error| error.kind())
    };
    assert_eq!(kind(one("missing", 0, &[1])), Err(LogErrorKind::Invalid));
    assert_eq!(kind(one("t", 1, &[1])), Err(LogErrorKind::Invalid));
    let wrong = AppendSet {
        state: vec![put("at", Some(3), 4)],
        ..AppendSet::default()
    };
    assert_eq!(kind(wrong), Err(LogErrorKind::Fenced));
    let offset = |offset| AppendSet {
        offsets: vec![GroupOffset {
            group: "g".into(),
            topic: "t".into(),
            partition: 0,
            offset,
        }],
        ..AppendSet::default()
    };
    assert_eq!(kind(offset(1)), Err(LogErrorKind::Invalid));
    // A refused set refuses those behind it, whatever they say.
    let writer = log.open_writer("p.s", 0).unwrap();
    commit(&writer, one("missing", 0, &[1])).unwrap_err();
    let behind = commit(&writer, one("t", 0, &[1])).unwrap_err();
    assert_eq!(behind.kind(), LogErrorKind::Fenced);
    let old = log.open_writer("p.s", 0).unwrap();
    let new = log.open_writer("p.s", 0).unwrap();
    assert_eq!(
        commit(&old, one("t", 0, &[1])).unwrap_err().kind(),
        LogErrorKind::Fenced
    );
    commit(&new, one("t", 0, &[1])).unwrap();
    log.reset_offsets("g", &[("t".into(), 0, Some(1))]).unwrap();
    assert_eq!(
        commit(&new, offset(1)).unwrap_err().kind(),
        LogErrorKind::Fenced
    );
    assert_eq!(log.group("g").unwrap().generation, 1);
    // Also when nothing lies between the opening and the reset.
    let new = log.open_writer("p.s", 0).unwrap();
    log.reset_offsets("g", &[("t".into(), 0, Some(1))]).unwrap();
    assert_eq!(
        commit(&new, offset(1)).unwrap_err().kind(),
        LogErrorKind::Fenced
    );
}

#[test]
fn large_and_small_batches_are_read_in_whole() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), Durability::Fsync);
    log.create_topic("t", &config(1)).unwrap();
    let writer = log.open_writer("p.s", 0).unwrap();
    for n in 0..30 {
        let padding = [10, 30_000, 200][n as usize % 3];
        let batch = TopicBatch {
            topic: "t".into(),
            partition: 0,
            batch: batch(&[n], padding),
        };
        commit(
            &writer,
            AppendSet {
                batches: vec![batch],
                ..AppendSet::default()
            },
        )
        .unwrap();
    }
    assert_eq!(read(&log, "t", 0), (0..30).collect::<Vec<_>>());
}

/// Names as long as Kafka allows, also when what is below them has to be moved aside.
#[test]
fn a_topic_name_of_249_characters_works() {
    let dir = tempfile::tempdir().unwrap();
    let name = "n".repeat(249);
    let log = open(dir.path(), Durability::Fsync);
    log.create_topic(&name, &config(1)).unwrap();
    let error = log.create_topic(&"n".repeat(250), &config(1)).unwrap_err();
    assert_eq!(error.kind(), LogErrorKind::Invalid);
    let writer = log.open_writer("p.s", 0).unwrap();
    commit(&writer, one(&name, 0, &[1])).unwrap();
    log.close().unwrap();
    let topics = dir.path().join("topics");
    for n in 1..4 {
        let strange = topics.join(format!("{name}-409{n}"));
        std::fs::create_dir(&strange).unwrap();
        std::fs::write(strange.join("file"), [n]).unwrap();
    }
    std::fs::write(topics.join(format!("{name}-0/notes")), "mine").unwrap();
    let (log, recovery) = Log::open_disk(dir.path(), LogConfig::default()).unwrap();
    assert_eq!(recovery.strays.len(), 4, "{:?}", recovery.strays);
    assert_eq!(
        std::fs::read_dir(dir.path().join("stray")).unwrap().count(),
        4
    );
    assert_eq!(read(&log, &name, 0), [1]);
}
