//! Which partitions of the log a task reads, and where it begins in each: those of its input, and
//! those of what is to be retried.

use std::sync::Arc;

use towpath_log::{Log, ReadTo, TopicInfo};
use towpath_sdk::config::{Format, Start};
use towpath_sdk::{Result, SinkTopic};

use crate::clock::now_ms;
use crate::commit::log_error;
use crate::retried::{reached_in, waiting};
use crate::spec::ConnectorSpec;
use crate::step::Sequence;

/// A partition of a topic.
pub(crate) type Assigned = (Arc<SinkTopic>, u32);

/// All partitions of the topics that exist now, by topic and number; behind them those of what is
/// retried, so that they do not change which task reads the others.
///
/// They are fixed for a run of the connector, so that no two tasks ever read one partition; when
/// there are others, the whole connector is started anew.
pub(crate) fn partitions(spec: &ConnectorSpec, log: &Log) -> Vec<Assigned> {
    let mut topics = match spec.input() {
        Some(_) => log.topics(),
        None => Vec::new(),
    };
    topics.retain(|topic| spec.reads(&topic.name));
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let retried = spec.retry_topics().filter_map(|name| log.topic(&name));
    topics.extend(retried);
    let of_topic = |topic: TopicInfo| {
        let sink_topic = Arc::new(sink_topic(&topic));
        (0..topic.config.partitions).map(move |partition| (sink_topic.clone(), partition))
    };
    topics.into_iter().flat_map(of_topic).collect()
}

/// The sequences that transforms may remember something of.
pub(crate) fn sequences(assigned: &[Assigned]) -> impl Iterator<Item = Sequence> {
    let lasting = assigned.iter();
    let lasting =
        lasting.filter(|(topic, partition)| reached_in(&topic.name, *partition).is_none());
    lasting.map(|(topic, partition)| Sequence::of(topic, *partition))
}

/// Whether anything in `assigned` is to be retried that was not yet.
pub(crate) fn has_retried(spec: &ConnectorSpec, log: &Log, assigned: &[Assigned]) -> bool {
    spec.retry_topics().any(|name| {
        let waiting = waiting(log, &name, spec.owner());
        let waits =
            |(topic, partition): &Assigned| topic.name == name && waiting.get(partition) > Some(&0);
        assigned.iter().any(waits)
    })
}

/// A topic as it stands in the log.
pub(crate) fn sink_topic(topic: &TopicInfo) -> SinkTopic {
    SinkTopic {
        id: topic.id.to_string(),
        // Whoever made the topic wrote one of the three words; bytes fits any other.
        format: Format::from_word(&topic.config.format).unwrap_or(Format::Bytes),
        name: topic.name.clone(),
    }
}

/// One task's share: partitions are dealt out in turn.
pub(crate) fn share(partitions: &[Assigned], task: u32, tasks: u32) -> Vec<Assigned> {
    let dealt = partitions.iter().zip((0..tasks).cycle());
    dealt
        .filter(|(_, turn)| *turn == task)
        .map(|(assigned, _)| assigned.clone())
        .collect()
}

/// The first offset that is wanted of a partition, and whether it is a committed one. `start` is not
/// for what is retried.
pub(crate) fn start_offset(
    spec: &ConnectorSpec,
    log: &Log,
    topic: &str,
    partition: u32,
) -> Result<(u64, bool)> {
    let committed = log
        .group(spec.owner())
        .and_then(|group| group.offsets.get(&(topic.to_owned(), partition)).copied());
    if let Some(offset) = committed {
        return Ok((offset, true));
    }
    let at = |timestamp_ms: i64| log.offset_at(topic, partition, timestamp_ms);
    let is_retried = reached_in(topic, partition).is_some();
    let Some(input) = spec.input().filter(|_| !is_retried) else {
        let first = log.start_offset(topic, partition);
        return first
            .map(|offset| (offset, false))
            .map_err(|error| log_error("find where to begin", error));
    };
    let found = match &input.start {
        Start::Earliest => log.start_offset(topic, partition),
        Start::Latest if input.later.contains(&(topic.to_owned(), partition)) => {
            log.start_offset(topic, partition)
        }
        Start::Latest => log.end_offset(topic, partition, ReadTo::Durable),
        Start::At(timestamp_ms) => at(*timestamp_ms),
        Start::Ago(ago) => {
            let ago_ms = u64::try_from(ago.0.as_millis()).unwrap_or(u64::MAX);
            at(i64::try_from(now_ms().saturating_sub(ago_ms)).unwrap_or(i64::MAX))
        }
    };
    found
        .map(|offset| (offset, false))
        .map_err(|error| log_error("find where to begin", error))
}
