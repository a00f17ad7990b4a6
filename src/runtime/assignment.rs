//! Which partitions the task of a sink or stream reads, and where it begins in each.

use std::sync::Arc;

use towpath_log::{Log, ReadTo, TopicInfo};
use towpath_sdk::config::{Format, Start};
use towpath_sdk::{Result, SinkTopic};

use crate::clock::now_ms;
use crate::commit::log_error;
use crate::spec::InputSpec;

/// A partition of a topic.
pub(crate) type Assigned = (Arc<SinkTopic>, u32);

/// All partitions of the topics that exist now, by topic and number.
///
/// They are fixed for a run of the connector, so that no two tasks ever read one partition; when
/// there are others, the whole connector is started anew.
pub(crate) fn partitions(input: &InputSpec, log: &Log) -> Vec<Assigned> {
    let mut topics = log.topics();
    topics.retain(|topic| input.reads(&topic.name));
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let of_topic = |topic: TopicInfo| {
        let sink_topic = Arc::new(sink_topic(&topic));
        (0..topic.config.partitions).map(move |partition| (sink_topic.clone(), partition))
    };
    topics.into_iter().flat_map(of_topic).collect()
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

/// The first offset that is wanted of a partition, and whether it is a committed one.
pub(crate) fn start_offset(
    input: &InputSpec,
    log: &Log,
    topic: &str,
    partition: u32,
) -> Result<(u64, bool)> {
    let committed = log
        .group(&input.group)
        .and_then(|group| group.offsets.get(&(topic.to_owned(), partition)).copied());
    if let Some(offset) = committed {
        return Ok((offset, true));
    }
    let at = |timestamp_ms: i64| log.offset_at(topic, partition, timestamp_ms);
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
