//! What must be true of a log after a crash, known without asking the log.
//!
//! All sets go through one chain of state: set number n changes `position` from n - 1 to n. What
//! is stored after a crash therefore tells exactly which sets count, and everything else the log
//! holds must be what those sets said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use towpath_record::{Batch, BatchBuilder};

use super::{batch, values};
use crate::{Committed, Log, LogError, LogErrorKind, ReadTo, TopicBatch};

pub(crate) const OWNER: &str = "pipeline.source";
pub(crate) const TOPIC: &str = "events";
pub(crate) const PARTITIONS: u32 = 3;
/// A topic that is compacted, and the number that stands for its one partition.
pub(crate) const ROWS: &str = "rows";
pub(crate) const ROWS_PARTITION: u32 = 100;
const KEYS: u64 = 9;

/// What one set said.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// (partition, values) of each batch; [`ROWS_PARTITION`] is that of [`ROWS`].
    pub batches: Vec<(u32, Vec<u64>)>,
}

impl Said {
    /// The batches of set `number`.
    pub(crate) fn topic_batches(&self, number: u64) -> Vec<TopicBatch> {
        let padding = 20 + (number as usize * 7) % 300;
        let batches = self.batches.iter().map(|(partition, values)| {
            let (topic, partition) = place(*partition);
            let batch = match topic {
                ROWS => rows(values, padding),
                _ => batch(values, padding),
            };
            TopicBatch {
                topic: topic.into(),
                partition,
                batch,
            }
        });
        batches.collect()
    }
}

/// What the number of a partition stands for.
fn place(partition: u32) -> (&'static str, u32) {
    match partition {
        ROWS_PARTITION => (ROWS, 0),
        partition => (TOPIC, partition),
    }
}

#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The last set that was acknowledged, and the last as durable.
    pub acknowledged: u64,
    pub durable: u64,
    /// Value at each offset that was acknowledged or read.
    pub named: BTreeMap<(u32, u64), u64>,
    pub problems: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Oracle {
    /// By number, from 1 on: what was submitted and may count.
    pub said: Vec<Said>,
    pub heard: Arc<Mutex<Heard>>,
}

impl Oracle {
    /// Hears the answer to set `number`; `durable` says whether it promised to be.
    pub(crate) fn answer(
        heard: &Mutex<Heard>,
        number: u64,
        said: &Said,
        durable: bool,
        result: &Result<Committed, LogError>,
    ) {
        let mut heard = heard.lock().unwrap();
        let Ok(committed) = result else { return };
        if heard.acknowledged + 1 > number && !durable {
            heard
                .problems
                .push(format!("set {number} was answered out of order"));
        }
        heard.acknowledged = heard.acknowledged.max(number);
        if durable {
            heard.durable = heard.durable.max(number);
        }
        for ((partition, values), base) in said.batches.iter().zip(&committed.base_offsets) {
            for (value, offset) in values.iter().zip(*base..) {
                heard.name(*partition, offset, *value);
            }
        }
    }

    /// Checks everything; afterwards the oracle knows which sets count.
    pub(crate) fn check(&mut self, log: &Log, power_was_cut: bool, os: bool) {
        let stored = log
            .state(OWNER)
            .get(&b"position"[..])
            .map_or(0, |bytes| u64::from_le_bytes(*bytes.first_chunk().unwrap()));
        let heard = Arc::clone(&self.heard);
        let mut heard = heard.lock().unwrap();
        assert_eq!(heard.problems, Vec::<String>::new());
        let promised = if os && power_was_cut {
            heard.durable
        } else {
            heard.acknowledged
        };
        assert!(
            (promised..=self.said.len() as u64).contains(&stored),
            "sets up to {promised} were acknowledged, {} submitted, {stored} are stored",
            self.said.len()
        );
        self.said.truncate(stored as usize);
        heard.acknowledged = stored;
        heard.durable = stored;
        for partition in 0..PARTITIONS {
            self.check_partition(log, partition, &mut heard, os);
        }
        self.check_rows(log, &mut heard);
    }

    /// Values of all sets for a partition, which rise.
    fn expected(&self, partition: u32) -> Vec<u64> {
        let batches = self.said.iter().flat_map(|said| &said.batches);
        let here = batches.filter(|(p, _)| *p == partition);
        here.flat_map(|(_, values)| values.iter().copied())
            .collect()
    }

    /// Of a row only what a later one has replaced may be gone, and a tombstone only with all it
    /// deletes.
    fn check_rows(&self, log: &Log, heard: &mut Heard) {
        let expected = self.expected(ROWS_PARTITION);
        if log.topic(ROWS).is_none() {
            assert!(expected.is_empty(), "the compacted topic is lost");
            return;
        }
        let read = read_all(log, ROWS_PARTITION, 0, ReadTo::Committed);
        let held: Vec<u64> = read.iter().map(|(_, value)| *value).collect();
        assert!(held.is_sorted() && held.iter().all(|value| expected.contains(value)));
        assert_eq!(newest(&held), newest(&expected), "{held:?} of {expected:?}");
        for (offset, value) in read {
            heard.name(ROWS_PARTITION, offset, value);
        }
        // What a sink has not passed is whole.
        let group = log.group("pipeline.sink");
        let pin = group.and_then(|group| group.offsets.get(&(ROWS.into(), 0)).copied());
        for (&(partition, offset), value) in &heard.named {
            if partition == ROWS_PARTITION && pin.is_some_and(|pin| offset >= pin) {
                assert!(
                    !expected.contains(value) || held.contains(value),
                    "{offset}"
                );
            }
        }
        assert_eq!(heard.problems, Vec::<String>::new());
    }

    fn check_partition(&self, log: &Log, partition: u32, heard: &mut Heard, os: bool) {
        if log.topic(TOPIC).is_none() {
            assert!(self.said.is_empty(), "the topic is lost");
            return;
        }
        let start = log.start_offset(TOPIC, partition).unwrap();
        let read = read_all(log, partition, start, ReadTo::Committed);
        let expected = self.expected(partition);
        let held: Vec<u64> = read.iter().map(|(_, value)| *value).collect();
        assert!(
            expected.ends_with(&held),
            "partition {partition} holds {held:?} instead of the end of {expected:?}"
        );
        if start == 0 {
            assert_eq!(
                held.len(),
                expected.len(),
                "partition {partition} has lost records"
            );
        }
        if !os {
            assert_eq!(
                start as usize + held.len(),
                expected.len(),
                "partition {partition}"
            );
        }
        for (offset, value) in read {
            heard.name(partition, offset, value);
        }
        assert_eq!(heard.problems, Vec::<String>::new());
    }
}

impl Heard {
    /// An offset never names two records.
    pub(crate) fn name(&mut self, partition: u32, offset: u64, value: u64) {
        let known = *self.named.entry((partition, offset)).or_insert(value);
        if known != value {
            self.problems.push(format!(
                "partition {partition} offset {offset} was {known} and is now {value}"
            ));
        }
    }
}

/// The newest value of each key that is not deleted.
fn newest(values: &[u64]) -> BTreeMap<u64, u64> {
    let mut rows = BTreeMap::new();
    for &value in values {
        match is_tombstone(value) {
            true => rows.remove(&(value % KEYS)),
            false => rows.insert(value % KEYS, value),
        };
    }
    rows
}

fn is_tombstone(value: u64) -> bool {
    value.is_multiple_of(5)
}

/// A batch for [`ROWS`]: a value says its key, and whether it deletes; it is the timestamp too.
fn rows(values: &[u64], padding: usize) -> Batch {
    let mut builder = BatchBuilder::default();
    for &value in values {
        let key = (value % KEYS).to_le_bytes();
        let row = vec![value as u8; padding];
        let row = (!is_tombstone(value)).then_some(&*row);
        builder.push(value as i64, Some(&key), row, &[]).unwrap();
    }
    builder.finish().unwrap()
}

/// Everything a reader sees: offsets and values, which must rise.
pub(crate) fn read_all(log: &Log, partition: u32, from: u64, to: ReadTo) -> Vec<(u64, u64)> {
    let rows = partition == ROWS_PARTITION;
    let (topic, partition) = if rows { (ROWS, 0) } else { (TOPIC, partition) };
    let values = |batch: &Batch| match rows {
        true => timestamps(batch),
        false => values(batch),
    };
    let mut reader = log.reader(topic, partition, from, to).unwrap();
    let mut all: Vec<(u64, u64)> = Vec::new();
    loop {
        match reader.next(700) {
            Ok(Some(batches)) => all.extend(batches.iter().flat_map(values)),
            Ok(None) => break,
            Err(error) if error.kind() == LogErrorKind::Io => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        all.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "offsets do not rise: {all:?}"
    );
    all
}

fn timestamps(batch: &Batch) -> Vec<(u64, u64)> {
    let records = batch.records().map(|record| record.unwrap());
    let stamped = records.map(|record| (record.offset as u64, record.timestamp_ms as u64));
    stamped.collect()
}
