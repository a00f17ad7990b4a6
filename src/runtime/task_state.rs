//! [`State`] as the runtime implements it: what is committed in the log, with what this task has
//! handed over since.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use towpath_log::{AppendSet, Log, ReadTo, Writer};
use towpath_sdk::{Result, State, StateChange, async_trait};

use crate::commit::{hand_over, submit};
use crate::spec::ConnectorSpec;
use crate::step::{Changes, Sequence, remembered, stale};
use crate::supervisor::{TaskContext, open_writer};

/// What transforms remember joins the set of their records up to here, which leaves room for the
/// changes of the connector. More goes ahead of it.
const JOINED_BYTES: usize = 128 << 10;

/// A task's view of its connector's state. It is read from the log when the task is opened, and
/// follows the task's own changes from then on; no task changes another one's keys.
pub(crate) struct TaskState {
    values: Mutex<BTreeMap<Bytes, Bytes>>,
    writer: Arc<Writer>,
}

impl TaskState {
    /// Fences every older life of the task; what nobody needs any more is deleted. Waits for the
    /// disk.
    pub async fn open(context: &TaskContext, spec: &ConnectorSpec, log: &Log) -> Result<Self> {
        let writer = Arc::new(open_writer(log, spec.owner(), context.task)?);
        let opened = Self {
            values: Mutex::new(log.state(spec.owner())),
            writer,
        };
        opened.forget_stale(context, spec, log).await?;
        Ok(opened)
    }

    /// What the task's sets are handed over by.
    pub fn writer(&self) -> &Arc<Writer> {
        &self.writer
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

    /// Takes over what transforms have changed; gives what is to be in the append set of the records
    /// that changed it. What is too much for one set is handed over ahead of it, in sets of its own.
    pub fn remember(&self, changes: Changes) -> Vec<towpath_log::StateChange> {
        let size = |change: &StateChange| {
            change.key.len() + change.value.as_ref().map_or(0, |value| value.len())
        };
        let Changes { ahead, last } = changes;
        let (mut joined, mut bytes) = (Vec::new(), 0);
        for change in ahead {
            bytes += size(&change);
            if bytes > JOINED_BYTES {
                bytes = size(&change);
                let set = AppendSet {
                    state: self.change(std::mem::take(&mut joined)),
                    ..AppendSet::default()
                };
                // Should it be refused, so is the set that follows it.
                drop(hand_over(&self.writer, set));
            }
            joined.push(change);
        }
        joined.extend(last);
        self.change(joined)
    }

    /// Deletes what transforms remember that are no longer in the chain, and what is remembered of
    /// topics and tasks that are no more. The first task does it for all, before it reads.
    async fn forget_stale(
        &self,
        context: &TaskContext,
        spec: &ConnectorSpec,
        log: &Log,
    ) -> Result<()> {
        let stored = self.scan_all(b"");
        if context.task > 0 || !stored.iter().any(|(key, _)| remembered(key).is_some()) {
            return Ok(());
        }
        let topics: HashSet<_> = log
            .topics()
            .into_iter()
            .map(|topic| topic.id.to_string())
            .collect();
        let is_there = |sequence: &Sequence| match sequence {
            Sequence::Task(task) => *task < context.tasks,
            Sequence::Partition(_, topic) => topics.contains(topic),
            Sequence::Retried => false,
        };
        let changes = stale(&spec.configured.transforms, &stored, is_there);
        let set = AppendSet {
            state: self.remember(changes),
            until: ReadTo::Durable,
            ..AppendSet::default()
        };
        match set.is_empty() {
            true => Ok(()),
            false => submit(&self.writer, set).await,
        }
    }

    /// Every key that starts with `prefix`, those of transforms too, in order, with its value.
    pub fn scan_all(&self, prefix: &[u8]) -> Vec<(Bytes, Bytes)> {
        self.values
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
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
        let mut found = self.scan_all(prefix);
        found.retain(|(key, _)| remembered(key).is_none());
        found
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
