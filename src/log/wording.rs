//! Entries as `dump` shows them: one readable line each.

use bytes::Bytes;

use crate::entry::Entry;
use crate::registration::ConnectorKind;
use crate::state::State;
use crate::topic::{Cleanup, PartitionKey, TopicConfig};

/// `entry` in words; `state` knows the topics' names.
pub(crate) fn line(entry: &Entry, state: &State) -> String {
    let topic = |number: &u32| match state.topics.get(number) {
        Some(topic) => format!("topic {}", topic.name),
        None => format!("topic number {number}"),
    };
    let at = |key: &PartitionKey| format!("{} partition {}", topic(&key.topic), key.partition);
    match entry {
        Entry::Started { epoch, boot_id, os } => {
            let durability = if *os { "os" } else { "fsync" };
            format!("start: epoch {epoch}, durability {durability}, boot {boot_id:?}")
        }
        Entry::Stopped => "clean end".to_owned(),
        Entry::TopicCreated {
            topic,
            id,
            name,
            config,
        } => format!(
            "topic {name} is made, number {topic}, id {id}: {}",
            settings(config)
        ),
        Entry::TopicChanged {
            topic: number,
            config,
        } => {
            format!("{} is changed: {}", topic(number), settings(config))
        }
        Entry::TopicDeleted { topic: number } => format!("{} is deleted", topic(number)),
        Entry::SegmentCreated { key, base } => format!("{}: segment {base} is made", at(key)),
        Entry::SegmentSealed { key, base } => format!("{}: segment {base} is full", at(key)),
        Entry::SegmentReplaced {
            key,
            end,
            name,
            length,
            records,
            ..
        } => format!(
            "{}: offsets {} to {end} are compacted: {name} with {records} records, {length} bytes",
            at(key),
            name.base
        ),
        Entry::Cleaned { key, offset } => {
            format!("{}: each key stands once before offset {offset}", at(key))
        }
        Entry::Leased { key, base } => format!("{}: leased from offset {base} on", at(key)),
        Entry::SegmentDeleted { key, base } => format!("{}: segment {base} is deleted", at(key)),
        Entry::StartMoved { key, start } => format!("{} begins at offset {start}", at(key)),
        Entry::End {
            key,
            base,
            end,
            length,
            timestamp_ms_max,
        } => {
            let newest = match *timestamp_ms_max {
                i64::MIN => String::new(),
                newest => format!(", newest record of {newest} ms"),
            };
            let at = at(key);
            format!("{at} ends before offset {end}: segment {base} has {length} bytes{newest}")
        }
        Entry::Gap { key, to } => format!("{}: no records before offset {to}", at(key)),
        Entry::Set {
            owner,
            task,
            generation,
            number,
        } => format!("set {number} of {owner} task {task}, generation {generation}"),
        Entry::StatePut { owner, key, value } => {
            format!("state of {owner}: {} = {} bytes", text(key), value.len())
        }
        Entry::StateDeleted { owner, key } => {
            format!("state of {owner}: {} is deleted", text(key))
        }
        Entry::GroupOffset { group, key, offset } => {
            format!("group {group}: {} from offset {offset}", at(key))
        }
        Entry::GroupOffsetDeleted { group, key } => {
            format!("group {group}: {} has no offset any more", at(key))
        }
        Entry::GroupGeneration { group, generation } => {
            format!("group {group}: generation {generation}")
        }
        Entry::TaskGeneration {
            owner,
            task,
            generation,
        } => format!("{owner} task {task}: generation {generation}"),
        Entry::Registered {
            registration,
            configured_ms,
        } => {
            let kind = match registration.kind {
                ConnectorKind::Source => "source",
                ConnectorKind::Stream => "stream",
                ConnectorKind::Sink => "sink",
            };
            format!(
                "{kind} {} is configured at {configured_ms} ms: type {}, far side {:?}, group {}, topics {}",
                registration.name,
                registration.connector_type,
                registration.far_side,
                registration.group.as_deref().unwrap_or("none"),
                registration.topics.join(" ")
            )
        }
        Entry::Forgotten { name } => format!("{name} is forgotten"),
        Entry::Renamed { old, new } => format!("{old} is named {new} from now on"),
        Entry::NextTopic { topic } => format!("the next topic gets number {topic}"),
    }
}

fn settings(config: &TopicConfig) -> String {
    let limit = |limit: Option<u64>, unit| match limit {
        Some(limit) => format!("{limit} {unit}"),
        None => "any".to_owned(),
    };
    let plural = if config.partitions == 1 { "" } else { "s" };
    let (partitions, format) = (config.partitions, &config.format);
    if config.cleanup == Cleanup::Compact {
        return format!("{partitions} partition{plural}, format {format}, compacted");
    }
    format!(
        "{partitions} partition{plural}, format {format}, kept {}, {} a partition",
        limit(config.retention.time_ms, "ms"),
        limit(config.retention.bytes, "bytes")
    )
}

/// A key on one line, safe to print.
fn text(key: &Bytes) -> String {
    key.escape_ascii().to_string()
}
