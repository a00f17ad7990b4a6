//! One dead letter as it is read: its reason, told from the record's own headers; and filters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use towpath_record::Record;
use towpath_sdk::{Error, Result, printable};

use super::{DeadLetter, Payload};
use crate::dead_letter::{PREFIX, TIMESTAMP};

/// The headers of a dead letter. One that was refused again where it was read has a name twice: the
/// last reason counts, and all of them are shown as none of the record's own headers.
pub(super) struct Letter<'a> {
    /// By their names without [`PREFIX`].
    reason: BTreeMap<&'a [u8], &'a [u8]>,
    own: Vec<(&'a [u8], Option<&'a [u8]>)>,
    timestamp: Option<&'a [u8]>,
}

impl<'a> Letter<'a> {
    pub fn of(record: &Record<'a>) -> Self {
        let mut letter = Self {
            reason: BTreeMap::new(),
            own: Vec::new(),
            timestamp: None,
        };
        // The batch was checked when it was written.
        for header in record.headers.iter().map_while(Result::ok) {
            if let Some(name) = header.key.strip_prefix(PREFIX.as_bytes()) {
                letter.reason.insert(name, header.value.unwrap_or_default());
            } else if header.key == TIMESTAMP.as_bytes() {
                letter.timestamp = header.value;
            } else {
                letter.own.push((header.key, header.value));
            }
        }
        letter
    }

    /// A part of the reason, such as `stage`; empty when it is not told.
    pub fn reason(&self, name: &str) -> Cow<'a, str> {
        let value = self.reason.get(name.as_bytes()).copied();
        String::from_utf8_lossy(value.unwrap_or_default())
    }

    pub fn show(&self, partition: u32, record: &Record<'_>) -> DeadLetter {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let reason = self.reason.iter();
        let timestamp = self.timestamp.map(text);
        let own = self.own.iter();
        DeadLetter {
            partition,
            offset: offset_of(record),
            refused_ms: record.timestamp_ms,
            reason: reason
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            timestamp_ms: timestamp.and_then(|text| text.parse().ok()),
            key: record.key.map(Payload::of),
            value: record.value.map(Payload::of),
            headers: own
                .map(|(name, value)| (Payload::of(name), value.map(Payload::of)))
                .collect(),
        }
    }
}

pub(super) fn offset_of(record: &Record<'_>) -> u64 {
    u64::try_from(record.offset).unwrap_or(0)
}

/// `text` with every number in it as `N`: what messages about different records have in common.
pub(super) fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if !character.is_ascii_digit() {
            out.push(character);
        } else if !out.ends_with('N') {
            out.push('N');
        }
    }
    out
}

/// What a letter must have to be shown.
#[derive(Debug, PartialEq)]
pub(super) enum Filter {
    Connector(String),
    Stage(String),
    Error(String),
    Header(String, String),
    Text(String),
}

impl Filter {
    fn parse(text: &str) -> Result<Self> {
        let Some((name, value)) = text.split_once('=') else {
            return Ok(Self::Text(text.to_owned()));
        };
        let value = value.to_owned();
        match name {
            "connector" => Ok(Self::Connector(value)),
            "stage" => Ok(Self::Stage(value)),
            "error" => Ok(Self::Error(value)),
            "text" => Ok(Self::Text(value)),
            _ => match name.strip_prefix("headers.") {
                Some(header) => Ok(Self::Header(header.to_owned(), value)),
                None => Err(
                    Error::configuration("filter by", format!("`{}`", printable(name))).remedy(
                        "filters are connector=NAME, stage=WORD, error=TEXT, \
                         headers.NAME=VALUE, text=TEXT, or a text without `=`",
                    ),
                ),
            },
        }
    }

    pub fn holds(&self, record: &Record<'_>, letter: &Letter<'_>) -> bool {
        match self {
            Self::Connector(name) => letter.reason("connector.name") == *name,
            Self::Stage(word) => letter.reason("stage").eq_ignore_ascii_case(word),
            Self::Error(text) => letter.reason("exception.message").contains(text),
            Self::Header(name, value) => letter.own.iter().any(|(own, is)| {
                *own == name.as_bytes() && is.unwrap_or_default() == value.as_bytes()
            }),
            Self::Text(text) => {
                let value = String::from_utf8_lossy(record.value.unwrap_or_default());
                value.contains(text) || letter.reason("exception.message").contains(text)
            }
        }
    }
}

pub(super) fn filters(texts: &[String]) -> Result<Vec<Filter>> {
    texts.iter().map(|text| Filter::parse(text)).collect()
}

#[cfg(test)]
mod tests {
    use towpath_record::{BatchBuilder, Header};

    use super::*;

    #[test]
    fn a_letter_is_told_apart_from_its_record() {
        let header = |key: &'static str, value: &'static str| Header {
            key: key.as_bytes(),
            value: Some(value.as_bytes()),
        };
        let headers = [
            header("h", "1"),
            header("__connect.errors.stage", "TASK_PUT"),
            header("__connect.errors.stage", "TRANSFORMATION"),
            header("__connect.errors.connector.name", "p.out"),
            header("__connect.errors.exception.message", "cannot read line 7"),
            header(TIMESTAMP, "5"),
        ];
        let mut builder = BatchBuilder::default();
        builder.push(9, None, Some(b"a\xffb"), &headers).unwrap();
        let batch = builder.finish().unwrap();
        let record = batch.records().next().unwrap().unwrap();
        let letter = Letter::of(&record);
        let shown = letter.show(3, &record);
        assert_eq!(
            (shown.partition, shown.refused_ms, shown.timestamp_ms),
            (3, 9, Some(5))
        );
        assert_eq!(
            shown.headers,
            [(Payload::of(b"h"), Some(Payload::of(b"1")))]
        );
        assert_eq!(
            shown.reason["stage"], "TRANSFORMATION",
            "the last one counts"
        );
        for (filter, expected) in [
            ("connector=p.out", true),
            ("connector=p.in", false),
            ("stage=transformation", true),
            ("stage=TASK_PUT", false),
            ("error=line 7", true),
            ("headers.h=1", true),
            ("headers.h=2", false),
            ("headers.__connect.errors.stage=TASK_PUT", false),
            ("line", true),
            ("text=a", true),
            ("text=line 8", false),
        ] {
            let holds = Filter::parse(filter).unwrap().holds(&record, &letter);
            assert_eq!(holds, expected, "{filter}");
        }
        let error = Filter::parse("conector=p").unwrap_err().to_string();
        assert!(error.contains("`conector`"), "{error}");
    }

    #[test]
    fn messages_that_differ_in_numbers_are_alike() {
        let text = "cannot read a-0 offset 123: 45.6 at byte 7";
        assert_eq!(
            without_numbers(text),
            "cannot read a-N offset N: N.N at byte N"
        );
    }
}
