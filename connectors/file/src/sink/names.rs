//! Which file a record goes to.

use std::borrow::Cow;

use towpath_record::Record;
use towpath_sdk::{Fill, RecordScope, Result, Scope, SinkBatch, Template, TemplateName, ValueAt};

/// Renders the `path` of one sink.
pub(super) struct Names {
    template: Template,
    per_record: bool,
    pipeline: String,
    connector: String,
    value_at: ValueAt,
    /// What `{now}` is for the records at hand.
    now_ms: i64,
}

impl Names {
    /// `connector` is `pipeline.connector`.
    pub(super) fn new(template: Template, connector: &str, value_at: ValueAt) -> Self {
        let (pipeline, connector) = connector.rsplit_once('.').unwrap_or(("", connector));
        let per_record = template.is_per_record();
        Self {
            template,
            per_record,
            pipeline: pipeline.to_owned(),
            connector: connector.to_owned(),
            value_at,
            now_ms: 0,
        }
    }

    /// Tells the time that holds for the records that come next.
    pub(super) fn set_now(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    /// Whether two records of one batch may go to different files.
    pub(super) fn are_per_record(&self) -> bool {
        self.per_record
    }

    /// Puts the path of the file of `record`, if that began at `start_offset`, in place of `path`.
    /// With 0 it names the stream of files that the record belongs to.
    ///
    /// # Errors
    /// A record error when the record lacks what the path needs.
    pub(super) fn render(
        &self,
        batch: &SinkBatch,
        record: &Record<'_>,
        start_offset: i64,
        path: &mut Vec<u8>,
    ) -> Result<()> {
        path.clear();
        let place = Place {
            batch,
            start_offset,
            record: RecordScope {
                pipeline: &self.pipeline,
                connector: &self.connector,
                record,
                value_at: self.value_at,
                now_ms: self.now_ms,
            },
        };
        self.template.render_path(&place, path)
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
