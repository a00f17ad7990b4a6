//! A topic read as a table: the newest record of a key is its row, and one with a null value
//! deletes the row. This is how state that grows is kept (schemas, seen keys, lookup tables):
//! records appended to a topic with `Cleanup::Compact`, in the same append set as what they belong
//! to, and folded again at the next start.
//!
//! The order of one key's records is that of its partition, so each key must always go to the same
//! one. Whether the log has compacted a part of the topic makes no difference to the table.

use towpath_record::Record;

use crate::{Log, LogError, ReadTo, Reader};

/// What one read brings.
const READ_BYTES: usize = 1 << 20;

/// Reads a topic as a table. It keeps a place in each partition and nothing else: the caller keeps
/// the rows it needs. Waits for the disk. [`Log::watch`] tells when there may be more.
#[derive(Debug)]
pub struct TableReader {
    log: Log,
    topic: String,
    /// By partition.
    readers: Vec<Reader>,
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
        for (partition, reader) in (0..).zip(&mut self.readers) {
            let end = self
                .log
                .end_offset(&self.topic, partition, ReadTo::Durable)?;
            while reader.offset() < end {
                // A batch that was rewritten may begin before what was read already.
                let from = reader.offset();
                let Some(batches) = reader.next(READ_BYTES)? else {
                    break;
                };
                for record in batches.iter().flat_map(|batch| batch.records()) {
                    let record = record.map_err(|error| {
                        let topic = &self.topic;
                        LogError::damaged(format!("{topic} partition {partition}: {error}"))
                    })?;
                    if record.key.is_some() && record.offset as u64 >= from {
                        apply(&record)?;
                    }
                }
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
            let reader = self
                .log
                .reader(&self.topic, partition, start, ReadTo::Durable)?;
            self.readers.push(reader);
        }
        Ok(())
    }
}
