//! A frame: the bytes of one commit record or snapshot, in sectors that each prove themselves.
//!
//! Every 512-byte sector holds a checksum over 508 bytes of payload, salted with log id, sequence
//! and its own number. After a crash a sector is either as written or still zero, so a frame with
//! zero sectors was torn, and one with any other wrong sector is damaged. That is how a lost tail
//! nobody was told about is kept apart from a flipped bit in the very last record.

use bytes::Bytes;
use uuid::Uuid;

use crate::encoding::{Put, Take};

/// What a disk writes whole or not at all (assumption 1 of `FORMAT.md`).
pub(crate) const SECTOR_BYTES: usize = 512;
/// Frames begin and end on multiples of this, so that a durable block is never written again.
pub(crate) const BLOCK_BYTES: usize = 4096;
const PAYLOAD_BYTES: usize = SECTOR_BYTES - 4;
const MAGIC: u32 = 0x3148_5054;
/// Length, magic, log id, sequence, epoch, durable sequence, previous checksum, own checksum.
const HEADER_BYTES: usize = 4 + 4 + 16 + 8 * 3 + 4 + 4;
/// Larger lengths are not believed, so that no length from disk makes us allocate without end.
pub(crate) const FRAME_BYTES_MAX: usize = 1 << 30;

/// The header of a frame, and where it stands in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub log_id: Uuid,
    /// Number of the record, one more than the one before.
    pub sequence: u64,
    /// Number of the start of the log that wrote it.
    pub epoch: u64,
    /// A record up to which all were durable when this one was made.
    pub durable: u64,
    /// Checksum of the record before.
    pub previous: u32,
}

/// A whole frame, checked.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub header: FrameHeader,
    /// The checksum the next frame must name.
    pub checksum: u32,
    pub body: Bytes,
    /// Size on the disk, a multiple of [`BLOCK_BYTES`].
    pub size_bytes: usize,
}

/// What stands where a frame was looked for.
#[derive(Debug)]
pub(crate) enum Found {
    Frame(Frame),
    /// Nothing but zeros up to the end of the frame, as far as its size is known.
    Nothing,
    /// Some sectors are right and others still zero: a write that a crash cut short.
    Torn,
    /// A sector is neither zero nor right; its place, counted from the frame's start.
    Damaged(usize),
}

/// Bytes on disk that a body of `body_bytes` takes.
pub(crate) fn size_bytes(body_bytes: usize) -> usize {
    (HEADER_BYTES + body_bytes)
        .div_ceil(PAYLOAD_BYTES)
        .next_multiple_of(BLOCK_BYTES / SECTOR_BYTES)
        * SECTOR_BYTES
}

/// The frame of `body`, and its checksum for the next one.
pub(crate) fn encode(header: &FrameHeader, body: &[u8]) -> (Vec<u8>, u32) {
    let mut fields = Vec::with_capacity(HEADER_BYTES);
    fields.put_u32((HEADER_BYTES + body.len()) as u32);
    fields.put_u32(MAGIC);
    fields.put_uuid(header.log_id);
    fields.put_u64(header.sequence);
    fields.put_u64(header.epoch);
    fields.put_u64(header.durable);
    fields.put_u32(header.previous);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&fields), body);
    fields.put_u32(checksum);

    let mut payload = fields;
    payload.extend_from_slice(body);
    let size = size_bytes(body.len());
    payload.resize(size / SECTOR_BYTES * PAYLOAD_BYTES, 0);
    let mut frame = Vec::with_capacity(size);
    for (index, part) in payload.chunks_exact(PAYLOAD_BYTES).enumerate() {
        frame.put_u32(sector_checksum(header.log_id, header.sequence, index, part));
        frame.extend_from_slice(part);
    }
    (frame, checksum)
}

/// Reads the frame at the front of `bytes`, which go to the end of the file. A frame of another
/// log or another sequence is damage, as is any sector that is neither zero nor right.
pub(crate) fn decode(bytes: &[u8], log_id: Uuid, sequence: u64) -> Found {
    let Some(first) = bytes.get(..SECTOR_BYTES) else {
        return Found::Nothing;
    };
    if is_zero(first) {
        return headless(bytes, log_id, sequence);
    }
    if !sector_is_right(first, log_id, sequence, 0) {
        return Found::Damaged(0);
    }
    let length = u32_at(first, 4) as usize;
    if !(HEADER_BYTES..=FRAME_BYTES_MAX).contains(&length) || u32_at(first, 8) != MAGIC {
        return Found::Damaged(0);
    }
    let size = size_bytes(length - HEADER_BYTES);
    if size > bytes.len() {
        return Found::Damaged(0);
    }
    let mut torn = false;
    let mut payload = Vec::with_capacity(size);
    for (index, sector) in bytes[..size].chunks_exact(SECTOR_BYTES).enumerate() {
        if is_zero(sector) {
            torn = true;
        } else if !sector_is_right(sector, log_id, sequence, index) {
            return Found::Damaged(index * SECTOR_BYTES);
        }
        payload.extend_from_slice(&sector[4..]);
    }
    if torn {
        return Found::Torn;
    }
    payload.truncate(length);
    assemble(Bytes::from(payload), size).map_or(Found::Damaged(0), Found::Frame)
}

/// The sequence, epoch and durable sequence of a frame whose first sector stands at the front of
/// `bytes`, whatever its sequence: for the search behind the last valid record.
pub(crate) fn peek(bytes: &[u8], log_id: Uuid) -> Option<FrameHeader> {
    let first = bytes.get(..SECTOR_BYTES)?;
    if u32_at(first, 8) != MAGIC {
        return None;
    }
    let mut take = Take::new(Bytes::copy_from_slice(&first[4..4 + HEADER_BYTES]));
    let header = take_header(&mut take).ok()?.0;
    let right = header.log_id == log_id && sector_is_right(first, log_id, header.sequence, 0);
    right.then_some(header)
}

fn assemble(payload: Bytes, size_bytes: usize) -> Option<Frame> {
    let mut take = Take::new(payload.slice(..HEADER_BYTES));
    let (header, stored) = take_header(&mut take).ok()?;
    let body = payload.slice(HEADER_BYTES..);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&payload[..HEADER_BYTES - 4]), &body);
    (checksum == stored).then_some(Frame {
        header,
        checksum,
        body,
        size_bytes,
    })
}

fn take_header(take: &mut Take) -> Result<(FrameHeader, u32), String> {
    take.u32()?;
    take.u32()?;
    let header = FrameHeader {
        log_id: take.uuid()?,
        sequence: take.u64()?,
        epoch: take.u64()?,
        durable: take.u64()?,
        previous: take.u32()?,
    };
    Ok((header, take.u32()?))
}

/// The first sector is missing, so the size is unknown: later sectors of the first block tell
/// whether the write was cut short, and anything that is neither is damage.
fn headless(bytes: &[u8], log_id: Uuid, sequence: u64) -> Found {
    let block = &bytes[..bytes.len().min(BLOCK_BYTES)];
    let mut torn = false;
    for (index, sector) in block.chunks_exact(SECTOR_BYTES).enumerate() {
        if is_zero(sector) {
            continue;
        }
        if !sector_is_right(sector, log_id, sequence, index) {
            return Found::Damaged(index * SECTOR_BYTES);
        }
        torn = true;
    }
    if torn { Found::Torn } else { Found::Nothing }
}

pub(crate) fn sector_checksum(log_id: Uuid, sequence: u64, index: usize, payload: &[u8]) -> u32 {
    let mut salt = [0; 28];
    salt[..16].copy_from_slice(log_id.as_bytes());
    salt[16..24].copy_from_slice(&sequence.to_le_bytes());
    salt[24..].copy_from_slice(&(index as u32).to_le_bytes());
    // Never 0: a sector that was written must not look like one that was not.
    crc32c::crc32c_append(crc32c::crc32c(&salt), payload).max(1)
}

fn sector_is_right(sector: &[u8], log_id: Uuid, sequence: u64, index: usize) -> bool {
    u32_at(sector, 0) == sector_checksum(log_id, sequence, index, &sector[4..])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |four| u32::from_le_bytes(*four))
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}
