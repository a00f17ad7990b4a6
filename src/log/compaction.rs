//! Compaction: of a topic with `Cleanup::Compact`, drops the records that a later one of the same
//! key and partition has replaced. `FORMAT.md` has the argument; this file decides what is
//! compacted, and swaps the files. [`crate::rewrite`] writes them.
//!
//! A *pass* over a partition works on its sealed segments from the front, as far as every
//! registered sink has passed them. Below the offset `clean` each key stands once, thanks to the
//! passes before. The pass learns the newest offset of each key from `clean` on, as far as its
//! memory reaches, and then rewrites all segments, a group at a time, without the records that are
//! replaced. Only when the last group is swapped `clean` moves, so a pass that ends early has
//! changed nothing that the next one relies on.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::entry::Entry;
use crate::log::Log;
use crate::newest::NewestOffsets;
use crate::partition::Segment;
use crate::retention::pinned;
use crate::rewrite::{self, Rewritten};
use crate::segment::{SegmentName, Walk};
use crate::state::State;
use crate::topic::PartitionKey;
use crate::{LogError, LogErrorKind};

/// A compacted topic's segments are sealed at this size, if not sooner: only sealed ones can be
/// compacted.
pub(crate) const SEGMENT_BYTES: u64 = 16 << 20;
/// What the newest offsets of a pass take at most: enough for 786,432 keys.
const NEWEST_BYTES: usize = 24 << 20;
/// Offsets that a batch can span.
const SPAN_MAX: u64 = i32::MAX as u64;

/// What [`Log::run_compaction`] did, in words.
#[derive(Debug, Default)]
pub struct Compacted {
    /// Each pass that dropped something.
    pub done: Vec<String>,
    /// Why a partition was left as it is.
    pub failed: Vec<LogError>,
}

/// Has compaction end with the log.
#[derive(Default)]
pub(crate) struct Compacting {
    stopped: AtomicBool,
    running: Mutex<()>,
}

impl Compacting {
    /// Ends a pass that runs, and lets no other one begin.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        drop(self.running.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Fails when the log is about to end.
    pub(crate) fn go_on(&self) -> Result<(), LogError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(LogError::failed("compaction ends with the log"));
        }
        Ok(())
    }
}

/// The sealed segments of a partition that a pass works on.
pub(crate) struct Pass<'a> {
    pub log: &'a Log,
    pub key: PartitionKey,
    pub topic: String,
    pub segments: Vec<Segment>,
    /// Below it each key stands once.
    pub clean: u64,
    /// Of the partition.
    pub end: u64,
    /// Tombstones from here on may be news to an open table. One that is opened later reads nothing
    /// that those below it delete: that is gone since the last pass.
    pub unread: u64,
}

/// What a pass knows of the keys from `clean` on.
pub(crate) struct Known {
    pub newest: NewestOffsets,
    /// Up to here: the map was full, or nothing more is sealed.
    pub end: u64,
}

pub(crate) fn run(log: &Log, newest_bytes: Option<usize>) -> Compacted {
    let mut compacted = Compacted::default();
    let compacting = &log.inner.compacting;
    let _running = match compacting.running.try_lock() {
        Ok(running) => running,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return compacted,
    };
    for pass in due(log) {
        let place = format!("{} partition {}", pass.topic, pass.key.partition);
        match pass.run(newest_bytes.unwrap_or(NEWEST_BYTES)) {
            Ok((before, after)) => compacted
                .done
                .push(format!("{place}: {before} bytes became {after}")),
            Err(_) if compacting.go_on().is_err() => break,
            Err(error) => compacted.failed.push(error),
        }
    }
    compacted
}

/// A pass for each partition of which at least half of what can be compacted is not clean.
fn due(log: &Log) -> Vec<Pass<'_>> {
    let shared = log.shared();
    if shared.read_only || shared.failure().is_some() {
        return Vec::new();
    }
    let published = shared.published();
    let partitions = published.state.partitions();
    let passes = partitions
        .filter(|(_, topic, _)| topic.config.is_compacted())
        .filter(|(key, _, _)| !shared.damage.contains_key(key))
        .filter_map(|(key, topic, partition)| {
            let pinned = pinned(&published.state, key, &topic.name, partition);
            let segments = partition.segments.iter();
            let segments: Vec<_> = segments
                .take_while(|segment| segment.sealed && segment.end <= pinned)
                // An empty one of its first generation covers nothing: retention's to drop.
                .filter(|segment| segment.base < segment.end)
                .copied()
                .collect();
            let bytes = |from| -> u64 {
                let behind = segments.iter().filter(|segment| segment.end > from);
                behind.map(|segment| segment.length).sum()
            };
            let (dirty, all) = (bytes(partition.clean), bytes(0));
            (dirty > 0 && dirty * 2 >= all).then(|| Pass {
                log,
                key,
                topic: topic.name.clone(),
                segments,
                clean: partition.clean,
                end: partition.end,
                unread: log.inner.tables.least(key).unwrap_or(u64::MAX),
            })
        });
    passes.collect()
}

impl Pass<'_> {
    /// Returns how many bytes the segments had and have.
    fn run(&self, newest_bytes: usize) -> Result<(u64, u64), LogError> {
        let known = self.learn(newest_bytes)?;
        let groups = groups(
            &self.segments,
            known.end,
            self.log.shared().config.segment_bytes,
        );
        let (mut before, mut after) = (0, 0);
        for (number, group) in groups.iter().enumerate() {
            let clean = (number + 1 == groups.len()).then_some(known.end);
            let segments = &self.segments[group.clone()];
            after += self.replace(segments, &known, clean)?;
            before += segments.iter().map(|segment| segment.length).sum::<u64>();
        }
        Ok((before, after))
    }

    /// The newest offset of each key from `clean` on.
    fn learn(&self, newest_bytes: usize) -> Result<Known, LogError> {
        let mut newest = NewestOffsets::new(newest_bytes);
        let mut end = self.clean;
        for segment in self.segments.iter().filter(|s| s.end > self.clean) {
            let file = self.open(segment)?;
            let mut walk = Walk::new(&file, 0, segment.base, segment.length);
            while let Some(batch) = walk.batch()? {
                self.log.inner.compacting.go_on()?;
                for record in batch.records() {
                    let record = record.map_err(|error| walk.damage(&error.to_string()))?;
                    let offset = record.offset as u64;
                    if let Some(key) = record.key
                        && offset >= self.clean
                        && !newest.put(key, offset)
                    {
                        return Ok(Known {
                            newest,
                            end: offset,
                        });
                    }
                }
            }
            end = segment.end;
        }
        Ok(Known { newest, end })
    }

    pub(crate) fn open(
        &self,
        segment: &Segment,
    ) -> Result<Arc<crate::segment::SegmentFile>, LogError> {
        let handles = &self.log.shared().handles;
        handles.get(self.key, &self.topic, segment.name())
    }

    /// Rewrites neighbouring segments as one and puts it in their place; returns its length. With
    /// the last ones `clean` moves.
    fn replace(
        &self,
        segments: &[Segment],
        known: &Known,
        clean: Option<u64>,
    ) -> Result<u64, LogError> {
        let shared = self.log.shared();
        let generation = segments.iter().map(|s| s.generation).max().unwrap_or(0) + 1;
        let name = SegmentName {
            base: segments[0].base,
            generation,
        };
        let path = shared.layout.segment(&self.topic, self.key.partition, name);
        let swapped = rewrite::write(self, segments, known, &path)
            .and_then(|rewritten| self.swap(segments, name, rewritten, clean));
        match swapped {
            Ok(length) => {
                for old in segments {
                    self.remove(&shared.layout.segment(
                        &self.topic,
                        self.key.partition,
                        old.name(),
                    ))?;
                    shared.handles.remove(self.key, old.name());
                }
                Ok(length)
            }
            // Whether the record of the swap counts is unknown: the next start finds out.
            Err(error) if error.kind() == LogErrorKind::Failed && shared.failure().is_some() => {
                Err(error)
            }
            Err(error) => {
                // Nothing lists it: the next start would remove it too.
                let _ = shared.storage.remove(&path);
                Err(error)
            }
        }
    }

    /// Makes it durable that the new file stands for `segments`, if they are still what they were
    /// and no sink has come to need them.
    fn swap(
        &self,
        segments: &[Segment],
        name: SegmentName,
        rewritten: Rewritten,
        clean: Option<u64>,
    ) -> Result<u64, LogError> {
        let (key, topic) = (self.key, self.topic.clone());
        let end = segments[segments.len() - 1].end;
        let old = segments.to_vec();
        let files = self.log.files();
        self.log.change(Box::new(move |state| {
            if !may_replace(state, key, &old, end) {
                return Err(LogError::invalid(format!(
                    "{topic} partition {}: offsets {} to {end} are not compacted: they were \
                     deleted, or a sink has come to need them",
                    key.partition, name.base
                )));
            }
            let mut entries = vec![Entry::SegmentReplaced {
                key,
                end,
                name,
                length: rewritten.length,
                records: rewritten.records,
                timestamp_ms_max: rewritten.timestamp_ms_max,
            }];
            entries.extend(clean.map(|offset| Entry::Cleaned { key, offset }));
            Ok(entries)
        }))?;
        drop(files);
        Ok(rewritten.length)
    }

    fn remove(&self, path: &Path) -> Result<(), LogError> {
        let storage = &self.log.shared().storage;
        let removed = storage.remove(path);
        removed.map_err(|error| LogError::io("remove", path, error))?;
        // A cache: it may never have been written.
        let _ = storage.remove(&path.with_extension("index"));
        Ok(())
    }
}

fn may_replace(state: &State, key: PartitionKey, old: &[Segment], end: u64) -> bool {
    let topic = state.topics.get(&key.topic);
    let (Some(topic), Some(partition)) = (topic, state.partition(key)) else {
        return false;
    };
    let covered = |segment: &&Segment| (old[0].base..end).contains(&segment.base);
    topic.config.is_compacted()
        && partition.segments.iter().filter(covered).eq(old)
        && pinned(state, key, &topic.name, partition) >= end
}

/// Neighbours that become one segment, as far as keys are known: without a gap between them, and
/// together not larger than a segment.
fn groups(segments: &[Segment], known_end: u64, bytes_max: u64) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (number, segment) in segments.iter().enumerate() {
        if segment.base >= known_end {
            break;
        }
        bytes += segment.length;
        if let Some(group) = groups.last_mut()
            && segments[number - 1].end == segment.base
            && segment.end - segments[group.start].base <= SPAN_MAX
            && bytes <= bytes_max
        {
            group.end = number + 1;
        } else {
            groups.push(number..number + 1);
            bytes = segment.length;
        }
    }
    groups
}
