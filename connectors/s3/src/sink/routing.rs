//! Which object a record goes to.
//!
//! The *stream* of a record is its path with start offset 0, and its schema where an object holds
//! records of one schema: records of one stream go to one object after the other.

use jiff::tz::TimeZone;
use towpath_record::Record;
use towpath_sdk::{
    Error, RecordPath, Result, SchemaHeaders, SchemaId, SinkBatch, Template, TemplateName, ValueAt,
    printable,
};

use super::entry::Routing;

/// The longest key that S3 takes.
const KEY_BYTES_MAX: usize = 1024;

/// Makes paths, in one way that has a number in the state.
pub(super) struct Router {
    path: RecordPath,
    pub(super) per_record: bool,
    pub(super) has_now: bool,
    /// Whether an object holds records of one schema only.
    by_schema: bool,
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
    pub(super) fn new(
        template: Template,
        by_schema: bool,
        connector: &str,
        value_at: ValueAt,
    ) -> Self {
        let has_now = template.names().any(|name| *name == TemplateName::Now);
        Self {
            per_record: template.is_per_record(),
            has_now,
            by_schema,
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
        let Routing {
            by_schema,
            connector,
            ..
        } = routing;
        Ok(Self::new(template, *by_schema, connector, value_at))
    }

    /// The schema of a record, where objects are told apart by it.
    #[inline]
    pub(super) fn schema(&self, record: &Record<'_>) -> Option<SchemaId> {
        match self.by_schema {
            true => SchemaHeaders::VALUE.id_in(record.headers),
            false => None,
        }
    }

    /// Puts the stream of a record in place of `out`.
    ///
    /// # Errors
    /// A record error when the record lacks what the path needs.
    pub(super) fn stream(&self, routed: Routed<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.render(routed, 0, out)?;
        if let Some(schema) = self.schema(routed.record) {
            // As long for each, so no path with a schema reads as another path with another schema.
            out.push(0);
            out.extend_from_slice(schema.as_bytes());
        }
        Ok(())
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
