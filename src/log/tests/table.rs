//! A topic read as a table, against a map.

use std::collections::BTreeMap;

use towpath_record::{BatchBuilder, Record};

use super::compaction::number;
use super::{commit, config, seed};
use crate::testing::Random;
use crate::{
    AppendSet, Cleanup, Log, LogConfig, LogError, LogErrorKind, TableReader, TopicBatch,
    TopicConfig, Writer,
};

const PARTITIONS: u32 = 3;
/// Key and value of each row.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn compacted() -> TopicConfig {
    TopicConfig {
        cleanup: Cleanup::Compact,
        ..config(PARTITIONS)
    }
}

/// Appends a few records with keys, some of them tombstones, and one without a key.
fn append(random: &mut Random, writer: &Writer, rows: &mut Rows) {
    let mut builders: Vec<BatchBuilder> = Vec::new();
    builders.resize_with(PARTITIONS as usize, BatchBuilder::default);
    for _ in 0..1 + random.below(20) {
        let number = random.below(40);
        let key = number.to_le_bytes().to_vec();
        let value = (!random.one_in(4)).then(|| random.number().to_le_bytes().to_vec());
        let builder = &mut builders[(number % u64::from(PARTITIONS)) as usize];
        builder.push(1, Some(&key), value.as_deref(), &[]).unwrap();
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
    builders[0].push(1, None, Some(b"no key"), &[]).unwrap();
    let batches = (0..).zip(&mut builders).filter_map(|(partition, builder)| {
        let (topic, batch) = ("t".into(), builder.finish()?);
        Some(TopicBatch {
            topic,
            partition,
            batch,
        })
    });
    let set = AppendSet {
        batches: batches.collect(),
        ..AppendSet::default()
    };
    commit(writer, set).unwrap();
}

fn catch_up(table: &mut TableReader, rows: &mut Rows) -> u64 {
    let mut count = 0;
    let apply = |record: &Record<'_>| {
        count += 1;
        let key = record.key.unwrap().to_vec();
        match record.value {
            Some(value) => rows.insert(key, value.to_vec()),
            None => rows.remove(&key),
        };
        Ok::<_, LogError>(())
    };
    table.catch_up(apply).unwrap();
    count
}

#[test]
fn a_table_is_the_newest_value_of_each_key_and_goes_on() {
    let mut random = Random::new(seed());
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open_disk(dir.path(), LogConfig::default()).unwrap();
    log.create_topic("t", &compacted()).unwrap();
    let writer = log.open_writer("p.s", 0).unwrap();
    let mut table = log.table("t").unwrap();
    let (mut expected, mut read) = (Rows::new(), Rows::new());
    for _ in 0..20 {
        append(&mut random, &writer, &mut expected);
        assert!(catch_up(&mut table, &mut read) > 0);
        assert_eq!(read, expected);
        assert_eq!(catch_up(&mut table, &mut read), 0, "nothing is read twice");
    }
    let mut anew = Rows::new();
    catch_up(&mut log.table("t").unwrap(), &mut anew);
    assert_eq!(anew, expected);
}

#[test]
fn a_table_takes_in_new_partitions_and_tells_that_its_topic_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open_disk(dir.path(), LogConfig::default()).unwrap();
    let missing = log.table("t").unwrap_err();
    assert!(missing.to_string().contains("topic t does not exist"));
    log.create_topic("t", &config(1)).unwrap();
    let mut table = log.table("t").unwrap();
    // More partitions and another cleanup, both applied.
    log.create_topic("t", &compacted()).unwrap();
    assert_eq!(log.topic("t").unwrap().config, compacted());
    let writer = log.open_writer("p.s", 0).unwrap();
    let (mut expected, mut read) = (Rows::new(), Rows::new());
    append(&mut Random::new(seed()), &writer, &mut expected);
    catch_up(&mut table, &mut read);
    assert_eq!(read, expected);
    log.delete_topic("t").unwrap();
    let gone = table.catch_up(|_| Ok::<_, LogError>(())).unwrap_err();
    assert_eq!(gone.kind(), LogErrorKind::Invalid, "{gone}");
}

fn follow(table: &mut TableReader, rows: &mut BTreeMap<u64, u64>) {
    let apply = |record: &Record<'_>| {
        let (key, value) = (number(record.key.unwrap()), number(record.value.unwrap()));
        let before = rows.insert(key, value);
        assert!(before.is_none_or(|before| before <= value), "an older one");
        Ok::<_, LogError>(())
    };
    table.catch_up(apply).unwrap();
}

/// Threads on a real disk: one appends, one compacts, one reads on and one begins again and again.
#[test]
fn readers_are_right_while_files_are_swapped() {
    let dir = tempfile::tempdir().unwrap();
    let config_small = LogConfig {
        segment_bytes: 16 << 10,
        ..LogConfig::default()
    };
    let (log, _) = Log::open_disk(dir.path(), config_small).unwrap();
    let topic = TopicConfig {
        cleanup: Cleanup::Compact,
        ..config(1)
    };
    log.create_topic("t", &topic).unwrap();
    const KEYS: u64 = 50;
    const BATCHES: u64 = 1500;
    let last: BTreeMap<_, _> = (0..BATCHES)
        .flat_map(|n| (0..10).map(move |key| ((n + key) % KEYS, n)))
        .collect();
    let done = std::sync::atomic::AtomicBool::new(false);
    let is_done = || done.load(std::sync::atomic::Ordering::Acquire);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let writer = log.open_writer("p.s", 0).unwrap();
            for n in 0..BATCHES {
                let mut builder = BatchBuilder::default();
                for key in 0..10 {
                    let (key, value) = (((n + key) % KEYS).to_le_bytes(), n.to_le_bytes());
                    builder.push(0, Some(&key), Some(&value), &[]).unwrap();
                }
                let batch = TopicBatch {
                    topic: "t".into(),
                    partition: 0,
                    batch: builder.finish().unwrap(),
                };
                let set = AppendSet {
                    batches: vec![batch],
                    ..AppendSet::default()
                };
                commit(&writer, set).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        let compactor = scope.spawn(|| {
            let mut passes = 0;
            while !is_done() {
                let compacted = log.run_compaction();
                assert!(compacted.failed.is_empty(), "{:?}", compacted.failed);
                passes += compacted.done.len();
            }
            passes
        });
        scope.spawn(|| {
            let (mut table, mut rows) = (log.table("t").unwrap(), BTreeMap::new());
            while !is_done() {
                follow(&mut table, &mut rows);
            }
            follow(&mut table, &mut rows);
            assert_eq!(rows, last);
        });
        while !is_done() {
            follow(&mut log.table("t").unwrap(), &mut BTreeMap::new());
        }
        let mut rows = BTreeMap::new();
        follow(&mut log.table("t").unwrap(), &mut rows);
        assert_eq!(rows, last);
        assert!(compactor.join().unwrap() > 3);
    });
}
