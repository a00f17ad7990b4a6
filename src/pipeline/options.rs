//! The options that every pipeline, topic and connector has.

use std::num::NonZeroU32;

use towpath_sdk::config::{
    Duration, Form, Format, Integer, Kind, Limit, Node, NodeValue, OneOrMany, OptionType,
    OptionsSpec, Pattern, Problem, Problems, Size, Start, whole_number,
};
use towpath_sdk::{choice, is_internal_topic, options};

use crate::case::CasesLater;

use crate::on_error::OnErrorOption;

options! {
    /// A pipeline: topics, the sources that write to them, the streams between them, the sinks that
    /// read from them.
    pub(crate) struct PipelineOptions {
        /// Its name; default: the file's name without extension.
        pub name: Option<String>,
        /// What it is for.
        pub description: Option<String>,
        /// Topics by name, with their settings.
        pub topics: Named = {},
        /// Sources by name.
        pub sources: Named = {},
        /// Streams by name: from topics to a topic.
        pub streams: Named = {},
        /// Sinks by name.
        pub sinks: Named = {},
        /// Cases for `towpath test`.
        pub tests: Option<CasesLater>,
    }

    /// A topic.
    pub(crate) struct TopicOptions {
        /// How many partitions; default: `topic_defaults` of the worker, else 1.
        pub partitions: Option<Partitions>,
        /// What its values are; default: what its sources write, else `text`.
        pub format: Option<Format>,
        /// What becomes of old records.
        pub cleanup: Cleanup = "delete",
        /// How long records are kept; default: `topic_defaults` of the worker, else 7 days.
        pub retention: Option<Retention>,
    }

    /// How long records are kept, at least as long as a sink still needs them.
    pub struct Retention {
        /// By age; default: `topic_defaults` of the worker, else 7 days.
        pub time: Option<Limit>,
        /// By bytes of each partition; default: `topic_defaults` of the worker, else any.
        pub size: Option<Size>,
    }

    /// What a source or sink has before all else.
    pub(crate) struct TypeOptions {
        /// Which connector it is.
        pub r#type: String,
    }

    /// What every connector has.
    pub(crate) struct CommonOptions {
        /// What it is for.
        pub description: Option<String>,
        /// Whether it runs.
        pub enabled: bool = true,
        /// The `pipeline.connector` it was named before: its position and state are taken over.
        pub formerly: Option<String>,
        /// How many tasks share the work.
        pub tasks: NonZeroU32 = 1,
        /// Steps that change records.
        pub transforms: Transforms = [],
        /// What happens to a bad record.
        pub on_error: OnErrorOption = "fail",
        /// How often a failing connector is tried again.
        pub retry: Retry = {},
    }

    /// Pauses between attempts, doubled each time.
    pub struct Retry {
        /// The first pause.
        pub first: Duration = "250ms",
        /// The longest pause.
        pub max: Duration = "60s",
        /// How long to go on trying.
        pub limit: Limit = "forever",
    }

    /// What every source and stream has.
    pub(crate) struct OutputOptions {
        /// The topic to write to; may be a template.
        pub topic: Unchecked,
        /// The records' key, a template; default: the key they come with, if they have one.
        pub key: Option<Unchecked>,
        /// How a record's partition is chosen; default: by the key if there is one, else by source.
        pub partition_by: Option<PartitionBy>,
        /// What happens when the schema of a topic's records changes so that what was made for the
        /// one before does not go with it; default: `fail`. For streams, and for sources that know
        /// their types.
        pub on_schema_change: Option<OnSchemaChange>,
    }

    /// What every stream and sink has.
    pub(crate) struct InputOptions {
        /// The topics to read: names, or `/regex/` over whole names.
        pub topics: OneOrMany<TopicSelector>,
        /// The name its offsets and state are kept under; default: `pipeline.connector`.
        pub group: Option<String>,
        /// Where it begins the first time.
        pub start: Start = "earliest",
    }
}

/// What every source has besides its own options.
pub fn source_options() -> OptionsSpec {
    let common = TypeOptions::spec().with(CommonOptions::spec());
    common.with(OutputOptions::spec())
}

/// What a stream has.
pub fn stream_options() -> OptionsSpec {
    let common = CommonOptions::spec();
    common
        .with(InputOptions::spec())
        .with(OutputOptions::spec())
}

/// What every sink has besides its own options.
pub fn sink_options() -> OptionsSpec {
    let common = TypeOptions::spec().with(CommonOptions::spec());
    common.with(InputOptions::spec())
}

choice! {
    /// What becomes of old records.
    pub enum Cleanup {
        /// They go as `retention` says.
        Delete = "delete",
        /// The newest record of each key is kept for ever; each record must have a key, and one
        /// with a null value deletes its key.
        Compact = "compact",
    }
}

choice! {
    /// How the partition of a record is chosen.
    pub enum PartitionBy {
        /// Records of one place (such as a file) stay in one partition; those that a stream reads, in
        /// the partition of the same number.
        Source = "source",
        /// Records of one key stay in one partition, by Kafka's hash.
        Key = "key",
        /// One partition after the other, record by record.
        RoundRobin = "round_robin",
    }
}

choice! {
    /// What happens when the schema of a topic's records changes incompatibly.
    pub enum OnSchemaChange {
        /// The connector stops; what it had read together with the first such record is read again.
        Fail = "fail",
        /// The schema becomes the topic's next version all the same.
        Evolve = "evolve",
        /// Such records go where `on_error` says; it must be `dead_letter`.
        DeadLetter = "dead_letter",
    }
}

/// `node` without the entries `later`, each of which is reported as not supported yet.
pub(crate) fn without(node: &Node, later: &[(&str, &str)], problems: &mut Problems) -> Node {
    let mut node = node.clone();
    if let NodeValue::Map(entries) = &mut node.value {
        entries.retain(
            |(key, _)| match later.iter().find(|(name, _)| *name == key.name) {
                Some((_, what)) => {
                    problems.push(Problem::not_yet(key.span, what));
                    false
                }
                None => true,
            },
        );
    }
    node
}

/// `transforms`, which are read with the connector around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transforms;

impl OptionType for Transforms {
    fn kind() -> Kind {
        Kind::List(Box::new(Kind::Either(Vec::new())))
    }

    fn parse(_: &Node, _: &mut Problems) -> Option<Self> {
        Some(Self)
    }
}

/// How many partitions a topic has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions(NonZeroU32);

impl Partitions {
    /// `None` for 0.
    pub(crate) fn new(partitions: u32) -> Option<Self> {
        NonZeroU32::new(partitions).map(Self)
    }

    /// From 1.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl Integer for Partitions {
    const LOWEST: i64 = 1;
    /// What the log takes (`towpath_log::PARTITIONS_MAX`).
    const HIGHEST: u64 = 4_096;

    fn from_i128(number: i128) -> Option<Self> {
        let number = u32::try_from(number).ok()?;
        Self::new(number).filter(|_| u64::from(number) <= Self::HIGHEST)
    }
}

impl OptionType for Partitions {
    fn kind() -> Kind {
        Kind::Integer {
            min: Self::LOWEST,
            max: Self::HIGHEST,
        }
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        whole_number(node, problems)
    }
}

impl std::fmt::Display for Partitions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A map of names that the user chooses, read later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named(pub Node);

impl OptionType for Named {
    fn kind() -> Kind {
        Kind::Map(Box::new(Kind::Either(Vec::new())))
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            NodeValue::Map(_) => Some(Self(node.clone())),
            _ => {
                let found = node.found();
                problems.add(node.span, format!("expected a map of names, found {found}"));
                None
            }
        }
    }
}

/// A template whose names are checked later, when the connector is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unchecked(pub Node);

impl OptionType for Unchecked {
    fn kind() -> Kind {
        towpath_sdk::Template::kind()
    }

    fn parse(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(Self(node.clone()))
    }
}

/// Which topics a sink reads.
#[derive(Debug, Clone, PartialEq)]
pub enum TopicSelector {
    /// One topic.
    Name(String),
    /// Matches whole names.
    Pattern(Pattern),
}

impl TopicSelector {
    /// Whether the topic of this name is read.
    pub fn matches(&self, topic: &str) -> bool {
        match self {
            Self::Name(name) => name == topic,
            Self::Pattern(pattern) => {
                !is_internal_topic(topic) && pattern.is_match(topic.as_bytes())
            }
        }
    }
}

impl OptionType for TopicSelector {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "topic or `/regex/`",
            pattern: None,
            example: "/logs-.*/",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::parse(node, problems)?;
        let Some(regex) = text.strip_prefix('/') else {
            return crate::name::check("topic", &text, node, problems).then_some(Self::Name(text));
        };
        let Some(regex) = regex.strip_suffix('/') else {
            let problem = Problem::new(node.span, "a `/regex/` ends in `/`");
            problems.push(problem);
            return None;
        };
        match Pattern::new(&format!("^(?:{regex})$")) {
            Ok(pattern) => Some(Self::Pattern(pattern)),
            Err(_) if node.reference.is_some() => {
                problems.add(
                    node.span,
                    format!("{} is no regular expression", node.found()),
                );
                None
            }
            Err(why) => {
                problems.add(node.span, format!("not a regular expression: {why}"));
                None
            }
        }
    }
}
