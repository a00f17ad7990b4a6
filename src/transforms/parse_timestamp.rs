//! `parse_timestamp`: a field becomes the record's timestamp, or a time in one shape.

use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;
use towpath_sdk::config::{Node, OneOrMany, Problem, Problems, Timezone, options};
use towpath_sdk::json::Kind;
use towpath_sdk::{
    Error, Path, Result, Side, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch, printable,
};

options! {
    /// A null field is left alone; a missing one, or one that no format fits, refuses its record.
    struct Options {
        /// The field that holds the time: text, or a number.
        field: Path,
        /// What it looks like; the first that fits counts. A strftime format such as
        /// `%d/%b/%Y:%H:%M:%S %z`, `iso8601`, `unix` (seconds since 1970, with decimals if there
        /// are any) or `unix_ms`.
        formats: OneOrMany<String> = ["iso8601"],
        /// The zone of times that name none; UTC when absent. Of a time that the clocks showed
        /// twice the first is meant, and one that they skipped is that much later.
        timezone: Option<Timezone>,
        /// The field that gets the time in ISO 8601 and UTC; without it, it becomes the record's
        /// timestamp.
        to: Option<Path>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "parse_timestamp",
    summary: "Reads a time from a field, as the record's timestamp or into a field.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "the record's timestamp, from seconds since 1970",
            options: "{ field: at, formats: unix }",
            input: r#"{"at":1767323045.25}"#,
            output: r#"{"at":1767323045.25}  # timestamp: 1767323045250"#,
        },
        TransformExample {
            title: "an access log's time, made ISO 8601 in its place",
            options: "{ field: time, formats: '%d/%b/%Y:%H:%M:%S %z', to: time }",
            input: r#"{"time":"17/May/2026:08:05:32 +0200"}"#,
            output: r#"{"time":"2026-05-17T06:05:32Z"}"#,
        },
        TransformExample {
            title: "one of several formats, in local time",
            options: "{ field: at, formats: [unix, '%Y-%m-%d %H:%M'], timezone: Europe/Berlin, to: utc }",
            input: r#"{"at":"2026-01-02 03:04"}"#,
            output: r#"{"at":"2026-01-02 03:04","utc":"2026-01-02T02:04:00Z"}"#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let forms: Vec<_> = options
        .formats
        .into_iter()
        .map(|format| match Form::new(format) {
            Ok(form) => Some(form),
            Err(why) => {
                let message = format!("`{}` {why}", printable(format));
                let problem = Problem::new(node.span_of("formats"), message);
                problems.push(problem.help(
                    "a strftime format such as %Y-%m-%d %H:%M:%S, `iso8601`, `unix` or `unix_ms`",
                ));
                None
            }
        })
        .collect();
    let forms = forms.into_iter().collect::<Option<Vec<_>>>()?;
    if forms.is_empty() {
        problems.add(node.span_of("formats"), "`formats` names at least one");
        return None;
    }
    Some(Arc::new(ParseTimestamp {
        field: options.field,
        forms,
        zone: options.timezone.map_or(TimeZone::UTC, |zone| zone.0),
        to: options.to,
    }))
}

#[derive(Debug, Clone)]
struct ParseTimestamp {
    field: Path,
    forms: Vec<Form>,
    zone: TimeZone,
    to: Option<Path>,
}

impl TransformConfig for ParseTimestamp {
    fn needs_fields(&self) -> bool {
        true
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for ParseTimestamp {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let Some(root) = batch.root(row, Side::Value)? else {
                return Ok(());
            };
            let Some(time) = self.read(batch, root)? else {
                return Ok(());
            };
            let Some(to) = &self.to else {
                batch.set_timestamp_ms(row, time.as_millisecond());
                return Ok(());
            };
            batch.root_mut(row, Side::Value)?;
            let documents = batch.documents_mut();
            let mut written = Ok(());
            let node = documents.scalar(|out| written = write!(out, "\"{time}\""));
            written.map_err(|error| Error::record("write", format!("`{to}`")).because(error))?;
            documents.put(root, to, node)
        })
    }
}

impl ParseTimestamp {
    /// The time in the field; `None` when it is null.
    fn read(
        &self,
        batch: &WorkingBatch,
        root: towpath_sdk::json::NodeId,
    ) -> Result<Option<Timestamp>> {
        let documents = batch.documents();
        let error =
            |why: String| Error::record("read", format!("`{}` as a time", self.field)).because(why);
        let node = documents
            .find(root, &self.field)
            .ok_or_else(|| error("the record has no such field".to_owned()))?;
        let string = documents.string(node);
        let text = match (&string, documents.kind(node)) {
            (Some(text), _) => text,
            (None, Kind::Number) => documents.text(node),
            (None, Kind::Null) => return Ok(None),
            (None, kind) => return Err(error(format!("it is {}", kind.as_str()))),
        };
        let found = self
            .forms
            .iter()
            .find_map(|form| form.read(text, &self.zone));
        found.map(Some).ok_or_else(|| match &self.forms[..] {
            [form] => error(format!("it does not fit the format `{}`", form.as_str())),
            forms => error(format!("it fits none of the {} formats", forms.len())),
        })
    }
}

/// What a time looks like.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    Iso8601,
    Unix,
    UnixMs,
    Strftime(String),
}

impl Form {
    /// Reads a word or format. An error says what is wrong with it.
    fn new(text: &str) -> Result<Self, String> {
        match text {
            "iso8601" => return Ok(Self::Iso8601),
            "unix" => return Ok(Self::Unix),
            "unix_ms" => return Ok(Self::UnixMs),
            _ if !text.contains('%') => return Err("is no format of times".to_owned()),
            _ => {}
        }
        // What it writes it must be able to read: not all that can be written can be.
        let noon = jiff::civil::datetime(2026, 11, 21, 12, 34, 56, 0);
        let wrong = |error: jiff::Error| format!("cannot be used: {error}");
        let noon = noon.to_zoned(TimeZone::UTC).map_err(wrong)?;
        let written = strtime::format(text, &noon).map_err(wrong)?;
        let read = BrokenDownTime::parse(text, written).map_err(wrong)?;
        match instant(&read, &TimeZone::UTC) {
            Some(_) => Ok(Self::Strftime(text.to_owned())),
            None => Err("does not name a whole date".to_owned()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Iso8601 => "iso8601",
            Self::Unix => "unix",
            Self::UnixMs => "unix_ms",
            Self::Strftime(format) => format,
        }
    }

    /// The time that `text` says; one without a zone is in `zone`.
    fn read(&self, text: &str, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Iso8601 => text.parse().ok().or_else(|| {
                let local: DateTime = text.parse().ok()?;
                zone.to_timestamp(local).ok()
            }),
            Self::Unix => since_1970(text, 1_000_000_000),
            Self::UnixMs => since_1970(text, 1_000_000),
            Self::Strftime(format) => instant(&BrokenDownTime::parse(format, text).ok()?, zone),
        }
    }
}

fn instant(time: &BrokenDownTime, zone: &TimeZone) -> Option<Timestamp> {
    time.to_timestamp().ok().or_else(|| {
        // A format without a time of day means its beginning.
        let date_time = time.to_datetime();
        let local = date_time
            .or_else(|_| time.to_date().map(DateTime::from))
            .ok()?;
        zone.to_timestamp(local).ok()
    })
}

/// A decimal number of units since 1970; digits beyond the nanosecond are cut off.
fn since_1970(text: &str, unit_ns: i128) -> Option<Timestamp> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(decimals) {
        return None;
    }
    let mut nanoseconds = i128::from(whole.parse::<u64>().ok()?) * unit_ns;
    let mut place = unit_ns;
    for digit in decimals.bytes() {
        place /= 10;
        nanoseconds += i128::from(digit - b'0') * place;
    }
    Timestamp::from_nanosecond(if negative { -nanoseconds } else { nanoseconds }).ok()
}

#[cfg(test)]
mod tests {
    use towpath_sdk::config::Format::Json;

    use super::*;
    use crate::tests::table::{check, check_problems, loaded, transform};

    /// What `text` is by `format`, in Berlin where it says no zone.
    fn times(format: &str, cases: &[(&str, &str)]) {
        let options = format!(
            r#"{{"field": "t", "formats": {format:?}, "timezone": "Europe/Berlin", "to": "t"}}"#
        );
        for (text, time) in cases {
            let expected = match time.strip_prefix('!') {
                Some(why) => format!("!cannot read `t` as a time: {why}"),
                None => format!("{{\"t\":\"{time}\"}}"),
            };
            let value = format!("{{\"t\":{text}}}");
            check(&TYPE, &options, Json, &[(&value, &expected)]);
        }
    }

    #[test]
    fn formats_say_which_time_it_is() {
        const UNFIT: &str = "!it does not fit the format `unix`";
        times(
            "unix",
            &[
                ("1767323045", "2026-01-02T03:04:05Z"),
                ("\"1767323045\"", "2026-01-02T03:04:05Z"),
                ("1767323045.25", "2026-01-02T03:04:05.25Z"),
                ("1767323045.1234567891234", "2026-01-02T03:04:05.123456789Z"),
                ("-1.5", "1969-12-31T23:59:58.5Z"),
                ("1e9", UNFIT),
                ("\"\"", UNFIT),
                ("\"1.\"", UNFIT),
                ("\"+1\"", UNFIT),
                ("99999999999999999999", UNFIT),
                ("999999999999999", UNFIT),
                ("true", "!it is a boolean"),
                ("{}", "!it is an object"),
            ],
        );
        times(
            "unix_ms",
            &[
                ("1767323045678", "2026-01-02T03:04:05.678Z"),
                ("0.5", "1970-01-01T00:00:00.0005Z"),
            ],
        );
        times(
            "iso8601",
            &[
                ("\"2026-01-02T03:04:05Z\"", "2026-01-02T03:04:05Z"),
                (
                    "\"2026-01-02T03:04:05.678+05:30\"",
                    "2026-01-01T21:34:05.678Z",
                ),
                ("\"2026-07-02 03:04:05\"", "2026-07-02T01:04:05Z"),
                ("\"2026-07-02\"", "2026-07-01T22:00:00Z"),
                ("\"yesterday\"", "!it does not fit the format `iso8601`"),
            ],
        );
        times(
            "%d.%m.%Y %H:%M",
            &[
                ("\"02.07.2026 03:04\"", "2026-07-02T01:04:00Z"),
                // Shown twice: the first is meant. Skipped: so much later.
                ("\"25.10.2026 02:30\"", "2026-10-25T00:30:00Z"),
                ("\"29.03.2026 02:30\"", "2026-03-29T01:30:00Z"),
                (
                    "\"31.02.2026 00:00\"",
                    "!it does not fit the format `%d.%m.%Y %H:%M`",
                ),
            ],
        );
        times("%Y/%m/%d", &[("\"2026/01/02\"", "2026-01-01T23:00:00Z")]);
        times("%s", &[("\"60\"", "1970-01-01T00:01:00Z")]);
    }

    #[test]
    fn the_record_gets_its_time() {
        let mut batch = loaded(&[br#"{"t":1700000000123}"#, br#"{"t":null}"#, b"{}"], Json);
        let mut parsing = transform(
            &TYPE,
            r#"{"field": "t", "formats": ["iso8601", "unix_ms"]}"#,
        );
        let context = TransformContext { now_ms: 0 };
        parsing.apply(&mut batch, &context).expect("records only");
        assert_eq!(batch.timestamp_ms(0), 1_700_000_000_123);
        assert_eq!(batch.timestamp_ms(1), 1, "as it was");
        let refused = batch.refused();
        assert_eq!(refused[0].index, 2);
        let error = refused[0].error.to_string();
        assert_eq!(
            error,
            "cannot read `t` as a time: the record has no such field"
        );
    }

    #[test]
    fn formats_that_cannot_work_are_told() {
        check_problems(
            &TYPE,
            &[
                (
                    r#"{"field": "t", "formats": "rfc3339"}"#,
                    "`rfc3339` is no format of times",
                ),
                (
                    r#"{"field": "t", "formats": "%H:%M"}"#,
                    "`%H:%M` does not name a whole date",
                ),
                (
                    r#"{"field": "t", "formats": "%Y-%m-%d %Z"}"#,
                    "`%Y-%m-%d %Z` cannot be used",
                ),
                (
                    r#"{"field": "t", "formats": "%Y-%m-%d %!"}"#,
                    "cannot be used",
                ),
                (r#"{"field": "t", "formats": []}"#, "names at least one"),
                (r#"{"field": "t", "timezone": "Mars/Base"}"#, "no time zone"),
                ("{}", "missing option `field`"),
            ],
        );
    }
}
