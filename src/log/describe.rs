//! Topics and groups put into the words of the public types.

use crate::ReadTo;
use crate::partition::Partition;
use crate::registration::GroupInfo;
use crate::shared::{Published, Shared};
use crate::state::{Group, State, Topic};
use crate::topic::{PartitionInfo, PartitionKey, TopicId, TopicInfo};

pub(crate) fn topic(
    shared: &Shared,
    published: &Published,
    number: u32,
    topic: &Topic,
) -> TopicInfo {
    let partitions = (0..).zip(&topic.partitions).map(|(partition, state)| {
        describe_partition(
            shared,
            published,
            PartitionKey {
                topic: number,
                partition,
            },
            state,
        )
    });
    TopicInfo {
        name: topic.name.clone(),
        id: TopicId(topic.id),
        config: topic.config.clone(),
        partitions: partitions.collect(),
    }
}

fn describe_partition(
    shared: &Shared,
    published: &Published,
    key: PartitionKey,
    partition: &Partition,
) -> PartitionInfo {
    let times = || {
        let all = partition
            .segments
            .iter()
            .map(|segment| segment.timestamp_ms_max);
        all.filter(|&timestamp| timestamp != i64::MIN)
    };
    PartitionInfo {
        partition: key.partition,
        start_offset: partition.start,
        end_offset: published.end(key, ReadTo::Durable).unwrap_or(partition.end),
        committed_offset: partition.end,
        bytes: partition
            .segments
            .iter()
            .map(|segment| segment.length)
            .sum(),
        records: partition
            .segments
            .iter()
            .map(|segment| segment.records)
            .sum(),
        segments: partition.segments.len(),
        first_timestamp_ms: times().next(),
        last_timestamp_ms: times().next_back(),
        damage: shared.damage.get(&key).cloned(),
    }
}

pub(crate) fn group(state: &State, name: &str, group: &Group) -> GroupInfo {
    let offsets = group.offsets.iter().filter_map(|(key, &offset)| {
        let topic = state.topics.get(&key.topic)?;
        Some(((topic.name.clone(), key.partition), offset))
    });
    GroupInfo {
        name: name.to_owned(),
        generation: group.generation,
        offsets: offsets.collect(),
    }
}
