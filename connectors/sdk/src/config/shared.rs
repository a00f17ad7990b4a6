//! Option types that have one shape in every connector.

use super::{Kind, Node, NodeValue, OptionType, Problem, Problems, Word};
use crate::choice;

/// What a topic's values are. A word, or a map with `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// UTF-8 text.
    Text,
    /// Bytes, not looked into.
    Bytes,
    /// One JSON value.
    Json,
}

const FORMATS: &[&str] = &["text", "bytes", "json"];
/// What is JSON in a topic.
const OUTSIDE_FORMATS: &[&str] = &["csv", "logfmt", "syslog", "avro", "parquet"];

impl Format {
    /// The word that is written for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Json => "json",
        }
    }

    /// The format that is written `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Text, Self::Bytes, Self::Json]
            .into_iter()
            .find(|format| format.as_str() == word)
    }
}

impl OptionType for Format {
    fn kind() -> Kind {
        Kind::Word(vec![
            Word::of("text", &["UTF-8 text."]),
            Word::of("bytes", &["Bytes, not looked into."]),
            Word::of("json", &["One JSON value."]),
        ])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let node = type_word(node, &[], problems)?;
        if let Some(word) = node.text().filter(|word| OUTSIDE_FORMATS.contains(word)) {
            let message = format!("no values of a topic are {word}");
            let help =
                "write `format: json`: sources read other formats into it, sinks write from it";
            problems.push(Problem::new(node.span, message).help(help));
            return None;
        }
        match super::parse_choice(node, FORMATS, problems)? {
            "text" => Some(Self::Text),
            "bytes" => Some(Self::Bytes),
            _ => Some(Self::Json),
        }
    }
}

/// How a file, object or body is compressed. A word, or a map with `type` and `level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As it is.
    None,
    /// One gzip member after the other.
    Gzip {
        /// From 1 (fast) to 9 (small).
        level: u32,
    },
    /// One zstd frame after the other.
    Zstd {
        /// From 1 (fast) to 19 (small).
        level: u32,
    },
    /// One stream of Snappy's framing format after the other.
    Snappy,
}

impl Compression {
    /// gzip at the level that holds when none is given.
    pub const GZIP: Self = Self::Gzip { level: 6 };
    /// zstd at the level that holds when none is given.
    pub const ZSTD: Self = Self::Zstd { level: 3 };

    /// The word that is written for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip { .. } => "gzip",
            Self::Zstd { .. } => "zstd",
            Self::Snappy => "snappy",
        }
    }
}

crate::options! {
    /// Compression in its full form.
    struct CompressionOptions {
        /// Which.
        r#type: CompressionWord,
        /// From 1 (fast) to 9 for gzip (default 6), to 19 for zstd (default 3).
        level: Option<u32>,
    }
}

choice! {
    enum CompressionWord {
        /// As it is.
        None = "none",
        /// One gzip member after the other.
        Gzip = "gzip",
        /// One zstd frame after the other.
        Zstd = "zstd",
        /// One stream of Snappy's framing format after the other; has no level.
        Snappy = "snappy",
    }
}

impl OptionType for Compression {
    fn kind() -> Kind {
        Kind::Either(vec![CompressionWord::kind(), CompressionOptions::kind()])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let word = type_word(node, &["level"], problems)?;
        refuse_later(word, "the compression", &["lz4"], problems)?;
        let (word, level) = if matches!(node.value, NodeValue::Map(_)) {
            let options = CompressionOptions::parse(node, problems)?;
            (options.r#type, options.level)
        } else {
            (CompressionWord::parse(node, problems)?, None)
        };
        let (highest, default) = match word {
            CompressionWord::None => (0, Self::None),
            CompressionWord::Gzip => (9, Self::GZIP),
            CompressionWord::Zstd => (19, Self::ZSTD),
            CompressionWord::Snappy => (0, Self::Snappy),
        };
        let Some(level) = level else {
            return Some(default);
        };
        if !(1..=highest).contains(&level) {
            problems.add(
                node.span_of("level"),
                match highest {
                    0 => format!("`{}` has no level", word.as_str()),
                    _ => format!("the level of {} is from 1 to {highest}", word.as_str()),
                },
            );
            return None;
        }
        Some(match word {
            CompressionWord::None => Self::None,
            CompressionWord::Gzip => Self::Gzip { level },
            CompressionWord::Zstd => Self::Zstd { level },
            CompressionWord::Snappy => Self::Snappy,
        })
    }
}

/// The word itself, or the `type` of a map that has besides only `others`.
fn type_word<'a>(node: &'a Node, others: &[&str], problems: &mut Problems) -> Option<&'a Node> {
    let NodeValue::Map(entries) = &node.value else {
        return Some(node);
    };
    let known = || std::iter::once("type").chain(others.iter().copied());
    let mut sound = true;
    for (key, _) in entries {
        if others.is_empty() && key.name != "type" {
            let message = format!("unknown option `{}`", crate::printable(&key.name));
            problems.push(Problem::new(key.span, message).suggest(&key.name, known()));
            sound = false;
        }
    }
    match node.get("type") {
        Some(word) => Some(word).filter(|_| sound),
        None => {
            problems.push(Problem::missing(node.span, "missing option `type`"));
            None
        }
    }
}

/// Refuses a word that a later version brings.
pub(super) fn refuse_later(
    node: &Node,
    what: &str,
    later: &[&str],
    problems: &mut Problems,
) -> Option<()> {
    match node.text() {
        Some(word) if node.reference.is_none() && later.contains(&word) => {
            problems.push(Problem::not_yet(node.span, format!("{what} `{word}`")));
            None
        }
        _ => Some(()),
    }
}

choice! {
    /// A part of a record that can be written.
    pub enum RecordField {
        /// The value.
        Value = "value",
        /// The key.
        Key = "key",
        /// The headers, as a list of `{key, value}`.
        Headers = "headers",
        /// The record's time.
        Timestamp = "timestamp",
        /// The topic's name.
        Topic = "topic",
        /// The partition's number.
        Partition = "partition",
        /// The offset in the partition.
        Offset = "offset",
    }
}

/// What of a record is written: the bare value, or an object of several parts. A word or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<RecordField>);

impl Fields {
    /// In the order in which they are written.
    pub fn iter(&self) -> impl Iterator<Item = RecordField> + '_ {
        self.0.iter().copied()
    }

    /// Whether the value stands alone, not in an object.
    pub fn is_bare_value(&self) -> bool {
        self.0 == [RecordField::Value]
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self(vec![RecordField::Value])
    }
}

impl OptionType for Fields {
    fn kind() -> Kind {
        super::OneOrMany::<RecordField>::kind()
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = super::OneOrMany::<RecordField>::parse(node, problems)?.0;
        if fields.is_empty() {
            problems.push(Problem::new(node.span, "a record of no fields").help("write [value]"));
            return None;
        }
        for (index, field) in fields.iter().enumerate() {
            if fields[..index].contains(field) {
                problems.add(node.span, format!("`{}` stands twice", field.as_str()));
                return None;
            }
        }
        Some(Self(fields))
    }
}
