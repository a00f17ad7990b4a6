//! `%`: what a record has beside its value, as far as a program names it.

use chrono::DateTime;
use towpath_sdk::{Cell, Error, Result, Side, WorkingBatch};
use vrl::value::{KeyString, ObjectMap, Value};

use crate::value;

/// A part of `%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Topic,
    Timestamp,
    Headers,
    Partition,
    Offset,
}

impl Part {
    pub const ALL: [Self; 6] = [
        Self::Key,
        Self::Topic,
        Self::Timestamp,
        Self::Headers,
        Self::Partition,
        Self::Offset,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Topic => "topic",
            Self::Timestamp => "timestamp",
            Self::Headers => "headers",
            Self::Partition => "partition",
            Self::Offset => "offset",
        }
    }

    /// Whether a program can only look at it.
    pub fn is_fixed(self) -> bool {
        matches!(self, Self::Partition | Self::Offset)
    }
}

/// The parts that a program can reach.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// Those it names, or all when it names `%` as a whole.
    pub reached: Vec<Part>,
    /// Those it assigns to.
    pub assigned: Vec<Part>,
    /// Whether it names `%` as a whole.
    pub whole: bool,
}

impl Metadata {
    pub fn sets_topic(&self) -> bool {
        self.assigned.contains(&Part::Topic)
    }

    pub fn sets_key(&self) -> bool {
        self.assigned.contains(&Part::Key)
    }

    /// `%` as a whole has neither in a source.
    pub fn needs_offset(&self) -> bool {
        !self.whole && self.reached.iter().any(|part| part.is_fixed())
    }

    /// What the program sees as `%`.
    pub fn read(&self, batch: &WorkingBatch, row: usize) -> Value {
        let parts = self.reached.iter();
        let part = |part: &Part| (KeyString::from(part.name()), read(*part, batch, row));
        Value::Object(parts.map(part).collect())
    }

    /// Makes the record have what differs between `before` and `after`.
    ///
    /// # Errors
    /// A record error for what cannot be such a part.
    pub fn write(
        &self,
        before: &Value,
        after: &Value,
        batch: &mut WorkingBatch,
        row: usize,
    ) -> Result<()> {
        for part in &self.reached {
            let before = member(before, part.name());
            let after = member(after, part.name());
            if before == after {
                continue;
            }
            match part {
                Part::Key => write_key(after, batch, row)?,
                Part::Topic => match after.to_str_lossy() {
                    Some(topic) => batch.set_topic(row, &topic)?,
                    None => return Err(wrong(*part, after, "a string")),
                },
                Part::Timestamp => match after {
                    Value::Timestamp(at) => batch.set_timestamp_ms(row, at.timestamp_millis()),
                    _ => return Err(wrong(*part, after, "a timestamp")),
                },
                Part::Headers => write_headers(before, after, batch, row)?,
                // The compiler refuses assignments to them.
                Part::Partition | Part::Offset => {}
            }
        }
        Ok(())
    }
}

fn read(part: Part, batch: &WorkingBatch, row: usize) -> Value {
    let text = |bytes: Option<&[u8]>| bytes.map_or(Value::Null, Value::from);
    match part {
        Part::Key => match batch.cell(row, Side::Key) {
            Cell::Null => Value::Null,
            Cell::Text(span) | Cell::Bytes(span) | Cell::Json(span) => {
                Value::from(batch.documents().bytes(span))
            }
            Cell::Document(node) => value::of(batch.documents(), node),
        },
        Part::Topic => text(batch.topic(row).map(|topic| topic.as_bytes())),
        Part::Timestamp => DateTime::from_timestamp_millis(batch.timestamp_ms(row))
            .map_or(Value::Null, Value::Timestamp),
        Part::Headers => {
            let mut headers = ObjectMap::new();
            for header in batch.headers(row).iter().flatten() {
                let name = String::from_utf8_lossy(header.key);
                headers.insert(name.into(), text(header.value));
            }
            Value::Object(headers)
        }
        Part::Partition => batch.partition().map_or(Value::Null, Value::from),
        Part::Offset => batch.offset(row).map_or(Value::Null, Value::from),
    }
}

/// A key that is a string is its text, all else JSON.
fn write_key(key: &Value, batch: &mut WorkingBatch, row: usize) -> Result<()> {
    let cell = match key {
        Value::Null => Cell::Null,
        key => Cell::Text(made(key, batch)?),
    };
    batch.set_cell(row, Side::Key, cell);
    Ok(())
}

/// Headers of a name that was left alone stay as they are and where they are.
fn write_headers(
    before: &Value,
    after: &Value,
    batch: &mut WorkingBatch,
    row: usize,
) -> Result<()> {
    let Value::Object(after) = after else {
        return Err(wrong(Part::Headers, after, "an object"));
    };
    let is_same = |name: &str| {
        after
            .get(name)
            .is_some_and(|value| member(before, name) == value)
    };
    let known = |name: &str| before.as_object().is_some_and(|all| all.contains_key(name));
    batch.retain_headers(row, |header| is_same(&String::from_utf8_lossy(header.key)));
    for (name, value) in after {
        if known(name) && is_same(name) {
            continue;
        }
        let mut bytes = Vec::new();
        let value = match value {
            Value::Null => None,
            value => {
                value::bytes(value, &mut bytes)?;
                Some(&*bytes)
            }
        };
        batch.add_header(row, name, value);
    }
    Ok(())
}

fn made(value: &Value, batch: &mut WorkingBatch) -> Result<towpath_sdk::json::Span> {
    let mut bytes = Vec::new();
    value::bytes(value, &mut bytes)?;
    Ok(batch
        .documents_mut()
        .make(|out| out.extend_from_slice(&bytes)))
}

/// A member of an object; what is missing is null.
fn member<'a>(object: &'a Value, name: &str) -> &'a Value {
    object
        .as_object()
        .and_then(|object| object.get(name))
        .unwrap_or(&Value::Null)
}

#[cold]
fn wrong(part: Part, found: &Value, expected: &str) -> Error {
    Error::record("set", format!("%{}", part.name())).because(format!(
        "the program made it {}, and it must be {expected}",
        found.kind()
    ))
}
