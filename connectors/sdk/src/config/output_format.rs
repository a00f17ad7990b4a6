//! What a sink writes: more than the three formats that a topic's values can have.

#[cfg(test)]
pub(super) mod tests;

use std::collections::HashSet;

use super::input_format::{of_word, refuse_foreign};
use super::{
    AvroSchema, Compression, CsvOptions, Fields, Format, Kind, Node, OptionType, Problem, Problems,
    Separator,
};
use crate::{Path, choice, options};

/// The format of what a sink writes. A word, or a map with `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputFormat {
    /// Text, a line a record.
    Text,
    /// Bytes, a line a record.
    Bytes,
    /// JSON, a line a record.
    Json,
    /// CSV, a line a record.
    Csv(CsvOutput),
    /// Avro object container files.
    Avro(AvroOutput),
    /// Parquet files, which have an end: only what is finished once is written so, and configured as
    /// [`super::ObjectFormat`].
    Parquet(ParquetOutput),
}

/// How CSV is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOutput {
    /// What stands in each column, by its path in the record; all of them differ.
    pub columns: Vec<Path>,
    /// Whether a file, object or body begins with the columns' names.
    pub header: bool,
    /// Between fields; an ASCII character.
    pub delimiter: u8,
    /// Around fields that need it; another ASCII character.
    pub quote: u8,
}

/// How Avro is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvroOutput {
    /// Of every record; `None`: each has its own, which is registered.
    pub schema: Option<AvroSchema>,
    /// How blocks are compressed.
    pub codec: AvroCodec,
}

/// How Parquet is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetOutput {
    /// Of every record, in Avro's words; `None`: each has its own, which is registered.
    pub schema: Option<AvroSchema>,
    /// Whether fields that the schema does not have are left out; otherwise they are a bad record.
    pub leaves_out: bool,
    /// How pages are compressed: for the sink to set, as its `compression` says.
    pub compression: Compression,
}

impl OutputFormat {
    /// The word that is written for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Json => "json",
            Self::Csv(_) => "csv",
            Self::Avro(_) => "avro",
            Self::Parquet(_) => "parquet",
        }
    }

    /// Whether it has names for the parts of a record.
    pub fn has_names(&self) -> bool {
        !matches!(self, Self::Text | Self::Bytes)
    }

    /// Whether it can be made of the bare values of a topic of `format`: those of text and bytes
    /// have no parts, so they have no columns either.
    pub fn fits(&self, fields: &Fields, format: Format) -> bool {
        let needs_parts = matches!(self, Self::Csv(_) | Self::Avro(_) | Self::Parquet(_));
        !needs_parts || !fields.is_bare_value() || format == Format::Json
    }
}

impl From<Format> for OutputFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Bytes => Self::Bytes,
            Format::Json => Self::Json,
        }
    }
}

choice! {
    enum OutputWord {
        /// UTF-8 text, a line a record.
        Text = "text",
        /// Bytes, a line a record.
        Bytes = "bytes",
        /// A JSON value a line.
        Json = "json",
        /// A line of `columns` a record.
        Csv = "csv",
        /// Avro object container files of `schema`, or of each record's own.
        Avro = "avro",
    }

    /// How the blocks of an Avro file are compressed.
    pub enum AvroCodec {
        /// Not at all.
        Null = "null",
        /// Deflate (RFC 1951).
        Deflate = "deflate",
        /// Snappy, with a CRC-32.
        Snappy = "snappy",
        /// Zstandard.
        Zstandard = "zstandard",
    }
}

impl OutputWord {
    /// The options that it has besides `type`.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Text | Self::Bytes | Self::Json => &[],
            Self::Csv => &["columns", "header", "delimiter", "quote"],
            Self::Avro => &["schema", "codec"],
        }
    }
}

// What is absent has no default here: `check --print` would write it beside any `type`.
options! {
    /// A format in its full form.
    struct OutputOptions {
        /// Which.
        r#type: OutputWord,
        /// Of `csv`, required: paths into the record, in the order of the columns.
        columns: Option<Vec<Path>>,
        /// Of `csv`: whether a file begins with the columns' names (default `true`).
        header: Option<bool>,
        /// Of `csv`: the character between fields (default `,`).
        delimiter: Option<Separator>,
        /// Of `csv`: the character around fields that need it (default `"`).
        quote: Option<Separator>,
        /// Of `avro`: the schema of a record, as JSON or the same as YAML; `${file:PATH}` takes a
        /// file's. Required but for objects, of which each can hold what has one registered schema.
        schema: Option<AvroSchema>,
        /// Of `avro`: how blocks are compressed (default `"null"`, not at all).
        codec: Option<AvroCodec>,
    }
}

impl OptionType for OutputFormat {
    fn kind() -> Kind {
        Kind::Either(vec![OutputWord::kind(), OutputOptions::kind()])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let word = node.text().or_else(|| node.get("type")?.text());
        if word == Some("parquet") {
            let message = "Parquet has an end, so it cannot be written to what grows";
            let help = "write it to objects, as the connector `s3` does";
            problems.push(Problem::new(node.span, message).help(help));
            return None;
        }
        let format = Self::parse_of_objects(node, problems)?;
        if let Self::Avro(AvroOutput { schema: None, .. }) = format {
            let message = "Avro needs a `schema`";
            let help = "add `schema: { type: record, name: Event, fields: [...] }`, or \
                        `schema: ${file:event.avsc}`";
            problems.push(Problem::missing(node.span, message).help(help));
            return None;
        }
        Some(format)
    }
}

impl OutputFormat {
    /// Reads what objects can be besides Parquet.
    pub(super) fn parse_of_objects(node: &Node, problems: &mut Problems) -> Option<Self> {
        let node = &of_word::<OutputWord>(node, problems)?;
        if let Some((key, _)) = node.entry("array") {
            let message = "a list of JSON cannot be written to what grows";
            let help = "leave it out: a value a line can be gone on with at any time";
            problems.push(Problem::new(key.span, message).help(help));
            return None;
        }
        let options = OutputOptions::parse(node, problems)?;
        let word = options.r#type;
        refuse_foreign(
            word.as_str(),
            word.options(),
            OutputOptions::spec(),
            node,
            problems,
        );
        Some(match word {
            OutputWord::Text => Self::Text,
            OutputWord::Bytes => Self::Bytes,
            OutputWord::Json => Self::Json,
            OutputWord::Csv => Self::Csv(options.csv(node, problems)?),
            OutputWord::Avro => Self::Avro(AvroOutput {
                schema: options.schema,
                codec: options.codec.unwrap_or(AvroCodec::Null),
            }),
        })
    }
}

impl OutputOptions {
    fn csv(&self, node: &Node, problems: &mut Problems) -> Option<CsvOutput> {
        let Some(columns) = self.columns.clone().filter(|columns| !columns.is_empty()) else {
            let help = "add `columns: [id, order.total]`: what is not named there is not written";
            let message = "CSV needs its `columns`";
            problems.push(Problem::missing(node.span_of("columns"), message).help(help));
            return None;
        };
        let mut seen = HashSet::new();
        let twice = columns
            .iter()
            .find(|column| !seen.insert(column.to_string()));
        if let Some(column) = twice {
            let message = format!("the column `{column}` is given twice");
            problems.add(node.span_of("columns"), message);
            return None;
        }
        let default = CsvOptions::default();
        let output = CsvOutput {
            columns,
            header: self.header.unwrap_or(default.header),
            delimiter: self.delimiter.map_or(default.delimiter, |one| one.0),
            quote: self.quote.map_or(default.quote, |one| one.0),
        };
        if output.delimiter == output.quote {
            problems.add(node.span, "`delimiter` must differ from `quote`");
            return None;
        }
        Some(output)
    }
}
