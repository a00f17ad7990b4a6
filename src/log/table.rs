//! A topic read as a table: the newest record of a key is its row, and one with a null value
//! deletes the row. This is how state that grows is kept (schemas, seen keys, lookup tables):
//! records appended to a topic with `Cleanup::Compact`, in the same append set as what they belong
//! to, and folded again at the next start.
//!
//! The order of one key's records is that of its partition, so each key must always go to the same
//! one. Whether the log has compacted a part of the topic makes no difference to the table, however
//! long its reader rests: compaction keeps the tombstones that an open table has not come to.
//! Retention, of a topic that is not compacted, takes nothing out of a table that was read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use towpath_record::Record;

use crate::topic::PartitionKey;
use crate::{Log, LogError, LogErrorKind, ReadTo, Reader};

/// What one read brings.
const READ_BYTES: usize = 1 << 20;

/// Reads a topic as a table. It keeps a place in each partition and nothing else: the caller keeps
/// the rows it needs. Waits for the disk. [`Log::watch`] tells when there may be more.
#[derive(Debug)]
pub struct TableReader {
    log: Log,
    topic: String,
    /// By partition.
    readers: Vec<(Reader, Arc<Place>)>,
}

/// Up to where an open table has a partition.
#[derive(Debug)]
struct Place {
    key: PartitionKey,
    offset: AtomicU64,
}

/// The places of all tables that are open.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Vec<Weak<Place>>>);

impl Places {
    fn add(&self, key: PartitionKey, offset: u64) -> Arc<Place> {
        let offset = AtomicU64::new(offset);
        let place = Arc::new(Place { key, offset });
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|place| place.strong_count() > 0);
        places.push(Arc::downgrade(&place));
        place
    }

    /// The offset that every open table has come to in a partition; `None` when there is no table.
    pub(crate) fn least(&self, key: PartitionKey) -> Option<u64> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let places = places.iter().filter_map(Weak::upgrade);
        let of_partition = places.filter(|place| place.key == key);
        of_partition
            .map(|place| place.offset.load(Ordering::Acquire))
            .min()
    }
}

impl TableReader {
    pub(crate) fn new(log: Log, topic: &str) -> Result<Self, LogError> {
        let mut table = Self {
            log,
            topic: topic.to_owned(),
            readers: Vec::new(),
        };
        table.open()?;
        Ok(table)
    }

    /// Goes on to what is durable now: gives `apply` every record with a key, partition by
    /// partition in the order of offsets. What it was given last for a key is the key's row, or
    /// with a null value its end. Partitions that came later are read too.
    ///
    /// An error of the log leaves the reader where it could not go on; after one of `apply` open
    /// another reader.
    pub fn catch_up<E: From<LogError>>(
        &mut self,
        mut apply: impl FnMut(&Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open()?;
        for (partition, (reader, place)) in (0..).zip(&mut self.readers) {
            let end = self
                .log
                .end_offset(&self.topic, partition, ReadTo::Durable)?;
            while reader.offset() < end {
                // A batch that was rewritten may begin before what was read already.
                let from = reader.offset();
                let batches = match reader.next(READ_BYTES) {
                    // Retention was faster.
                    Err(error) if error.kind() == LogErrorKind::OutOfRange => {
                        reader.seek(self.log.start_offset(&self.topic, partition)?);
                        continue;
                    }
                    batches => batches?,
                };
                let Some(batches) = batches else { break };
                for record in batches.iter().flat_map(|batch| batch.records()) {
                    let record = record.map_err(|error| {
                        let topic = &self.topic;
                        LogError::damaged(format!("{topic} partition {partition}: {error}"))
                    })?;
                    if record.key.is_some() && record.offset as u64 >= from {
                        apply(&record)?;
                    }
                }
                place.offset.store(reader.offset(), Ordering::Release);
            }
        }
        Ok(())
    }

    /// Takes in partitions that are new.
    fn open(&mut self) -> Result<(), LogError> {
        let known = self.readers.len() as u32;
        let count = match self.log.topic(&self.topic) {
            Some(topic) => topic.partitions.len() as u32,
            None => 0,
        };
        for partition in known..count.max(1) {
            let start = self.log.start_offset(&self.topic, partition)?;
            let places = &self.log.inner.tables;
            let place = places.add(self.log.key(&self.topic, partition)?, start);
            let reader = self
                .log
                .reader(&self.topic, partition, start, ReadTo::Durable)?;
            self.readers.push((reader, place));
        }
        Ok(())
    }
}
