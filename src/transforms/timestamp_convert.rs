//! `timestamp_convert`: a time in another form, as Kafka Connect's `TimestampConverter` does.

use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use towpath_sdk::config::{Format, Node, Problems, choice, options};
use towpath_sdk::json::{Documents, Kind, NodeId};
use towpath_sdk::{
    Cell, Error, Path, Result, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::field;
use crate::target::{Target, object};

choice! {
    /// What a time becomes.
    pub enum TimeForm {
        /// Text as `format` says.
        String = "string",
        /// A number since 1970, in the `precision`; what is finer is cut off.
        Unix = "unix",
        /// The day in UTC, `2020-01-02`.
        Date = "date",
        /// The time of day in UTC, `03:04:05.678`.
        Time = "time",
        /// ISO 8601 in UTC, `2020-01-02T03:04:05.678Z`.
        Timestamp = "timestamp",
    }

    /// The unit of a number since 1970.
    pub enum Precision {
        /// s.
        Seconds = "seconds",
        /// ms.
        Milliseconds = "milliseconds",
        /// µs.
        Microseconds = "microseconds",
        /// ns.
        Nanoseconds = "nanoseconds",
    }
}

options! {
    struct Options {
        /// The field; the whole value when absent. Null stays null, and a missing field becomes
        /// null.
        field: Option<Path>,
        /// What it becomes.
        to: TimeForm,
        /// strftime, such as `%d/%b/%Y:%H:%M:%S %z`: of texts that come, and of the one that
        /// leaves. A text without a zone is UTC. Without it, texts that come are ISO 8601.
        format: Option<String>,
        /// The unit of numbers, those that come and the one that leaves.
        precision: Precision = "milliseconds",
        /// The half of the record that is changed.
        target: Target = "value",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "timestamp_convert",
    summary: "Writes a time in another form. A fraction is no time, nor is a day that does not \
              exist.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "a number becomes a time",
            options: "{ field: at, to: timestamp, precision: seconds }",
            input: r#"{"at":1577934245}"#,
            output: r#"{"at":"2020-01-02T03:04:05Z"}"#,
        },
        TransformExample {
            title: "a text becomes a number",
            options: "{ field: log.at, to: unix, format: '%d/%b/%Y:%H:%M:%S %z' }",
            input: r#"{"log":{"at":"02/Jan/2020:03:04:05 +0100"}}"#,
            output: r#"{"log":{"at":1577930645000}}"#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    match &options.format {
        None if options.to == TimeForm::String => {
            problems.add(node.span, "`to: string` needs a `format`");
            return None;
        }
        Some(format) => {
            let sample = BrokenDownTime::from(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC));
            if let Err(error) = sample.format(format, &mut Vec::new()) {
                problems.add(node.span_of("format"), format!("not a format: {error}"));
                return None;
            }
        }
        None => {}
    }
    Some(Arc::new(TimestampConvert(options)))
}

#[derive(Debug, Clone)]
struct TimestampConvert(Options);

impl TransformConfig for TimestampConvert {
    fn needs_fields(&self) -> bool {
        self.0.target == Target::Value && self.0.field.is_some()
    }

    fn output(&self, format: Format) -> Format {
        self.0.target.output(format)
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for TimestampConvert {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let options = &self.0;
        let side = options.target.side();
        batch.each(|batch, row| match &options.field {
            Some(path) => {
                let Some(root) = object(batch, row, side, "convert")? else {
                    return Ok(());
                };
                let documents = batch.documents_mut();
                field::change(documents, root, path, "convert", |documents, node| {
                    convert(documents, node, options)
                })
            }
            None => {
                if batch.cell(row, side) == Cell::Null {
                    return Ok(());
                }
                let whole = batch.whole(row, side)?;
                let made = convert(batch.documents_mut(), whole, options).map_err(|why| {
                    Error::record("convert", format!("the {}", side.as_str())).because(why)
                })?;
                batch.set_cell(row, side, Cell::Document(made));
                Ok(())
            }
        })
    }
}

impl Precision {
    /// Nanoseconds of one unit.
    fn nanoseconds(self) -> i128 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1_000,
            Self::Nanoseconds => 1,
        }
    }
}

/// Writes the time that `node` is in the form asked for; says why it cannot.
fn convert(documents: &mut Documents, node: NodeId, options: &Options) -> Result<NodeId, String> {
    let time = match documents.kind(node) {
        Kind::Null => return Ok(node),
        Kind::Number => from_number(documents.text(node), options.precision)?,
        Kind::String => {
            let text = documents.string(node).unwrap_or_default();
            from_text(&text, options.format.as_deref())
                .map_err(|why| format!("`{}` is no such time: {why}", shown(&text)))?
        }
        kind => return Err(format!("it is {}, and no time", kind.as_str())),
    };
    let utc = TimeZone::UTC.to_datetime(time);
    let mut written = Ok(());
    // Writing to a vector cannot fail.
    let node = documents.scalar(|out| match (options.to, &options.format) {
        (TimeForm::Unix, _) => {
            let number = time.as_nanosecond() / options.precision.nanoseconds();
            let _ = write!(out, "{number}");
        }
        (TimeForm::Date, _) => drop(write!(out, "\"{}\"", utc.date())),
        (TimeForm::Time, _) => drop(write!(out, "\"{}\"", utc.time())),
        (TimeForm::String, Some(format)) => {
            out.push(b'"');
            let start = out.len();
            let zoned = time.to_zoned(TimeZone::UTC);
            written = BrokenDownTime::from(&zoned).format(format, &mut *out);
            escape(start, out);
            out.push(b'"');
        }
        (TimeForm::Timestamp | TimeForm::String, _) => drop(write!(out, "\"{time}\"")),
    });
    written.map(|()| node).map_err(|error| error.to_string())
}

/// Escapes what a format has written from `start` on, where it holds what JSON cannot.
fn escape(start: usize, out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(&out[start..]);
    if text.contains(|character: char| character.is_control() || matches!(character, '"' | '\\')) {
        let text = text.into_owned();
        out.truncate(start - 1);
        towpath_sdk::json::put_string(&text, out);
        out.pop();
    }
}

fn from_number(text: &str, precision: Precision) -> Result<Timestamp, String> {
    let number: i128 = text
        .parse()
        .map_err(|_| format!("`{}` is no whole number", shown(text)))?;
    number
        .checked_mul(precision.nanoseconds())
        .and_then(|nanoseconds| Timestamp::from_nanosecond(nanoseconds).ok())
        .ok_or_else(|| {
            format!(
                "{} {} is beyond the year 9999",
                shown(text),
                precision.as_str()
            )
        })
}

/// A text without a zone is UTC, a day alone its beginning.
fn from_text(text: &str, format: Option<&str>) -> Result<Timestamp, jiff::Error> {
    let Some(format) = format else {
        return text
            .parse()
            .or_else(|_| text.parse().and_then(|time: DateTime| in_utc(time)))
            .or_else(|_| text.parse().and_then(|day: Date| in_utc(day.into())));
    };
    let parts = BrokenDownTime::parse(format, text)?;
    if parts.offset().is_some() || parts.timestamp().is_some() || parts.iana_time_zone().is_some() {
        return parts.to_timestamp();
    }
    in_utc(parts.to_date()?.to_datetime(parts.to_time()?))
}

fn in_utc(time: DateTime) -> Result<Timestamp, jiff::Error> {
    TimeZone::UTC.to_timestamp(time)
}

/// The beginning of `text`.
fn shown(text: &str) -> &str {
    const LONGEST: usize = 40;
    text.char_indices()
        .nth(LONGEST)
        .map_or(text, |(end, _)| &text[..end])
}
