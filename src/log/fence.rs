//! The fence in front of stage 1: whose sets are let through. Each writer of a task fences those
//! before it, a refused set fences the sets after it, and the reset of a group fences its offsets.

use std::collections::HashMap;
use std::sync::Arc;

use crate::LogError;
use crate::entry::Entry;
use crate::round::SetFrom;
use crate::set::AppendSet;
use crate::state::State;

/// Fails when the writer of the set is not the current one of its task.
pub(crate) fn check_generation(state: &State, from: &SetFrom) -> Result<(), LogError> {
    let SetFrom {
        owner,
        task,
        generation,
        ..
    } = from;
    let current = state.generation(owner, *task);
    if *generation != current {
        return Err(LogError::fenced(format!(
            "task {task} of {owner} writes with generation {generation} but {current} is \
             current: another writer has taken over; stop this one"
        )));
    }
    Ok(())
}

/// The writers of a running log, by owner and task.
#[derive(Default)]
pub(crate) struct Fence {
    writers: HashMap<(Arc<str>, u32), WriterState>,
    /// When each group was last reset: a writer from before may not move its offsets.
    resets: HashMap<String, u64>,
}

struct WriterState {
    generation: u32,
    /// Number of its last accepted set.
    number: u64,
    /// Sequence at which it was opened.
    opened: u64,
    refused: bool,
}

impl Fence {
    /// Checks generation and number of the next set; returns when its writer was opened.
    pub(crate) fn admit(&mut self, state: &State, from: &SetFrom) -> Result<u64, LogError> {
        let writer = self.next_of(state, from)?;
        writer.number = from.number;
        Ok(writer.opened)
    }

    /// Checks the same of a set that is only announced.
    pub(crate) fn expect(&mut self, state: &State, from: &SetFrom) -> Result<(), LogError> {
        self.next_of(state, from).map(|_| ())
    }

    /// The writer whose next set this is.
    fn next_of(&mut self, state: &State, from: &SetFrom) -> Result<&mut WriterState, LogError> {
        check_generation(state, from)?;
        let SetFrom { owner, task, .. } = from;
        let writer = self.writers.get_mut(&(Arc::clone(owner), *task));
        let is_next = |writer: &&mut WriterState| {
            writer.generation == from.generation
                && !writer.refused
                && writer.number + 1 == from.number
        };
        writer.filter(is_next).ok_or_else(|| {
            LogError::fenced(format!(
                "an earlier set of task {task} of {owner} was refused, or {owner} was renamed or \
                 forgotten: open the writer again and go on from the stored state"
            ))
        })
    }

    /// The set was not written: no later one of its writer may be.
    pub(crate) fn refuse(&mut self, from: &SetFrom) {
        let writer = self.writers.get_mut(&(Arc::clone(&from.owner), from.task));
        if let Some(writer) = writer {
            writer.refused = true;
        }
    }

    /// Checks that no group of the set was reset after its writer was opened.
    pub(crate) fn check_offsets(&self, set: &AppendSet, opened: u64) -> Result<(), LogError> {
        for offset in &set.offsets {
            if self
                .resets
                .get(&*offset.group)
                .is_some_and(|reset| *reset > opened)
            {
                return Err(LogError::fenced(format!(
                    "the offsets of group {} were reset after this writer was opened: open it \
                     again",
                    offset.group
                )));
            }
        }
        Ok(())
    }

    /// Takes note of a change before `state` has it; `sequence` is that of its record.
    pub(crate) fn note(&mut self, state: &State, entry: &Entry, sequence: u64) {
        match entry {
            Entry::GroupGeneration { group, .. } => {
                self.resets.insert(group.clone(), sequence);
            }
            Entry::TaskGeneration {
                owner,
                task,
                generation,
            } => {
                let writer = WriterState {
                    generation: *generation,
                    number: 0,
                    opened: sequence,
                    refused: false,
                };
                self.writers
                    .insert((Arc::from(owner.as_str()), *task), writer);
            }
            Entry::Forgotten { name } => {
                let owned = state.owned_alone(name);
                self.writers.retain(|(owner, _), _| {
                    **owner != **name && !owned.iter().any(|o| **o == **owner)
                });
            }
            Entry::Renamed { old, .. } => self.writers.retain(|(owner, _), _| **owner != **old),
            _ => {}
        }
    }
}
