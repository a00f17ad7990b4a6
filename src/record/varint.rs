//! Zigzag varints as Kafka and Protocol Buffers write them: 7 bits a byte, lowest first.

use crate::BatchError;

/// The most bytes that a value takes.
pub(crate) const BYTES_MAX: usize = 10;

/// Bytes that `value` takes.
#[inline]
pub(crate) fn size(value: i64) -> usize {
    let significant_bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    significant_bits.div_ceil(7)
}

/// Appends `value`.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, value: i64) {
    let mut bytes = [0; BYTES_MAX];
    let length = write(&mut bytes, 0, value);
    out.extend_from_slice(&bytes[..length]);
}

/// Writes `value` into `out` from `at` on and returns where it ends. There must be room for
/// [`BYTES_MAX`] bytes.
#[inline]
pub(crate) fn write(out: &mut [u8], mut at: usize, value: i64) -> usize {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out[at] = rest as u8 | 0x80;
        at += 1;
        rest >>= 7;
    }
    out[at] = rest as u8;
    at + 1
}

/// Takes one varint from the front of `bytes`.
#[inline]
pub(crate) fn take(bytes: &mut &[u8]) -> Result<i64, BatchError> {
    // Nearly all have one byte or two.
    let (raw, rest) = match *bytes {
        [only @ ..0x80, rest @ ..] => (u64::from(*only), rest),
        [low, high @ ..0x80, rest @ ..] => (u64::from(low & 0x7f) | u64::from(*high) << 7, rest),
        _ => return take_long(bytes),
    };
    *bytes = rest;
    Ok(unzigzag(raw))
}

fn take_long(bytes: &mut &[u8]) -> Result<i64, BatchError> {
    let mut raw = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        raw |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            if index == 9 && byte > 1 {
                return Err(BatchError::Malformed("a varint is longer than 64 bits"));
            }
            *bytes = &bytes[index + 1..];
            return Ok(unzigzag(raw));
        }
    }
    if bytes.len() < 10 {
        return Err(BatchError::Truncated {
            needed: bytes.len() + 1,
            available: bytes.len(),
        });
    }
    Err(BatchError::Malformed("a varint is longer than 64 bits"))
}

#[inline]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
fn unzigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}
