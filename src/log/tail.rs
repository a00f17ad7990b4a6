//! The open ends of partitions: the file that the next batch goes to, the space allocated in it,
//! and how far a set has moved the end.

use std::collections::HashMap;
use std::sync::Arc;

use towpath_record::Batch;

use crate::LogError;
use crate::entry::Entry;
use crate::handles::Handles;
use crate::partition::Segment;
use crate::segment::{SegmentFile, SegmentName};
use crate::topic::PartitionKey;

const ALLOCATE_BYTES_MIN: u64 = 64 << 10;
const ALLOCATE_BYTES_MAX: u64 = 16 << 20;
/// Open tails beyond this many are dropped at the end of a round that did not use them.
const TAILS_MAX: usize = 64;

/// The open tails of a log.
#[derive(Default)]
pub(crate) struct Tails {
    open: HashMap<PartitionKey, Tail>,
}

/// The open end of a partition.
pub(crate) struct Tail {
    pub file: Arc<SegmentFile>,
    allocated: u64,
    step: u64,
    used_in: u64,
}

/// The end of a segment as a set moves it: entries once the whole set is written.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub base: u64,
    /// Offset that the next record gets.
    pub end: u64,
    /// Bytes of batches.
    pub length: u64,
    timestamp_ms_max: i64,
}

impl Tails {
    /// The tail in the segment at `base`, opened now if need be, for the record `sequence`.
    pub(crate) fn get(
        &mut self,
        handles: &Handles,
        key: PartitionKey,
        topic: &str,
        base: u64,
        sequence: u64,
    ) -> Result<&mut Tail, LogError> {
        if self
            .open
            .get(&key)
            .is_none_or(|tail| tail.file.name != SegmentName::first(base))
        {
            let file = handles.get(key, topic, SegmentName::first(base))?;
            let length = file.file.size();
            let allocated = length.map_err(|error| LogError::io("look at", &file.path, error))?;
            self.insert(key, file, allocated, sequence);
        }
        let tail = self
            .open
            .get_mut(&key)
            .unwrap_or_else(|| unreachable!("inserted above"));
        tail.used_in = sequence;
        Ok(tail)
    }

    pub(crate) fn insert(
        &mut self,
        key: PartitionKey,
        file: Arc<SegmentFile>,
        allocated: u64,
        used_in: u64,
    ) {
        self.open.insert(
            key,
            Tail {
                file,
                allocated,
                step: ALLOCATE_BYTES_MIN,
                used_in,
            },
        );
    }

    pub(crate) fn remove(&mut self, key: PartitionKey) {
        self.open.remove(&key);
    }

    pub(crate) fn remove_topic(&mut self, topic: u32) {
        self.open.retain(|key, _| key.topic != topic);
    }

    /// When there are too many, drops those that the round up to `sequence` did not use.
    pub(crate) fn drop_unused(&mut self, sequence: u64) {
        if self.open.len() > TAILS_MAX {
            self.open.retain(|_, tail| tail.used_in >= sequence);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PartitionKey, &Tail)> {
        self.open.iter().map(|(key, tail)| (*key, tail))
    }
}

impl Tail {
    /// Writes a batch at the end, allocating space first, and moves the end behind it.
    pub(crate) fn append(&mut self, at: &mut End, batch: &Batch) -> Result<(), LogError> {
        let bytes = batch.as_bytes();
        let after = at.length + bytes.len() as u64;
        if self.allocated < after {
            let allocate = (after + self.step).next_multiple_of(4096);
            let full = |error| LogError::io("allocate space in", &self.file.path, error);
            self.file.file.allocate(allocate).map_err(full)?;
            self.allocated = allocate;
            self.step = (self.step * 2).min(ALLOCATE_BYTES_MAX);
        }
        // Base offset and leader epoch lie outside the checksum: only a copy of the front changes.
        let (front, rest) = bytes.split_at(16);
        let mut stamped = [0; 16];
        stamped.copy_from_slice(front);
        stamped[..8].copy_from_slice(&at.end.to_be_bytes());
        stamped[12..].fill(0);
        let written = self.file.file.write_at(at.length, &[&stamped, rest]);
        written.map_err(|error| LogError::io("write to", &self.file.path, error))?;
        let header = batch.header();
        at.end += u64::from(header.records_count);
        at.length = after;
        at.timestamp_ms_max = at.timestamp_ms_max.max(header.max_timestamp_ms);
        Ok(())
    }
}

impl End {
    /// That of a segment without records.
    pub(crate) fn at(base: u64) -> Self {
        Self {
            base,
            end: base,
            length: 0,
            timestamp_ms_max: i64::MIN,
        }
    }

    pub(crate) fn of(active: &Segment) -> Self {
        Self {
            base: active.base,
            end: active.end,
            length: active.length,
            timestamp_ms_max: active.timestamp_ms_max,
        }
    }

    pub(crate) fn entry(self, key: PartitionKey) -> Entry {
        Entry::End {
            key,
            base: self.base,
            end: self.end,
            length: self.length,
            timestamp_ms_max: self.timestamp_ms_max,
        }
    }
}
