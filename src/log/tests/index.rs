//! Looking up offsets and times, with indexes that are damaged, cut, stale or missing: the answer
//! is always the one of a full scan.

use std::path::{Path, PathBuf};

use super::{batch, commit, config, values};
use crate::testing::Random;
use crate::{AppendSet, Log, LogConfig, ReadTo, TopicBatch};

/// Batches of each topic, in two segments of about 300 KiB.
const BATCHES: u64 = 60;
const EACH: u64 = 3;

/// A log with topics `a` and `b`, whose segments have the same sizes and offsets, but not times.
fn written(dir: &Path) -> Log {
    let config_ = LogConfig {
        segment_bytes: 300 << 10,
        ..LogConfig::default()
    };
    let (log, _) = Log::open_disk(dir, config_).unwrap();
    let writer = log.open_writer("p.s", 0).unwrap();
    for (topic, late) in [("a", 1_000_000), ("b", 2_000_000)] {
        log.create_topic(topic, &config(1)).unwrap();
        for n in 0..BATCHES {
            // Times rise with some disorder; other in the two topics.
            let time = |k| late + ((n * EACH + k) ^ (late / 1_000_000 * 4));
            let times: Vec<u64> = (0..EACH).map(time).collect();
            let batch = TopicBatch {
                topic: topic.into(),
                partition: 0,
                batch: batch(&times, 3000),
            };
            let set = AppendSet {
                batches: vec![batch],
                ..AppendSet::default()
            };
            commit(&writer, set).unwrap();
        }
    }
    log
}

/// (offset, time) of all records.
fn scan(log: &Log, topic: &str) -> Vec<(u64, u64)> {
    let mut reader = log.reader(topic, 0, 0, ReadTo::Durable).unwrap();
    let mut all = Vec::new();
    while let Some(batches) = reader.next(1 << 20).unwrap() {
        all.extend(batches.iter().flat_map(values));
    }
    all
}

/// Every lookup against a full scan, with a log just opened, so that indexes come from files.
fn check(dir: &Path, what: &str) {
    let (log, recovery) = Log::open_disk(dir, LogConfig::default()).unwrap();
    assert_eq!(recovery.damage, Vec::<String>::new(), "{what}");
    for topic in ["a", "b"] {
        let all = scan(&log, topic);
        assert_eq!(all.len() as u64, BATCHES * EACH);
        for (offset, time) in all.iter().step_by(7) {
            let expected = all.iter().find(|(_, t)| t >= time).unwrap().0;
            let found = log.offset_at(topic, 0, *time as i64).unwrap();
            assert_eq!(found, expected, "{what}: time {time} of {topic}");
            let mut reader = log.reader(topic, 0, *offset, ReadTo::Durable).unwrap();
            let first = reader.next(1).unwrap().unwrap();
            let first: Vec<_> = first.iter().flat_map(values).collect();
            assert!(
                first.contains(&(*offset, *time)),
                "{what}: offset {offset} of {topic} gave {first:?}"
            );
        }
    }
    log.close().unwrap();
}

fn indexes(dir: &Path, topic: &str) -> Vec<PathBuf> {
    let dir = dir.join(format!("topics/{topic}-0"));
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut paths: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "index"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_answer_is_the_one_of_a_full_scan() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).close().unwrap();
    check(dir.path(), "no index yet");
    let paths = indexes(dir.path(), "a");
    assert!(!paths.is_empty(), "no index was kept");
    check(dir.path(), "kept");
    let kept = std::fs::read(&paths[0]).unwrap();
    let seed = super::seed();
    let mut random = Random::new(seed);
    for n in 0..12 {
        let mut hurt = kept.clone();
        match n % 4 {
            0 => hurt.truncate(random.below(kept.len() as u64) as usize),
            1 => hurt[random.below(kept.len() as u64) as usize] ^= 1 << random.below(8),
            2 => hurt.extend_from_slice(&kept[..random.below(40) as usize + 1]),
            _ => hurt.fill(0),
        }
        std::fs::write(&paths[0], &hurt).unwrap();
        check(dir.path(), &format!("hurt in way {n}, seed {seed}"));
        assert_eq!(std::fs::read(&paths[0]).unwrap(), kept, "made anew");
    }
    std::fs::remove_file(&paths[0]).unwrap();
    check(dir.path(), "removed");
    // The indexes of another partition with segments of the same sizes.
    for (a, b) in paths.iter().zip(indexes(dir.path(), "b")) {
        let (of_a, of_b) = (std::fs::read(a).unwrap(), std::fs::read(&b).unwrap());
        std::fs::write(a, of_b).unwrap();
        std::fs::write(b, of_a).unwrap();
    }
    check(dir.path(), "of another topic");
}

#[test]
fn damage_behind_an_offset_does_not_hide_it() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).close().unwrap();
    let path = dir.path().join("topics/a-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - batch(&[0, 1, 2], 3000).as_bytes().len();
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (log, _) = Log::open_disk(dir.path(), LogConfig::default()).unwrap();
    let mut reader = log.reader("a", 0, 31, ReadTo::Durable).unwrap();
    let first = reader.next(1).unwrap().unwrap();
    assert_eq!(first[0].header().base_offset, 30);
    assert!(log.offset_at("a", 0, 1_000_030).unwrap() < 40);
    let error = loop {
        match reader.next(1 << 20) {
            Ok(batches) => assert!(batches.is_some(), "the damage was passed over"),
            Err(error) => break error,
        }
    };
    let place = format!("{}: byte {last}, offset", path.display());
    assert!(error.to_string().starts_with(&place), "{error}");
}
