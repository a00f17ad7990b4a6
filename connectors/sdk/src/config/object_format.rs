//! What a sink writes to places that it finishes once, as objects are: also formats with an end.

#[cfg(test)]
mod tests;

use std::fmt::Write;

use super::input_format::of_word;
use super::{
    AvroSchema, Compression, Kind, Named, Node, OptionType, OutputFormat, ParquetOutput, Problem,
    Problems,
};
use crate::{choice, json, options};

/// The format of objects. A word, or a map with `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFormat(pub OutputFormat);

choice! {
    enum ParquetWord {
        /// Parquet files of `columns`, of `schema`, or of each record's own.
        Parquet = "parquet",
    }

    /// What a column holds.
    pub enum ColumnType {
        /// Text.
        String = "string",
        /// A whole number of 64 bits.
        Int = "int",
        /// A number of 64 bits with a floating point.
        Float = "float",
        /// `true` or `false`.
        Bool = "bool",
        /// A time in ISO 8601, to the microsecond.
        Timestamp = "timestamp",
        /// A date in ISO 8601.
        Date = "date",
        /// Bytes in base64.
        Bytes = "bytes",
        /// A UUID.
        Uuid = "uuid",
    }
}

options! {
    /// Parquet.
    struct ParquetOptions {
        /// This.
        r#type: ParquetWord,
        /// Fields of the record and what they hold, each of which may be missing or null; what is not
        /// named is not written. Without `columns` and `schema`, each object holds records of one
        /// registered schema.
        columns: Option<Named<ColumnType>>,
        /// Instead of `columns`: the Avro schema of a record, as JSON or the same as YAML;
        /// `${file:PATH}` takes a file's. A record with other fields is bad.
        schema: Option<AvroSchema>,
    }
}

impl OptionType for ObjectFormat {
    fn kind() -> Kind {
        let Kind::Either(mut kinds) = OutputFormat::kind() else {
            return OutputFormat::kind();
        };
        if let (Some(Kind::Word(words)), Kind::Word(parquet)) =
            (kinds.first_mut(), ParquetWord::kind())
        {
            words.extend(parquet);
        }
        kinds.push(ParquetOptions::kind());
        Kind::Either(kinds)
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let word = node.text().or_else(|| node.get("type")?.text());
        if word != Some("parquet") {
            return OutputFormat::parse_of_objects(node, problems).map(Self);
        }
        let node = &of_word::<ParquetWord>(node, problems)?;
        let options = ParquetOptions::parse(node, problems)?;
        let output = options.output(node, problems)?;
        Some(Self(OutputFormat::Parquet(output)))
    }
}

impl ParquetOptions {
    fn output(self, node: &Node, problems: &mut Problems) -> Option<ParquetOutput> {
        let (schema, leaves_out) = match (self.columns, self.schema) {
            (Some(Named(columns)), None) if !columns.is_empty() => {
                let schema = schema_of(&columns);
                let refused = |why| problems.add(node.span_of("columns"), why);
                (Some(schema.map_err(refused).ok()?), true)
            }
            (None, schema) => (schema, false),
            (Some(_), Some(_)) => {
                let span = node.span_of("columns");
                problems.add(span, "give `columns` or `schema`, not both");
                return None;
            }
            (Some(_), None) => {
                let help = "name some: `columns: { id: int, name: string, at: timestamp }`";
                let span = node.span_of("columns");
                problems.push(Problem::new(span, "Parquet without columns").help(help));
                return None;
            }
        };
        Some(ParquetOutput {
            schema,
            leaves_out,
            compression: Compression::None,
        })
    }
}

impl ColumnType {
    /// The type in Avro's words, as JSON.
    fn as_avro(self) -> &'static str {
        match self {
            Self::String => r#""string""#,
            Self::Int => r#""long""#,
            Self::Float => r#""double""#,
            Self::Bool => r#""boolean""#,
            Self::Timestamp => r#"{"type":"long","logicalType":"timestamp-micros"}"#,
            Self::Date => r#"{"type":"int","logicalType":"date"}"#,
            Self::Bytes => r#""bytes""#,
            Self::Uuid => r#"{"type":"string","logicalType":"uuid"}"#,
        }
    }
}

/// The schema of records with these fields, each of which may be missing or null.
///
/// # Errors
/// Says which name cannot be a field's.
fn schema_of(columns: &[(String, ColumnType)]) -> Result<AvroSchema, String> {
    let mut text = r#"{"type":"record","name":"record","fields":["#.to_owned();
    for (index, (name, column)) in columns.iter().enumerate() {
        let mut quoted = Vec::new();
        json::put_string(name, &mut quoted);
        let quoted = String::from_utf8_lossy(&quoted);
        let comma = if index == 0 { "" } else { "," };
        let column = column.as_avro();
        // A string takes all that is written.
        let _ = write!(
            text,
            r#"{comma}{{"name":{quoted},"type":["null",{column}]}}"#
        );
    }
    text.push_str("]}");
    AvroSchema::parse(&text)
}
