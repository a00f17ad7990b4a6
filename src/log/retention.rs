//! Retention: drops whole segments from the front of a partition, never past what a registered
//! sink has not done, one step at a time.

use std::sync::PoisonError;

use crate::LogError;
use crate::entry::Entry;
use crate::log::Log;
use crate::partition::{Partition, Segment};
use crate::registration::ConnectorKind;
use crate::round::Request;
use crate::shared::Shared;
use crate::state::State;
use crate::topic::{PartitionKey, Retention};

/// The wall clock may run this much faster or slower than the other between two runs; more means
/// that it was set.
const CLOCK_STEP_MS: i64 = 60_000;

/// What to do with a partition now.
enum Step {
    /// Seal the active segment: all of it has expired.
    Roll,
    Drop(Segment),
}

pub(crate) fn run(log: &Log) -> Result<Vec<String>, LogError> {
    let shared = log.shared();
    let Some(now_ms) = plausible_now(shared) else {
        return Ok(Vec::new());
    };
    let steps: Vec<(PartitionKey, String, Step)> = {
        let published = shared.published();
        let partitions = published.state.partitions();
        let due = partitions
            .filter(|(_, topic, _)| !topic.config.is_compacted())
            .filter(|(key, _, _)| !shared.damage.contains_key(key))
            .filter_map(|(key, topic, partition)| {
                let pinned = pinned(&published.state, key, &topic.name, partition);
                let step = step(partition, &topic.config.retention, pinned, now_ms)?;
                Some((key, topic.name.clone(), step))
            });
        due.collect()
    };
    let mut dropped = Vec::new();
    for (key, topic, step) in steps {
        match step {
            Step::Roll => log.request(|done| Request::Roll { key, done })?,
            Step::Drop(segment) => dropped.extend(drop_segment(log, key, &topic, segment)?),
        }
    }
    Ok(dropped)
}

/// The time, unless the clock was set since the last run, or since the start: then one run is left
/// out. One that was wrong all the time cannot be told from a long rest.
fn plausible_now(shared: &Shared) -> Option<i64> {
    let (now, monotonic) = (shared.clock.now_ms(), shared.clock.monotonic_ms());
    let mut clocks = shared.clocks.lock().unwrap_or_else(PoisonError::into_inner);
    let (now_before, monotonic_before) = std::mem::replace(&mut *clocks, (now, monotonic));
    let passed = i64::try_from(monotonic - monotonic_before).unwrap_or(i64::MAX);
    let step = now.saturating_sub(now_before).saturating_sub(passed);
    (step.saturating_abs() <= CLOCK_STEP_MS).then_some(now)
}

/// The lowest offset that a registered reader of the topic still needs. A source reads where its
/// group has an offset, and only writes elsewhere.
pub(crate) fn pinned(state: &State, key: PartitionKey, topic: &str, partition: &Partition) -> u64 {
    let readers = state.registrations.values().map(|info| &info.registration);
    let readers = readers.filter(|reader| reader.topics.iter().any(|name| name == topic));
    let needs = readers.filter_map(|reader| {
        let group = state.groups.get(reader.group_name());
        let committed = group.and_then(|group| group.offsets.get(&key)).copied();
        match reader.kind {
            ConnectorKind::Source => committed,
            ConnectorKind::Stream | ConnectorKind::Sink => committed.or(Some(partition.start)),
        }
    });
    needs.min().unwrap_or(u64::MAX)
}

fn step(partition: &Partition, retention: &Retention, pinned: u64, now_ms: i64) -> Option<Step> {
    let first = *partition.segments.first()?;
    // An empty one is in the way only when another was begun behind it.
    if first.end > pinned || (first.length == 0 && !first.sealed) {
        return None;
    }
    let age = |ms: u64| now_ms.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX));
    let expired = retention
        .time_ms
        .is_some_and(|ms| first.timestamp_ms_max < age(ms));
    if !first.sealed {
        return expired.then_some(Step::Roll);
    }
    let held: u64 = partition
        .segments
        .iter()
        .map(|segment| segment.length)
        .sum();
    let too_large = retention
        .bytes
        .is_some_and(|bytes| held - first.length >= bytes);
    (expired || too_large || first.length == 0).then_some(Step::Drop(first))
}

/// First the record, then the file. The pins are looked at again, in the order of the commit log.
fn drop_segment(
    log: &Log,
    key: PartitionKey,
    topic: &str,
    segment: Segment,
) -> Result<Option<String>, LogError> {
    let name = topic.to_owned();
    let refused = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let refuse = std::sync::Arc::clone(&refused);
    log.change(Box::new(move |state| {
        let partition = state.partition(key);
        let free = partition.is_some_and(|p| pinned(state, key, &name, p) >= segment.end);
        if !free {
            refuse.store(true, std::sync::atomic::Ordering::Release);
            return Ok(vec![]);
        }
        Ok(vec![
            Entry::StartMoved {
                key,
                start: segment.end,
            },
            Entry::SegmentDeleted {
                key,
                base: segment.base,
            },
        ])
    }))?;
    if refused.load(std::sync::atomic::Ordering::Acquire) {
        return Ok(None);
    }
    let shared = log.shared();
    let path = shared.layout.segment(topic, key.partition, segment.name());
    shared.handles.remove(key, segment.name());
    shared
        .storage
        .remove(&path)
        .map_err(|error| LogError::io("remove", &path, error))?;
    // A cache: it may never have been written.
    let _ = shared.storage.remove(&path.with_extension("index"));
    Ok(Some(format!(
        "{topic} partition {}: offsets {} to {} ({} bytes)",
        key.partition, segment.base, segment.end, segment.length
    )))
}
