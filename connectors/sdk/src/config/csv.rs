//! How CSV is written: the same options wherever CSV is read.

use std::collections::HashSet;

use super::types::expect_text;
use super::{Form, Kind, Named, Node, NodeValue, OptionType, Problem, Problems, Word};
use crate::{choice, printable};

/// How a CSV text is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first record of each text names the columns.
    pub header: bool,
    /// Name and type of each column, in their order; with a header in any order, and only those
    /// that are no strings.
    pub columns: Vec<(String, TextType)>,
    /// Between fields; an ASCII character.
    pub delimiter: u8,
    /// Around fields that hold a delimiter, a quote or a line break; an ASCII character.
    pub quote: u8,
    /// Before a quote inside quotes; usually the quote itself.
    pub escape: u8,
    /// Whether an empty field without quotes is null instead of an empty string.
    pub empty_is_null: bool,
    /// Whether a stray quote is kept as text, a value of another type as a string, and missing or
    /// surplus fields are let pass, instead of refusing the record.
    pub lenient: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: true,
            columns: Vec::new(),
            delimiter: b',',
            quote: b'"',
            escape: b'"',
            empty_is_null: false,
            lenient: false,
        }
    }
}

impl CsvOptions {
    /// Whether any column has a type besides string. Lenient reading lets every value pass, so that
    /// it knows no types.
    pub fn knows_types(&self) -> bool {
        let mut types = self.columns.iter().map(|(_, value)| value);
        !self.lenient && types.any(|value| *value != TextType::String)
    }

    /// Checks that the options make sense together.
    ///
    /// # Errors
    /// Says what is wrong, in words for the person who wrote them.
    pub fn check(&self) -> Result<(), String> {
        for (name, byte) in [
            ("delimiter", self.delimiter),
            ("quote", self.quote),
            ("escape", self.escape),
        ] {
            if !can_separate(byte) {
                return Err(format!(
                    "`{name}` must be one ASCII character, and no line break"
                ));
            }
        }
        if self.delimiter == self.quote || self.delimiter == self.escape {
            return Err("`delimiter` must differ from `quote` and `escape`".to_owned());
        }
        if !self.header && self.columns.is_empty() {
            return Err("`columns` must be given when there is no header".to_owned());
        }
        let mut seen = HashSet::new();
        match self.columns.iter().find(|(name, _)| !seen.insert(name)) {
            Some((name, _)) => Err(format!("column `{}` is given twice", printable(name))),
            None => Ok(()),
        }
    }
}

/// Whether `byte` may stand between fields or around them.
fn can_separate(byte: u8) -> bool {
    byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | b'\0')
}

/// What a piece of text is to become.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TextType {
    /// A string, as it stands.
    #[default]
    String,
    /// A whole number of any length.
    Integer,
    /// A decimal number, which keeps its digits.
    Float,
    /// `true` or `false` in any case, `1` or `0`.
    Boolean,
    /// A time; written as ISO 8601 in UTC. A time without a zone is taken as UTC.
    Timestamp {
        /// A strftime format; `None` for ISO 8601.
        format: Option<Box<str>>,
    },
}

impl TextType {
    /// The type that is written `word`; those that Logstash and Vector write are known too.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "string" => Self::String,
            "int" | "integer" | "long" => Self::Integer,
            "float" | "double" => Self::Float,
            "bool" | "boolean" => Self::Boolean,
            "timestamp" => Self::Timestamp { format: None },
            _ => return None,
        })
    }
}

/// The words that are proposed, and what they mean.
const TYPES: [(&str, &str); 5] = [
    ("string", "Text, as it stands."),
    ("int", "A whole number of any length."),
    ("float", "A decimal number, which keeps its digits."),
    ("bool", "`true` or `false` in any case, `1` or `0`."),
    (
        "timestamp",
        "A time in ISO 8601; in UTC where it names no zone.",
    ),
];

impl OptionType for TextType {
    fn kind() -> Kind {
        let word = |(name, doc)| Word {
            name,
            doc: String::from(doc),
        };
        Kind::Word(TYPES.map(word).to_vec())
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let known = node.text().and_then(Self::from_word);
        known.or_else(|| {
            let word = super::parse_choice(node, &TYPES.map(|(name, _)| name), problems)?;
            Self::from_word(word)
        })
    }
}

/// Columns: a list of names, or a map from names to types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns(pub Vec<(String, TextType)>);

impl OptionType for Columns {
    fn kind() -> Kind {
        Kind::Either(vec![Vec::<String>::kind(), Named::<TextType>::kind()])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let NodeValue::Map(_) = node.value {
            return Named::parse(node, problems).map(|columns| Self(columns.0));
        }
        let names = Vec::<String>::parse(node, problems)?;
        let text = |name| (name, TextType::String);
        Some(Self(names.into_iter().map(text).collect()))
    }
}

/// One ASCII character that can separate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Separator(pub u8);

impl OptionType for Separator {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "character",
            pattern: None,
            example: ";",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = expect_text(node, "text", problems)?;
        if let [byte] = *text.as_bytes()
            && can_separate(byte)
        {
            return Some(Self(byte));
        }
        let message = format!(
            "expected one ASCII character, and no line break; found {}",
            node.found()
        );
        let problem = Problem::new(node.span, message);
        problems.push(match text {
            r"\t" => problem.help(r#"write "\t" in double quotes"#),
            _ => problem,
        });
        None
    }
}

choice! {
    /// What a parser does with text that is not well formed.
    pub enum Mode {
        /// Its record is refused.
        Strict = "strict",
        /// What can be kept is kept as text.
        Lenient = "lenient",
    }
}
