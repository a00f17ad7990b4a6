//! Encoders: from records to lines. What each format writes from each topic format is the table in
//! `README.md`; every record ends with a newline.

use std::io::Write;

use towpath_record::{BatchError, Record};
use towpath_sdk::config::{Fields, Format, RecordField};
use towpath_sdk::json::{self, Fault};
use towpath_sdk::{Encoder, Error, Result, SinkBatch};

/// An encoder of `format`, or of each topic's own when that is `None`.
///
/// # Errors
/// A configuration error when `fields` need names, which only JSON has.
pub fn encoder(format: Option<Format>, fields: &Fields) -> Result<Box<dyn Encoder>> {
    if fields.is_bare_value() {
        return Ok(Box::new(Bare { format }));
    }
    if format != Some(Format::Json) {
        return Err(Error::configuration("write", "`fields` besides the value")
            .because("only `json` has names for them")
            .remedy("set `format: json`"));
    }
    Ok(Box::new(Named {
        fields: fields.iter().collect(),
    }))
}

/// The value alone.
struct Bare {
    format: Option<Format>,
}

impl Encoder for Bare {
    #[inline]
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        match self.format.unwrap_or(batch.topic.format) {
            Format::Text | Format::Bytes => out.extend_from_slice(record.value.unwrap_or_default()),
            Format::Json => {
                let before = out.len();
                if let Err(fault) = put_value(record.value, batch.topic.format, out) {
                    out.truncate(before);
                    return Err(refused(batch, record, fault));
                }
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

/// One JSON object a record, with the chosen fields in the order in which they were chosen.
struct Named {
    fields: Vec<RecordField>,
}

impl Encoder for Named {
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        for (index, field) in self.fields.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"{\"" } else { b",\"" });
            out.extend_from_slice(field.as_str().as_bytes());
            out.extend_from_slice(b"\":");
            if let Err(fault) = put_field(*field, batch, record, out) {
                out.truncate(before);
                return Err(refused(batch, record, fault));
            }
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }
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

fn refused(batch: &SinkBatch, record: &Record<'_>, fault: Fault) -> Error {
    let place = format!(
        "the record at offset {} of {}-{}",
        record.offset, batch.topic.name, batch.partition
    );
    Error::record("write as JSON", place)
        .because(fault)
        .remedy("set `on_error: skip` to leave such records out")
}
