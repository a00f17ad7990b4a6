//! What a worker needs to know of a configured connector: a pipeline's connector, with the
//! worker's own settings filled in.

use std::collections::BTreeSet;
use std::sync::Arc;

use towpath_log::{Log, Registration, Retention, TopicConfig};
use towpath_pipeline::{
    Cleanup, Connector, Loaded, PartitionBy, Pipeline, Sink, Source, Topic, TopicSelector,
    WorkerConfig,
};
use towpath_sdk::config::{Format, Limit, Start};
use towpath_sdk::{SinkConfig, SourceConfig, Template, Tolerance};

use crate::retry::Backoff;
use crate::status::ConnectorKind;

/// A source or sink, ready to run.
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
    Sink(SinkSpec),
}

#[derive(Debug, Clone)]
pub(crate) struct SourceSpec {
    pub config: Arc<dyn SourceConfig>,
    pub topic: Template,
    /// The topic's name when it is the same for all records.
    pub fixed_topic: Option<String>,
    /// How a topic is created that does not exist when it is first written to.
    pub topic_config: TopicConfig,
    pub key: Option<Template>,
    pub partition_by: PartitionBy,
    pub max_record_bytes: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct SinkSpec {
    pub config: Arc<dyn SinkConfig>,
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
        all.filter(|spec| spec.configured.enabled).collect()
    }

    /// Every connector of `pipeline`, enabled or not: sources, then sinks, in the file's order.
    pub fn of_pipeline(pipeline: &Pipeline, config: &WorkerConfig) -> Vec<Self> {
        let sources = pipeline.sources.iter();
        let sources = sources.map(|source| Self::source(pipeline, source, config));
        let sinks = pipeline.sinks.iter();
        let sinks = sinks.map(|sink| Self::sink(pipeline, sink, config));
        sources.chain(sinks).collect()
    }

    fn source(pipeline: &Pipeline, source: &Source, config: &WorkerConfig) -> Self {
        let side = SourceSpec {
            config: source.config.clone(),
            topic: source.topic.clone(),
            fixed_topic: source.constant_topic().map(str::to_owned),
            topic_config: topic_config(None, Some(source.format()), config),
            key: source.key.clone(),
            partition_by: source.partition_by.unwrap_or(PartitionBy::Key),
            max_record_bytes: config.max_record.0,
        };
        let tasks_max = source.config.tasks_max();
        let side = Side::Source(side);
        Self::new(pipeline, &source.connector, tasks_max, side, config)
    }

    fn sink(pipeline: &Pipeline, sink: &Sink, config: &WorkerConfig) -> Self {
        let group = sink.group.as_deref().unwrap_or(&sink.connector.full_name);
        let side = SinkSpec {
            config: sink.config.clone(),
            topics: sink.topics.clone(),
            group: group.into(),
            start: sink.start,
            later: BTreeSet::new(),
        };
        let (side, tasks_max) = (Side::Sink(side), sink.config.tasks_max());
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
            Side::Sink(_) => ConnectorKind::Sink,
        }
    }

    /// What the log remembers of it. A sink's topics pin retention: those it names, and those that
    /// a pattern of it matches now.
    pub fn registration(&self, log: &Log) -> Registration {
        let (kind, far_side, group, topics) = match &self.side {
            Side::Source(source) => (
                towpath_log::ConnectorKind::Source,
                source.config.far_side(),
                None,
                source.fixed_topic.clone().into_iter().collect(),
            ),
            Side::Sink(sink) => {
                let named = sink.topics.iter().filter_map(|selector| match selector {
                    TopicSelector::Name(name) => Some(name.clone()),
                    TopicSelector::Pattern(_) => None,
                });
                let held = log.topics().into_iter().map(|topic| topic.name);
                let names: BTreeSet<_> =
                    named.chain(held.filter(|name| sink.reads(name))).collect();
                (
                    towpath_log::ConnectorKind::Sink,
                    sink.config.far_side(),
                    Some(sink.group.to_string()),
                    names.into_iter().collect(),
                )
            }
        };
        Registration {
            name: self.name.to_string(),
            kind,
            connector_type: self.configured.type_name.clone(),
            far_side: towpath_sdk::hide_secrets(&far_side),
            group,
            topics,
        }
    }
}

impl SinkSpec {
    pub fn reads(&self, topic: &str) -> bool {
        self.topics.iter().any(|selector| selector.matches(topic))
    }
}

/// How long records are kept when nobody says: 7 days.
const RETENTION_MS: u64 = 7 * 86_400_000;

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
