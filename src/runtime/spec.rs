//! What a worker needs to know of a configured connector: a pipeline's connector, with the
//! worker's own settings filled in.

use std::collections::BTreeSet;
use std::sync::Arc;

use towpath_log::{Log, Registration, Retention, TopicConfig};
use towpath_pipeline::{
    Cleanup, Connector, Input, Loaded, OnSchemaChange, Output, PartitionBy, Pipeline, Sink, Source,
    Stream, Topic, TopicSelector, WorkerConfig,
};
use towpath_sdk::config::{Format, Limit, Start};
use towpath_sdk::{SinkConfig, SourceConfig, Template, Tolerance};

use crate::retried::retry_topic;
use crate::retry::Backoff;
use crate::status::ConnectorKind;

/// A source, stream or sink, ready to run.
#[derive(Debug, Clone)]
pub(crate) struct ConnectorSpec {
    /// `pipeline.connector`.
    pub name: Arc<str>,
    pub pipeline: Arc<str>,
    pub tasks: u32,
    pub backoff: Backoff,
    /// How the topic of its dead letters is created when it is needed first.
    pub dead_letter_topic: TopicConfig,
    /// As it was configured; what is compared when pipelines are applied anew.
    pub configured: Connector,
    pub side: Side,
}

#[derive(Debug, Clone)]
pub(crate) enum Side {
    Source(SourceSpec),
    Stream(StreamSpec),
    Sink(SinkSpec),
}

#[derive(Debug, Clone)]
pub(crate) struct SourceSpec {
    pub config: Arc<dyn SourceConfig>,
    pub output: OutputSpec,
}

#[derive(Debug, Clone)]
pub(crate) struct StreamSpec {
    pub input: InputSpec,
    pub output: OutputSpec,
}

#[derive(Debug, Clone)]
pub(crate) struct SinkSpec {
    pub config: Arc<dyn SinkConfig>,
    pub input: InputSpec,
}

/// Where the records of a source or stream go.
#[derive(Debug, Clone)]
pub(crate) struct OutputSpec {
    pub topic: Template,
    /// The topic's name when it is the same for all records.
    pub fixed_topic: Option<String>,
    /// How a topic is created that does not exist when it is first written to.
    pub topic_config: TopicConfig,
    pub key: Option<Template>,
    pub partition_by: PartitionBy,
    /// What is done when a topic's schema changes incompatibly; `None`: records have no schemas.
    pub on_schema_change: Option<OnSchemaChange>,
    pub max_record_bytes: u64,
}

/// What a stream or sink reads.
#[derive(Debug, Clone)]
pub(crate) struct InputSpec {
    pub topics: Vec<TopicSelector>,
    pub group: Arc<str>,
    pub start: Start,
    /// Partitions that came while the connector was there, by topic and number: `start: latest` means
    /// all of them, for all they hold was written after the beginning.
    pub later: BTreeSet<(String, u32)>,
}

impl ConnectorSpec {
    /// Every enabled connector of `loaded`.
    pub fn all(loaded: &Loaded, config: &WorkerConfig) -> Vec<Self> {
        let pipelines = loaded.pipelines.iter();
        let all = pipelines.flat_map(|pipeline| Self::of_pipeline(pipeline, config));
        let mut all: Vec<_> = all.filter(|spec| spec.configured.enabled).collect();
        for spec in &mut all {
            // A stream may have to create its topic, also one that is declared.
            if let Side::Stream(StreamSpec { output, .. }) = &mut spec.side {
                let topic = output.fixed_topic.as_ref();
                let topic = topic.and_then(|name| loaded.topics.get(name));
                output.topic_config = topic_config(topic, None, config);
            }
        }
        all
    }

    /// Every connector of `pipeline`, enabled or not: sources, streams, sinks, in the order of the file.
    pub fn of_pipeline(pipeline: &Pipeline, config: &WorkerConfig) -> Vec<Self> {
        let sources = pipeline.sources.iter();
        let sources = sources.map(|source| Self::source(pipeline, source, config));
        let streams = pipeline.streams.iter();
        let streams = streams.map(|stream| Self::stream(pipeline, stream, config));
        let sinks = pipeline.sinks.iter();
        let sinks = sinks.map(|sink| Self::sink(pipeline, sink, config));
        sources.chain(streams).chain(sinks).collect()
    }

    fn source(pipeline: &Pipeline, source: &Source, config: &WorkerConfig) -> Self {
        let tasks_max = source.config.tasks_max();
        let mut output = OutputSpec::new(&source.output, Some(source.format()), config);
        output
            .on_schema_change
            .take_if(|_| !source.config.knows_types());
        let side = Side::Source(SourceSpec {
            config: source.config.clone(),
            output,
        });
        Self::new(pipeline, &source.connector, tasks_max, side, config)
    }

    fn stream(pipeline: &Pipeline, stream: &Stream, config: &WorkerConfig) -> Self {
        let side = Side::Stream(StreamSpec {
            input: InputSpec::new(&stream.connector, &stream.input),
            output: OutputSpec::new(&stream.output, None, config),
        });
        Self::new(pipeline, &stream.connector, u32::MAX, side, config)
    }

    fn sink(pipeline: &Pipeline, sink: &Sink, config: &WorkerConfig) -> Self {
        let tasks_max = sink.config.tasks_max();
        let side = Side::Sink(SinkSpec {
            config: sink.config.clone(),
            input: InputSpec::new(&sink.connector, &sink.input),
        });
        Self::new(pipeline, &sink.connector, tasks_max, side, config)
    }

    fn new(
        pipeline: &Pipeline,
        connector: &Connector,
        tasks_max: u32,
        side: Side,
        config: &WorkerConfig,
    ) -> Self {
        let retry = &connector.retry;
        Self {
            name: connector.full_name.as_str().into(),
            pipeline: pipeline.name.as_str().into(),
            tasks: connector.tasks.get().min(tasks_max).max(1),
            backoff: Backoff {
                first: retry.first.0,
                max: retry.max.0,
                limit: match retry.limit {
                    Limit::Forever => None,
                    Limit::After(limit) => Some(limit.0),
                },
            },
            // Any bytes can be bad.
            dead_letter_topic: topic_config(None, Some(Format::Bytes), config),
            configured: connector.clone(),
            side,
        }
    }

    /// What a task does with bad records from when it is opened.
    pub fn tolerance(&self) -> Tolerance {
        let on_error = &self.configured.on_error;
        Tolerance::new(on_error.action, on_error.limits)
    }

    pub fn kind(&self) -> ConnectorKind {
        match self.side {
            Side::Source(_) => ConnectorKind::Source,
            Side::Stream(_) => ConnectorKind::Stream,
            Side::Sink(_) => ConnectorKind::Sink,
        }
    }

    /// What it reads of the log; a source nothing.
    pub fn input(&self) -> Option<&InputSpec> {
        match &self.side {
            Side::Source(_) => None,
            Side::Stream(StreamSpec { input, .. }) | Side::Sink(SinkSpec { input, .. }) => {
                Some(input)
            }
        }
    }

    /// The same.
    pub fn input_mut(&mut self) -> Option<&mut InputSpec> {
        match &mut self.side {
            Side::Source(_) => None,
            Side::Stream(StreamSpec { input, .. }) | Side::Sink(SinkSpec { input, .. }) => {
                Some(input)
            }
        }
    }

    /// Where its records go in the log; a sink's nowhere.
    pub fn output(&self) -> Option<&OutputSpec> {
        match &self.side {
            Side::Source(SourceSpec { output, .. }) | Side::Stream(StreamSpec { output, .. }) => {
                Some(output)
            }
            Side::Sink(_) => None,
        }
    }

    /// The name under which its state and offsets are kept: who takes a group over takes both.
    pub fn owner(&self) -> &Arc<str> {
        self.input().map_or(&self.name, |input| &input.group)
    }

    /// The topics, if they exist, with what is to be retried of it: also from under its former
    /// name.
    pub fn retry_topics(&self) -> impl Iterator<Item = String> {
        let former = self.configured.formerly.as_deref();
        [Some(&*self.name), former]
            .into_iter()
            .flatten()
            .map(retry_topic)
    }

    /// Whether `topic` is one that it reads.
    pub fn reads(&self, topic: &str) -> bool {
        self.input().is_some_and(|input| input.reads(topic))
    }

    /// What the log remembers of it. The topics that it reads pin retention: those it names, those
    /// that a pattern of it matches now, and those of what is retried.
    pub fn registration(&self, log: &Log) -> Registration {
        let (kind, far_side) = match &self.side {
            Side::Source(source) => (towpath_log::ConnectorKind::Source, source.config.far_side()),
            Side::Stream(stream) => (
                towpath_log::ConnectorKind::Stream,
                stream.output.topic.as_str().to_owned(),
            ),
            Side::Sink(sink) => (towpath_log::ConnectorKind::Sink, sink.config.far_side()),
        };
        let mut topics = match (self.input(), self.output()) {
            (Some(input), _) => input.held(log),
            (None, output) => output
                .and_then(|output| output.fixed_topic.clone())
                .into_iter()
                .collect(),
        };
        topics.extend(self.retry_topics());
        // One that has its connector's name is no name of its own: it goes with the connector's.
        let named = self.input().map(|input| &input.group);
        let named = named.filter(|group| **group != self.name);
        Registration {
            name: self.name.to_string(),
            kind,
            connector_type: self.configured.type_name.clone(),
            far_side: towpath_sdk::hide_secrets(&far_side),
            group: named.map(|group| group.to_string()),
            topics,
        }
    }
}

impl OutputSpec {
    /// What the values are behind the transforms.
    pub fn format(&self) -> Format {
        Format::from_word(&self.topic_config.format).unwrap_or(Format::Bytes)
    }

    fn new(output: &Output, format: Option<Format>, config: &WorkerConfig) -> Self {
        Self {
            topic: output.topic.clone(),
            fixed_topic: output.constant_topic().map(str::to_owned),
            topic_config: topic_config(None, format, config),
            key: output.key.clone(),
            partition_by: output.partition_by.unwrap_or(PartitionBy::Key),
            on_schema_change: Some(output.on_schema_change),
            max_record_bytes: config.max_record.0,
        }
    }
}

impl InputSpec {
    fn new(connector: &Connector, input: &Input) -> Self {
        Self {
            topics: input.topics.clone(),
            group: input
                .group
                .as_deref()
                .unwrap_or(&connector.full_name)
                .into(),
            start: input.start,
            later: BTreeSet::new(),
        }
    }

    pub fn reads(&self, topic: &str) -> bool {
        self.topics.iter().any(|selector| selector.matches(topic))
    }

    /// Topics that it names, or that are in `log` and match.
    fn held(&self, log: &Log) -> Vec<String> {
        let named = self.topics.iter().filter_map(|selector| match selector {
            TopicSelector::Name(name) => Some(name.clone()),
            TopicSelector::Pattern(_) => None,
        });
        let held = log.topics().into_iter().map(|topic| topic.name);
        let names: BTreeSet<_> = named.chain(held.filter(|name| self.reads(name))).collect();
        names.into_iter().collect()
    }
}

/// How long records are kept when nobody says: 7 days.
pub(crate) const RETENTION_MS: u64 = 7 * 86_400_000;

/// A topic as the log wants it: as declared, and otherwise as the worker's defaults say.
pub(crate) fn topic_config(
    declared: Option<&Topic>,
    format: Option<Format>,
    config: &WorkerConfig,
) -> TopicConfig {
    let defaults = &config.topic_defaults;
    let partitions = declared
        .and_then(|topic| topic.partitions)
        .unwrap_or(defaults.partitions);
    let retention = declared.and_then(|topic| topic.retention.as_ref());
    let time = retention
        .and_then(|retention| retention.time)
        .or(defaults.retention.time);
    let size = retention
        .and_then(|retention| retention.size)
        .or(defaults.retention.size);
    let format = declared
        .and_then(|topic| topic.format)
        .or(format)
        .unwrap_or(Format::Text);
    TopicConfig {
        partitions: partitions.get(),
        format: format.as_str().to_owned(),
        cleanup: match declared.map(|topic| topic.cleanup) {
            Some(Cleanup::Compact) => towpath_log::Cleanup::Compact,
            Some(Cleanup::Delete) | None => towpath_log::Cleanup::Delete,
        },
        retention: Retention {
            time_ms: match time {
                None => Some(RETENTION_MS),
                Some(Limit::Forever) => None,
                Some(Limit::After(age)) => {
                    Some(u64::try_from(age.0.as_millis()).unwrap_or(u64::MAX))
                }
            },
            bytes: size.map(|size| size.0),
        },
    }
}
