//! The sparse index of a segment: for some batches, where they are, and the largest timestamp
//! before them. A cache: made by walking the headers, kept in a file once the segment is sealed,
//! made anew when that file is missing or wrong, and checked against the segment at each lookup
//! (the walk from an entry fails unless the batch there has the entry's offset).

use std::path::PathBuf;

use crate::LogError;
use crate::encoding::{Put, Take};
use crate::partition::Segment;
use crate::segment::{SegmentFile, Walk};
use crate::shared::Shared;
use crate::storage::Storage;
use crate::topic::PartitionKey;

/// Bytes of segment between two entries.
const INTERVAL_BYTES: u64 = 64 << 10;
const MAGIC: u32 = 0x3149_5054;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Index {
    entries: Vec<IndexEntry>,
    /// What is covered: byte, offset and largest timestamp so far.
    next: IndexEntry,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct IndexEntry {
    pub offset: u64,
    pub position: u64,
    /// Largest timestamp of the batches before this one in the segment.
    pub timestamp_ms_before: i64,
}

/// The entry from which to walk to the first batch that may hold `offset` or a later one.
pub(crate) fn locate_offset(
    shared: &Shared,
    key: PartitionKey,
    file: &SegmentFile,
    segment: &Segment,
    offset: u64,
) -> Result<IndexEntry, LogError> {
    locate(shared, key, file, segment, |entry| entry.offset <= offset)
}

/// The entry from which to walk to the first batch with a timestamp of `timestamp_ms` or later.
pub(crate) fn locate_time(
    shared: &Shared,
    key: PartitionKey,
    file: &SegmentFile,
    segment: &Segment,
    timestamp_ms: i64,
) -> Result<IndexEntry, LogError> {
    locate(shared, key, file, segment, |entry| {
        entry.timestamp_ms_before < timestamp_ms
    })
}

fn locate(
    shared: &Shared,
    key: PartitionKey,
    file: &SegmentFile,
    segment: &Segment,
    before: impl Fn(&IndexEntry) -> bool,
) -> Result<IndexEntry, LogError> {
    let first = IndexEntry {
        offset: segment.base,
        position: 0,
        timestamp_ms_before: i64::MIN,
    };
    let storage = &*shared.storage;
    let mut slot = file
        .index
        .lock()
        .map_err(|_| LogError::failed("an index is poisoned"))?;
    let index = match slot.take() {
        Some(index) => slot.insert(index),
        None => slot.insert(load(storage, key, file, segment).unwrap_or(Index {
            entries: vec![],
            next: first,
        })),
    };
    if index.next.position < segment.length {
        // What cannot be walked is met again, and told, by whoever walks on from the entry; it must
        // not hide what is before it.
        let whole = index.extend(file, segment.length).is_ok();
        if segment.sealed && whole && !shared.read_only {
            save(storage, key, file, segment, index);
        }
    }
    let after = index.entries.partition_point(before);
    Ok(after
        .checked_sub(1)
        .map_or(first, |last| index.entries[last]))
}

impl Index {
    /// Walks on to `length`, the committed bytes.
    fn extend(&mut self, file: &SegmentFile, length: u64) -> Result<(), LogError> {
        let mut walk = Walk::new(file, self.next.position, self.next.offset, length);
        while let Some(header) = walk.header()? {
            let last = self.entries.last();
            if last.is_none_or(|last| self.next.position - last.position >= INTERVAL_BYTES) {
                self.entries.push(self.next);
            }
            self.next = IndexEntry {
                offset: walk.offset,
                position: walk.position,
                timestamp_ms_before: self.next.timestamp_ms_before.max(header.max_timestamp_ms),
            };
        }
        Ok(())
    }

    fn encode(&self, key: PartitionKey, segment: &Segment) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 * self.entries.len() + 64);
        out.put_u32(MAGIC);
        out.put_u32(key.topic);
        out.put_u32(key.partition);
        out.put_u64(segment.base);
        out.put_u64(segment.length);
        for entry in self.entries.iter().chain([&self.next]) {
            out.put_u64(entry.offset);
            out.put_u64(entry.position);
            out.put_i64(entry.timestamp_ms_before);
        }
        let checksum = crc32c::crc32c(&out);
        out.put_u32(checksum);
        out
    }

    fn decode(bytes: Vec<u8>, key: PartitionKey, segment: &Segment) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut take = Take::new(bytes::Bytes::copy_from_slice(body));
        if take.u32().ok()? != MAGIC
            || take.u32().ok()? != key.topic
            || take.u32().ok()? != key.partition
            || take.u64().ok()? != segment.base
            || take.u64().ok()? != segment.length
        {
            return None;
        }
        let mut entries = Vec::new();
        while !take.is_empty() {
            let (offset, position) = (take.u64().ok()?, take.u64().ok()?);
            entries.push(IndexEntry {
                offset,
                position,
                timestamp_ms_before: take.i64().ok()?,
            });
        }
        let next = entries
            .pop()
            .filter(|next| next.position == segment.length)?;
        Some(Self { entries, next })
    }
}

fn path(file: &SegmentFile) -> PathBuf {
    file.path.with_extension("index")
}

fn load(
    storage: &dyn Storage,
    key: PartitionKey,
    file: &SegmentFile,
    segment: &Segment,
) -> Option<Index> {
    if !segment.sealed {
        return None;
    }
    let file = storage.open(&path(file), false).ok()?;
    let length = usize::try_from(file.size().ok()?)
        .ok()
        .filter(|&length| length < 64 << 20)?;
    let mut bytes = Vec::with_capacity(length);
    file.read_at(0, length, &mut bytes).ok()?;
    Index::decode(bytes, key, segment)
}

/// Keeps the index in its file. It may fail: an index that was not kept is made anew next time.
fn save(
    storage: &dyn Storage,
    key: PartitionKey,
    file: &SegmentFile,
    segment: &Segment,
    index: &Index,
) {
    let path = path(file);
    let kept = match storage.open(&path, true) {
        Ok(kept) => Ok(kept),
        Err(_) => storage.create(&path),
    };
    if let Ok(kept) = kept {
        let bytes = index.encode(key, segment);
        let _ = kept.set_len(0).and_then(|()| kept.write_at(0, &[&bytes]));
    }
}

/// The first committed offset with that time or a later one; the committed end if there is none.
pub(crate) fn offset_at(
    shared: &Shared,
    key: PartitionKey,
    topic: &str,
    timestamp_ms: i64,
) -> Result<u64, LogError> {
    loop {
        let (segment, end) = {
            let published = shared.published();
            let Some(partition) = published.state.partition(key) else {
                return Ok(0);
            };
            let mut segments = partition.segments.iter();
            let segment = segments.find(|s| s.timestamp_ms_max >= timestamp_ms);
            (segment.copied(), partition.end)
        };
        let Some(segment) = segment else {
            return Ok(end);
        };
        match offset_in(shared, key, topic, &segment, timestamp_ms) {
            // Compaction has put another file in its place.
            Err(_) if !shared.lists(key, &segment) => {}
            found => return Ok(found?.unwrap_or(end)),
        }
    }
}

/// The first offset in a segment with that time or a later one.
fn offset_in(
    shared: &Shared,
    key: PartitionKey,
    topic: &str,
    segment: &Segment,
    timestamp_ms: i64,
) -> Result<Option<u64>, LogError> {
    let file = shared.handles.get(key, topic, segment.name())?;
    let entry = locate_time(shared, key, &file, segment, timestamp_ms)?;
    let mut walk = Walk::new(&file, entry.position, entry.offset, segment.length);
    while let Some(batch) = walk.batch()? {
        if batch.header().max_timestamp_ms < timestamp_ms {
            continue;
        }
        let mut records = batch.records().filter_map(Result::ok);
        if let Some(record) = records.find(|record| record.timestamp_ms >= timestamp_ms) {
            return Ok(Some(record.offset as u64));
        }
    }
    Ok(None)
}
