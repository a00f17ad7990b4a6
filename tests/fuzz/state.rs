//! What transforms remember, as it is read from the log.

use bytes::Bytes;
use towpath_sdk::config::Format;
use towpath_sdk::{ErrorKind, TransformContext};
use towpath_transforms::testing::yaml;

use super::language::{loaded, transform_type};

/// Entries, each a key and a value behind their lengths of one and two bytes. What they are taken up
/// as is the same once it was given out and taken up again.
pub fn dedupe(mut input: &[u8]) {
    let mut entries = Vec::new();
    while let Some((key, rest)) = split_at_length(input, 1)
        && let Some((value, rest)) = split_at_length(rest, 2)
    {
        entries.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        input = rest;
    }
    // So does the log hand them over.
    entries.sort();
    entries.dedup_by(|one, other| one.0 == other.0);
    let kind = transform_type("dedupe").expect("a transform");
    let options = serde_json::json!({"by": "value", "window": 300});
    let mut problems = towpath_sdk::config::Problems::new();
    let config = (kind.parse)(&yaml::from_json(&options), &mut problems);
    let config = config.expect("right options");
    let mut first = config.transform();
    if let Err(error) = first.restore(&entries) {
        assert_eq!(error.kind(), ErrorKind::Fatal, "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        return;
    }
    let dropped = |transform: &mut dyn towpath_sdk::Transform, value: &[u8]| {
        let mut batch = loaded(value, Format::Json);
        let applied = transform.apply(&mut batch, &TransformContext { now_ms: 5 });
        applied.expect("a sound record");
        batch.unchanged().is_none()
    };
    let is_known = dropped(&mut *first, b"1");
    let changes = first.changes(i64::MAX);
    let given: Vec<_> = changes.ahead.into_iter().chain(changes.last).collect();
    assert_eq!(given.is_empty(), is_known, "{given:?}");
    for change in given {
        entries.retain(|(key, _)| *key != change.key);
        entries.extend(change.value.map(|value| (change.key, value)));
    }
    entries.sort();
    let mut again = config.transform();
    again.restore(&entries).expect("what was given out");
    assert!(dropped(&mut *again, b"1"), "it is known now");
}

/// What stands behind a length of so many bytes (big-endian), and what follows.
fn split_at_length(input: &[u8], bytes: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_at_checked(bytes)?;
    let length = length
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}
