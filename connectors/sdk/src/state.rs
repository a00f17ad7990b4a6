//! What the runtime keeps for a connector: its state and its health.

use bytes::Bytes;

use crate::{Error, Result, async_trait};

/// One change of a connector's state: `value` replaces what stands under `key`; `None` deletes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The connector's own.
    pub key: Bytes,
    /// `None` deletes the key.
    pub value: Option<Bytes>,
}

impl StateChange {
    /// `value` now stands under `key`.
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// Nothing stands under `key` any more.
    pub fn delete(key: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: None,
        }
    }
}

/// What a connector has committed: a map of its own keys to opaque bytes, shared by its tasks.
///
/// It is the only memory that survives a restart. A task changes only keys that belong to what it
/// reads or writes itself; two tasks never change one key. Changes normally travel with records
/// (in a [`crate::SourceBatch`]) or with offsets (in a [`crate::Flushed`]) and become durable with
/// them in one step. A value that cannot be decoded is an error, never "start over". No key begins
/// with byte 1: those are of the connector's transforms, and not shown.
#[async_trait]
pub trait State: Send + Sync {
    /// The value under `key`, including what this task has handed over but is not yet durable.
    fn get(&self, key: &[u8]) -> Option<Bytes>;

    /// Every key that starts with `prefix`, in order, with its value.
    fn scan(&self, prefix: &[u8]) -> Vec<(Bytes, Bytes)>;

    /// Commits changes alone, without records or offsets, and returns when they are durable: an
    /// intent that must be on disk before the outside world is touched. After an error the outcome
    /// is unknown and the task must return the error; it is then opened anew.
    async fn commit(&self, changes: Vec<StateChange>) -> Result<()>;
}

/// Where a task says how the places it works on (files, objects, tables) are doing, while it goes
/// on with the others. Shown by `status`; a new problem is logged once.
pub trait Health: Send + Sync {
    /// `problem` now holds for `place`; `None` when it is over. Cheap, may be called at each poll.
    fn report(&self, place: &str, problem: Option<&Error>);

    /// Of `total_bytes` that the task knows of now, `done_bytes` were handed over: shown as the
    /// share done. For tasks that can tell, about once a batch.
    fn progress(&self, done_bytes: u64, total_bytes: u64) {
        let _ = (done_bytes, total_bytes);
    }
}
