//! [`State`] as the runtime implements it: what is committed in the log, with what this task has
//! handed over since.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use towpath_log::{AppendSet, Log, ReadTo, Writer};
use towpath_sdk::{Result, State, StateChange, async_trait};

use crate::commit::submit;

/// A task's view of its connector's state. It is read from the log when the task is opened, and
/// follows the task's own changes from then on; no task changes another one's keys.
pub(crate) struct TaskState {
    values: Mutex<BTreeMap<Bytes, Bytes>>,
    writer: Arc<Writer>,
}

impl TaskState {
    pub fn new(log: &Log, owner: &str, writer: Arc<Writer>) -> Self {
        Self {
            values: Mutex::new(log.state(owner)),
            writer,
        }
    }

    /// Takes changes over and gives each the value it replaces, which the committer compares with
    /// what is stored: a task that works on an outdated state is refused.
    pub fn change(&self, changes: Vec<StateChange>) -> Vec<towpath_log::StateChange> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        changes
            .into_iter()
            .map(|StateChange { key, value }| {
                let before = match &value {
                    Some(value) => values.insert(key.clone(), value.clone()),
                    None => values.remove(&key),
                };
                towpath_log::StateChange {
                    key,
                    before,
                    after: value,
                }
            })
            .collect()
    }
}

#[async_trait]
impl State for TaskState {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.values
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    fn scan(&self, prefix: &[u8]) -> Vec<(Bytes, Bytes)> {
        self.values
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    async fn commit(&self, changes: Vec<StateChange>) -> Result<()> {
        let state = self.change(changes);
        let set = AppendSet {
            state,
            until: ReadTo::Durable,
            ..AppendSet::default()
        };
        submit(&self.writer, set).await
    }
}
