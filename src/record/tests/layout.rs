//! The layout byte for byte, varints at their edges, and counts that lie.

use bytes::Bytes;

use super::{check, sample};
use crate::header::{CRC_AT, CRC_FROM};
use crate::{Batch, BatchError, BatchHeader, HEADER_BYTES, varint};

/// A batch with the given bytes as its records, and a checksum that is right.
pub(super) fn batch_with_body(body: &[u8], records_count: i32, last_offset_delta: i32) -> Bytes {
    let mut bytes = super::batch_of(&sample(), 0).into_bytes()[..HEADER_BYTES].to_vec();
    bytes.extend_from_slice(body);
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[23..27].copy_from_slice(&last_offset_delta.to_be_bytes());
    bytes[57..61].copy_from_slice(&records_count.to_be_bytes());
    with_right_crc(bytes)
}

pub(super) fn with_right_crc(mut bytes: Vec<u8>) -> Bytes {
    let crc = crc32c::crc32c(&bytes[CRC_FROM..]);
    bytes[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// One record's bytes: its length, then what is given.
fn record(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = number(body.len() as i64);
    bytes.extend_from_slice(&body);
    bytes
}

fn number(value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::put(&mut bytes, value);
    bytes
}

#[test]
fn the_layout_byte_for_byte() {
    let mut builder = crate::BatchBuilder::default();
    let header = crate::Header {
        key: b"h",
        value: None,
    };
    builder
        .push(0x0102, Some(b"k"), Some(b"vv"), &[header])
        .unwrap();
    let batch = builder.finish().unwrap();
    let expected: &[&[u8]] = &[
        &0_i64.to_be_bytes(),  // base offset
        &62_i32.to_be_bytes(), // length of what follows: 61 - 12 + 13
        &0_i32.to_be_bytes(),  // leader epoch
        &[2],                  // magic
        &batch.header().crc.to_be_bytes(),
        &0_i16.to_be_bytes(),      // attributes
        &0_i32.to_be_bytes(),      // last offset delta
        &0x0102_i64.to_be_bytes(), // base timestamp
        &0x0102_i64.to_be_bytes(), // largest timestamp
        &(-1_i64).to_be_bytes(),   // producer id
        &(-1_i16).to_be_bytes(),   // producer epoch
        &(-1_i32).to_be_bytes(),   // base sequence
        &1_i32.to_be_bytes(),      // records
        &[24, 0, 0, 0],            // length 12, attributes, timestamp and offset deltas
        &[2, b'k', 4, b'v', b'v'], // key, value
        &[2, 2, b'h', 1],          // one header: its name, null
    ];
    assert_eq!(batch.as_bytes(), &expected.concat());
}

#[test]
fn varints_at_their_edges() {
    for (value, expected) in [
        (0_i64, &[0][..]),
        (-1, &[1]),
        (1, &[2]),
        (63, &[126]),
        (64, &[128, 1]),
        (-64, &[127]),
        (-65, &[129, 1]),
        (8191, &[254, 127]),
        (8192, &[128, 128, 1]),
        (i64::from(i32::MAX), &[254, 255, 255, 255, 15]),
        (i64::from(i32::MIN), &[255, 255, 255, 255, 15]),
        (i64::MAX, &[254, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        (i64::MIN, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
    ] {
        assert_eq!(number(value), expected, "{value}");
        assert_eq!(varint::size(value), expected.len(), "{value}");
        let mut rest = &[expected, b"rest"].concat()[..];
        assert_eq!(varint::take(&mut rest), Ok(value));
        assert_eq!(rest, b"rest");
        for end in 0..expected.len() {
            assert!(
                matches!(
                    varint::take(&mut &expected[..end]),
                    Err(BatchError::Truncated { .. })
                ),
                "{value} cut to {end} bytes"
            );
        }
    }
}

#[test]
fn varints_beyond_64_bits_are_refused() {
    for bytes in [
        [255_u8; 10],
        [128; 10],
        [255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
    ] {
        let mut rest = &bytes[..];
        assert!(
            matches!(varint::take(&mut rest), Err(BatchError::Malformed(_))),
            "{bytes:?}"
        );
        assert_eq!(rest.len(), 10, "a refused varint is not taken");
    }
}

#[test]
fn any_varint_comes_back() {
    check(2_000, proptest::num::i64::ANY, |value| {
        // Shifted, so that every length is met and not only the longest.
        for shift in [0, 13, 26, 39, 52, 60] {
            let value = value >> shift;
            let bytes = number(value);
            assert_eq!(bytes.len(), varint::size(value));
            assert_eq!(varint::take(&mut &bytes[..]), Ok(value));
        }
    });
}

/// `body` as the records of a batch, read whole; `count` records are announced.
#[track_caller]
fn refused(body: &[u8], count: i32, expected: &str) {
    let error = Batch::parse(batch_with_body(body, count, 100))
        .and_then(|batch| batch.check_records())
        .expect_err("this batch must be refused");
    assert!(
        error.to_string().contains(expected),
        "{error} does not say {expected:?}"
    );
}

#[test]
fn lying_counts_and_lengths_are_refused_before_they_are_believed() {
    let good = record(&[&[0, 0, 0], &[2, b'k'], &[2, b'v'], &[0]]);
    Batch::parse(batch_with_body(&good, 1, 0))
        .unwrap()
        .check_records()
        .unwrap();

    // Numbers of records.
    refused(&good, i32::MAX, "more records than bytes could hold");
    let smallest = record(&[&[0, 0, 0, 1, 1, 0]]);
    assert_eq!(smallest.len(), 7);
    Batch::parse(batch_with_body(&smallest, 1, 0))
        .unwrap()
        .check_records()
        .unwrap();
    refused(&smallest, 2, "more records than bytes could hold");
    refused(&good, -1, "number of records is negative");
    refused(&good, 0, "bytes behind the last record");
    refused(
        &[good.clone(), good.clone()].concat(),
        1,
        "bytes behind the last record",
    );
    refused(&[good.clone(), vec![1; 7]].concat(), 2, "negative length");
    // Lengths of records.
    refused(&[number(i64::MAX), vec![0; 7]].concat(), 1, "bytes");
    refused(
        &[number(i64::MIN), vec![0; 7]].concat(),
        1,
        "negative length",
    );
    refused(
        &[number(0), vec![0; 7]].concat(),
        1,
        "needs 1 bytes but 0 are there",
    );
    // Lengths of keys and values; -1 is null, nothing else below 0 is.
    refused(
        &record(&[&[0, 0, 0], &number(-2), &[0, 0]]),
        1,
        "negative length",
    );
    refused(
        &record(&[&[0, 0, 0], &number(i64::MAX), &[0, 0]]),
        1,
        "bytes",
    );
    refused(
        &record(&[&[0, 0, 0, 1], &number(1 << 40), &[0]]),
        1,
        "bytes",
    );
    // Numbers and lengths of headers.
    for count in [-1, 1 << 31, i64::MAX, i64::MIN, 1] {
        let lying = record(&[&[0, 0, 0, 1, 1], &number(count)]);
        refused(&lying, 1, "more headers than bytes could hold");
    }
    refused(
        &record(&[&[0, 0, 0, 1, 1], &[2], &[1, 1]]),
        1,
        "a header without a name",
    );
    refused(
        &record(&[&[0, 0, 0, 1, 1], &[2], &[0], &number(9)]),
        1,
        "needs 9 bytes",
    );
    refused(
        &record(&[&[0, 0, 0, 1, 1], &[0], &[9, 9]]),
        1,
        "bytes behind the last header",
    );
    refused(
        &record(&[&[0, 0, 0, 1, 1], &[2], &[0, 1, 9]]),
        1,
        "bytes behind the last header",
    );
}

#[test]
fn offsets_must_rise_within_the_batch() {
    let at = |offset_delta: i64| record(&[&[0, 0], &number(offset_delta), &[1, 1, 0]]);
    let parse = |deltas: &[i64], last_offset_delta| {
        let body: Vec<u8> = deltas.iter().flat_map(|&delta| at(delta)).collect();
        Batch::parse(batch_with_body(
            &body,
            deltas.len() as i32,
            last_offset_delta,
        ))
        .and_then(|batch| batch.check_records())
    };
    // Compaction leaves holes, also at both ends.
    assert_eq!(parse(&[0, 1, 2], 2), Ok(()));
    assert_eq!(parse(&[3, 7], 9), Ok(()));
    let refused = Err(BatchError::Malformed(
        "offsets that do not rise within the batch",
    ));
    for (deltas, last) in [
        (&[1, 0][..], 1),
        (&[0, 0], 1),
        (&[0, 2], 1),
        (&[-1, 0], 1),
        (&[0, i64::MAX], 1),
        (&[i64::MIN, 1], 1),
    ] {
        assert_eq!(parse(deltas, last), refused, "{deltas:?} below {last}");
    }
    assert_eq!(
        parse(&[0, 1], 0),
        Err(BatchError::Malformed("more records than offsets"))
    );
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let whole = super::batch_of(&sample(), 0).into_bytes();
    let with = |at: usize, field: &[u8]| {
        let mut bytes = whole.to_vec();
        bytes[at..at + field.len()].copy_from_slice(field);
        Batch::parse(with_right_crc(bytes)).map(|_| ())
    };
    assert_eq!(with(16, &[1]), Err(BatchError::Magic(1)));
    assert_eq!(with(16, &[255]), Err(BatchError::Magic(-1)));
    for codec in 1..8_u8 {
        assert_eq!(with(22, &[codec]), Err(BatchError::Compressed(codec)));
    }
    for (at, field, why) in [
        (0, &(-1_i64).to_be_bytes()[..], "negative offset"),
        (0, &i64::MAX.to_be_bytes(), "beyond 63 bits"),
        (8, &(-1_i32).to_be_bytes(), "smaller than a header"),
        (8, &48_i32.to_be_bytes(), "smaller than a header"),
        (23, &(-1_i32).to_be_bytes(), "negative offset"),
        (57, &(-1_i32).to_be_bytes(), "negative"),
        (57, &i32::MAX.to_be_bytes(), "more records than bytes"),
    ] {
        let error = with(at, field).expect_err("must be refused").to_string();
        assert!(error.contains(why), "{error} does not say {why:?}");
    }
    // What Kafka says in the attributes besides the codec is kept: the log is no judge of it.
    with(22, &[0b0111_1000]).unwrap();
}

#[test]
fn a_batch_emptied_by_compaction_has_offsets_and_no_records() {
    let batch = Batch::parse(batch_with_body(&[], 0, 9)).unwrap();
    assert!(batch.is_empty());
    assert_eq!(batch.records().count(), 0);
    assert_eq!(batch.header().next_offset(), 10);
    batch.check_records().unwrap();
}

#[test]
fn the_base_offset_is_stamped_outside_the_checksum() {
    let batch = super::batch_of(&sample(), 0);
    let mut bytes = batch.as_bytes().to_vec();
    crate::stamp_base_offset(&mut bytes, 1 << 40);
    let stamped = Batch::parse(bytes.into()).unwrap();
    assert_eq!(stamped.header().crc, batch.header().crc);
    let offsets: Vec<_> = stamped
        .records()
        .map(|record| record.unwrap().offset)
        .collect();
    assert_eq!(offsets, [1 << 40, (1 << 40) + 1]);
    let mut short = [7; 3];
    crate::stamp_base_offset(&mut short, 1);
    assert_eq!(short, [7; 3]);
}

#[test]
fn the_header_alone_is_read_without_the_records() {
    let bytes = super::batch_of(&sample(), 5).into_bytes();
    let header = BatchHeader::parse(&bytes[..HEADER_BYTES]).unwrap();
    assert_eq!(header.batch_bytes, bytes.len());
    assert_eq!((header.base_offset, header.records_count), (5, 2));
    assert_eq!(
        (
            header.producer_id,
            header.producer_epoch,
            header.base_sequence
        ),
        (-1, -1, -1)
    );
}
