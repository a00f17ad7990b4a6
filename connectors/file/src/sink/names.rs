//! Which file a record goes to.

use std::borrow::Cow;

use towpath_record::Record;
use towpath_sdk::{Fill, Result, Scope, SinkBatch, Template, TemplateName};

/// Renders the `path` of one sink.
pub(super) struct Names {
    template: Template,
    per_record: bool,
    pipeline: String,
    connector: String,
}

impl Names {
    /// `connector` is `pipeline.connector`.
    pub(super) fn new(template: Template, connector: &str) -> Self {
        let (pipeline, connector) = connector.rsplit_once('.').unwrap_or(("", connector));
        let per_record = template.is_per_record();
        Self {
            template,
            per_record,
            pipeline: pipeline.to_owned(),
            connector: connector.to_owned(),
        }
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
        self.template.render_path(
            &Place {
                names: self,
                batch,
                record,
                start_offset,
            },
            path,
        )
    }
}

/// What templates see of a record.
struct Place<'a> {
    names: &'a Names,
    batch: &'a SinkBatch,
    record: &'a Record<'a>,
    start_offset: i64,
}

impl Scope for Place<'_> {
    fn lookup(&self, name: &TemplateName) -> Option<Fill<'_>> {
        let text = |text| Fill::Text(Cow::Borrowed(text));
        Some(match name {
            TemplateName::Topic => text(self.batch.topic.name.as_str()),
            TemplateName::Partition => Fill::Integer(i64::from(self.batch.partition)),
            TemplateName::Offset => Fill::Integer(self.record.offset),
            TemplateName::StartOffset => Fill::Integer(self.start_offset),
            TemplateName::Key => Fill::Bytes(Cow::Borrowed(self.record.key?)),
            TemplateName::Timestamp => Fill::Timestamp(self.record.timestamp_ms),
            TemplateName::Now => Fill::Timestamp(super::now_ms()),
            TemplateName::Pipeline => text(self.names.pipeline.as_str()),
            TemplateName::Connector => text(self.names.connector.as_str()),
            TemplateName::Header(name) => {
                // Kafka's `lastHeader`: the last one of a name counts.
                let mut headers = self.record.headers.iter().flatten();
                let last = headers
                    .by_ref()
                    .filter(|header| header.key == name.as_bytes())
                    .last()?;
                Fill::Bytes(Cow::Borrowed(last.value?))
            }
            // The options refuse these.
            TemplateName::EndOffset | TemplateName::Value(_) | TemplateName::Extra(_) => {
                return None;
            }
        })
    }
}
