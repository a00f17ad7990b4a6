//! Filling the places of a template.

use std::borrow::Cow;
use std::io::Write;

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::{FillFormat, Place, TemplateName};
use crate::Error;

/// What templates are filled from.
pub trait Scope {
    /// The field for `name`; `None` when it is missing or null.
    fn lookup(&self, name: &TemplateName) -> Option<Fill<'_>>;
}

/// One field.
#[derive(Debug)]
pub enum Fill<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// What may be text.
    Bytes(Cow<'a, [u8]>),
    /// A whole number.
    Integer(i64),
    /// Milliseconds since 1970.
    Timestamp(i64),
    /// Whether there is such a field cannot be told, as the value has no fields.
    Unreadable(Error),
}

/// Why a place cannot be filled.
pub(super) enum Unfilled {
    /// The field is missing or null, or cannot be told; a default would stand in for it.
    Absent(Cause),
    /// It does not suit the format.
    Unfit(Cause),
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Place {
    /// Appends the field's text. After an error something of it may stand in `out`.
    pub(super) fn fill(
        &self,
        scope: &dyn Scope,
        timezone: &TimeZone,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilled> {
        let unfit = |why: &str| Err(Unfilled::Unfit(why.into()));
        match (&self.format, scope.lookup(&self.name)) {
            (_, None) => self.put_default(|| "it is missing or null".into(), out)?,
            (_, Some(Fill::Unreadable(error))) => self.put_default(|| error.into(), out)?,
            (None, Some(Fill::Text(text))) => out.extend_from_slice(text.as_bytes()),
            (None, Some(Fill::Bytes(bytes))) => out.extend_from_slice(&bytes),
            (None, Some(Fill::Integer(number))) => append(out, format_args!("{number}")),
            (None, Some(Fill::Timestamp(millis))) => put_iso(time(millis)?, timezone, out),
            (Some(FillFormat::Pad(width)), Some(Fill::Integer(number))) => {
                append(out, format_args!("{number:0width$}", width = *width));
            }
            (Some(FillFormat::Time(format)), Some(Fill::Timestamp(millis))) => {
                // Neither of them allocates.
                let time = time(millis)?.to_zoned(timezone.clone());
                BrokenDownTime::from(&time)
                    .format(format, out)
                    .map_err(|error| Unfilled::Unfit(error.into()))?;
            }
            (Some(FillFormat::Pad(_)), _) => return unfit("it is not a whole number"),
            (Some(FillFormat::Time(_)), _) => return unfit("it is not a time"),
        }
        Ok(())
    }

    fn put_default(
        &self,
        why_absent: impl FnOnce() -> Cause,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilled> {
        let Some(default) = &self.default else {
            return Err(Unfilled::Absent(why_absent()));
        };
        out.extend_from_slice(default.as_bytes());
        Ok(())
    }

    /// `template` is how messages show the template and the record.
    #[cold]
    pub(super) fn cannot_fill(&self, unfilled: Unfilled, template: &str) -> Error {
        let name = &self.name;
        let error = Error::record("fill", format!("{{{name}}} of {template}"));
        match unfilled {
            Unfilled::Absent(why) => error
                .because(why)
                .remedy(format!("give it a default: {{{name}|...}}")),
            Unfilled::Unfit(why) => error.because(why),
        }
    }
}

fn time(millis: i64) -> Result<Timestamp, Unfilled> {
    Timestamp::from_millisecond(millis)
        .map_err(|_| Unfilled::Unfit("the time is out of range".into()))
}

/// Appends ISO 8601 with milliseconds: `Z` in UTC, elsewhere the zone's offset.
fn put_iso(time: Timestamp, timezone: &TimeZone, out: &mut Vec<u8>) {
    if *timezone == TimeZone::UTC {
        append(out, format_args!("{time:.3}"));
    } else {
        let shown = time.display_with_offset(timezone.to_offset(time));
        append(out, format_args!("{shown:.3}"));
    }
}

/// The record that `scope` shows, as far as its place is known, for messages.
pub(super) fn record_of(scope: &dyn Scope) -> String {
    let topic = scope.lookup(&TemplateName::Topic);
    let partition = scope.lookup(&TemplateName::Partition);
    let offset = scope.lookup(&TemplateName::Offset);
    match (topic, partition, offset) {
        (Some(Fill::Text(topic)), Some(Fill::Integer(partition)), Some(Fill::Integer(offset))) => {
            format!("the record at offset {offset} of {topic}-{partition}")
        }
        (Some(Fill::Text(topic)), ..) => format!("a record of {topic}"),
        _ => "a record".to_owned(),
    }
}

pub(super) fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}
