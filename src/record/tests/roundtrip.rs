//! What is built is what is read: by the independent implementation, from it, and by ourselves.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records as kafka;
use proptest::prelude::*;

use super::{Plain, any_record, batch_of, bytes_up_to, check, plain_records, records};
use crate::{Batch, BatchBuilder, BatchError};

/// What the oracle can represent too: header names unique and UTF-8, timestamps whose differences
/// fit 64 bits.
fn common_record() -> impl Strategy<Value = Plain> {
    (any_record(), "[a-zé]{1,8}", 0..4_102_444_800_000_i64).prop_map(|(mut record, name, time)| {
        for (index, header) in record.headers.iter_mut().enumerate() {
            header.0 = format!("{name}{index}").into_bytes();
        }
        record.timestamp_ms = time;
        record
    })
}

fn to_kafka(record: &Plain, offset: i64) -> kafka::Record {
    kafka::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: kafka::NO_PARTITION_LEADER_EPOCH,
        producer_id: kafka::NO_PRODUCER_ID,
        producer_epoch: kafka::NO_PRODUCER_EPOCH,
        timestamp_type: kafka::TimestampType::Creation,
        offset,
        sequence: offset as i32,
        timestamp: record.timestamp_ms,
        key: record.key.clone().map(Bytes::from),
        value: record.value.clone().map(Bytes::from),
        headers: record
            .headers
            .iter()
            .map(|(name, value)| {
                let name = String::from_utf8(name.clone()).unwrap();
                (name.into(), value.clone().map(Bytes::from))
            })
            .collect(),
    }
}

fn from_kafka(record: &kafka::Record) -> Plain {
    Plain {
        timestamp_ms: record.timestamp,
        key: record.key.as_deref().map(<[u8]>::to_vec),
        value: record.value.as_deref().map(<[u8]>::to_vec),
        headers: record
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.as_bytes().to_vec(),
                    value.as_deref().map(<[u8]>::to_vec),
                )
            })
            .collect(),
    }
}

#[test]
fn the_oracle_reads_what_we_build() {
    check(
        256,
        (records(common_record()), 0..i64::from(u32::MAX)),
        |(records, base_offset)| {
            let batch = batch_of(&records, base_offset);
            let set = kafka::RecordBatchDecoder::decode(&mut batch.as_bytes().clone()).unwrap();
            assert_eq!(
                (set.version, set.compression),
                (2, kafka::Compression::None)
            );
            assert_eq!(
                set.records.iter().map(from_kafka).collect::<Vec<_>>(),
                records
            );
            let offsets: Vec<_> = set.records.iter().map(|record| record.offset).collect();
            assert_eq!(
                offsets,
                (base_offset..base_offset + records.len() as i64).collect::<Vec<_>>()
            );
        },
    );
}

#[test]
fn we_read_what_the_oracle_builds() {
    check(
        256,
        (records(common_record()), 0..i64::from(i32::MAX)),
        |(records, base_offset)| {
            let theirs: Vec<_> = records
                .iter()
                .zip(base_offset..)
                .map(|(record, offset)| to_kafka(record, offset))
                .collect();
            let options = kafka::RecordEncodeOptions {
                version: 2,
                compression: kafka::Compression::None,
            };
            let mut bytes = BytesMut::new();
            kafka::RecordBatchEncoder::encode(&mut bytes, &theirs, &options).unwrap();

            let batch = Batch::parse(bytes.freeze()).unwrap();
            batch.check_records().unwrap();
            assert_eq!(plain_records(&batch), records);
            let header = batch.header();
            assert_eq!(header.base_offset, base_offset);
            assert_eq!(header.next_offset(), base_offset + records.len() as i64);
            assert_eq!(batch.len(), records.len());
        },
    );
}

#[test]
fn we_read_what_we_build() {
    check(
        256,
        (records(any_record()), 0..=i64::MAX - 100),
        |(records, base_offset)| {
            let batch = batch_of(&records, base_offset);
            batch.check_records().unwrap();
            assert_eq!(plain_records(&batch), records);
            let header = batch.header();
            assert_eq!(header.base_timestamp_ms, records[0].timestamp_ms);
            let latest = records.iter().map(|record| record.timestamp_ms).max();
            assert_eq!(Some(header.max_timestamp_ms), latest);
            for (record, offset) in batch.records().zip(base_offset..) {
                assert_eq!(record.unwrap().offset, offset);
            }
        },
    );
}

#[test]
fn copying_a_record_is_pushing_it_again() {
    let picks = proptest::collection::btree_set(0..70_usize, 1..70);
    check(128, (records(any_record()), picks), |(records, picks)| {
        let picks: BTreeSet<_> = picks
            .into_iter()
            .filter(|&pick| pick < records.len())
            .collect();
        let batch = batch_of(&records, 41);
        let (mut copied, mut pushed, mut expected) = Default::default();
        collect_both(&batch, &picks, &mut copied, &mut pushed);
        picks
            .iter()
            .for_each(|&pick| records[pick].push_to(&mut expected));
        let expected = expected.finish().map(Batch::into_bytes);
        assert_eq!(
            copied.finish().map(Batch::into_bytes),
            expected,
            "by `copy`"
        );
        assert_eq!(
            pushed.finish().map(Batch::into_bytes),
            expected,
            "by `push_with_headers_of`"
        );
    });
}

fn collect_both(
    batch: &Batch,
    picks: &BTreeSet<usize>,
    copied: &mut BatchBuilder,
    pushed: &mut BatchBuilder,
) {
    for (index, record) in batch.records().enumerate() {
        if picks.contains(&index) {
            let record = record.unwrap();
            copied.copy(&record).unwrap();
            let (time, headers) = (record.timestamp_ms, record.headers);
            pushed
                .push_with_headers_of(time, record.key, record.value, headers)
                .unwrap();
        }
    }
}

#[test]
fn a_builder_is_empty_after_finish_and_serves_again() {
    let mut builder = BatchBuilder::with_capacity(4096);
    assert!(builder.finish().is_none());
    assert_eq!((builder.len(), builder.size_bytes()), (0, 0));
    let mut first = None;
    for _ in 0..2 {
        super::sample()
            .iter()
            .for_each(|record| record.push_to(&mut builder));
        assert_eq!(builder.len(), 2);
        let size_bytes = builder.size_bytes();
        let batch = builder.finish().unwrap();
        assert_eq!(batch.as_bytes().len(), size_bytes);
        assert!(builder.is_empty() && builder.size_bytes() == 0);
        assert_eq!(
            first.get_or_insert(batch.clone().into_bytes()),
            batch.as_bytes()
        );
    }
}

#[test]
fn a_record_beyond_two_gibibytes_is_refused_and_changes_nothing() {
    // Zeroed memory that is never touched: the builder must refuse before it copies.
    let huge = vec![0; i32::MAX as usize];
    let mut builder = BatchBuilder::default();
    assert_eq!(
        builder.push(1, None, Some(&huge), &[]),
        Err(BatchError::TooLarge)
    );
    assert_eq!((builder.len(), builder.size_bytes()), (0, 0));
    builder.push(2, None, Some(b"small"), &[]).unwrap();
    let size_bytes = builder.size_bytes();
    assert_eq!(
        builder.push(3, Some(&huge), None, &[]),
        Err(BatchError::TooLarge)
    );
    assert_eq!((builder.len(), builder.size_bytes()), (1, size_bytes));
    let batch = builder.finish().unwrap();
    assert_eq!(
        plain_records(&batch)[0].value.as_deref(),
        Some(&b"small"[..])
    );
}

#[test]
fn random_bytes_never_panic() {
    check(2_000, bytes_up_to(300), |bytes| {
        read_all(Bytes::from(bytes));
    });
}

/// Random bytes rarely pass the checksum: here they stand behind a header that is right, so that
/// the reader of records meets them.
#[test]
fn random_records_behind_a_right_header_never_panic() {
    let input = (bytes_up_to(300), 0..40_u32, 0..40_i32);
    check(5_000, input, |(body, count, last_offset_delta)| {
        read_all(super::layout::batch_with_body(
            &body,
            count as i32,
            last_offset_delta,
        ));
    });
}

/// Reads all there is to read; errors are fine, panics are not.
fn read_all(bytes: Bytes) {
    let Ok(batch) = Batch::parse(bytes) else {
        return;
    };
    let whole = batch.check_records();
    let mut read = 0;
    let mut failed = false;
    for record in batch.records() {
        match record {
            Ok(record) => {
                read += 1;
                failed |= record.headers.iter().any(|header| header.is_err());
            }
            Err(_) => failed = true,
        }
    }
    assert!(read <= batch.len());
    if whole.is_ok() {
        assert!(
            !failed && read == batch.len(),
            "check_records passed what the reader refuses"
        );
    }
}
