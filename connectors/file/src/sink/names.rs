//! Which file a record goes to.

use towpath_record::Record;
use towpath_sdk::{RecordPath, Result, SinkBatch, Template, ValueAt};

/// Renders the `path` of one sink.
pub(super) struct Names {
    path: RecordPath,
    per_record: bool,
    /// What `{now}` is for the records at hand.
    now_ms: i64,
}

impl Names {
    /// `connector` is `pipeline.connector`.
    pub(super) fn new(template: Template, connector: &str, value_at: ValueAt) -> Self {
        Self {
            per_record: template.is_per_record(),
            path: RecordPath::new(template, connector, value_at),
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
        self.path
            .render(batch, record, (start_offset, self.now_ms), path)
    }
}
