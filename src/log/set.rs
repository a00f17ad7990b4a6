//! Append sets: what one task wants to become true at once.

use std::sync::Arc;

use bytes::Bytes;
use towpath_record::Batch;

use crate::{LogError, ReadTo};

/// Largest sum of batch bytes in one set.
pub const SET_BYTES_MAX: usize = 64 << 20;
/// Largest sum of keys and values in one set's state changes.
pub const STATE_BYTES_MAX: usize = 1 << 20;

/// Records, offsets and state changes that become visible together or not at all.
#[derive(Debug, Clone, Default)]
pub struct AppendSet {
    /// At most [`SET_BYTES_MAX`] bytes. Batches for one partition get offsets in this order.
    pub batches: Vec<TopicBatch>,
    /// What a sink is done with.
    pub offsets: Vec<GroupOffset>,
    /// At most [`STATE_BYTES_MAX`] bytes.
    pub state: Vec<StateChange>,
    /// In `os` mode: call back when committed, or only when durable, and then possibly behind sets
    /// that were submitted after this one. A set that is to be durable makes a checkpoint; an empty
    /// one waits for the next.
    pub until: ReadTo,
}

impl AppendSet {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.offsets.is_empty() && self.state.is_empty()
    }
}

/// A batch and where it goes. At least one record; the log stamps the base offset. Batches from
/// outside the process must have passed [`Batch::check_records`].
#[derive(Debug, Clone)]
pub struct TopicBatch {
    /// An existing topic's name.
    pub topic: Arc<str>,
    /// One of the topic's partitions, from 0 on.
    pub partition: u32,
    /// The records.
    pub batch: Batch,
}

/// A sink's progress: the first offset that is not done. Never lower than the one before.
#[derive(Debug, Clone)]
pub struct GroupOffset {
    /// The group; it comes to be with its first offset.
    pub group: Arc<str>,
    /// An existing topic's name.
    pub topic: Arc<str>,
    /// One of the topic's partitions.
    pub partition: u32,
    /// The first offset that is not done, at most the partition's end.
    pub offset: u64,
}

/// A change of one key of the writer's state. The set is refused unless `before` is what is
/// stored, so that neither a zombie nor a forgotten set goes unnoticed.
#[derive(Debug, Clone)]
pub struct StateChange {
    /// The key, within the state of the writer's owner.
    pub key: Bytes,
    /// `None`: the key must not exist.
    pub before: Option<Bytes>,
    /// `None`: delete it.
    pub after: Option<Bytes>,
}

/// What became of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The offset of the first record of each batch, in the order of the set.
    pub base_offsets: Vec<u64>,
}

/// How the caller hears what became of a set. It runs on a thread of the log and must not block.
pub type Done = Box<dyn FnOnce(Result<Committed, LogError>) + Send>;
