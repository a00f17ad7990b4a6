//! What is shown of a dead letter, and filters.

use towpath_record::Record;
use towpath_sdk::{Error, Result, printable};

use super::{DeadLetter, Payload};
use crate::letter::Letter;

/// What is shown of `letter`, which stands in `partition`.
pub(super) fn show(letter: &Letter<'_>, partition: u32) -> DeadLetter {
    let record = &letter.record;
    let shown = letter.shown();
    DeadLetter {
        partition,
        offset: offset_of(record),
        refused_ms: record.timestamp_ms,
        reason: letter
            .reasons()
            .map(|(name, text)| (name.into_owned(), text.into_owned()))
            .collect(),
        timestamp_ms: letter.timestamp_ms(),
        key: record.key.map(Payload::of),
        value: record.value.map(Payload::of),
        headers: shown
            .map(|header| (Payload::of(header.key), header.value.map(Payload::of)))
            .collect(),
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

    pub fn holds(&self, letter: &Letter<'_>) -> bool {
        match self {
            Self::Connector(name) => letter.reason("connector.name") == *name,
            Self::Stage(word) => letter.reason("stage").eq_ignore_ascii_case(word),
            Self::Error(text) => letter.reason("exception.message").contains(text),
            Self::Header(name, value) => letter.shown().any(|header| {
                header.key == name.as_bytes()
                    && header.value.unwrap_or_default() == value.as_bytes()
            }),
            Self::Text(text) => {
                let value = String::from_utf8_lossy(letter.record.value.unwrap_or_default());
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
    use crate::letter::TIMESTAMP;

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
        let shown = show(&letter, 3);
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
            let holds = Filter::parse(filter).unwrap().holds(&letter);
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
