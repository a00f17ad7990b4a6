//! Segments: where their files are, and how the batches in them are walked and checked.
//!
//! A batch's checksum does not cover its base offset, length, leader epoch and magic. They are
//! checked by tiling: each batch begins at the offset and byte where the one before ended.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use towpath_record::{Batch, BatchHeader, HEADER_BYTES};

use crate::LogError;
use crate::index::Index;
use crate::storage::File;

/// Names of the files of a log.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub dir: PathBuf,
}

impl Layout {
    pub(crate) fn commits(&self) -> PathBuf {
        self.dir.join("commits")
    }

    pub(crate) fn topics(&self) -> PathBuf {
        self.dir.join("topics")
    }

    pub(crate) fn partition(&self, topic: &str, partition: u32) -> PathBuf {
        self.topics().join(format!("{topic}-{partition}"))
    }

    pub(crate) fn segment(&self, topic: &str, partition: u32, name: SegmentName) -> PathBuf {
        self.partition(topic, partition).join(name.to_string())
    }
}

/// What the file of a segment is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SegmentName {
    /// Offset at which the segment begins.
    pub base: u64,
    /// How often compaction has rewritten what is in it.
    pub generation: u32,
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { base, generation } = self;
        match generation {
            0 => write!(f, "{base:020}.log"),
            _ => write!(f, "{base:020}.{generation}.log"),
        }
    }
}

impl SegmentName {
    /// That of a segment as it was appended.
    pub(crate) fn first(base: u64) -> Self {
        let generation = 0;
        Self { base, generation }
    }

    /// What the name of a file says, if it is that of a segment.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let numbers = name.strip_suffix(".log")?;
        let (base, generation) = numbers.split_once('.').unwrap_or((numbers, "0"));
        let parsed = Self {
            base: base.parse().ok()?,
            generation: generation.parse().ok()?,
        };
        (parsed.to_string() == name).then_some(parsed)
    }
}

/// An open segment, shared by the committer and all readers.
pub(crate) struct SegmentFile {
    pub file: Box<dyn File>,
    pub path: PathBuf,
    pub name: SegmentName,
    /// Built at the first lookup.
    pub index: Mutex<Option<Index>>,
}

impl SegmentFile {
    pub(crate) fn new(file: Box<dyn File>, path: PathBuf, name: SegmentName) -> Arc<Self> {
        Arc::new(Self {
            file,
            path,
            name,
            index: Mutex::new(None),
        })
    }
}

/// The error for bytes that are not what was written.
pub(crate) fn damage(path: &Path, position: u64, offset: u64, why: &str) -> LogError {
    LogError::damaged(format!(
        "{}: byte {position}, offset {offset}: {why}; nothing was skipped; \
         `towpath log verify` lists all damage, then restore the file from a copy",
        path.display()
    ))
}

/// Checks a header against its place: `expected` is the offset that must stand there, `room` the
/// bytes up to the end of what was committed.
pub(crate) fn check_header(bytes: &[u8], expected: u64, room: u64) -> Result<BatchHeader, String> {
    let header = BatchHeader::parse(bytes).map_err(|error| error.to_string())?;
    if u64::try_from(header.base_offset) != Ok(expected) {
        return Err(format!("the batch says offset {}", header.base_offset));
    }
    if header.leader_epoch != 0 {
        return Err(format!("leader epoch {} instead of 0", header.leader_epoch));
    }
    if header.batch_bytes as u64 > room {
        return Err(format!(
            "a batch of {} bytes where {room} are left",
            header.batch_bytes
        ));
    }
    Ok(header)
}

/// Checks a whole batch, checksum included.
pub(crate) fn check_batch(bytes: Bytes, expected: u64) -> Result<Batch, String> {
    check_header(&bytes, expected, bytes.len() as u64)?;
    Batch::parse(bytes).map_err(|error| error.to_string())
}

/// Walks the batches of a segment in order.
pub(crate) struct Walk<'a> {
    segment: &'a SegmentFile,
    /// Place of the next batch.
    pub position: u64,
    /// Offset of the next batch.
    pub offset: u64,
    /// Bytes that may be read.
    limit: u64,
    chunk: Vec<u8>,
    chunk_at: u64,
}

/// Bytes read at once when only headers are wanted.
const CHUNK_BYTES: usize = 16 << 10;

impl<'a> Walk<'a> {
    pub(crate) fn new(segment: &'a SegmentFile, position: u64, offset: u64, limit: u64) -> Self {
        Self {
            segment,
            position,
            offset,
            limit,
            chunk: Vec::new(),
            chunk_at: 0,
        }
    }

    /// The next batch's header, without its checksum; `None` at the limit.
    pub(crate) fn header(&mut self) -> Result<Option<BatchHeader>, LogError> {
        if self.position >= self.limit {
            return Ok(None);
        }
        let in_chunk = self.position.wrapping_sub(self.chunk_at) as usize;
        if self.position < self.chunk_at || in_chunk + HEADER_BYTES > self.chunk.len() {
            self.fill(CHUNK_BYTES)?;
        }
        let bytes = &self.chunk[(self.position - self.chunk_at) as usize..];
        let header = check_header(bytes, self.offset, self.limit - self.position)
            .map_err(|why| self.damage(&why))?;
        self.advance(&header);
        Ok(Some(header))
    }

    /// The next batch, checksum checked; `None` at the limit.
    pub(crate) fn batch(&mut self) -> Result<Option<Batch>, LogError> {
        if self.position >= self.limit {
            return Ok(None);
        }
        self.fill(HEADER_BYTES)?;
        let header = check_header(&self.chunk, self.offset, self.limit - self.position)
            .map_err(|why| self.damage(&why))?;
        self.fill(header.batch_bytes)?;
        let bytes = Bytes::from(std::mem::take(&mut self.chunk));
        let batch = check_batch(bytes, self.offset).map_err(|why| self.damage(&why))?;
        self.advance(&header);
        Ok(Some(batch))
    }

    fn fill(&mut self, bytes: usize) -> Result<(), LogError> {
        let bytes = bytes.min(usize::try_from(self.limit - self.position).unwrap_or(usize::MAX));
        self.chunk.clear();
        self.chunk_at = self.position;
        let read = self
            .segment
            .file
            .read_at(self.position, bytes, &mut self.chunk);
        read.map_err(|error| LogError::io("read", &self.segment.path, error))?;
        Ok(())
    }

    fn advance(&mut self, header: &BatchHeader) {
        self.position += header.batch_bytes as u64;
        self.offset = header.next_offset() as u64;
    }

    /// The error for what is wrong at the next batch, or in the one before it.
    pub(crate) fn damage(&self, why: &str) -> LogError {
        damage(&self.segment.path, self.position, self.offset, why)
    }
}
