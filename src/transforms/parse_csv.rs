//! `parse_csv`: a line of CSV becomes fields.

use std::sync::Arc;

use towpath_formats::{Csv, CsvOptions, TextType};
use towpath_sdk::config::{Kind, Named, Node, NodeValue, OptionType, Problems, choice, options};
use towpath_sdk::{Path, TransformConfig, TransformExample, TransformType};

use crate::parse_text::{Mode, ParseText};

choice! {
    /// What a column holds.
    pub enum ColumnType {
        /// Text, as it stands.
        String = "string",
        /// A whole number of any length.
        Int = "int",
        /// A decimal number, which keeps its digits.
        Float = "float",
        /// `true` or `false` in any case, `1` or `0`.
        Bool = "bool",
        /// A time in ISO 8601; in UTC where it names no zone.
        Timestamp = "timestamp",
    }
}

/// Columns: a list of names, or a map from names to types.
#[derive(Debug, Clone, PartialEq)]
struct Columns(Vec<(String, ColumnType)>);

impl OptionType for Columns {
    fn kind() -> Kind {
        Kind::Either(vec![
            Vec::<String>::kind(),
            Named::<ColumnType>::kind(),
        ])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let NodeValue::Map(_) = node.value {
            return Named::parse(node, problems).map(|columns| Self(columns.0));
        }
        let names = Vec::<String>::parse(node, problems)?;
        let text = |name| (name, ColumnType::String);
        Some(Self(names.into_iter().map(text).collect()))
    }
}

options! {
    /// One record of CSV a text; it may have line breaks inside quotes.
    struct Options {
        /// The columns in their order: names, or names with types.
        columns: Columns,
        /// The character between fields.
        delimiter: String = ",",
        /// The character around fields that hold a delimiter, a quote or a line break.
        quote: String = "\"",
        /// The character before a quote inside quotes; the quote itself when absent.
        escape: Option<String>,
        /// Whether an empty field without quotes is null instead of an empty string.
        empty_is_null: bool = false,
        /// What happens to a stray quote, a value of another type, a missing or surplus field.
        mode: Mode = "strict",
        /// The field that holds the text; the whole value when absent.
        field: Option<Path>,
        /// The field that the object is put in, when it is not to replace the text in `field`.
        into: Option<Path>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "parse_csv",
    summary: "Reads text as a line of CSV.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "names only",
            options: "columns: [name, city]",
            input: r#""Lovelace, Ada",London"#,
            output: r#"{"name":"Lovelace, Ada","city":"London"}"#,
        },
        TransformExample {
            title: "types, and another delimiter",
            options: "{ columns: { id: int, paid: bool, at: timestamp }, delimiter: ';', empty_is_null: true }",
            input: "17;true;",
            output: r#"{"id":17,"paid":true,"at":null}"#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let delimiter = character("delimiter", &options.delimiter, node, problems);
    let quote = character("quote", &options.quote, node, problems);
    let escape = match &options.escape {
        Some(escape) => character("escape", escape, node, problems),
        None => quote,
    };
    let csv = Csv::new(CsvOptions {
        header: false,
        columns: ColumnType::columns(options.columns.0),
        delimiter: delimiter?,
        quote: quote?,
        escape: escape?,
        empty_is_null: options.empty_is_null,
        lenient: options.mode == Mode::Lenient,
    });
    let csv = match csv {
        Ok(csv) => csv,
        Err(why) => {
            problems.add(node.span, why);
            return None;
        }
    };
    let places = (options.field, options.into);
    Some(Arc::new(ParseText::new(csv, "as CSV", places, node, problems)?))
}

impl ColumnType {
    /// Names and types as the parser takes them.
    pub fn columns(columns: Vec<(String, Self)>) -> Vec<(String, TextType)> {
        let typed = columns.into_iter();
        typed.map(|(name, kind)| (name, kind.text_type())).collect()
    }

    fn text_type(self) -> TextType {
        match self {
            Self::String => TextType::String,
            Self::Int => TextType::Integer,
            Self::Float => TextType::Float,
            Self::Bool => TextType::Boolean,
            Self::Timestamp => TextType::Timestamp { format: None },
        }
    }
}

/// The one character that option `name` is.
pub(crate) fn character(name: &str, text: &str, node: &Node, problems: &mut Problems) -> Option<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Some(*byte),
        _ => {
            let found = node.get(name).map_or(String::new(), |node| node.found());
            let message = format!("expected one ASCII character, found {found}");
            problems.add(node.span_of(name), message);
            None
        }
    }
}
