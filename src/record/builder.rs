//! Builds batches: records are appended as varints behind a header that is filled in last.

use crate::header::{CRC_AT, CRC_FROM, PREFIX_BYTES};
use crate::{Batch, BatchError, BatchHeader, HEADER_BYTES, Header, Headers, Record, varint};

/// Builds one batch after another. Records get offsets 0, 1, 2 ...; the log stamps the base
/// offset. The first record's timestamp is the batch's base.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    /// Empty, or a header's worth of zeros and the records so far.
    bytes: Vec<u8>,
    capacity_bytes: usize,
    records_count: u32,
    /// The offset of the next record, from the batch's base.
    next_offset_delta: u32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

impl BatchBuilder {
    /// A builder that allocates `capacity_bytes` at the first record of each batch, so that a
    /// batch up to that size never moves.
    pub fn with_capacity(capacity_bytes: usize) -> Self {
        Self {
            capacity_bytes,
            ..Self::default()
        }
    }

    /// Records pushed since the last [`BatchBuilder::finish`].
    pub fn len(&self) -> usize {
        self.records_count as usize
    }

    /// Whether nothing was pushed since the last [`BatchBuilder::finish`].
    pub fn is_empty(&self) -> bool {
        self.records_count == 0
    }

    /// Size the batch has now, header included; 0 when empty.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a record. The builder is unchanged when this fails.
    #[inline]
    pub fn push(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BatchError> {
        let headers_bytes: usize = headers
            .iter()
            .map(|header| nullable_size(Some(header.key)) + nullable_size(header.value))
            .sum();
        self.push_with(
            timestamp_ms,
            key,
            value,
            headers.len(),
            headers_bytes,
            |out| {
                for header in headers {
                    put_nullable(out, Some(header.key));
                    put_nullable(out, header.value);
                }
            },
        )
    }

    /// Appends a record with the headers of another one, copied as bytes.
    #[inline]
    pub fn push_with_headers_of(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Headers<'_>,
    ) -> Result<(), BatchError> {
        self.push_with(
            timestamp_ms,
            key,
            value,
            headers.len(),
            headers.bytes.len(),
            |out| {
                out.extend_from_slice(headers.bytes);
            },
        )
    }

    /// Appends a record of another batch as it is: key, value and headers are copied as bytes.
    #[inline]
    pub fn copy(&mut self, record: &Record<'_>) -> Result<(), BatchError> {
        self.append(record.timestamp_ms, record.tail.len(), |out| {
            out.extend_from_slice(record.tail);
        })
    }

    /// The next record gets this offset, counted from the batch's base, if that is not behind the
    /// last one: records between them were left out, as in a compacted batch.
    pub fn skip_to(&mut self, offset_delta: u32) {
        self.next_offset_delta = self.next_offset_delta.max(offset_delta);
    }

    /// The batch of what was pushed, or `None` when there is nothing. The builder is empty after
    /// it and can be used again.
    pub fn finish(&mut self) -> Option<Batch> {
        self.finish_at(0)
    }

    /// [`BatchBuilder::finish`] for a batch whose base offset is known.
    pub fn finish_at(&mut self, base_offset: i64) -> Option<Batch> {
        if self.records_count == 0 {
            return None;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut header = BatchHeader {
            base_offset,
            batch_bytes: bytes.len(),
            leader_epoch: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta: self.next_offset_delta as i32 - 1,
            base_timestamp_ms: self.base_timestamp_ms,
            max_timestamp_ms: self.max_timestamp_ms,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            records_count: self.records_count,
        };
        write_header(&mut bytes, &header);
        header.crc = crc32c::crc32c(&bytes[CRC_FROM..]);
        bytes[CRC_AT..CRC_FROM].copy_from_slice(&header.crc.to_be_bytes());
        self.records_count = 0;
        self.next_offset_delta = 0;
        Some(Batch::built(header, bytes))
    }

    #[inline]
    fn push_with(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers_count: usize,
        headers_bytes: usize,
        put_headers: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), BatchError> {
        let tail_bytes = nullable_size(key)
            + nullable_size(value)
            + varint::size(headers_count as i64)
            + headers_bytes;
        self.append(timestamp_ms, tail_bytes, |out| {
            put_nullable(out, key);
            put_nullable(out, value);
            varint::put(out, headers_count as i64);
            put_headers(out);
        })
    }

    #[inline]
    fn append(
        &mut self,
        timestamp_ms: i64,
        tail_bytes: usize,
        put_tail: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), BatchError> {
        let first = self.records_count == 0;
        let base_timestamp_ms = if first {
            timestamp_ms
        } else {
            self.base_timestamp_ms
        };
        let timestamp_delta = timestamp_ms.wrapping_sub(base_timestamp_ms);
        let offset_delta = i64::from(self.next_offset_delta);
        let body_bytes =
            1 + varint::size(timestamp_delta) + varint::size(offset_delta) + tail_bytes;
        let size_after = self.bytes.len().max(HEADER_BYTES) + body_bytes + 10;
        if size_after > i32::MAX as usize || self.next_offset_delta >= i32::MAX as u32 {
            return Err(BatchError::TooLarge);
        }
        if first {
            self.bytes.reserve(self.capacity_bytes.max(size_after));
            self.bytes.resize(HEADER_BYTES, 0);
            self.base_timestamp_ms = timestamp_ms;
            self.max_timestamp_ms = timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        // One append for what stands before the tail, not one for each byte of it.
        let mut head = [0; 3 * varint::BYTES_MAX + 1];
        let attributes_at = varint::write(&mut head, 0, body_bytes as i64);
        let at = varint::write(&mut head, attributes_at + 1, timestamp_delta);
        let length = varint::write(&mut head, at, offset_delta);
        self.bytes.extend_from_slice(&head[..length]);
        put_tail(&mut self.bytes);
        self.records_count += 1;
        self.next_offset_delta += 1;
        Ok(())
    }
}

fn write_header(bytes: &mut [u8], header: &BatchHeader) {
    let length = (header.batch_bytes - PREFIX_BYTES) as i32;
    let mut at = 0;
    let mut put = |field: &[u8]| {
        bytes[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    };
    put(&header.base_offset.to_be_bytes());
    put(&length.to_be_bytes());
    put(&header.leader_epoch.to_be_bytes());
    put(&[2]);
    put(&header.crc.to_be_bytes());
    put(&header.attributes.to_be_bytes());
    put(&header.last_offset_delta.to_be_bytes());
    put(&header.base_timestamp_ms.to_be_bytes());
    put(&header.max_timestamp_ms.to_be_bytes());
    put(&header.producer_id.to_be_bytes());
    put(&header.producer_epoch.to_be_bytes());
    put(&header.base_sequence.to_be_bytes());
    put(&header.records_count.to_be_bytes());
}

#[inline]
fn nullable_size(bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => 1,
        Some(bytes) => varint::size(bytes.len() as i64) + bytes.len(),
    }
}

#[inline]
pub(crate) fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put(out, -1),
        Some(bytes) => {
            varint::put(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
