//! What a source reads: more than the three formats that a topic's values can have.

#[cfg(test)]
mod tests;

use super::{
    Columns, CsvOptions, Format, Key, Kind, Mode, Node, NodeValue, OptionType, OptionsSpec,
    Problem, Problems, Separator,
};
use crate::{choice, options};

/// The format of what a source reads. A word, or a map with `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFormat {
    /// Text, one record a payload.
    Text,
    /// Bytes, one record a payload.
    Bytes,
    /// JSON, one record a payload.
    Json,
    /// A JSON list a payload, one record an item.
    JsonArray,
    /// CSV, any number of records a payload. The options have passed [`CsvOptions::check`].
    Csv(CsvOptions),
    /// logfmt, one record a payload.
    Logfmt {
        /// Whether what is not well formed is kept as text.
        lenient: bool,
    },
    /// syslog, one message a payload.
    Syslog {
        /// Whether what is not well formed is kept as text.
        lenient: bool,
    },
    /// Avro object container files, one file a payload.
    Avro,
    /// Parquet files, one file a payload.
    Parquet,
}

impl InputFormat {
    /// What the values are in the topic.
    pub fn topic_format(&self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::Bytes => Format::Bytes,
            _ => Format::Json,
        }
    }

    /// Whether its records have a schema: their types are in the file or were told.
    pub fn knows_types(&self) -> bool {
        match self {
            Self::Avro | Self::Parquet => true,
            Self::Csv(options) => options.knows_types(),
            _ => false,
        }
    }

    /// Whether the format itself finds the records of a file ([`crate::Decoder::open`]).
    pub fn finds_records(&self) -> bool {
        matches!(self, Self::Avro | Self::Parquet)
    }

    /// Whether a payload must be a whole file or body, of which no part can be read alone.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::JsonArray | Self::Avro | Self::Parquet)
    }

    /// For a source whose options `node` say that a payload is a line: reports a format of which
    /// no line can be read alone.
    pub fn refuse_in_lines(&self, node: &Node, problems: &mut Problems) {
        if self.is_whole() {
            let message = "this format cannot be read line by line";
            let help = "add `framing: whole`, and a `max_line` that the largest input fits in";
            problems.push(Problem::new(node.span_of("format"), message).help(help));
        }
    }
}

impl From<Format> for InputFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Bytes => Self::Bytes,
            Format::Json => Self::Json,
        }
    }
}

choice! {
    enum InputWord {
        /// UTF-8 text.
        Text = "text",
        /// Bytes, not looked into.
        Bytes = "bytes",
        /// One JSON value, or with `array` a list of them.
        Json = "json",
        /// CSV, whose first record is the header unless `header` says no.
        Csv = "csv",
        /// `name=value` pairs.
        Logfmt = "logfmt",
        /// RFC 5424 or RFC 3164.
        Syslog = "syslog",
        /// Avro object container files.
        Avro = "avro",
        /// Parquet files.
        Parquet = "parquet",
    }
}

impl InputWord {
    /// The options that it has besides `type`.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Text | Self::Bytes | Self::Avro | Self::Parquet => &[],
            Self::Json => &["array"],
            Self::Logfmt | Self::Syslog => &["mode"],
            Self::Csv => &[
                "header",
                "columns",
                "delimiter",
                "quote",
                "escape",
                "empty_is_null",
                "mode",
            ],
        }
    }
}

// What is absent has no default here: `check --print` would write it beside any `type`.
options! {
    /// A format in its full form.
    struct InputOptions {
        /// Which.
        r#type: InputWord,
        /// Of `json`: whether all that is read at once is a list, each item of which is a record
        /// (default `false`).
        array: Option<bool>,
        /// Of `csv`: whether the first record of a file names the columns (default `true`).
        header: Option<bool>,
        /// Of `csv`: the columns in their order, names or names with types; with a header only
        /// those that are no strings, in any order.
        columns: Option<Columns>,
        /// Of `csv`: the character between fields (default `,`).
        delimiter: Option<Separator>,
        /// Of `csv`: the character around fields that hold a delimiter, a quote or a line break
        /// (default `"`).
        quote: Option<Separator>,
        /// Of `csv`: the character before a quote inside quotes; the quote itself when absent.
        escape: Option<Separator>,
        /// Of `csv`: whether an empty field without quotes is null instead of an empty string
        /// (default `false`).
        empty_is_null: Option<bool>,
        /// Of `csv`, `logfmt` and `syslog`: what happens to what is not well formed (default
        /// `strict`).
        mode: Option<Mode>,
    }
}

impl InputOptions {
    fn is_lenient(&self) -> bool {
        self.mode == Some(Mode::Lenient)
    }

    fn csv(self) -> CsvOptions {
        let default = CsvOptions::default();
        let quote = self.quote.map_or(default.quote, |quote| quote.0);
        CsvOptions {
            lenient: self.is_lenient(),
            header: self.header.unwrap_or(default.header),
            columns: self.columns.map_or(default.columns, |columns| columns.0),
            delimiter: self.delimiter.map_or(default.delimiter, |one| one.0),
            quote,
            escape: self.escape.map_or(quote, |escape| escape.0),
            empty_is_null: self.empty_is_null.unwrap_or(default.empty_is_null),
        }
    }
}

impl OptionType for InputFormat {
    fn kind() -> Kind {
        Kind::Either(vec![InputWord::kind(), InputOptions::kind()])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let node = &of_word::<InputWord>(node, problems)?;
        let options = InputOptions::parse(node, problems)?;
        let word = options.r#type;
        refuse_foreign(
            word.as_str(),
            word.options(),
            InputOptions::spec(),
            node,
            problems,
        );
        let lenient = options.is_lenient();
        Some(match word {
            InputWord::Text => Self::Text,
            InputWord::Bytes => Self::Bytes,
            InputWord::Json if options.array == Some(true) => Self::JsonArray,
            InputWord::Json => Self::Json,
            InputWord::Csv => {
                let csv = options.csv();
                if let Err(why) = csv.check() {
                    problems.add(node.span, why);
                    return None;
                }
                Self::Csv(csv)
            }
            InputWord::Logfmt => Self::Logfmt { lenient },
            InputWord::Syslog => Self::Syslog { lenient },
            InputWord::Avro => Self::Avro,
            InputWord::Parquet => Self::Parquet,
        })
    }
}

/// A word is a map of its type alone; `None`, and a problem, when it is no `Word`.
pub(super) fn of_word<Word: OptionType>(node: &Node, problems: &mut Problems) -> Option<Node> {
    if let NodeValue::Map(_) = node.value {
        return Some(node.clone());
    }
    Word::parse(node, problems)?;
    let key = Key {
        name: "type".to_owned(),
        span: node.span,
    };
    let entries = NodeValue::Map(vec![(key, node.clone())]);
    Some(Node::new(node.span, entries))
}

/// Reports the entries of `node` that are options of other formats than `word`, which has its
/// `own`; `spec` has all.
pub(super) fn refuse_foreign(
    word: &str,
    own: &[&str],
    spec: OptionsSpec,
    node: &Node,
    problems: &mut Problems,
) {
    let NodeValue::Map(entries) = &node.value else {
        return;
    };
    for (key, _) in entries {
        let name = key.name.as_str();
        if name != "type" && !own.contains(&name) && spec.get(name).is_some() {
            let message = format!("`{name}` is no option of the format `{word}`");
            let help = match own {
                [] => "it has none".to_owned(),
                own => format!("its options are: {}", own.join(", ")),
            };
            problems.push(Problem::new(key.span, message).help(help));
        }
    }
}
