//! One dead letter as it is read: the record as it was, and what is told of it.
//!
//! Behind the record's own headers stand those that [`crate::dead_letter`] adds, the first of them
//! [`REACHED`]: so the two are told apart, also when a letter was itself read and refused.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use towpath_record::{Header, Record};
use towpath_sdk::config::Format;
use towpath_sdk::{Origin, Place, Reached};

/// What the names of Connect's headers begin with.
pub(crate) const PREFIX: &str = "__connect.errors.";
/// What the names of headers begin with that a retry needs.
const OWN_PREFIX: &str = "__towpath.letter.";
/// How far the record came; there is none on what can never go on.
pub(crate) const REACHED: &str = "__towpath.letter.reached";
/// The name of a source's origin; the origin's fields have headers whose names go on with `.NAME`.
pub(crate) const ORIGIN: &str = "__towpath.letter.origin";
/// The topic that was decided for it.
pub(crate) const TOPIC: &str = "__towpath.letter.topic";
/// There when its key was decided.
pub(crate) const KEY_STANDS: &str = "__towpath.letter.key_stands";
/// The header with the record's own timestamp, in milliseconds since 1970.
pub(crate) const TIMESTAMP: &str = "__towpath.timestamp";

/// All that a record can have reached. Their places are the partitions of retry topics, which stand
/// on disks: what is new goes to the end.
pub(crate) const ALL_REACHED: [Reached; 7] = [
    Reached::Undecoded,
    Reached::Decoded(Format::Text),
    Reached::Decoded(Format::Json),
    Reached::Decoded(Format::Bytes),
    Reached::Transformed(Format::Text),
    Reached::Transformed(Format::Json),
    Reached::Transformed(Format::Bytes),
];

/// How it stands in [`REACHED`].
pub(crate) fn word(reached: Reached) -> String {
    match reached {
        Reached::Undecoded => "undecoded".to_owned(),
        Reached::Decoded(format) => format!("decoded {}", format.as_str()),
        Reached::Transformed(format) => format!("transformed {}", format.as_str()),
    }
}

/// A record of a topic of dead letters. Of a header that is there twice the last one counts, as a
/// letter that was read and refused has both reasons.
pub(crate) struct Letter<'a> {
    pub record: Record<'a>,
    headers: Vec<Header<'a>>,
    /// How many of them are the record's own; all, unless the letter says what was reached.
    own: usize,
}

impl<'a> Letter<'a> {
    pub fn of(record: &Record<'a>) -> Self {
        // The batch was checked when it was written.
        let headers: Vec<_> = record.headers.iter().map_while(Result::ok).collect();
        let first_added = headers
            .iter()
            .rposition(|header| header.key == REACHED.as_bytes());
        Self {
            record: *record,
            own: first_added.unwrap_or(headers.len()),
            headers,
        }
    }

    /// The reason's parts, by their names without [`PREFIX`], those that count last.
    pub fn reasons(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.headers.iter().filter_map(|header| {
            let name = header.key.strip_prefix(PREFIX.as_bytes())?;
            Some((text(name), text(header.value.unwrap_or_default())))
        })
    }

    /// A part of the reason, such as `stage`; empty when it is not told.
    pub fn reason(&self, name: &str) -> Cow<'a, str> {
        self.reason_in(&self.headers, name).unwrap_or_default()
    }

    fn reason_in(&self, headers: &[Header<'a>], name: &str) -> Option<Cow<'a, str>> {
        let is_named = |header: &&Header<'_>| {
            header.key.strip_prefix(PREFIX.as_bytes()) == Some(name.as_bytes())
        };
        let found = headers.iter().rev().find(is_named)?;
        Some(text(found.value.unwrap_or_default()))
    }

    /// The record's own timestamp.
    pub fn timestamp_ms(&self) -> Option<i64> {
        let is_it = |header: &&Header<'_>| header.key == TIMESTAMP.as_bytes();
        let found = self.headers.iter().rev().find(is_it)?;
        text(found.value?).parse().ok()
    }

    /// The headers that are neither a reason nor for a retry.
    pub fn shown(&self) -> impl Iterator<Item = &Header<'a>> {
        self.headers.iter().filter(|header| {
            !header.key.starts_with(PREFIX.as_bytes())
                && !header.key.starts_with(OWN_PREFIX.as_bytes())
                && header.key != TIMESTAMP.as_bytes()
        })
    }

    /// The headers that the record had.
    pub fn own(&self) -> &[Header<'a>] {
        &self.headers[..self.own]
    }

    /// What was added to them.
    fn added(&self) -> &[Header<'a>] {
        &self.headers[self.own..]
    }

    fn told(&self, name: &str) -> Option<&'a [u8]> {
        let added = self.added().iter();
        let mut found = added.filter(|header| header.key == name.as_bytes());
        found.next()?.value
    }

    /// How far the record came; `None`: it can never go on, or is no dead letter.
    pub fn reached(&self) -> Option<Reached> {
        let told = self.told(REACHED)?;
        let known = |reached: &&Reached| word(**reached).as_bytes() == told;
        ALL_REACHED.iter().find(known).copied()
    }

    /// Where in the log the record stood that was refused.
    pub fn place(&self) -> Option<Place> {
        let reason = |name| self.reason_in(self.added(), name);
        Some(Place {
            topic: reason("topic")?.as_ref().into(),
            partition: reason("partition")?.parse().ok()?,
            offset: reason("offset")?.parse().ok()?,
        })
    }

    /// Where it came from: of a source in its own system, of what was in the log the topic.
    pub fn origin(&self) -> Origin {
        let field = |header: &Header<'a>| {
            let name = header.key.strip_prefix(ORIGIN.as_bytes())?;
            let name = text(name.strip_prefix(b".")?).into_owned();
            let value = Bytes::copy_from_slice(header.value.unwrap_or_default());
            Some((Cow::Owned(name), value))
        };
        let name = match self.told(ORIGIN) {
            Some(name) => text(name),
            None => self.reason_in(self.added(), "topic").unwrap_or_default(),
        };
        Origin {
            name: name.into_owned(),
            fields: self.added().iter().filter_map(field).collect(),
        }
    }

    /// The topic that was decided for it.
    pub fn topic(&self) -> Option<Arc<str>> {
        self.told(TOPIC).map(|name| text(name).as_ref().into())
    }

    /// Whether its key was decided.
    pub fn key_stands(&self) -> bool {
        self.told(KEY_STANDS).is_some()
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
