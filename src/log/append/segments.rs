//! Where segments begin and end: the part of stage 1 that makes and seals files.

use std::sync::Arc;

use super::{Appender, BATCH_ENTRY_BYTES};
use crate::LogError;
use crate::entry::Entry;
use crate::segment::{SegmentFile, SegmentName};
use crate::tail::{End, Tail};
use crate::topic::PartitionKey;

impl Appender {
    /// The end of the segment that the next batch goes to; a new segment if the active one is full
    /// or ends before a gap.
    pub(super) fn open_end(&mut self, key: PartitionKey) -> Result<End, LogError> {
        let partition = self.partition(key)?;
        let usable = partition.active().is_some_and(|active| {
            active.length < self.shared.segment_bytes(&self.state, key)
                && active.end == partition.end
        });
        if !usable {
            self.roll(key)?;
            self.create_segment(key)?;
        }
        let active = self.partition(key)?.active();
        let active = active.ok_or_else(|| LogError::invalid("a partition has no segment"))?;
        Ok(End::of(active))
    }

    /// Seals the active segment, if there is one: cuts its file to its length.
    pub(super) fn roll(&mut self, key: PartitionKey) -> Result<(), LogError> {
        let Some(active) = self.partition(key)?.active().copied() else {
            return Ok(());
        };
        // An empty segment already has the name that the next one would get.
        if active.length == 0 && active.end == self.partition(key)?.end {
            return Ok(());
        }
        self.reserve(BATCH_ENTRY_BYTES)?;
        let topic = self.topic_name(key);
        let file = Arc::clone(&self.tail(key, &topic, active.base)?.file);
        let cut = file.file.set_len(active.length);
        cut.map_err(|error| LogError::io("cut", &file.path, error))?;
        self.tails.remove(key);
        self.round.add_file(&file);
        self.accept_small(vec![Entry::SegmentSealed {
            key,
            base: active.base,
        }])
    }

    fn create_segment(&mut self, key: PartitionKey) -> Result<(), LogError> {
        let base = self.partition(key)?.end;
        let name = SegmentName::first(base);
        let path = self
            .shared
            .layout
            .segment(&self.topic_name(key), key.partition, name);
        // One left by an attempt for which the disk was full.
        let _ = self.shared.storage.remove(&path);
        let file = self.shared.storage.create(&path);
        let file = file.map_err(|error| LogError::io("create", &path, error))?;
        let dir = path.parent().map(std::path::Path::to_path_buf);
        let file = SegmentFile::new(file, path, name);
        self.shared.handles.insert(key, &file);
        self.round.add_file(&file);
        self.round.dirs.extend(dir);
        self.tails.insert(key, file, 0, self.point.sequence + 1);
        self.accept_small(vec![Entry::SegmentCreated { key, base }])
    }

    /// Ends the active segment, so that the holder of a lease goes on in one of its own; returns
    /// where.
    pub(super) fn leave_to_holder(&mut self, key: PartitionKey) -> Result<u64, LogError> {
        self.roll(key)?;
        let partition = self.partition(key)?;
        let base = partition.end;
        let mut entries = Vec::new();
        // One without records stands where the holder's first one will.
        if let Some(empty) = partition.active().copied() {
            self.tails.remove(key);
            self.shared.handles.remove(key, empty.name());
            let base = empty.base;
            entries.push(Entry::SegmentDeleted { key, base });
        }
        entries.push(Entry::Leased { key, base });
        self.accept_small(entries)?;
        Ok(base)
    }

    pub(super) fn tail(
        &mut self,
        key: PartitionKey,
        topic: &str,
        base: u64,
    ) -> Result<&mut Tail, LogError> {
        let sequence = self.point.sequence + 1;
        self.tails
            .get(&self.shared.handles, key, topic, base, sequence)
    }

    fn topic_name(&self, key: PartitionKey) -> String {
        self.state
            .topics
            .get(&key.topic)
            .map(|topic| topic.name.clone())
            .unwrap_or_default()
    }
}
