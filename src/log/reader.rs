//! Reading a partition: whole checked batches, several with one read.

use std::sync::Arc;

use bytes::Bytes;
use towpath_record::{Batch, HEADER_BYTES};

use crate::partition::Segment;
use crate::segment::{SegmentFile, check_batch, check_header, damage};
use crate::shared::Shared;
use crate::topic::PartitionKey;
use crate::{LogError, LogErrorKind, ReadTo, index};

/// Reads one partition from an offset on. Not shared: each reader has its own place.
pub struct Reader {
    shared: Arc<Shared>,
    key: PartitionKey,
    topic: String,
    to: ReadTo,
    offset: u64,
    /// The segment it stands in, with the byte where the batch of `offset` begins.
    place: Option<(Arc<SegmentFile>, u64)>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Reader({} {} at {})",
            self.topic, self.key.partition, self.offset
        )
    }
}

impl Reader {
    pub(crate) fn new(
        shared: Arc<Shared>,
        key: PartitionKey,
        topic: String,
        offset: u64,
        to: ReadTo,
    ) -> Self {
        Self {
            shared,
            key,
            topic,
            to,
            offset,
            place: None,
        }
    }

    /// Offset of the next record.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes to another offset.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
        self.place = None;
    }

    /// The next batches, at least one and up to about `bytes_max` bytes, their checksums checked;
    /// `None` at the readable end. After a seek, and when compaction has rewritten what the reader
    /// stands in, the first batch may begin before [`Reader::offset`] was: skip its earlier
    /// records. The batches share one buffer, which lives as long as any of them.
    ///
    /// Fails with `OutOfRange` when retention has dropped the offset or it is beyond the end,
    /// `Damaged` when the bytes are not what was written; then nothing moves.
    pub fn next(&mut self, bytes_max: usize) -> Result<Option<Vec<Batch>>, LogError> {
        let (segment, end, file, position) = loop {
            let Some((segment, end)) = self.locate()? else {
                return Ok(None);
            };
            self.offset = self.offset.max(segment.base);
            match self.enter(&segment) {
                // Compaction has put another file in its place.
                Err(_) if !self.shared.lists(self.key, &segment) => {}
                entered => {
                    let (file, position) = entered?;
                    break (segment, end, file, position);
                }
            }
        };
        let room = segment.length - position;
        let length = measure(&file, position, self.offset, room, bytes_max)?;
        let bytes = self.read(&file, position, length)?;
        self.slice(&file, position, &bytes, end)
    }

    /// The segment of `offset` and the readable end; `None` at the end.
    fn locate(&self) -> Result<Option<(Segment, u64)>, LogError> {
        let published = self.shared.published();
        let gone = || LogError::invalid(format!("topic {} was deleted", self.topic));
        let partition = published.state.partition(self.key).ok_or_else(gone)?;
        let end = published.end(self.key, self.to).ok_or_else(gone)?;
        if self.offset < partition.start || self.offset > partition.end {
            return Err(LogError::new(
                LogErrorKind::OutOfRange,
                format!(
                    "{} partition {} holds offsets {} to {end}, not {}: seek into that range",
                    self.topic, self.key.partition, partition.start, self.offset
                ),
            ));
        }
        if self.offset >= end {
            return Ok(None);
        }
        // Behind the last segment there can only be a gap, and at its end the readable end.
        Ok(partition
            .segment_at(self.offset)
            .filter(|s| s.base < end)
            .map(|s| (*s, end)))
    }

    /// Opens the segment and finds the byte of the batch with `offset`.
    fn enter(&mut self, segment: &Segment) -> Result<(Arc<SegmentFile>, u64), LogError> {
        if let Some((file, position)) = &self.place
            && file.name == segment.name()
        {
            return Ok((Arc::clone(file), *position));
        }
        let file = self
            .shared
            .handles
            .get(self.key, &self.topic, segment.name())?;
        if self.offset == segment.base {
            return Ok((file, 0));
        }
        let entry = index::locate_offset(&self.shared, self.key, &file, segment, self.offset)?;
        let mut walk =
            crate::segment::Walk::new(&file, entry.position, entry.offset, segment.length);
        loop {
            let (position, offset) = (walk.position, walk.offset);
            let found = walk.header()?;
            if found.is_none() || walk.offset > self.offset {
                self.offset = offset;
                return Ok((file, position));
            }
        }
    }

    fn read(&mut self, file: &SegmentFile, at: u64, length: usize) -> Result<Bytes, LogError> {
        let mut buffer = self.shared.buffers.take(length);
        let read = file.file.read_at(at, length, &mut buffer);
        let read = read.map_err(|error| LogError::io("read", &file.path, error))?;
        if read < length {
            let why = format!("the file ends {} bytes too early", length - read);
            return Err(damage(&file.path, at + read as u64, self.offset, &why));
        }
        let bytes = Bytes::from(buffer);
        self.shared.buffers.keep(&bytes);
        Ok(bytes)
    }

    fn slice(
        &mut self,
        file: &Arc<SegmentFile>,
        position: u64,
        bytes: &Bytes,
        end: u64,
    ) -> Result<Option<Vec<Batch>>, LogError> {
        let mut batches = Vec::new();
        let mut at = 0;
        let mut offset = self.offset;
        while at < bytes.len() && offset < end {
            let rest = bytes.slice(at..);
            let place = position + at as u64;
            let wrong = |why: String| damage(&file.path, place, offset, &why);
            let result = check_header(&rest, offset, u64::MAX)
                .map_err(wrong)
                .and_then(|header| {
                    // A batch that was only begun in this read comes with the next one.
                    if header.batch_bytes > rest.len() {
                        return Ok(None);
                    }
                    check_batch(rest.slice(..header.batch_bytes), offset)
                        .map(Some)
                        .map_err(wrong)
                });
            let batch = match result {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                // Hand over what is right first; the next call comes to the error, if it is one
                // and not a header that was only begun in this read.
                Err(_) if !batches.is_empty() => break,
                Err(error) => return Err(error),
            };
            at += batch.as_bytes().len();
            offset = batch.header().next_offset() as u64;
            batches.push(batch);
        }
        self.offset = offset;
        self.place = Some((Arc::clone(file), position + at as u64));
        Ok((!batches.is_empty()).then_some(batches))
    }
}

/// How much to read at once: `bytes_max` of small batches, or exactly as many large ones as fit.
fn measure(
    file: &SegmentFile,
    position: u64,
    offset: u64,
    room: u64,
    bytes_max: usize,
) -> Result<usize, LogError> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let (mut length, mut offset) = (0, offset);
    while (length as u64) < room {
        header.clear();
        let at = position + length as u64;
        let read = file.file.read_at(at, HEADER_BYTES, &mut header);
        read.map_err(|error| LogError::io("read", &file.path, error))?;
        let checked = check_header(&header, offset, room - length as u64);
        let checked = match checked {
            Ok(checked) => checked,
            // The batches before it are right; the next call comes to the error.
            Err(_) if length > 0 => break,
            Err(why) => return Err(damage(&file.path, at, offset, &why)),
        };
        if length == 0 && checked.batch_bytes < bytes_max / 8 {
            return Ok(bytes_max.min(usize::try_from(room).unwrap_or(bytes_max)));
        }
        if length > 0 && length + checked.batch_bytes > bytes_max {
            break;
        }
        length += checked.batch_bytes;
        offset = checked.next_offset() as u64;
    }
    Ok(length)
}
