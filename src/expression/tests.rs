//! The language on one record, text by text.

mod language;
mod mistakes;
mod print;
mod random;
mod records;

pub(crate) use random::runner;
use towpath_record::{BatchBuilder, Header};
use towpath_sdk::config::Format;
use towpath_sdk::{Error, WorkingBatch};

use crate::{CompileError, compile};

/// The record of most tests; its key is `k-7`, its topic `orders`, partition 2, offset 0.
const VALUE: &str = r#"{
    "status": 503, "path": "/api/v1", "ok": true, "none": null, "price": 1.5, "exact": 1.10,
    "big": 18446744073709551615, "bigger": 18446744073709551616, "name": "J\u00fcrgen \"J\"",
    "odd name": 1, "user-agent": "curl", "größe": 2, "@time": "2026-01-02T03:04:05Z",
    "tags": ["a", "b"], "empty": [], "nested": {"a": {"b": [10, {"c": "deep"}]}},
    "items": [{"price": 5, "name": "x"}, {"price": 12, "name": "y"}, {"name": "z"}]
}"#;

/// One record as it comes from a topic.
fn loaded(format: Format, key: Option<&[u8]>, value: Option<&[u8]>) -> WorkingBatch {
    let headers = [
        ("trace", Some(&b"first"[..])),
        ("trace", Some(b"last")),
        ("null", None),
        ("raw", Some(b"\xff\x00")),
    ]
    .map(|(key, value)| Header {
        key: key.as_bytes(),
        value,
    });
    let mut builder = BatchBuilder::default();
    builder
        .push(1_767_225_600_123, key, value, &headers)
        .unwrap();
    let mut batch = WorkingBatch::default();
    batch.load(&builder.finish().unwrap(), format, 0).unwrap();
    batch.set_place(Some("orders".into()), Some(2));
    batch
}

fn json(value: &str) -> WorkingBatch {
    loaded(Format::Json, Some(b"k-7"), Some(value.as_bytes()))
}

/// What `source` comes out as for the record of `batch`, as JSON text.
fn value_of(source: &str, batch: &mut WorkingBatch) -> Result<String, Error> {
    let expression = compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    let node = expression.value(batch, 0)?;
    let mut out = Vec::new();
    batch.documents().write(node, &mut out);
    Ok(String::from_utf8(out).unwrap())
}

/// Checks what expressions come out as for [`VALUE`].
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        match value_of(source, &mut json(VALUE)) {
            Ok(found) => assert_eq!(&found, expected, "{source}"),
            Err(error) => panic!("{source}: {error}"),
        }
    }
}

/// Checks why expressions have no value for [`VALUE`].
#[track_caller]
fn check_faults(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        match value_of(source, &mut json(VALUE)) {
            Ok(found) => panic!("{source} came out as {found}"),
            Err(error) => {
                assert_eq!(error.kind(), towpath_sdk::ErrorKind::Record, "{source}");
                let whole = format!("cannot evaluate `{source}`: {expected}");
                assert_eq!(error.to_string(), whole, "{source}");
            }
        }
    }
}

fn mistake(source: &str) -> CompileError {
    match compile(source) {
        Ok(_) => panic!("{source} is an expression"),
        Err(error) => error,
    }
}
