//! The log as its users hold it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::compaction::Compacted;
use crate::config::{Durability, ReadTo};
use crate::inner::Inner;
use crate::reader::Reader;
use crate::registration::{GroupInfo, Registration, RegistrationInfo};
use crate::round::{Answer, Change, Request};
use crate::shared::Shared;
use crate::table::TableReader;
use crate::topic::{LogId, PartitionKey, TopicConfig, TopicInfo};
use crate::watch::Watch;
use crate::writer::Writer;
use crate::{LogError, change, describe, index, topics, validate};

/// A running log. Clones share it; every method may be called from any thread. Methods that change
/// something return when the change is durable, in either mode.
#[derive(Clone)]
pub struct Log {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({})", self.dir().display())
    }
}

impl Log {
    /// The log's identity, made with it.
    pub fn id(&self) -> LogId {
        self.shared().id
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.shared().layout.dir
    }

    /// When a set counts as done.
    pub fn durability(&self) -> Durability {
        self.shared().config.durability
    }

    /// Why the log takes no more sets, once it has failed for good: a sync failed, the commit log
    /// is damaged, or it was closed.
    pub fn failure(&self) -> Option<LogError> {
        self.shared().failure()
    }

    /// Makes a topic. One that is there already is fine if it is equal; more partitions, another
    /// cleanup and another retention are applied to it; any other difference is an error.
    pub fn create_topic(&self, name: &str, config: &TopicConfig) -> Result<TopicInfo, LogError> {
        topics::create(self, name, config)
    }

    /// Deletes a topic with its records and all offsets in it.
    pub fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        topics::delete(self, name)
    }

    /// The topic as it is now, or `None` when there is none of that name.
    pub fn topic(&self, name: &str) -> Option<TopicInfo> {
        let published = self.shared().published();
        let (number, topic) = published.state.topic(name)?;
        Some(describe::topic(self.shared(), &published, number, topic))
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<TopicInfo> {
        let published = self.shared().published();
        let names = published.state.names.values();
        let known = names.filter_map(|n| Some((*n, published.state.topics.get(n)?)));
        known
            .map(|(n, topic)| describe::topic(self.shared(), &published, n, topic))
            .collect()
    }

    /// Opens the one writer of a task of `owner` (`pipeline.connector`): its generation is raised
    /// durably, and every older writer of the task is fenced.
    pub fn open_writer(&self, owner: &str, task: u32) -> Result<Writer, LogError> {
        let (report, raised) = mpsc::sync_channel(1);
        let name = owner.to_owned();
        self.change(Box::new(move |state| {
            let generation = state.generation(&name, task) + 1;
            // The receiver waits until this change is answered.
            let _ = report.send(generation);
            Ok(vec![crate::entry::Entry::TaskGeneration {
                owner: name,
                task,
                generation,
            }])
        }))?;
        let generation = raised
            .recv()
            .map_err(|_| LogError::failed("the log has ended"))?;
        Ok(Writer::new(
            Arc::clone(&self.inner),
            Arc::from(owner),
            task,
            generation,
        ))
    }

    /// The committed state of a connector.
    pub fn state(&self, owner: &str) -> BTreeMap<Bytes, Bytes> {
        let published = self.shared().published();
        published
            .state
            .owners
            .get(owner)
            .map(|owner| owner.state.clone())
            .unwrap_or_default()
    }

    /// The group as it is now, or `None` when it never had an offset.
    pub fn group(&self, group: &str) -> Option<GroupInfo> {
        let published = self.shared().published();
        let info = published.state.groups.get(group)?;
        Some(describe::group(&published.state, group, info))
    }

    /// All groups, by name.
    pub fn groups(&self) -> Vec<GroupInfo> {
        let published = self.shared().published();
        let groups = published.state.groups.iter();
        groups
            .map(|(name, info)| describe::group(&published.state, name, info))
            .collect()
    }

    /// Sets offsets of a group, or with `None` deletes them; raises the group's generation, and
    /// fences the group's offsets against every writer opened before.
    pub fn reset_offsets(
        &self,
        group: &str,
        offsets: &[(String, u32, Option<u64>)],
    ) -> Result<(), LogError> {
        self.change(change::reset_offsets(group, offsets))
    }

    /// Remembers a connector and that it was configured now. A sink pins retention of its topics
    /// from its committed offsets on, or from their start.
    pub fn register(&self, registration: &Registration) -> Result<(), LogError> {
        let registration = registration.clone();
        let configured_ms = self.shared().clock.now_ms();
        self.change(Box::new(move |_| {
            Ok(vec![crate::entry::Entry::Registered {
                registration,
                configured_ms,
            }])
        }))
    }

    /// All registered connectors, by name.
    pub fn registrations(&self) -> Vec<RegistrationInfo> {
        self.shared()
            .published()
            .state
            .registrations
            .values()
            .cloned()
            .collect()
    }

    /// Moves state, offsets and registration of a connector to a new name, in one commit. Fails if
    /// the new name has any already.
    pub fn rename_owner(&self, old: &str, new: &str) -> Result<(), LogError> {
        self.change(change::rename(old, new))
    }

    /// Drops state, offsets and registration of a connector, and releases what it pinned.
    pub fn forget(&self, name: &str) -> Result<(), LogError> {
        self.change(change::forget(name))
    }

    /// A reader from `start` on. Fails if the partition does not exist; whether `start` is still
    /// there is found out by reading.
    pub fn reader(
        &self,
        topic: &str,
        partition: u32,
        start: u64,
        to: ReadTo,
    ) -> Result<Reader, LogError> {
        let key = self.key(topic, partition)?;
        Ok(Reader::new(
            Arc::clone(self.shared()),
            key,
            topic.to_owned(),
            start,
            to,
        ))
    }

    /// Reads a topic as a table, from its start on; see [`TableReader`].
    pub fn table(&self, topic: &str) -> Result<TableReader, LogError> {
        TableReader::new(self.clone(), topic)
    }

    /// The first committed offset whose record has `timestamp_ms` (since 1970) or a later one; the
    /// committed end if there is none.
    pub fn offset_at(
        &self,
        topic: &str,
        partition: u32,
        timestamp_ms: i64,
    ) -> Result<u64, LogError> {
        let key = self.key(topic, partition)?;
        index::offset_at(self.shared(), key, topic, timestamp_ms)
    }

    /// The offset of the first record still held.
    pub fn start_offset(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        let key = self.key(topic, partition)?;
        Ok(self
            .shared()
            .published()
            .state
            .partition(key)
            .map_or(0, |partition| partition.start))
    }

    /// The offset behind the last record a reader may see.
    pub fn end_offset(&self, topic: &str, partition: u32, to: ReadTo) -> Result<u64, LogError> {
        let key = self.key(topic, partition)?;
        Ok(self.shared().published().end(key, to).unwrap_or(0))
    }

    /// Calls `wake` after each publication of new ends, until the watch is dropped. It runs on a
    /// thread of the log: it must be quick and must not call the log.
    pub fn watch(&self, wake: Box<dyn Fn() + Send + Sync>) -> Watch {
        Watch::start(self.shared(), wake)
    }

    /// Drops what retention allows: at most one step for each partition, and none when the clock
    /// was set. Returns what was dropped, in words.
    pub fn run_retention(&self) -> Result<Vec<String>, LogError> {
        let files = self.files();
        let dropped = crate::retention::run(self);
        drop(files);
        dropped
    }

    /// Compacts the topics with [`Cleanup::Compact`](crate::Cleanup), of each partition what is
    /// sealed and every registered sink has passed, once at least half of it is new since the last
    /// time. It reads and writes all of that: give it a thread of its own. Does nothing while
    /// another call runs; [`Log::close`] ends it soon.
    pub fn run_compaction(&self) -> Compacted {
        crate::compaction::run(self, None)
    }

    /// Finishes what was handed over, marks the end as clean and releases the directory. All
    /// later calls fail. Readers and other clones may still exist.
    pub fn close(&self) -> Result<(), LogError> {
        let closed = match &self.inner.pipeline {
            Some(pipeline) => {
                self.inner.compacting.stop();
                let closed = self.request(|done| Request::Stop { done });
                self.shared().fail(LogError::failed("the log was closed"));
                pipeline.end();
                closed
            }
            None => self.failure().map_or(Ok(()), Err),
        };
        drop(
            self.inner
                .lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        closed
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Held through changes that also make or remove files outside the stages.
    pub(crate) fn files(&self) -> MutexGuard<'_, ()> {
        self.inner.files()
    }

    /// Fails when nothing can be written.
    pub(crate) fn writable(&self) -> Result<(), LogError> {
        if self.shared().read_only || self.failure().is_some() {
            return Err(self.inner.ended());
        }
        Ok(())
    }

    pub(crate) fn key(&self, topic: &str, partition: u32) -> Result<PartitionKey, LogError> {
        validate::partition(&self.shared().published().state, topic, partition)
    }

    pub(crate) fn change(&self, change: Change) -> Result<(), LogError> {
        self.request(|done| Request::Change { change, done })
    }

    /// Hands a request over and waits for its answer.
    pub(crate) fn request(&self, make: impl FnOnce(Answer) -> Request) -> Result<(), LogError> {
        self.inner.request(make).map(|_| ())
    }
}
