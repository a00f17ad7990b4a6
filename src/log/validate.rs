//! What a set must be before anything of it is written.

use std::collections::BTreeMap;

use crate::LogError;
use crate::entry::Entry;
use crate::set::{AppendSet, SET_BYTES_MAX, STATE_BYTES_MAX, StateChange, TopicBatch};
use crate::state::State;
use crate::topic::PartitionKey;

/// The partition by its number, if it exists.
pub(crate) fn partition(
    state: &State,
    topic: &str,
    partition: u32,
) -> Result<PartitionKey, LogError> {
    let Some((number, info)) = state.topic(topic) else {
        return Err(LogError::invalid(format!(
            "topic {topic} does not exist: create it first"
        )));
    };
    let count = info.partitions.len();
    if partition as usize >= count {
        return Err(LogError::invalid(format!(
            "topic {topic} has {count} partitions, so there is no partition {partition}"
        )));
    }
    Ok(PartitionKey {
        topic: number,
        partition,
    })
}

/// Fails when the partition has stopped.
pub(crate) fn undamaged(
    damage: &BTreeMap<PartitionKey, String>,
    key: PartitionKey,
) -> Result<(), LogError> {
    let damage = damage.get(&key);
    damage.map_or(Ok(()), |why| Err(LogError::damaged(why.clone())))
}

/// Checks a set; returns the entries for its offsets and state changes.
pub(crate) fn set(
    state: &State,
    damage: &BTreeMap<PartitionKey, String>,
    owner: &str,
    set: &AppendSet,
) -> Result<Vec<Entry>, LogError> {
    let bytes: usize = set
        .batches
        .iter()
        .map(|batch| batch.batch.as_bytes().len())
        .sum();
    if bytes > SET_BYTES_MAX {
        return Err(LogError::invalid(format!(
            "a set of {bytes} bytes: at most {SET_BYTES_MAX} go into one; use smaller ones"
        )));
    }
    let mut counts = BTreeMap::new();
    for batch in &set.batches {
        let key = partition(state, &batch.topic, batch.partition)?;
        undamaged(damage, key)?;
        *counts.entry(key).or_insert(0) += check_batch(batch)?;
    }
    let mut entries = Vec::with_capacity(set.offsets.len() + set.state.len() + 2);
    for offset in &set.offsets {
        let key = partition(state, &offset.topic, offset.partition)?;
        let end = state.partition(key).map_or(0, |partition| partition.end);
        let end = end + counts.get(&key).copied().unwrap_or(0);
        let stored = state.groups.get(&*offset.group);
        let stored = stored
            .and_then(|group| group.offsets.get(&key))
            .copied()
            .unwrap_or(0);
        if offset.offset < stored || offset.offset > end {
            return Err(LogError::invalid(format!(
                "group {} cannot commit offset {} of {} partition {}: {stored} is committed and \
                 the log ends at {end}",
                offset.group, offset.offset, offset.topic, offset.partition
            )));
        }
        let group = offset.group.to_string();
        entries.push(Entry::GroupOffset {
            group,
            key,
            offset: offset.offset,
        });
    }
    check_state(state, owner, &set.state, &mut entries)?;
    Ok(entries)
}

/// Checks that the offsets of a batch are without gaps; returns how many there are.
pub(crate) fn check_batch(batch: &TopicBatch) -> Result<u64, LogError> {
    let header = batch.batch.header();
    let count = u64::from(header.records_count);
    if count == 0 || i64::from(header.last_offset_delta) + 1 != i64::from(header.records_count) {
        return Err(LogError::invalid(format!(
            "a batch for {} partition {} says {count} records and last offset delta {}",
            batch.topic, batch.partition, header.last_offset_delta
        )));
    }
    Ok(count)
}

fn check_state(
    state: &State,
    owner: &str,
    changes: &[StateChange],
    entries: &mut Vec<Entry>,
) -> Result<(), LogError> {
    let size =
        |change: &StateChange| change.key.len() + change.after.as_ref().map_or(0, |v| v.len());
    let bytes: usize = changes.iter().map(size).sum();
    if bytes > STATE_BYTES_MAX {
        return Err(LogError::invalid(format!(
            "{owner} changes {bytes} bytes of state in one set: at most {STATE_BYTES_MAX}"
        )));
    }
    let stored = state.owners.get(owner).map(|owner| &owner.state);
    let mut changed = BTreeMap::new();
    for change in changes {
        let stored = stored.and_then(|stored| stored.get(&change.key));
        let current = changed.get(&change.key).copied().unwrap_or(stored);
        if current != change.before.as_ref() {
            return Err(LogError::fenced(format!(
                "the state of {owner} has another value under key {:?} than this set expects: \
                 open the writer again and go on from the stored state",
                String::from_utf8_lossy(&change.key)
            )));
        }
        changed.insert(&change.key, change.after.as_ref());
        let (owner, key) = (owner.to_owned(), change.key.clone());
        entries.push(match &change.after {
            Some(value) => Entry::StatePut {
                owner,
                key,
                value: value.clone(),
            },
            None => Entry::StateDeleted { owner, key },
        });
    }
    Ok(())
}
