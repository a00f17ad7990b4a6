//! What compaction keeps, against a map, in random histories.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use towpath_record::{Batch, BatchBuilder, Record};

use super::{config, seed};
use crate::testing::{ManualClock, Random, SimDisk, Steps, checkpoint, open_stepped};
use crate::{
    AppendSet, Cleanup, ConnectorKind, Durability, GroupOffset, Log, LogConfig, LogError, ReadTo,
    Reader, Recovery, Registration, TableReader, TopicBatch, TopicConfig, compaction, verify,
};

pub(super) const DIR: &str = "/data";
const SINK: &str = "p.sink";

/// Key and value of a record; its timestamp is its offset.
pub(super) type Row = (Option<u64>, Option<u64>);

/// Everything that was ever appended, by offset, and the log that compacts it.
pub(super) struct Model {
    random: Random,
    pub(super) disk: SimDisk,
    pub(super) log: Log,
    pub(super) all: BTreeMap<u64, Row>,
    /// Of the sink, once there is one.
    pub(super) pin: Option<u64>,
    next_value: u64,
}

pub(super) fn open_with_steps(
    disk: &SimDisk,
    durability: Durability,
) -> Result<(Log, Arc<Steps>, Recovery), LogError> {
    let config = LogConfig {
        durability,
        segment_bytes: 1024,
        ..LogConfig::default()
    };
    let clock = Arc::new(ManualClock::default());
    let (log, steps, recovery) =
        open_stepped(Path::new(DIR), config, Arc::new(disk.clone()), clock)?;
    Ok((log, steps.unwrap(), recovery))
}

pub(super) fn open(disk: &SimDisk, durability: Durability) -> Result<(Log, Recovery), LogError> {
    open_with_steps(disk, durability).map(|(log, _, recovery)| (log, recovery))
}

pub(super) fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().unwrap())
}

fn row(record: &Record<'_>) -> (u64, Row) {
    let offset = record.offset as u64;
    assert_eq!(record.timestamp_ms, record.offset);
    (offset, (record.key.map(number), record.value.map(number)))
}

impl Model {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(random.number());
        let (log, _) = open(&disk, Durability::Fsync).unwrap();
        let topic = TopicConfig {
            cleanup: Cleanup::Compact,
            ..config(1)
        };
        log.create_topic("t", &topic).unwrap();
        Self {
            random,
            disk,
            log,
            all: BTreeMap::new(),
            pin: None,
            next_value: 0,
        }
    }

    fn end(&self) -> u64 {
        self.all.len() as u64
    }

    pub(super) fn append(&mut self, keys: u64) {
        let mut builder = BatchBuilder::default();
        let first = self.end();
        for offset in first..=first + self.random.below(8) {
            let key = (!self.random.one_in(30)).then(|| self.random.below(keys));
            let value = (!self.random.one_in(5)).then(|| {
                self.next_value += 1;
                self.next_value
            });
            let padded = value.map(|value| [value.to_le_bytes(); 4].concat());
            let key_bytes = key.map(u64::to_le_bytes);
            let key_bytes = key_bytes.as_ref().map(<[u8; 8]>::as_slice);
            builder
                .push(offset as i64, key_bytes, padded.as_deref(), &[])
                .unwrap();
            self.all.insert(offset, (key, value));
        }
        let batch = TopicBatch {
            topic: "t".into(),
            partition: 0,
            batch: builder.finish().unwrap(),
        };
        self.submit(AppendSet {
            batches: vec![batch],
            ..AppendSet::default()
        });
    }

    fn submit(&self, set: AppendSet) {
        let writer = self.log.open_writer(SINK, 0).unwrap();
        writer.submit(set, Box::new(|result| assert!(result.is_ok())));
        checkpoint(&self.log).unwrap();
    }

    /// The sink is done with what is before `offset`.
    fn pass(&mut self, offset: u64) {
        self.log.register(&sink()).unwrap();
        let offset = GroupOffset {
            group: SINK.into(),
            topic: "t".into(),
            partition: 0,
            offset,
        };
        self.pin = Some(offset.offset);
        self.submit(AppendSet {
            offsets: vec![offset],
            ..AppendSet::default()
        });
    }

    pub(super) fn compact(&mut self) -> Vec<String> {
        // Room for few keys, or for all.
        let bytes = [1, 1 << 20][self.random.below(2) as usize];
        let compacted = compaction::run(&self.log, Some(bytes));
        assert!(compacted.failed.is_empty(), "{:?}", compacted.failed);
        compacted.done
    }

    fn reader(&self, from: u64) -> Reader {
        self.log.reader("t", 0, from, ReadTo::Durable).unwrap()
    }

    /// The newest value of each key.
    fn rows(&self) -> BTreeMap<u64, u64> {
        fold(self.all.values())
    }

    /// Takes what is new into the rows of a table.
    fn catch_up(&self, (table, rows): &mut (TableReader, BTreeMap<u64, u64>)) {
        let apply = |record: &Record<'_>| {
            let key = number(record.key.unwrap());
            match record.value {
                Some(value) => rows.insert(key, number(value)),
                None => rows.remove(&key),
            };
            Ok::<_, LogError>(())
        };
        table.catch_up(apply).unwrap();
        assert_eq!(*rows, self.rows(), "of a table that rested");
    }

    pub(super) fn check(&self) {
        let held = read(&mut self.reader(0), usize::MAX);
        for (offset, row) in &held {
            assert_eq!(
                self.all.get(offset),
                Some(row),
                "offset {offset} is another"
            );
        }
        assert_eq!(fold(held.values()), self.rows());
        for (offset, row) in &self.all {
            let needed = row.0.is_none() || self.pin.is_some_and(|pin| *offset >= pin);
            assert!(!needed || held.contains_key(offset), "{offset} was dropped");
        }
        let info = &self.log.topic("t").unwrap().partitions[0];
        assert_eq!(info.records, held.len() as u64);
        assert_eq!((info.start_offset, info.end_offset), (0, self.end()));
        for from in 0..=self.end() {
            let mut reader = self.reader(from);
            let read = read(&mut reader, usize::MAX);
            let expected: BTreeMap<_, _> = held.range(from..).map(|(o, r)| (*o, *r)).collect();
            assert_eq!(read, expected, "from {from}");
            assert_eq!(reader.offset(), self.end(), "from {from}");
            let first = held.range(from..).next().map(|(offset, _)| *offset);
            let found = self.log.offset_at("t", 0, from as i64).unwrap();
            assert_eq!(found, first.unwrap_or(self.end()), "time {from}");
        }
        let report = verify(Path::new(DIR), &self.disk).unwrap();
        assert_eq!(report.damage, Vec::<String>::new());
        assert_eq!(report.notes, Vec::<String>::new());
    }
}

pub(super) fn sink() -> Registration {
    Registration {
        name: SINK.into(),
        kind: ConnectorKind::Sink,
        connector_type: "file".into(),
        far_side: "out".into(),
        group: None,
        topics: vec!["t".into()],
    }
}

pub(super) fn fold<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeMap<u64, u64> {
    let mut folded = BTreeMap::new();
    for (key, value) in rows {
        let Some(key) = key else { continue };
        match value {
            Some(value) => folded.insert(*key, *value),
            None => folded.remove(key),
        };
    }
    folded
}

/// Reads on up to `reads` times; batches must follow each other.
pub(super) fn read(reader: &mut Reader, reads: usize) -> BTreeMap<u64, Row> {
    let mut all = BTreeMap::new();
    let mut next = None;
    for _ in 0..reads {
        let from = reader.offset();
        let Some(batches) = reader.next(700).unwrap() else {
            break;
        };
        for batch in &batches {
            let header = batch.header();
            assert!(next.is_none_or(|next| header.base_offset >= next));
            next = Some(header.next_offset());
        }
        let records = batches.iter().flat_map(Batch::records);
        let rows = records.map(|record| row(&record.unwrap()));
        all.extend(rows.filter(|(offset, _)| *offset >= from));
    }
    all
}

#[test]
fn what_is_kept_is_the_newest_of_each_key() {
    let first = seed();
    let mut passes = 0;
    for seed in first..first + 40 {
        println!("seed {seed}");
        let mut model = Model::new(seed);
        // They stay open over all swaps.
        let mut slow = model.reader(0);
        let mut seen = BTreeMap::new();
        let mut table = (model.log.table("t").unwrap(), BTreeMap::new());
        let keys = 1 + model.random.below(40);
        for _ in 0..60 {
            match model.random.below(13) {
                0..=6 => model.append(keys),
                7..=8 => {
                    passes += model.compact().len();
                    model.check();
                }
                9 => {
                    let end = model.end();
                    let pin = model.pin.unwrap_or(end);
                    let offset = pin + model.random.below(end - pin + 1);
                    model.pass(offset);
                }
                10 => {
                    let read = read(&mut slow, 1 + model.random.below(3) as usize);
                    let last = seen.last_key_value().map(|(offset, _)| *offset);
                    assert!(read.keys().all(|offset| Some(*offset) > last));
                    for (offset, row) in &read {
                        assert_eq!(model.all.get(offset), Some(row));
                    }
                    seen.extend(read);
                }
                11 => {
                    model.catch_up(&mut table);
                    if model.random.one_in(3) {
                        table = (model.log.table("t").unwrap(), BTreeMap::new());
                    }
                }
                _ => {
                    model.log.close().unwrap();
                    let (log, recovery) = open(&model.disk, Durability::Fsync).unwrap();
                    assert_eq!(recovery, Recovery::default());
                    model.log = log;
                    slow = model.reader(slow.offset());
                    table = (model.log.table("t").unwrap(), BTreeMap::new());
                    model.check();
                }
            }
        }
        model.catch_up(&mut table);
        model.check();
    }
    assert!(passes > 20, "{passes}");
}

/// One key written over and over takes one record, and many segments become one.
#[test]
fn small_segments_become_one() {
    let mut model = Model::new(1);
    for _ in 0..40 {
        model.append(1);
    }
    let segments = |model: &Model| model.log.topic("t").unwrap().partitions[0].segments;
    let before = segments(&model);
    assert!(before > 5);
    assert_eq!(compaction::run(&model.log, None).done.len(), 1);
    assert!(model.compact().is_empty(), "nothing is new");
    // What was large until now is small in the next pass, and becomes one.
    let known = segments(&model);
    for _ in 0..40 {
        model.append(1);
    }
    let new = segments(&model) - known;
    assert_eq!(compaction::run(&model.log, None).done.len(), 1);
    let left = segments(&model);
    assert!(left <= new + 2, "{before}, {known}, {new}, {left}");
    model.check();
}

/// A tombstone outlives the pass that drops what it deletes, and goes with the next one, unless an
/// open table has not come to it.
#[test]
fn a_tombstone_is_kept_for_one_further_pass() {
    tombstone(false, [1, 0]);
    tombstone(true, [1, 1]);
}

/// How many tombstones are left after one pass and the next; where a table `rests` meanwhile, none
/// is after it has gone on.
fn tombstone(rests: bool, left: [usize; 2]) {
    let mut model = Model::new(2);
    let tombstones = |model: &Model| {
        let held = read(&mut model.reader(0), usize::MAX);
        let is_tombstone = |row: &&Row| matches!(row, (Some(1000), None));
        held.values().filter(is_tombstone).count()
    };
    let key = |model: &mut Model, value: Option<u64>| {
        let mut builder = BatchBuilder::default();
        let bytes = value.map(u64::to_le_bytes);
        let value_bytes = bytes.as_ref().map(<[u8; 8]>::as_slice);
        let (offset, key) = (model.end(), 1000_u64.to_le_bytes());
        let pushed = builder.push(offset as i64, Some(&key), value_bytes, &[]);
        pushed.unwrap();
        model.all.insert(offset, (Some(1000), value));
        let batch = TopicBatch {
            topic: "t".into(),
            partition: 0,
            batch: builder.finish().unwrap(),
        };
        model.submit(AppendSet {
            batches: vec![batch],
            ..AppendSet::default()
        });
    };
    key(&mut model, Some(7));
    let mut table = rests.then(|| {
        let mut table = (model.log.table("t").unwrap(), BTreeMap::new());
        model.catch_up(&mut table);
        table
    });
    key(&mut model, None);
    let pass = |model: &mut Model, expected| {
        for _ in 0..20 {
            model.append(10);
        }
        let compacted = compaction::run(&model.log, None);
        assert_eq!((compacted.done.len(), compacted.failed.len()), (1, 0));
        assert_eq!(tombstones(model), expected);
        model.check();
    };
    for expected in left {
        pass(&mut model, expected);
    }
    if let Some(table) = &mut table {
        model.catch_up(table);
        pass(&mut model, 0);
    }
}

#[test]
fn a_topic_that_becomes_compacted_keeps_records_without_a_key() {
    let mut model = Model::new(5);
    model.log.create_topic("t", &config(1)).unwrap();
    for _ in 0..40 {
        model.append(3);
    }
    assert!(model.compact().is_empty(), "it is not compacted");
    let topic = TopicConfig {
        cleanup: Cleanup::Compact,
        ..config(1)
    };
    model.log.create_topic("t", &topic).unwrap();
    assert_eq!(model.compact().len(), 1);
    model.check();
    model.log.close().unwrap();
    assert!(compaction::run(&model.log, None).done.is_empty());
}
