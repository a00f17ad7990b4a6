//! Damage: every truncation and every flipped bit is noticed, but for the bits that the checksum
//! does not cover, which are listed here and which the log guards by other means.

use super::{batch_of, sample};
use crate::{Batch, BatchError, verify_crc};

#[test]
fn a_truncation_at_every_byte_is_noticed() {
    let whole = batch_of(&sample(), 77).into_bytes();
    for end in 0..whole.len() {
        let outcome = Batch::parse(whole.slice(..end)).map(|_| ());
        let Err(BatchError::Truncated { needed, available }) = outcome else {
            panic!("{end} of {} bytes gave {outcome:?}", whole.len());
        };
        assert_eq!(available, end);
        assert!(needed > end && needed <= whole.len());
    }
}

#[test]
fn bytes_behind_a_batch_are_noticed() {
    let mut bytes = batch_of(&sample(), 0).into_bytes().to_vec();
    bytes.push(0);
    let outcome = Batch::parse(bytes.into()).map(|_| ());
    assert_eq!(
        outcome,
        Err(BatchError::Malformed("bytes behind the batch"))
    );
}

#[test]
fn every_flipped_bit_is_noticed_or_listed() {
    let whole = batch_of(&sample(), 77).into_bytes();
    let mut unnoticed = Vec::new();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 0x80 >> (bit % 8);
        if Batch::parse(bytes.into()).is_ok() {
            unnoticed.push(bit);
        }
    }
    // The base offset but for its sign, which the log guards by tiling (each batch begins where
    // the one before it ends), and the leader epoch, which the log fixes. The other three of the
    // 21 uncovered bytes' fields notice by themselves: a changed length no longer fits the bytes,
    // the magic is 2 or nothing, and a changed checksum no longer fits.
    let base_offset = 1..64;
    let leader_epoch = 12 * 8..16 * 8;
    assert_eq!(
        unnoticed,
        base_offset.chain(leader_epoch).collect::<Vec<_>>()
    );
}

#[test]
fn a_swapped_or_zeroed_block_is_noticed() {
    let mut records = Vec::new();
    for index in 0..200_u8 {
        let mut record = sample()[0].clone();
        record.value = Some(vec![index; 40]);
        records.push(record);
    }
    let whole = batch_of(&records, 0).into_bytes();
    let blocks = whole.len() / 512;
    assert!(blocks > 20);
    for block in 0..blocks {
        let mut zeroed = whole.to_vec();
        zeroed[block * 512..(block + 1) * 512].fill(0);
        assert!(Batch::parse(zeroed.into()).is_err(), "block {block} zeroed");
        let mut doubled = whole.to_vec();
        let from = (block + 1) % blocks * 512;
        doubled.copy_within(from..from + 512, block * 512);
        assert!(
            Batch::parse(doubled.into()).is_err(),
            "block {block} overwritten by the next"
        );
    }
}

#[test]
fn the_checksum_error_names_both() {
    let mut bytes = batch_of(&sample(), 0).into_bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let Err(BatchError::Crc { stored, computed }) = verify_crc(&bytes) else {
        panic!("a flipped bit passed");
    };
    assert_ne!(stored, computed);
    let text = BatchError::Crc { stored, computed }.to_string();
    assert!(text.contains(&format!("{stored:08x}")) && text.contains(&format!("{computed:08x}")));
    assert_eq!(
        verify_crc(&bytes[..20]),
        Err(BatchError::Truncated {
            needed: 61,
            available: 20
        })
    );
}
