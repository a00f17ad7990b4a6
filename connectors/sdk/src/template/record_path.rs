//! The path of a sink, filled from a record and its place in the log.

use std::borrow::Cow;

use towpath_record::Record;

use super::{Fill, RecordScope, Scope, Template, TemplateName, ValueAt};
use crate::{Result, SinkBatch};

/// Renders the `path` of one sink.
#[derive(Debug, Clone)]
pub struct RecordPath {
    template: Template,
    pipeline: String,
    connector: String,
    value_at: ValueAt,
}

impl RecordPath {
    /// Of the connector `pipeline.connector`.
    pub fn new(template: Template, connector: &str, value_at: ValueAt) -> Self {
        let (pipeline, connector) = connector.rsplit_once('.').unwrap_or(("", connector));
        Self {
            template,
            pipeline: pipeline.to_owned(),
            connector: connector.to_owned(),
            value_at,
        }
    }

    /// Puts the path of what holds `record`, of `batch`, and begins at `start_offset`, in place of
    /// `out`; `now_ms` is what `{now}` is. It is UTF-8.
    ///
    /// # Errors
    /// A record error when the record lacks what the path needs.
    pub fn render(
        &self,
        batch: &SinkBatch,
        record: &Record<'_>,
        (start_offset, now_ms): (i64, i64),
        out: &mut Vec<u8>,
    ) -> Result<()> {
        out.clear();
        let place = Place {
            batch,
            start_offset,
            record: RecordScope {
                pipeline: &self.pipeline,
                connector: &self.connector,
                record,
                value_at: self.value_at,
                now_ms,
            },
        };
        self.template.render_path(&place, out)
    }
}

/// What templates see of a record and its place in the log.
struct Place<'a> {
    batch: &'a SinkBatch,
    start_offset: i64,
    record: RecordScope<'a>,
}

impl Scope for Place<'_> {
    fn lookup(&self, name: &TemplateName) -> Option<Fill<'_>> {
        Some(match name {
            TemplateName::Topic => Fill::Text(Cow::Borrowed(&self.batch.topic.name)),
            TemplateName::Partition => Fill::Integer(i64::from(self.batch.partition)),
            TemplateName::Offset => Fill::Integer(self.record.record.offset),
            TemplateName::StartOffset => Fill::Integer(self.start_offset),
            _ => return self.record.lookup(name),
        })
    }
}
