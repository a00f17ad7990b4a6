//! One record, borrowed from its batch.

use crate::builder::put_nullable;
use crate::{BatchError, varint};

/// A record as it stands in a batch. All slices borrow the batch's bytes.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Offset in the partition; meaningful once the log has stamped the batch.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// `None` is a null key, distinct from an empty one.
    pub key: Option<&'a [u8]>,
    /// `None` is a null value (a tombstone), distinct from an empty one.
    pub value: Option<&'a [u8]>,
    /// Names and values beside the value, in their order.
    pub headers: Headers<'a>,
    /// The record's bytes from the key on, which do not depend on its place in a batch.
    pub(crate) tail: &'a [u8],
}

/// A header: a name, not necessarily UTF-8 and not necessarily unique, and a value or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name.
    pub key: &'a [u8],
    /// `None` is null, distinct from an empty value.
    pub value: Option<&'a [u8]>,
}

/// A record's headers, still encoded: they are parsed when iterated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    pub(crate) count: u32,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record at the front of `bytes` and moves `bytes` behind it.
    #[inline]
    pub(crate) fn take(
        bytes: &mut &'a [u8],
        base_offset: i64,
        base_timestamp_ms: i64,
    ) -> Result<Self, BatchError> {
        let length = varint::take(bytes)?;
        let mut body = take_bytes(bytes, length)?;
        // The record's attributes are unused in Kafka and must be ignored.
        take_bytes(&mut body, 1)?;
        let timestamp_delta = varint::take(&mut body)?;
        let offset_delta = varint::take(&mut body)?;
        let tail = body;
        let key = take_nullable(&mut body)?;
        let value = take_nullable(&mut body)?;
        let count = varint::take(&mut body)?;
        // A header takes at least two bytes.
        let count = u32::try_from(count)
            .ok()
            .filter(|&count| count as usize <= body.len() / 2)
            .ok_or(BatchError::Malformed("more headers than bytes could hold"))?;
        if count == 0 && !body.is_empty() {
            return Err(BatchError::Malformed(
                "bytes behind the last header of a record",
            ));
        }
        Ok(Self {
            offset: base_offset.wrapping_add(offset_delta),
            timestamp_ms: base_timestamp_ms.wrapping_add(timestamp_delta),
            key,
            value,
            headers: Headers { count, bytes: body },
            tail,
        })
    }
}

impl Header<'_> {
    /// Appends the header as it stands in a record.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_nullable(out, Some(self.key));
        put_nullable(out, self.value);
    }
}

impl<'a> Headers<'a> {
    /// `count` headers, which [`Header::put`] wrote to `bytes` one after the other.
    pub fn encoded(count: usize, bytes: &'a [u8]) -> Self {
        Self {
            count: count as u32,
            bytes,
        }
    }

    /// The headers as they stand in the record, one after the other.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many headers the record says it has.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// The headers in their order. The iterator ends after the first error.
    pub fn iter(&self) -> HeadersIter<'a> {
        HeadersIter {
            remaining: self.count,
            bytes: self.bytes,
        }
    }
}

/// Iterator over a record's headers.
#[derive(Debug)]
pub struct HeadersIter<'a> {
    remaining: u32,
    bytes: &'a [u8],
}

impl<'a> HeadersIter<'a> {
    fn take(&mut self) -> Result<Header<'a>, BatchError> {
        let key = take_nullable(&mut self.bytes)?
            .ok_or(BatchError::Malformed("a header without a name"))?;
        let value = take_nullable(&mut self.bytes)?;
        if self.remaining == 1 && !self.bytes.is_empty() {
            return Err(BatchError::Malformed(
                "bytes behind the last header of a record",
            ));
        }
        Ok(Header { key, value })
    }
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = Result<Header<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        let header = self.take();
        self.remaining = if header.is_ok() {
            self.remaining - 1
        } else {
            0
        };
        Some(header)
    }
}

#[inline]
fn take_bytes<'a>(bytes: &mut &'a [u8], length: i64) -> Result<&'a [u8], BatchError> {
    let length = usize::try_from(length).map_err(|_| BatchError::Malformed("a negative length"))?;
    let (taken, rest) = bytes
        .split_at_checked(length)
        .ok_or(BatchError::Truncated {
            needed: length,
            available: bytes.len(),
        })?;
    *bytes = rest;
    Ok(taken)
}

#[inline]
fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BatchError> {
    match varint::take(bytes)? {
        -1 => Ok(None),
        length => take_bytes(bytes, length).map(Some),
    }
}
