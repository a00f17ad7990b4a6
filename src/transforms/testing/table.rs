//! One transform on the records of a table: values, and what is to come of them.

use std::sync::Arc;

use towpath_record::BatchBuilder;
use towpath_sdk::config::Format;
use towpath_sdk::{Transform, TransformConfig, TransformContext, TransformType, WorkingBatch};

use super::{record, yaml};

/// The checked configuration, or what is wrong with `options` (YAML).
pub fn config(kind: &TransformType, options: &str) -> Result<Arc<dyn TransformConfig>, String> {
    record::configure(kind, &yaml::options(options))
}

/// An instance with these options.
pub fn transform(kind: &TransformType, options: &str) -> Box<dyn Transform> {
    config(kind, options).expect("sound options").transform()
}

/// A batch of `values`, each with the key `k` and its index as timestamp.
pub fn loaded(values: &[&[u8]], format: Format) -> WorkingBatch {
    let mut builder = BatchBuilder::default();
    for (index, value) in (0..).zip(values) {
        builder
            .push(index, Some(b"k"), Some(value), &[])
            .expect("a record");
    }
    let mut batch = WorkingBatch::default();
    let records = builder.finish().expect("records");
    batch.load(&records, format, 0).expect("records");
    batch
}

/// The values that leave, as text.
pub fn emitted(batch: &mut WorkingBatch, format: Format) -> Vec<String> {
    let mut values = Vec::new();
    batch
        .emit(format, |row| {
            let value = row.value.map(String::from_utf8_lossy);
            values.push(value.map_or("-".to_owned(), |value| value.into_owned()));
            Ok(())
        })
        .expect("nothing fails");
    values
}

/// What comes of each of `values`, alone in its batch: the values that leave, one a line, or the
/// error behind a `!`.
pub fn outcomes(
    kind: &TransformType,
    options: &str,
    format: Format,
    values: &[&[u8]],
) -> Vec<String> {
    let config = config(kind, options).expect("sound options");
    let mut transform = config.transform();
    let outcome = |value: &&[u8]| {
        let mut batch = loaded(&[*value], format);
        transform
            .apply(&mut batch, &TransformContext { now_ms: 0 })
            .expect("only records fail");
        batch.check(config.output(format));
        let left = emitted(&mut batch, config.output(format));
        let as_it_came = [String::from_utf8_lossy(value)];
        assert!(
            batch.unchanged().is_none() || left == as_it_came,
            "{left:?}"
        );
        match batch.refused().as_slice() {
            [refused] => format!("!{}", refused.error),
            _ => left.join("\n"),
        }
    };
    values.iter().map(outcome).collect()
}

/// A table: each value with what comes of it, as [`outcomes`] says it.
pub fn check(kind: &TransformType, options: &str, format: Format, cases: &[(&str, &str)]) {
    let values: Vec<&[u8]> = cases.iter().map(|(value, _)| value.as_bytes()).collect();
    let found = outcomes(kind, options, format, &values);
    for ((value, expected), found) in cases.iter().zip(&found) {
        assert_eq!(found, expected, "{} {options} of {value}", kind.name);
    }
}

/// What is said about options that are wrong.
pub fn check_problems(kind: &TransformType, cases: &[(&str, &str)]) {
    for (options, expected) in cases {
        let problems = config(kind, options).expect_err(options);
        assert!(
            problems.contains(expected),
            "{} {options}: {problems}",
            kind.name
        );
    }
}
