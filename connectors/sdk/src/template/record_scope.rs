//! What every template of a connector can be filled with from a record.

use std::borrow::Cow;

use towpath_record::Record;

use super::{Fill, Scope, TemplateName};
use crate::{Path, Result};

/// Finds the scalar at a path in a record's value, as text; `None` when it is missing or null. An
/// error when the value is not of a format that has fields.
pub type ValueAt = for<'v> fn(&'v [u8], &Path) -> Result<Option<Cow<'v, str>>>;

/// The names that mean the same for every connector. One that knows more (a topic, an offset, names
/// of its own) looks there first.
#[derive(Debug, Clone, Copy)]
pub struct RecordScope<'a> {
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// Within its pipeline.
    pub connector: &'a str,
    /// Where keys, times, headers and values come from.
    pub record: &'a Record<'a>,
    /// Looks into the value.
    pub value_at: ValueAt,
    /// Milliseconds since 1970; the same for all records handled together.
    pub now_ms: i64,
}

impl Scope for RecordScope<'_> {
    fn lookup(&self, name: &TemplateName) -> Option<Fill<'_>> {
        let record = self.record;
        Some(match name {
            TemplateName::Key => Fill::Bytes(Cow::Borrowed(record.key?)),
            TemplateName::Timestamp => Fill::Timestamp(record.timestamp_ms),
            TemplateName::Now => Fill::Timestamp(self.now_ms),
            TemplateName::Value(path) => match (self.value_at)(record.value?, path) {
                Ok(text) => Fill::Text(text?),
                Err(error) => Fill::Unreadable(error),
            },
            TemplateName::Header(name) => {
                // Kafka's `lastHeader`: the last one of a name counts.
                let named = |header: &towpath_record::Header<'_>| header.key == name.as_bytes();
                let last = record.headers.iter().flatten().filter(named).last()?;
                Fill::Bytes(Cow::Borrowed(last.value?))
            }
            TemplateName::Pipeline => Fill::Text(Cow::Borrowed(self.pipeline)),
            TemplateName::Connector => Fill::Text(Cow::Borrowed(self.connector)),
            TemplateName::Topic
            | TemplateName::Partition
            | TemplateName::Offset
            | TemplateName::StartOffset
            | TemplateName::EndOffset
            | TemplateName::Extra(_) => return None,
        })
    }
}
