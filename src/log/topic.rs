//! Topics and partitions as callers see them.

use std::fmt;
use uuid::Uuid;

use crate::LogError;
use crate::encoding::{DecodeError, Put, Take};

/// Partitions a topic may have.
pub const PARTITIONS_MAX: u32 = 4096;

/// As in Kafka; with a dash and the partition it still fits into a file name of 255 bytes.
const NAME_BYTES_MAX: usize = 249;

/// Identity of a log: made once, written into everything a sink stores outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub Uuid);

/// Incarnation of a topic: a topic deleted and created again under the same name has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub Uuid);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What may be dropped from the front of a partition once every registered sink has passed it.
/// Both `None`: nothing ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Whole segments whose newest record is older than this, in milliseconds.
    pub time_ms: Option<u64>,
    /// Whole segments while the partition holds more than this many bytes without them.
    pub bytes: Option<u64>,
}

/// What becomes of old records, in Kafka's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cleanup {
    /// They go as [`Retention`] says.
    #[default]
    Delete,
    /// The newest record of each key stays, however old it is: retention drops nothing, and
    /// [`crate::Log::run_compaction`] drops what a later record of its partition has replaced.
    /// Records without a key stay too; whoever appends for others refuses them.
    Compact,
}

/// What a topic is told to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    /// Number of partitions: at least 1, may grow, never shrinks.
    pub partitions: u32,
    /// A word for those who read the records; opaque here, cannot change.
    pub format: String,
    /// What becomes of old records; may change.
    pub cleanup: Cleanup,
    /// What may be dropped from the front.
    pub retention: Retention,
}

impl TopicConfig {
    /// Entries with such a config are of other kinds: programs from before compaction must stop at
    /// them.
    pub(crate) fn is_compacted(&self) -> bool {
        self.cleanup == Cleanup::Compact
    }

    /// Appends the fields as they stand in an entry whose kind says the cleanup.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_u32(self.partitions);
        out.put_bytes(self.format.as_bytes());
        out.put_option_u64(self.retention.time_ms);
        out.put_option_u64(self.retention.bytes);
    }

    pub(crate) fn take(take: &mut Take, is_compacted: bool) -> Result<Self, DecodeError> {
        Ok(Self {
            partitions: take.u32()?,
            format: take.string()?,
            cleanup: if is_compacted {
                Cleanup::Compact
            } else {
                Cleanup::Delete
            },
            retention: Retention {
                time_ms: take.option_u64()?,
                bytes: take.option_u64()?,
            },
        })
    }
}

/// What a topic is.
#[derive(Debug, Clone)]
pub struct TopicInfo {
    /// The name.
    pub name: String,
    /// Its incarnation.
    pub id: TopicId,
    /// What it was told to be.
    pub config: TopicConfig,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionInfo>,
}

/// What a partition holds.
#[derive(Debug, Clone)]
pub struct PartitionInfo {
    /// The number, from 0 on.
    pub partition: u32,
    /// Offset of the first record still held.
    pub start_offset: u64,
    /// Behind the last durable record: what readers `to` [`crate::ReadTo::Durable`] see.
    pub end_offset: u64,
    /// Behind the last committed record; the same in `fsync` mode.
    pub committed_offset: u64,
    /// Bytes of committed batches.
    pub bytes: u64,
    /// Committed records: fewer than offsets where compaction, or a stop of the machine in `os`
    /// mode, has left some out.
    pub records: u64,
    /// Files that hold them.
    pub segments: usize,
    /// Largest timestamp in the oldest segment, milliseconds since 1970.
    pub first_timestamp_ms: Option<i64>,
    /// The same of the newest segment.
    pub last_timestamp_ms: Option<i64>,
    /// Why the partition has stopped, with file, byte and offset.
    pub damage: Option<String>,
}

/// A partition by the number of its topic, which is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PartitionKey {
    pub topic: u32,
    pub partition: u32,
}

pub(crate) fn check_topic(name: &str, config: &TopicConfig) -> Result<(), LogError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || matches!(name, "." | "..")
        || !name.chars().all(legal)
    {
        return Err(LogError::invalid(format!(
            "topic name {name:?} is not allowed: use 1 to {NAME_BYTES_MAX} letters, \
             digits, '.', '_' and '-'"
        )));
    }
    if config.partitions == 0 || config.partitions > PARTITIONS_MAX {
        return Err(LogError::invalid(format!(
            "topic {name} cannot have {} partitions: use 1 to {PARTITIONS_MAX}",
            config.partitions
        )));
    }
    Ok(())
}
