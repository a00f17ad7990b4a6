//! A checked pipeline.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use towpath_sdk::config::{Format, Node, Span, Start};
use towpath_sdk::{SinkConfig, SourceConfig, Template};

use crate::case::Case;
use crate::fields::FieldUse;
use crate::on_error::BadRecords;
use crate::options::{
    Cleanup, OnSchemaChange, PartitionBy, Partitions, Retention, Retry, TopicSelector,
};
use crate::transform::{self, ConfiguredTransform};

/// One pipeline file, checked. `Debug` shows names only.
#[derive(Clone)]
pub struct Pipeline {
    /// Unique among all that are loaded.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The YAML file.
    pub file: PathBuf,
    /// The topics that this file declares.
    pub topics: Vec<Topic>,
    /// In the order of the file.
    pub sources: Vec<Source>,
    /// In the order of the file.
    pub streams: Vec<Stream>,
    /// In the order of the file.
    pub sinks: Vec<Sink>,
    /// What it shall do: those of the file, then those beside it when they were asked for.
    pub cases: Vec<Case>,
    /// The file as it was read, with references resolved, for `print`.
    pub(crate) document: Node,
    /// Where its name stands.
    pub(crate) span: Span,
}

/// A topic with its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// Also that of its folders in the log.
    pub name: String,
    /// `None`: the worker's default.
    pub partitions: Option<Partitions>,
    /// `None` only in what a file declares, when it does not say.
    pub format: Option<Format>,
    /// What becomes of old records.
    pub cleanup: Cleanup,
    /// `None`: the worker's default.
    pub retention: Option<Retention>,
    /// Where it is declared; [`Span::NONE`] when it is not, but something writes it.
    pub span: Span,
}

/// What sources, streams and sinks have in common. `Debug` shows the name only.
#[derive(Clone)]
pub struct Connector {
    /// Within its pipeline.
    pub name: String,
    /// `pipeline.connector`: what state and offsets belong to.
    pub full_name: String,
    /// The word after `type:`; of a stream [`STREAM`].
    pub type_name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it runs.
    pub enabled: bool,
    /// The full name it had before.
    pub formerly: Option<String>,
    /// How many share the work; it may have use for fewer.
    pub tasks: NonZeroU32,
    /// What its records go through.
    pub transforms: Vec<ConfiguredTransform>,
    /// What happens to its bad records.
    pub on_error: BadRecords,
    /// How often it is tried again when it fails.
    pub retry: Retry,
    /// Where its name stands.
    pub span: Span,
    /// All its options.
    pub(crate) node: Node,
    /// Where its templates look into values.
    pub(crate) fields: Vec<FieldUse>,
}

impl Pipeline {
    /// Every connector: sources, streams, sinks, in the order of the file.
    pub fn connectors(&self) -> impl Iterator<Item = &Connector> {
        let sources = self.sources.iter().map(|source| &source.connector);
        let streams = self.streams.iter().map(|stream| &stream.connector);
        let sinks = self.sinks.iter().map(|sink| &sink.connector);
        sources.chain(streams).chain(sinks)
    }

    /// What writes to topics, sources before streams.
    pub fn outputs(&self) -> impl Iterator<Item = (&Connector, &Output)> {
        let sources = self.sources.iter();
        let sources = sources.map(|source| (&source.connector, &source.output));
        let streams = self.streams.iter();
        sources.chain(streams.map(|stream| (&stream.connector, &stream.output)))
    }

    /// What reads topics, streams before sinks.
    pub fn inputs(&self) -> impl Iterator<Item = (&Connector, &Input)> {
        let streams = self.streams.iter();
        let streams = streams.map(|stream| (&stream.connector, &stream.input));
        let sinks = self.sinks.iter();
        streams.chain(sinks.map(|sink| (&sink.connector, &sink.input)))
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("name", &self.full_name)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Whether `other` is configured the same, wherever in a file it stands.
    pub fn same_configuration(&self, other: &Connector) -> bool {
        self.full_name == other.full_name && self.node.same_value(&other.node)
    }
}

/// Where the records of a source or stream go.
#[derive(Debug, Clone)]
pub struct Output {
    /// The topic; a constant template is a topic's name.
    pub topic: Template,
    /// The records' key; `None`: the source's own, if it has one.
    pub key: Option<Template>,
    /// `None`: by the key of a record that has one, else by source.
    pub partition_by: Option<PartitionBy>,
    /// What is done when a topic's schema changes incompatibly.
    pub on_schema_change: OnSchemaChange,
    /// Where `topic` stands.
    pub(crate) topic_span: Span,
}

impl Output {
    /// The topic's name, when it is the same for all records.
    pub fn constant_topic(&self) -> Option<&str> {
        self.topic
            .is_constant()
            .then(|| self.topic.literal_prefix())
    }
}

/// What a sink or stream reads.
#[derive(Debug, Clone)]
pub struct Input {
    /// Which topics; at least one.
    pub topics: Vec<TopicSelector>,
    /// What offsets and state are kept under; `None`: the connector's full name.
    pub group: Option<String>,
    /// Where it begins the first time.
    pub start: Start,
    /// Where `topics` stands.
    pub(crate) topics_span: Span,
}

impl Input {
    /// Whether the topic of this name is read.
    pub fn reads(&self, topic: &str) -> bool {
        self.topics.iter().any(|selector| selector.matches(topic))
    }
}

/// A source.
#[derive(Debug, Clone)]
pub struct Source {
    /// What every connector has.
    pub connector: Connector,
    /// Where its records go.
    pub output: Output,
    /// The options of its type.
    pub config: Arc<dyn SourceConfig>,
}

impl Source {
    /// What the values are that go into the log.
    pub fn format(&self) -> Format {
        let input = self.config.format().topic_format();
        transform::output(&self.connector.transforms, input)
    }
}

/// The [`Connector::type_name`] of a stream.
pub const STREAM: &str = "stream";

/// A stream: from topics to a topic.
#[derive(Debug, Clone)]
pub struct Stream {
    /// What every connector has.
    pub connector: Connector,
    /// What it reads.
    pub input: Input,
    /// Where its records go.
    pub output: Output,
}

/// A sink.
#[derive(Debug, Clone)]
pub struct Sink {
    /// What every connector has.
    pub connector: Connector,
    /// What it reads.
    pub input: Input,
    /// The options of its type.
    pub config: Arc<dyn SinkConfig>,
    /// Where what it writes is said.
    pub(crate) format_span: Span,
}
