//! A whole batch, checked and cheap to clone.

use bytes::Bytes;

use crate::{BatchError, BatchHeader, HEADER_BYTES, Record, verify_crc};

/// A record batch whose header, size and checksum are known to be right. Clones share the bytes.
#[derive(Debug, Clone)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// Takes `bytes` as exactly one batch after checking header, size and checksum. The records
    /// inside are checked as they are read; [`Batch::check_records`] does so at once, for bytes
    /// from outside.
    pub fn parse(bytes: Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(&bytes)?;
        if bytes.len() < header.batch_bytes {
            return Err(BatchError::Truncated {
                needed: header.batch_bytes,
                available: bytes.len(),
            });
        }
        if bytes.len() > header.batch_bytes {
            return Err(BatchError::Malformed("bytes behind the batch"));
        }
        verify_crc(&bytes)?;
        Ok(Self { header, bytes })
    }

    /// A batch that this process has just built: the builder vouches for it.
    pub(crate) fn built(header: BatchHeader, bytes: Vec<u8>) -> Self {
        Self {
            header,
            bytes: Bytes::from(bytes),
        }
    }

    /// The header, as it was read or built.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The encoded batch, header included.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The encoded batch, header included.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.header.records_count as usize
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.header.records_count == 0
    }

    /// The records in offset order. The iterator ends after the first error.
    pub fn records(&self) -> Records<'_> {
        Records {
            bytes: &self.bytes[HEADER_BYTES..],
            remaining: self.header.records_count,
            base_offset: self.header.base_offset,
            base_timestamp_ms: self.header.base_timestamp_ms,
        }
    }

    /// Reads every record and header once and checks that offset deltas rise and stay within
    /// `last_offset_delta`. For batches from outside, before they are stored.
    pub fn check_records(&self) -> Result<(), BatchError> {
        let mut previous = self.header.base_offset - 1;
        for record in self.records() {
            let record = record?;
            if record.offset <= previous || record.offset >= self.header.next_offset() {
                return Err(BatchError::Malformed(
                    "offsets that do not rise within the batch",
                ));
            }
            previous = record.offset;
            for header in record.headers.iter() {
                header?;
            }
        }
        Ok(())
    }
}

/// Iterator over a batch's records; see [`Batch::records`].
#[derive(Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    remaining: u32,
    base_offset: i64,
    base_timestamp_ms: i64,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        self.remaining -= 1;
        let mut record = Record::take(&mut self.bytes, self.base_offset, self.base_timestamp_ms);
        if self.remaining == 0 && record.is_ok() && !self.bytes.is_empty() {
            record = Err(BatchError::Malformed("bytes behind the last record"));
        }
        if record.is_err() {
            self.remaining = 0;
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.remaining as usize))
    }
}
