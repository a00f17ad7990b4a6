//! Encoders: from records to lines and blocks. What each format writes from each topic format is
//! the table in `README.md`.

use std::io::Write;

use towpath_record::{BatchError, Record};
use towpath_sdk::config::{Fields, Format, OutputFormat, RecordField};
use towpath_sdk::json::{self, Fault};
use towpath_sdk::{Block, Encoder, Error, Result, SinkBatch};

use crate::avro::AvroWriter;
use crate::csv::CsvWriter;
use crate::parquet::ParquetWriter;

/// An encoder of `format`, or of each topic's own when that is `None`.
///
/// # Errors
/// A configuration error when `fields` need names and `format` has none.
pub fn encoder(format: Option<OutputFormat>, fields: &Fields) -> Result<Box<dyn Encoder>> {
    let bare = fields.is_bare_value();
    if !bare && !format.as_ref().is_some_and(OutputFormat::has_names) {
        return Err(Error::configuration("write", "`fields` besides the value")
            .because("only `json`, `csv`, `avro` and `parquet` have names for them")
            .remedy("set `format: json`"));
    }
    let document = match bare {
        true => Document::Value,
        false => Document::Object(fields.iter().collect()),
    };
    Ok(match format {
        None => Box::new(Bare { format: None }),
        Some(OutputFormat::Text | OutputFormat::Bytes) => Box::new(Bare {
            format: Some(Format::Bytes),
        }),
        Some(OutputFormat::Json) if bare => Box::new(Bare {
            format: Some(Format::Json),
        }),
        Some(OutputFormat::Json) => Box::new(JsonLines { document }),
        Some(OutputFormat::Csv(output)) => Box::new(CsvLines {
            document,
            made: Vec::new(),
            writer: CsvWriter::new(output),
        }),
        Some(OutputFormat::Avro(output)) => Box::new(AvroBlocks {
            document,
            made: Vec::new(),
            writer: AvroWriter::new(output),
        }),
        Some(OutputFormat::Parquet(output)) => Box::new(ParquetRowGroups {
            document,
            made: Vec::new(),
            writer: ParquetWriter::new(output)?,
        }),
    })
}

/// The value alone, a line each.
struct Bare {
    format: Option<Format>,
}

impl Encoder for Bare {
    #[inline]
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        match self.format.unwrap_or(batch.topic.format) {
            Format::Text | Format::Bytes => out.extend_from_slice(record.value.unwrap_or_default()),
            Format::Json => Document::Value.put(batch, record, "JSON", out)?,
        }
        out.push(b'\n');
        Ok(())
    }
}

/// A JSON document a line.
struct JsonLines {
    document: Document,
}

impl Encoder for JsonLines {
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.document.put(batch, record, "JSON", out)?;
        out.push(b'\n');
        Ok(())
    }
}

/// A line of CSV from a record's document.
struct CsvLines {
    document: Document,
    /// Kept for its memory.
    made: Vec<u8>,
    writer: CsvWriter,
}

impl Encoder for CsvLines {
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.made.clear();
        self.document.put(batch, record, "CSV", &mut self.made)?;
        let written = self.writer.record(&self.made, out);
        written.map_err(|fault| refused(batch, record, "CSV", fault))
    }

    fn head(&self) -> &[u8] {
        self.writer.head()
    }
}

/// Of a block of Avro before compression: readers take a block at once.
const AVRO_BLOCK_BYTES: usize = 1 << 20;

/// Avro from a record's document.
struct AvroBlocks {
    document: Document,
    /// Kept for its memory.
    made: Vec<u8>,
    writer: AvroWriter,
}

impl Encoder for AvroBlocks {
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.made.clear();
        self.document.put(batch, record, "Avro", &mut self.made)?;
        let written = self.writer.record(&self.made, out);
        written.map_err(|why| refused(batch, record, "Avro", why))
    }

    fn head(&self) -> &[u8] {
        self.writer.head()
    }

    fn block_bytes(&self) -> Option<usize> {
        Some(AVRO_BLOCK_BYTES)
    }

    fn block(&mut self, records: u64, buffer: &mut Vec<u8>) -> Result<Vec<u8>> {
        self.writer.block(records, buffer)?;
        Ok(Vec::new())
    }
}

/// Of the records of a row group, in the form that [`ParquetWriter`] takes.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// Parquet from a record's document.
struct ParquetRowGroups {
    document: Document,
    /// Kept for its memory.
    made: Vec<u8>,
    writer: ParquetWriter,
}

impl Encoder for ParquetRowGroups {
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.made.clear();
        self.document
            .put(batch, record, "Parquet", &mut self.made)?;
        let written = self.writer.record(&self.made, out);
        written.map_err(|why| refused(batch, record, "Parquet", why))
    }

    fn head(&self) -> &[u8] {
        self.writer.head()
    }

    fn block_bytes(&self) -> Option<usize> {
        Some(ROW_GROUP_BYTES)
    }

    fn block(&mut self, records: u64, buffer: &mut Vec<u8>) -> Result<Vec<u8>> {
        self.writer.block(records, buffer)
    }

    fn end(&self, blocks: &[Block]) -> Result<Vec<u8>> {
        self.writer.end(blocks)
    }
}

/// A record as one JSON document.
enum Document {
    /// The bare value.
    Value,
    /// An object of the chosen fields, in the order in which they were chosen.
    Object(Vec<RecordField>),
}

impl Document {
    /// Appends it, or nothing when the record has none: it cannot become `word` then.
    #[inline]
    fn put(
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
fn refused(
    batch: &SinkBatch,
    record: &Record<'_>,
    word: &str,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    let (offset, topic, partition) = (record.offset, &batch.topic.name, batch.partition);
    let place = format!("the record at offset {offset} of {topic}-{partition}");
    Error::record(format!("write as {word}"), place).because(why)
}
