//! Encoders: from records to lines and blocks. What each format writes from each topic format is
//! the table in `README.md`.

mod document;

use std::sync::Arc;

use towpath_record::Record;
use towpath_sdk::config::{AvroCodec, AvroSchema, Fields, Format, OutputFormat, ParquetOutput};
use towpath_sdk::{Block, Encoder, Error, NewEncoder, Result, Schema, SinkBatch};

use crate::avro::AvroWriter;
use crate::csv::CsvWriter;
use crate::parquet::ParquetWriter;
use document::{Document, refused};

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
        Some(OutputFormat::Avro(output)) => match output.schema {
            Some(schema) => Box::new(AvroBlocks::new(schema, output.codec, document)),
            None => BySchema::boxed("Avro", move |schema| {
                let schema = document.schema(schema, true)?;
                Ok(Box::new(AvroBlocks::new(
                    schema,
                    output.codec,
                    document.clone(),
                )))
            }),
        },
        Some(OutputFormat::Parquet(output)) => match output.schema.clone() {
            Some(schema) => {
                let encoder = ParquetRowGroups::new(schema, &output, document);
                let refused = |why| Error::configuration("write", "Parquet").because(why);
                Box::new(encoder.map_err(refused)?)
            }
            None => BySchema::boxed("Parquet", move |schema| {
                let schema = document.schema(schema, false)?;
                Ok(Box::new(ParquetRowGroups::new(
                    schema,
                    &output,
                    document.clone(),
                )?))
            }),
        },
    })
}

/// What to do about records that have no schema, or not one that the format can hold.
const DECLARE: &str = "declare `schema` or `columns` of the format; sources of typed `csv` and `avro` \
                       register schemas, and a transform that changes a value takes its schema away";

/// Of a format whose places have the schema of their records: refuses records without one.
struct BySchema {
    word: &'static str,
    encoder: NewEncoder,
}

impl BySchema {
    fn boxed(
        word: &'static str,
        encoder: impl Fn(&Schema) -> Result<Box<dyn Encoder>, String> + Send + Sync + 'static,
    ) -> Box<dyn Encoder> {
        let encoder = move |schema: &Schema| {
            encoder(schema).map_err(|why| {
                let place = format!("records of the schema `{}`", schema.name);
                Error::record(format!("write as {word}"), place)
                    .because(why)
                    .remedy(DECLARE)
            })
        };
        let encoder = Arc::new(encoder);
        Box::new(Self { word, encoder })
    }
}

impl Encoder for BySchema {
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, _: &mut Vec<u8>) -> Result<()> {
        const WHY: &str = "it has no registered schema, and the format declares none";
        Err(refused(batch, record, self.word, WHY).remedy(DECLARE))
    }

    fn by_schema(&self) -> Option<NewEncoder> {
        Some(self.encoder.clone())
    }
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

impl AvroBlocks {
    fn new(schema: AvroSchema, codec: AvroCodec, document: Document) -> Self {
        Self {
            document,
            made: Vec::new(),
            writer: AvroWriter::new(schema, codec),
        }
    }
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

impl ParquetRowGroups {
    fn new(schema: AvroSchema, output: &ParquetOutput, document: Document) -> Result<Self, String> {
        Ok(Self {
            document,
            made: Vec::new(),
            writer: ParquetWriter::new(schema, output)?,
        })
    }
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
