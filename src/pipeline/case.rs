//! Cases of `tests:`: records that come in, and what a pipeline shall make of them.
//!
//! They stand in the pipeline, or beside it: those of `FILE.yaml` in `FILE.test.yaml`. Here they
//! are read and their names are checked; who plays a pipeline through compares.

use std::path::{Path, PathBuf};

use towpath_sdk::config::{
    Form, Key, Kind, Literal, Named, Node, NodeValue, OneOrMany, OptionType, Problem, Problems, Span,
};
use towpath_sdk::{Registry, options, printable};

use crate::diagnostic::Sources;
use crate::options::TopicSelector;

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
    struct CaseOptions {
        /// What it shows, in a few words.
        pub name: String,
        /// When it happens; also the time of records that give none.
        pub now: Moment = "2000-01-01T00:00:00Z",
        /// What comes in.
        pub input: InputOptions,
        /// What shall come of it.
        pub expect: Expected,
    }

    /// What comes in: first all from sources, in the order written, then what is put into topics.
    struct InputOptions {
        /// Records by source. Values are what the source finds; its `format` decodes them.
        pub sources: Named<OneOrMany<Brief<InputRecordOptions>>> = {},
        /// Records by topic, for the sinks that read it.
        pub topics: Named<OneOrMany<Brief<InputRecordOptions>>> = {},
    }

    /// A record that comes in.
    struct InputRecordOptions {
        /// Text as it is; a list, map, number or boolean becomes JSON; `null` is a tombstone.
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
        /// All records of a topic, by topic.
        pub topics: Named<OneOrMany<Brief<ExpectedRecord>>> = {},
        /// All that a sink writes, by sink, one item a record.
        pub sinks: Named<OneOrMany<Brief<ExpectedRecord>>> = {},
        /// What is refused, by source or sink: a part of each message. A record that is refused
        /// and does not stand here fails the case.
        pub refused: Named<OneOrMany<String>> = {},
    }

    /// A record as it shall be. What is not given is not looked at.
    pub struct ExpectedRecord {
        /// Text is compared as it is, anything else as JSON; `null` is a tombstone.
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

/// A record in full, or what is not a map: its value alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief<T>(pub T);

impl<T: OptionType> OptionType for Brief<T> {
    fn kind() -> Kind {
        Kind::Either(vec![T::kind(), Kind::TEXT, Kind::Number, Kind::Bool])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let NodeValue::Map(_) = node.value {
            return T::parse(node, problems).map(Self);
        }
        let key = Key {
            name: "value".to_owned(),
            span: node.span,
        };
        let full = Node::new(node.span, NodeValue::Map(vec![(key, node.clone())]));
        T::parse(&full, problems).map(Self)
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

/// Where the cases of `file` may stand besides `file` itself.
pub(crate) fn file_beside(file: &Path) -> PathBuf {
    let end = file.extension().unwrap_or_default().to_string_lossy();
    file.with_extension(format!("test.{end}"))
}

/// Whether `file` holds cases, and no pipeline.
pub(crate) fn is_beside(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".test.yaml") || name.ends_with(".test.yml")
}

/// Reads the cases of one pipeline.
pub(crate) struct CaseReader<'a> {
    pub registry: &'a Registry,
    /// The pipeline, as it was read.
    pub document: &'a Node,
    /// What its sinks read.
    pub reads: &'a [(TopicSelector, Span)],
    /// The texts, to say where a case stands.
    pub sources: &'a Sources,
}

impl CaseReader<'_> {
    /// Those in the pipeline itself.
    pub fn inside(&self, problems: &mut Problems) -> Vec<Case> {
        self.cases(self.document.get("tests"), problems)
    }

    /// Those in the file beside it, whose tree is `root`.
    pub fn beside(&self, root: &Node, problems: &mut Problems) -> Vec<Case> {
        if FileBeside::parse(root, problems).is_none() {
            return Vec::new();
        }
        self.cases(root.get("tests"), problems)
    }

    /// The sound ones of a list; every problem is reported.
    fn cases(&self, list: Option<&Node>, problems: &mut Problems) -> Vec<Case> {
        let Some(list) = list else {
            return Vec::new();
        };
        let NodeValue::List(items) = &list.value else {
            let message = format!("expected a list of cases, found {}", list.found());
            problems.push(Problem::new(list.span, message).help("begin each with `- name:`"));
            return Vec::new();
        };
        let read = items.iter().filter_map(|item| self.case(item, problems));
        read.collect()
    }

    fn case(&self, item: &Node, problems: &mut Problems) -> Option<Case> {
        self.check_names(item, problems);
        let options = CaseOptions::parse(item, problems)?;
        let now_ms = options.now.0;
        let InputOptions { sources, topics } = options.input;
        let (file, line) = self.sources.locate(item.span)?;
        Some(Case {
            name: options.name,
            file: file.into(),
            line,
            now_ms,
            sources: self.records(sources, now_ms),
            topics: self.records(topics, now_ms),
            expected: options.expect,
        })
    }

    fn records(
        &self,
        named: Named<OneOrMany<Brief<InputRecordOptions>>>,
        now_ms: i64,
    ) -> Vec<(String, Vec<InputRecord>)> {
        let of_name = |(name, records): (String, OneOrMany<Brief<InputRecordOptions>>)| {
            let known = self.origin_names(&name);
            let records = records.0.into_iter().map(|Brief(options)| {
                let fields = options.origin.0.into_iter();
                InputRecord {
                    value: options.value,
                    key: options.key.unwrap_or(Content::Null),
                    headers: options.headers.0,
                    timestamp_ms: options.timestamp.map_or(now_ms, |time| time.0),
                    origin: fields
                        .filter_map(|(field, value)| {
                            let known = known.iter().find(|(name, _)| *name == field)?;
                            Some((known.0, value))
                        })
                        .collect(),
                }
            });
            (name, records.collect())
        };
        named.0.into_iter().map(of_name).collect()
    }

    /// What the source `name` calls its own in templates.
    fn origin_names(&self, name: &str) -> &'static [(&'static str, &'static str)] {
        let source = self.document.get("sources").and_then(|all| all.get(name));
        let word = source.and_then(|source| source.get("type"));
        let found = word.and_then(|word| self.registry.get(word.text()?));
        found
            .and_then(|found| found.source.as_ref())
            .map_or(&[], |source| source.template_names)
    }

    /// Reports names that mean nothing in this pipeline.
    fn check_names(&self, case: &Node, problems: &mut Problems) {
        let part = |part: &str, name: &str| entries(case.get(part).and_then(|of| of.get(name)));
        let sources: Vec<&str> = names(self.document.get("sources")).collect();
        let sinks: Vec<&str> = names(self.document.get("sinks")).collect();
        for (key, records) in part("input", "sources") {
            if check("source", key, &sources, problems) {
                let known = self.origin_names(&key.name);
                let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                check_origins(records, &known, problems);
            }
        }
        for (key, records) in part("input", "topics") {
            self.check_topic(key, problems);
            check_origins(records, &[], problems);
        }
        for (key, _) in part("expect", "sinks") {
            check("sink", key, &sinks, problems);
        }
        for (key, _) in part("expect", "refused") {
            check("source or sink", key, &[&*sources, &sinks].concat(), problems);
        }
    }

    /// A topic is given records for those who read it.
    fn check_topic(&self, topic: &Key, problems: &mut Problems) {
        if self.reads.iter().any(|(read, _)| read.matches(&topic.name)) {
            return;
        }
        let message = format!("nothing here reads the topic `{}`", printable(&topic.name));
        let named = self.reads.iter().filter_map(|(read, _)| match read {
            TopicSelector::Name(name) => Some(&**name),
            TopicSelector::Pattern(_) => None,
        });
        problems.push(Problem::new(topic.span, message).suggest(&topic.name, named));
    }
}

/// Whether the pipeline has what `key` names; otherwise that is reported.
fn check(what: &str, key: &Key, known: &[&str], problems: &mut Problems) -> bool {
    let is_known = known.contains(&&*key.name);
    if !is_known {
        let message = format!("the pipeline has no {what} `{}`", printable(&key.name));
        let problem = Problem::new(key.span, message);
        problems.push(problem.suggest(&key.name, known.iter().copied()));
    }
    is_known
}

/// Reports names in the `origin` of `records` that are not among `known`.
fn check_origins(records: &Node, known: &[&str], problems: &mut Problems) {
    let records = match &records.value {
        NodeValue::List(items) => items,
        _ => std::slice::from_ref(records),
    };
    for (key, _) in records.iter().flat_map(|record| entries(record.get("origin"))) {
        if !known.contains(&&*key.name) {
            let message = format!("the source has no name `{}`", printable(&key.name));
            let problem = Problem::new(key.span, message);
            problems.push(problem.suggest(&key.name, known.iter().copied()));
        }
    }
}

fn entries(node: Option<&Node>) -> &[(Key, Node)] {
    match node.map(|node| &node.value) {
        Some(NodeValue::Map(entries)) => entries,
        _ => &[],
    }
}

fn names(node: Option<&Node>) -> impl Iterator<Item = &str> {
    entries(node).iter().map(|(key, _)| &*key.name)
}
