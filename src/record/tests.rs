//! Tests of the batch. The oracle is an independent implementation, the `kafka-protocol` crate;
//! where its own limits end (it keeps headers in a map, wants UTF-8 names and offsets without
//! holes), our builder and reader are held against plain data instead.
//!
//! Every random test prints its seed when it fails; `TOWPATH_SEED` replays it, `TOWPATH_CASES`
//! sets how many cases a test tries.

mod damage;
mod layout;
mod roundtrip;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use crate::{Batch, BatchBuilder, Header, Record};

/// A record as plain data: what is put in and must come out.
#[derive(Debug, Clone, PartialEq)]
struct Plain {
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Plain {
    fn of(record: &Record<'_>) -> Self {
        Self {
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .iter()
                .map(|header| header.unwrap())
                .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }

    fn push_to(&self, builder: &mut BatchBuilder) {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: value.as_deref(),
            })
            .collect();
        builder
            .push(
                self.timestamp_ms,
                self.key.as_deref(),
                self.value.as_deref(),
                &headers,
            )
            .unwrap();
    }
}

/// The batch of `records`, offsets from `base_offset` on.
fn batch_of(records: &[Plain], base_offset: i64) -> Batch {
    let mut builder = BatchBuilder::with_capacity(0);
    for record in records {
        record.push_to(&mut builder);
    }
    let mut bytes = builder
        .finish()
        .expect("there are records")
        .into_bytes()
        .to_vec();
    crate::stamp_base_offset(&mut bytes, base_offset);
    Batch::parse(bytes.into()).unwrap()
}

fn plain_records(batch: &Batch) -> Vec<Plain> {
    batch
        .records()
        .map(|record| Plain::of(&record.unwrap()))
        .collect()
}

/// Two records with everything that the layout has: null, empty and filled fields, header twice.
fn sample() -> Vec<Plain> {
    vec![
        Plain {
            timestamp_ms: 1_700_000_000_000,
            key: Some(b"key".to_vec()),
            value: Some(b"a value".to_vec()),
            headers: vec![
                (b"trace".to_vec(), Some(b"1".to_vec())),
                (b"trace".to_vec(), None),
                (b"".to_vec(), Some(b"".to_vec())),
            ],
        },
        Plain {
            timestamp_ms: 1_699_999_999_000,
            key: None,
            value: None,
            headers: vec![],
        },
    ]
}

fn bytes_up_to(size_max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..=size_max)
}

/// Any record: null, empty and short fields often, a field beyond one varint byte sometimes.
fn any_record() -> impl Strategy<Value = Plain> {
    let field = || {
        prop_oneof![
            1 => Just(None),
            1 => Just(Some(Vec::new())),
            6 => bytes_up_to(80).prop_map(Some),
            1 => bytes_up_to(9000).prop_map(Some),
        ]
    };
    let header = (bytes_up_to(12), proptest::option::of(bytes_up_to(70)));
    let timestamp = prop_oneof![
        4 => 0..4_102_444_800_000_i64,
        1 => any::<i64>(),
        1 => Just(i64::MIN),
        1 => Just(i64::MAX),
    ];
    (
        timestamp,
        field(),
        field(),
        proptest::collection::vec(header, 0..4),
    )
        .prop_map(|(timestamp_ms, key, value, headers)| Plain {
            timestamp_ms,
            key,
            value,
            headers,
        })
}

fn records(record: impl Strategy<Value = Plain>) -> impl Strategy<Value = Vec<Plain>> {
    proptest::collection::vec(record, 1..70)
}

/// Runs `test` on `cases_default` random inputs and fails with the smallest bad one and the seed.
fn check<S: Strategy>(cases_default: u32, inputs: S, test: impl Fn(S::Value)) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seed = number("TOWPATH_SEED").unwrap_or_else(|| {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(0)
    });
    let config = Config {
        cases: number("TOWPATH_CASES").map_or(cases_default, |cases| cases as u32),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&inputs, |input| {
        test(input);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => {
            panic!("TOWPATH_SEED={seed}: {why}; smallest input: {input:?}")
        }
        Err(error) => panic!("TOWPATH_SEED={seed}: {error}"),
    }
}
