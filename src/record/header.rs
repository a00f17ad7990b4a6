//! The 61 bytes in front of the records, and the checksum over what follows it.

use crate::BatchError;

/// Size of a batch header, and so of the smallest batch.
pub const HEADER_BYTES: usize = 61;

/// `baseOffset` and `batchLength`, which `batchLength` does not count.
pub(crate) const PREFIX_BYTES: usize = 12;
/// The checksum covers everything from here (`attributes`) to the end.
pub(crate) const CRC_FROM: usize = 21;
pub(crate) const CRC_AT: usize = 17;
const COMPRESSION_MASK: i16 = 0b111;

/// The fixed fields of a batch, as stored (big endian).
///
/// The first 21 bytes (`base_offset`, length, leader epoch, magic, the checksum itself) are
/// outside the checksum: a log must check them by other means (contiguous offsets).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Size of the whole batch, header included.
    pub batch_bytes: usize,
    /// Kafka's `partitionLeaderEpoch`.
    pub leader_epoch: i32,
    /// CRC-32C from `attributes` to the end, as stored.
    pub crc: u32,
    /// Bit set: compression (0-2), timestamp type (3), transactional (4), control (5).
    pub attributes: i16,
    /// Offset of the last record, less `base_offset`.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, milliseconds since 1970.
    pub base_timestamp_ms: i64,
    /// Largest timestamp, milliseconds since 1970.
    pub max_timestamp_ms: i64,
    /// Kafka's idempotent producer, -1 without one.
    pub producer_id: i64,
    /// Of that producer, -1 without one.
    pub producer_epoch: i16,
    /// The producer's number of the first record, -1 without one.
    pub base_sequence: i32,
    /// Records in the batch.
    pub records_count: u32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes` and checks what can be checked without the
    /// records: size, format, that it is uncompressed, that counts fit the size. Not the checksum.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(BatchError::Truncated {
                needed: HEADER_BYTES,
                available: bytes.len(),
            });
        };
        let magic = header[16] as i8;
        if magic != 2 {
            return Err(BatchError::Magic(magic));
        }
        let length = i32::from_be_bytes(field(header, 8));
        let batch_bytes = usize::try_from(length)
            .ok()
            .map(|length| length + PREFIX_BYTES)
            .filter(|&bytes| bytes >= HEADER_BYTES)
            .ok_or(BatchError::Malformed("the length is smaller than a header"))?;
        let records_count = i32::from_be_bytes(field(header, 57));
        let parsed = Self {
            base_offset: i64::from_be_bytes(field(header, 0)),
            batch_bytes,
            leader_epoch: i32::from_be_bytes(field(header, 12)),
            crc: u32::from_be_bytes(field(header, CRC_AT)),
            attributes: i16::from_be_bytes(field(header, 21)),
            last_offset_delta: i32::from_be_bytes(field(header, 23)),
            base_timestamp_ms: i64::from_be_bytes(field(header, 27)),
            max_timestamp_ms: i64::from_be_bytes(field(header, 35)),
            producer_id: i64::from_be_bytes(field(header, 43)),
            producer_epoch: i16::from_be_bytes(field(header, 51)),
            base_sequence: i32::from_be_bytes(field(header, 53)),
            records_count: u32::try_from(records_count)
                .map_err(|_| BatchError::Malformed("the number of records is negative"))?,
        };
        parsed.check()
    }

    /// Offset behind the last record, where the next batch begins.
    pub fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }

    fn check(self) -> Result<Self, BatchError> {
        let codec = self.attributes & COMPRESSION_MASK;
        if codec != 0 {
            return Err(BatchError::Compressed(codec as u8));
        }
        if self.base_offset < 0 || self.last_offset_delta < 0 {
            return Err(BatchError::Malformed("a negative offset"));
        }
        if self
            .base_offset
            .checked_add(i64::from(self.last_offset_delta) + 1)
            .is_none()
        {
            return Err(BatchError::Malformed("an offset beyond 63 bits"));
        }
        // A record takes at least seven bytes: length, attributes, two deltas, key, value, headers.
        if self.records_count as usize > (self.batch_bytes - HEADER_BYTES) / 7 {
            return Err(BatchError::Malformed("more records than bytes could hold"));
        }
        if self.records_count == 0 && self.batch_bytes > HEADER_BYTES {
            return Err(BatchError::Malformed("bytes behind the last record"));
        }
        if i64::from(self.records_count) > i64::from(self.last_offset_delta) + 1 {
            return Err(BatchError::Malformed("more records than offsets"));
        }
        Ok(self)
    }
}

/// Checks the checksum of the batch that `bytes` is, header included and nothing behind it.
pub fn verify_crc(bytes: &[u8]) -> Result<(), BatchError> {
    let Some(stored) = bytes
        .get(CRC_AT..CRC_FROM)
        .and_then(|crc| crc.first_chunk::<4>())
    else {
        return Err(BatchError::Truncated {
            needed: HEADER_BYTES,
            available: bytes.len(),
        });
    };
    let stored = u32::from_be_bytes(*stored);
    let computed = crc32c::crc32c(&bytes[CRC_FROM..]);
    if stored == computed {
        Ok(())
    } else {
        Err(BatchError::Crc { stored, computed })
    }
}

/// Writes the base offset into a batch. It lies outside the checksum, which stays valid.
/// Does nothing when `bytes` is shorter than the field.
pub fn stamp_base_offset(bytes: &mut [u8], base_offset: i64) {
    if let Some(field) = bytes.first_chunk_mut::<8>() {
        *field = base_offset.to_be_bytes();
    }
}

fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}
