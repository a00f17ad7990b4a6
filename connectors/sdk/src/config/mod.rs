//! Configuration as connectors see it: a tree of values with their places, options declared once,
//! and problems that are collected, never thrown.
//!
//! An options struct is written with [`options!`](crate::options); from the one declaration come
//! the struct, its parser, its defaults, the JSON Schema and the table in the README. Where the
//! tree comes from (YAML) is not known here.

mod avro_schema;
mod csv;
mod forms;
mod framing;
mod input_format;
mod manual;
mod node;
mod object_format;
mod options;
mod output_format;
mod problem;
mod shared;
mod spec;
mod types;
mod units;
mod values;

#[cfg(test)]
mod tests;

pub use crate::{choice, options};
pub use avro_schema::{AvroField, AvroSchema, AvroType, AvroTypeId};
pub use csv::{Columns, CsvOptions, Mode, Separator, TextType};
pub use forms::{PathTemplate, Pattern};
pub use framing::{Framing, FramingRules, InputCompression, Multiline, Oversize};
pub use input_format::InputFormat;
pub use manual::text_forms;
pub use node::{Key, Node, NodeValue, Reference, Span};
pub use object_format::{ColumnType, ObjectFormat};
pub use options::{OptionType, Reader, parse_choice};
pub use output_format::{AvroCodec, AvroOutput, CsvOutput, OutputFormat, ParquetOutput};
pub use problem::{Problem, Problems, nearest};
pub use shared::{Compression, Fields, Format, RecordField};
pub use spec::{Form, Kind, OptionSpec, OptionsSpec, Word, markdown_table};
pub use types::{Integer, OneOrMany, Secret, whole_number};
pub use units::{Duration, Limit, Size, Start, Timezone};
pub use values::{ByPath, ExpressionText, Literal, Named};
