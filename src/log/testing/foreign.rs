//! Bytes of any origin, read as the commit log reads its own. Everything panics where a test is
//! to fail.

use bytes::Bytes;
use uuid::Uuid;

use crate::entry::{decode_all, encode_all};
use crate::frame::{self, Found, FrameHeader, SECTOR_BYTES};

/// The frame that is looked for; sectors are salted with both.
const LOG_ID: Uuid = Uuid::from_u128(1);
const SEQUENCE: u64 = 1;

/// Reads `bytes` as the entries of a commit record. What can be read is the same after it was
/// written, framed, and read again.
pub fn check_entries(bytes: &[u8]) {
    let Ok(entries) = decode_all(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let body = Bytes::from(encode_all(&entries));
    assert_eq!(decode_all(body.clone()), Ok(entries));
    let header = FrameHeader {
        log_id: LOG_ID,
        sequence: SEQUENCE,
        epoch: 1,
        durable: 0,
        previous: 0,
    };
    let (framed, checksum) = frame::encode(&header, &body);
    assert_eq!(frame::peek(&framed, LOG_ID), Some(header));
    match frame::decode(&framed, LOG_ID, SEQUENCE) {
        Found::Frame(found) => {
            assert_eq!(found.header, header);
            assert_eq!((found.checksum, found.body), (checksum, body));
        }
        other => panic!("a frame just written is {other:?}"),
    }
}

/// Reads `bytes` as what stands where a frame was looked for: as they are, and with the right
/// checksum in every sector, so that what is behind the checksums is reached.
pub fn check_frame(bytes: &[u8]) {
    read_frame(bytes);
    let mut sealed = bytes.to_vec();
    for (index, sector) in sealed.chunks_exact_mut(SECTOR_BYTES).enumerate() {
        let checksum = frame::sector_checksum(LOG_ID, SEQUENCE, index, &sector[4..]);
        sector[..4].copy_from_slice(&checksum.to_le_bytes());
    }
    read_frame(&sealed);
}

fn read_frame(bytes: &[u8]) {
    let _: Option<FrameHeader> = frame::peek(bytes, LOG_ID);
    match frame::decode(bytes, LOG_ID, SEQUENCE) {
        Found::Frame(found) => {
            assert!(found.size_bytes <= bytes.len());
            check_entries(&found.body);
        }
        Found::Damaged(at) => assert!(at < bytes.len()),
        Found::Nothing | Found::Torn => {}
    }
}
