//! A record as one JSON document: its bare value, or an object of several fields.

use std::io::Write;

use towpath_record::{BatchError, Record};
use towpath_sdk::config::{AvroSchema, Format, RecordField};
use towpath_sdk::json::{self, Fault};
use towpath_sdk::{Error, Result, Schema, SinkBatch};

use crate::avro::schema_of;

/// A record as one JSON document.
#[derive(Clone)]
pub(super) enum Document {
    /// The bare value.
    Value,
    /// An object of the chosen fields, in the order in which they were chosen.
    Object(Vec<RecordField>),
}

impl Document {
    /// The Avro schema of the documents of records of `schema`; see [`schema_of`].
    pub(super) fn schema(&self, schema: &Schema, strict: bool) -> Result<AvroSchema, String> {
        let fields = match self {
            Self::Value => None,
            Self::Object(fields) => Some(fields.as_slice()),
        };
        schema_of(schema, fields, strict)
    }

    /// Appends it, or nothing when the record has none: it cannot become `word` then.
    #[inline]
    pub(super) fn put(
        &self,
        batch: &SinkBatch,
        record: &Record<'_>,
        word: &str,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let before = out.len();
        let put = match self {
            Self::Value => put_value(record.value, batch.topic.format, out),
            Self::Object(fields) => put_object(fields, batch, record, out),
        };
        put.map_err(|fault| {
            out.truncate(before);
            refused(batch, record, word, fault)
        })
    }
}

fn put_object(
    fields: &[RecordField],
    batch: &SinkBatch,
    record: &Record<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    for (index, field) in fields.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"" } else { b",\"" });
        out.extend_from_slice(field.as_str().as_bytes());
        out.extend_from_slice(b"\":");
        put_field(*field, batch, record, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn put_field(
    field: RecordField,
    batch: &SinkBatch,
    record: &Record<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    match field {
        RecordField::Value => return put_value(record.value, batch.topic.format, out),
        RecordField::Key => put_text_or_base64(record.key, out),
        RecordField::Headers => return put_headers(record, out),
        RecordField::Timestamp => return put_timestamp(record.timestamp_ms, out),
        RecordField::Topic => json::put_string(&batch.topic.name, out),
        RecordField::Partition => put_integer(i64::from(batch.partition), out),
        RecordField::Offset => put_integer(record.offset, out),
    }
    Ok(())
}

/// Appends a value of a topic of `format` as JSON.
fn put_value(value: Option<&[u8]>, format: Format, out: &mut Vec<u8>) -> Result<(), Fault> {
    let Some(value) = value else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    match format {
        Format::Json if value.is_empty() => Err(Fault {
            at: 0,
            what: "an empty value is no JSON",
        }),
        Format::Json => json::put_on_one_line(value, out),
        Format::Bytes => {
            json::put_base64(value, out);
            Ok(())
        }
        Format::Text => match std::str::from_utf8(value) {
            Ok(text) => {
                json::put_string(text, out);
                Ok(())
            }
            Err(error) => Err(Fault {
                at: error.valid_up_to(),
                what: "invalid UTF-8",
            }),
        },
    }
}

/// Keys and header values have no declared format: a string when they are UTF-8, else base64.
fn put_text_or_base64(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => out.extend_from_slice(b"null"),
        Some((_, Ok(text))) => json::put_string(text, out),
        Some((bytes, Err(_))) => json::put_base64(bytes, out),
    }
}

/// A list of `{"key":...,"value":...}`: headers are ordered, and a name may come twice.
fn put_headers(record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    out.push(b'[');
    for (index, header) in record.headers.iter().enumerate() {
        let header = header.map_err(|_: BatchError| Fault {
            at: 0,
            what: "malformed headers",
        })?;
        out.extend_from_slice(if index == 0 {
            b"{\"key\":"
        } else {
            b",{\"key\":"
        });
        put_text_or_base64(Some(header.key), out);
        out.extend_from_slice(b",\"value\":");
        put_text_or_base64(header.value, out);
        out.push(b'}');
    }
    out.push(b']');
    Ok(())
}

/// ISO 8601 in UTC with milliseconds.
fn put_timestamp(timestamp_ms: i64, out: &mut Vec<u8>) -> Result<(), Fault> {
    const BEYOND: Fault = Fault {
        at: 0,
        what: "a timestamp beyond the year 9999",
    };
    let timestamp = jiff::Timestamp::from_millisecond(timestamp_ms).map_err(|_| BEYOND)?;
    write!(out, "\"{timestamp:.3}\"").map_err(|_| BEYOND)
}

fn put_integer(number: i64, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{number}");
}

/// `record` cannot be written as `word`.
pub(super) fn refused(
    batch: &SinkBatch,
    record: &Record<'_>,
    word: &str,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    let (offset, topic, partition) = (record.offset, &batch.topic.name, batch.partition);
    let place = format!("the record at offset {offset} of {topic}-{partition}");
    Error::record(format!("write as {word}"), place).because(why)
}
