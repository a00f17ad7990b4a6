//! Cases of `tests:`: records that come in, and what a pipeline shall make of them.
//!
//! They stand in the pipeline, or beside it: those of `FILE.yaml` in `FILE.test.yaml`. Here they
//! are read and their names are checked; who plays a pipeline through compares.

mod reader;

use std::path::PathBuf;

use towpath_sdk::config::{
    Form, Key, Kind, Literal, Named, Node, NodeValue, OneOrMany, OptionType, Problem, Problems,
};
use towpath_sdk::options;

pub(crate) use reader::{CaseReader, file_beside, is_beside};

/// A case, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it shows, in a few words.
    pub name: String,
    /// The YAML file in which it stands.
    pub file: PathBuf,
    /// Where it begins there, from 1.
    pub line: usize,
    /// When it happens, milliseconds since 1970.
    pub now_ms: i64,
    /// What comes in, by source, in the order written.
    pub sources: Vec<(String, Vec<InputRecord>)>,
    /// What is put into topics, by topic, in the order written.
    pub topics: Vec<(String, Vec<InputRecord>)>,
    /// What shall come of it.
    pub expected: Expected,
}

/// A record that comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRecord {
    /// As the source finds it, or as it stands in the topic.
    pub value: Content,
    /// [`Content::Null`]: none.
    pub key: Content,
    /// By name, in the order written.
    pub headers: Vec<(String, Content)>,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// What the source's own names stand for in templates.
    pub origin: Vec<(&'static str, String)>,
}

options! {
    /// A case: records that come in, and what shall come of them.
    pub(crate) struct CaseOptions {
        /// What it shows, in a few words.
        pub name: String,
        /// When it happens; also the time of records that give none.
        pub now: Moment = "2000-01-01T00:00:00Z",
        /// What comes in.
        pub input: InputOptions,
        /// What shall come of it.
        pub expect: Expected,
    }

    /// What comes in: first all from sources, in the order written, then what is put into topics. What
    /// a `lookup` reads is there before.
    struct InputOptions {
        /// Records by source. Values are what the source finds; its `format` decodes them.
        pub sources: Named<OneOrMany<Brief<InputRecordOptions>>> = {},
        /// Records by topic, for the streams, sinks and lookups that read it.
        pub topics: Named<OneOrMany<Brief<InputRecordOptions>>> = {},
    }

    /// A record that comes in.
    pub(crate) struct InputRecordOptions {
        /// Text as it is; a list, map, number or boolean becomes JSON; `null` is a tombstone, and the
        /// text `"null"` JSON's null.
        pub value: Content,
        /// Its key, written as the value is.
        pub key: Option<Content>,
        /// Headers by name.
        pub headers: Named<Content> = {},
        /// Its time; default: `now`.
        pub timestamp: Option<Moment>,
        /// What the source's own names stand for in templates, such as `path`.
        pub origin: Named<String> = {},
    }

    /// What shall come of it. A topic or sink that is not named is not looked at.
    pub struct Expected {
        /// All records of a topic, by topic, with those that were put into it.
        pub topics: Named<OneOrMany<Brief<ExpectedRecord>>> = {},
        /// All that a sink writes, by sink, one item a record.
        pub sinks: Named<OneOrMany<Brief<ExpectedRecord>>> = {},
        /// What is refused, by source, stream or sink: a part of each message. A record that is refused
        /// and does not stand here fails the case.
        pub refused: Named<OneOrMany<String>> = {},
    }

    /// A record as it shall be. What is not given is not looked at.
    pub struct ExpectedRecord {
        /// Text is compared as it is, anything else as JSON; `null` is a tombstone, and the text
        /// `"null"` JSON's null.
        pub value: Option<Content>,
        /// Its key, written as the value is; `null`: none.
        pub key: Option<Content>,
        /// Headers by name, others may be there; `null`: absent, or without a value.
        pub headers: Named<Content> = {},
        /// Its time.
        pub timestamp: Option<Moment>,
        /// Its partition.
        pub partition: Option<u32>,
    }

    /// The file beside a pipeline.
    struct FileBeside {
        /// The cases.
        pub tests: CasesLater,
    }
}

/// A key, a value, or the value of a header, as a case writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// None; of a value, a tombstone.
    Null,
    /// Text, as it is.
    Text(String),
    /// JSON on one line, with every digit as written.
    Json(String),
}

impl Content {
    /// The bytes it stands for.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Null => None,
            Self::Text(text) | Self::Json(text) => Some(text.as_bytes()),
        }
    }
}

impl OptionType for Content {
    fn kind() -> Kind {
        Kind::Either(Vec::new())
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            NodeValue::Null => Some(Self::Null),
            NodeValue::String(text) => Some(Self::Text(text.clone())),
            _ => Literal::parse(node, problems).map(|json| Self::Json(json.0)),
        }
    }
}

/// A moment, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub i64);

impl OptionType for Moment {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "RFC 3339 time",
            pattern: None,
            example: "2026-01-01T00:00:00Z",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let moment = node.text().and_then(|text| text.parse().ok());
        if moment.is_none() {
            let message = format!("expected a time, found {}", node.found());
            let help = "a time needs date, time and zone: 2026-01-01T00:00:00Z";
            problems.push(Problem::new(node.span, message).help(help));
        }
        moment.map(|moment: jiff::Timestamp| Self(moment.as_millisecond()))
    }
}

/// A record in full, or text: its value alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief<T>(pub T);

impl<T: OptionType> OptionType for Brief<T> {
    fn kind() -> Kind {
        Kind::Either(vec![T::kind(), Kind::TEXT])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            NodeValue::Map(_) => T::parse(node, problems).map(Self),
            NodeValue::String(_) => {
                let key = Key {
                    name: "value".to_owned(),
                    span: node.span,
                };
                let full = Node::new(node.span, NodeValue::Map(vec![(key, node.clone())]));
                T::parse(&full, problems).map(Self)
            }
            _ => {
                let message = format!("expected a record, found {}", node.found());
                let help = "text, or a map: { value: ... }";
                problems.push(Problem::new(node.span, message).help(help));
                None
            }
        }
    }
}

/// The list of cases: read when the pipeline is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CasesLater;

impl OptionType for CasesLater {
    fn kind() -> Kind {
        Vec::<CaseOptions>::kind()
    }

    fn parse(_: &Node, _: &mut Problems) -> Option<Self> {
        Some(Self)
    }
}
