//! The tests of this crate; `README.md` says what each suite shows and how to run it longer.

mod compaction;
mod crash;
mod damage;
mod disk;
mod drops;
mod index;
mod inspect;
mod lease_crash;
mod lease_model;
mod leases;
mod oracle;
mod owners;
mod process;
mod retention;
mod space;
mod swap;
mod table;

use bytes::Bytes;
use towpath_record::{Batch, BatchBuilder};

use crate::{AppendSet, Committed, LogError, StateChange, TopicBatch, TopicConfig, Writer};

/// A batch of records with these values, and the value's own number as timestamp.
pub(crate) fn batch(values: &[u64], padding: usize) -> Batch {
    let mut builder = BatchBuilder::default();
    for &value in values {
        let mut bytes = value.to_le_bytes().to_vec();
        bytes.resize(8 + padding, value as u8);
        builder.push(value as i64, None, Some(&bytes), &[]).unwrap();
    }
    builder.finish().unwrap()
}

pub(crate) fn values(batch: &Batch) -> Vec<(u64, u64)> {
    let value = |bytes: &[u8]| u64::from_le_bytes(*bytes.first_chunk().unwrap());
    batch
        .records()
        .map(|r| r.unwrap())
        .map(|r| (r.offset as u64, value(r.value.unwrap())))
        .collect()
}

pub(crate) fn config(partitions: u32) -> TopicConfig {
    let retention = crate::Retention::default();
    TopicConfig {
        partitions,
        format: "bytes".into(),
        cleanup: crate::Cleanup::Delete,
        retention,
    }
}

pub(crate) fn one(topic: &str, partition: u32, values: &[u64]) -> AppendSet {
    let batch = TopicBatch {
        topic: topic.into(),
        partition,
        batch: batch(values, 40),
    };
    AppendSet {
        batches: vec![batch],
        ..AppendSet::default()
    }
}

pub(crate) fn put(key: &str, before: Option<u64>, after: u64) -> StateChange {
    let bytes = |value: u64| Bytes::copy_from_slice(&value.to_le_bytes());
    let key = Bytes::copy_from_slice(key.as_bytes());
    StateChange {
        key,
        before: before.map(bytes),
        after: Some(bytes(after)),
    }
}

/// A fresh seed, or the one of `TOWPATH_SEED`; printed, so that a failure can be run again.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("TOWPATH_SEED").ok();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let seed = given
        .and_then(|text| text.parse().ok())
        .unwrap_or(now.as_nanos() as u64);
    println!("replay with TOWPATH_SEED={seed}");
    seed
}

/// Submits a set to a log with threads and waits.
pub(crate) fn commit(writer: &Writer, set: AppendSet) -> Result<Committed, LogError> {
    let (send, receive) = std::sync::mpsc::channel();
    writer.submit(set, Box::new(move |result| send.send(result).unwrap()));
    receive.recv().unwrap()
}
