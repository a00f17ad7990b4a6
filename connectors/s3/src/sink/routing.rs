//! Which object a record goes to.
//!
//! The *stream* of a record is its path with start offset 0: records of one stream go to one object
//! after the other.

use jiff::tz::TimeZone;
use towpath_record::Record;
use towpath_sdk::{
    Error, RecordPath, Result, SinkBatch, Template, TemplateName, ValueAt, printable,
};

use super::entry::Routing;

/// The longest key that S3 takes.
const KEY_BYTES_MAX: usize = 1024;

/// Makes paths, in one way that has a number in the state.
pub(super) struct Router {
    path: RecordPath,
    pub(super) per_record: bool,
    pub(super) has_now: bool,
}

/// A record on its way: what paths are made of.
#[derive(Clone, Copy)]
pub(super) struct Routed<'a> {
    pub(super) batch: &'a SinkBatch,
    pub(super) record: &'a Record<'a>,
    /// What `{now}` is for it.
    pub(super) now_ms: i64,
}

impl Router {
    pub(super) fn new(template: Template, connector: &str, value_at: ValueAt) -> Self {
        let has_now = template.names().any(|name| *name == TemplateName::Now);
        Self {
            per_record: template.is_per_record(),
            has_now,
            path: RecordPath::new(template, connector, value_at),
        }
    }

    /// The router of before that the state tells of.
    pub(super) fn restore(routing: &Routing, value_at: ValueAt) -> Result<Self> {
        let gone = |why: String| {
            Error::fatal("read", "the path of before in the state of the s3 sink").because(why)
        };
        let template = Template::parse(&routing.path, Template::PATH_NAMES)
            .map_err(|error| gone(error.to_string()))?;
        let timezone = match routing.timezone.as_str() {
            "UTC" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|error| gone(error.to_string()))?,
        };
        let template = template.with_timezone(timezone);
        Ok(Self::new(template, &routing.connector, value_at))
    }

    /// Puts the stream of a record in place of `out`.
    ///
    /// # Errors
    /// A record error when the record lacks what the path needs.
    pub(super) fn stream(&self, routed: Routed<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.render(routed, 0, out)
    }

    /// The key of the object that begins with a record.
    ///
    /// # Errors
    /// A record error when it is longer than keys may be.
    pub(super) fn key(&self, routed: Routed<'_>) -> Result<String> {
        let mut key = Vec::new();
        self.render(routed, routed.record.offset, &mut key)?;
        if key.len() > KEY_BYTES_MAX {
            let begin = printable(&String::from_utf8_lossy(&key[..40]));
            let (topic, partition) = (&routed.batch.topic.name, routed.batch.partition);
            let offset = routed.record.offset;
            let place = format!("the record at offset {offset} of {topic}-{partition}");
            return Err(Error::record("name the object of", place)
                .because(format!(
                    "the key {begin}... has {} bytes, and S3 takes {KEY_BYTES_MAX} at most",
                    key.len()
                ))
                .remedy("shorten what fills `path`"));
        }
        // Paths are always UTF-8.
        Ok(String::from_utf8_lossy(&key).into_owned())
    }

    fn render(&self, routed: Routed<'_>, start_offset: i64, out: &mut Vec<u8>) -> Result<()> {
        let Routed {
            batch,
            record,
            now_ms,
        } = routed;
        self.path.render(batch, record, (start_offset, now_ms), out)
    }
}
