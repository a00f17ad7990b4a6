//! Records before and behind a transform.

use std::sync::Arc;

use towpath_record::{BatchBuilder, Header};
use towpath_sdk::config::{Format, Node, Problems};
use towpath_sdk::{
    Expression, Result, TransformConfig, TransformContext, TransformType, WorkingBatch,
};

/// A record as a test sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct TestRecord {
    /// The topic's name.
    pub topic: String,
    /// With the offset; a source's records have neither.
    pub place: Option<(u32, i64)>,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The key's text.
    pub key: Option<String>,
    /// The value's text.
    pub value: Option<String>,
    /// In their order.
    pub headers: Vec<(String, Option<String>)>,
}

impl Default for TestRecord {
    fn default() -> Self {
        Self {
            topic: "orders".to_owned(),
            place: Some((0, 42)),
            timestamp_ms: 1_577_934_245_678,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }
}

/// Reads the options of a transform; the problems are its error.
pub fn configure(kind: &TransformType, options: &Node) -> Result<Arc<dyn TransformConfig>, String> {
    let mut problems = Problems::new();
    let parsed = (kind.parse)(options, &mut problems);
    let told: Vec<_> = problems.iter().map(|problem| &*problem.message).collect();
    match parsed {
        Some(config) if told.is_empty() => Ok(config),
        None if !told.is_empty() => Err(told.join("; ")),
        parsed => panic!("{}: {parsed:?} with {} problems", kind.name, told.len()),
    }
}

/// The records that `record` becomes, or why it is refused.
pub fn run(
    config: &dyn TransformConfig,
    when: Option<&dyn Expression>,
    format: Format,
    record: &TestRecord,
) -> Result<Vec<TestRecord>, String> {
    let mut batch = load(record, format);
    if let Some(when) = when {
        batch
            .select(|batch, row| when.test(batch, row))
            .expect("only records fail");
    }
    let context = TransformContext {
        now_ms: record.timestamp_ms,
    };
    config
        .transform()
        .apply(&mut batch, &context)
        .expect("only records fail");
    let mut records = Vec::new();
    batch
        .emit(config.output(format), |row| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = row.headers.iter().map(|header| {
                let header = header.expect("a header");
                (text(header.key), header.value.map(text))
            });
            records.push(TestRecord {
                topic: row
                    .topic
                    .map_or(record.topic.clone(), |topic| topic.to_string()),
                place: record.place,
                timestamp_ms: row.timestamp_ms,
                key: row.key.map(text),
                value: row.value.map(text),
                headers: headers.collect(),
            });
            Ok(())
        })
        .expect("nothing fails");
    match batch.refused().pop() {
        Some(refused) => Err(refused.error.to_string()),
        None => Ok(records),
    }
}

fn load(record: &TestRecord, format: Format) -> WorkingBatch {
    let mut builder = BatchBuilder::default();
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|(name, value)| Header {
            key: name.as_bytes(),
            value: value.as_ref().map(String::as_bytes),
        })
        .collect();
    let key = record.key.as_ref().map(String::as_bytes);
    let value = record.value.as_ref().map(String::as_bytes);
    builder
        .push(record.timestamp_ms, key, value, &headers)
        .expect("a small record");
    let (partition, offset) = record.place.unzip();
    let batch = builder.finish_at(offset.unwrap_or(0)).expect("a record");
    let mut working = WorkingBatch::default();
    working.load(&batch, format, 0).expect("records");
    working.set_place(Some(record.topic.as_str().into()), partition);
    working
}
