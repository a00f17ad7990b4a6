//! A flush: everything written, seen to be in place, synced, and said in one report; and the same
//! in the middle of a write that changes more than one report can say.

use std::collections::HashMap;
use std::time::Instant;

use towpath_sdk::{Error, Flushed, Result, SinkOffset, StateChange};

use super::ahead;
use super::output::Output;
use super::placing::{differs_outside, gone, not_ours};
use super::writer::Writer;

/// Outputs that are synced at the same time at most.
const SYNCS_AT_ONCE: usize = 8;

impl Writer {
    /// Makes all that was accepted durable.
    pub(super) fn flush(&mut self) -> Result<Flushed> {
        let now = Instant::now();
        for index in 0..self.outputs.len() {
            if self.outputs[index].due.is_some_and(|due| due <= now) {
                // Those that are left are due still: the next flush is wanted at once.
                if self.changing >= self.limits.changes_bytes {
                    break;
                }
                self.finish(index);
            }
        }
        let mut state = self.settle()?;
        let offsets = self.progress.offsets();
        let (reported, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.ahead)
            .into_iter()
            .partition(|ahead| offsets.iter().any(|offset| is_same_place(ahead, offset)));
        self.ahead = kept;
        let delete = |ahead: &SinkOffset| {
            StateChange::delete(ahead::key(&ahead.topic.name, ahead.partition))
        };
        state.extend(reported.iter().map(delete));
        Ok(self.progress.report(state))
    }

    /// Commits what the files hold now, in the middle of a write.
    pub(super) fn commit_ahead(&mut self) -> Result<()> {
        let mut changes = self.settle()?;
        for reached in self.progress.offsets() {
            let known = self
                .ahead
                .iter_mut()
                .find(|ahead| is_same_place(ahead, reached));
            match known {
                Some(known) if known.offset == reached.offset => continue,
                Some(known) => known.offset = reached.offset,
                None => self.ahead.push(reached.clone()),
            }
            changes.push(ahead::put(reached, self.generation));
        }
        self.commit(changes)
    }

    /// Makes durable what the files got, and gives the state that says so.
    fn settle(&mut self) -> Result<Vec<StateChange>> {
        self.drain(1)?;
        self.start_write_back();
        self.sync_outputs()?;
        let mut state = Vec::new();
        for index in 0..self.outputs.len() {
            if self.outputs[index].changed {
                self.check_place(index)?;
            }
            let output = &self.outputs[index];
            if output.finished {
                state.push(StateChange::delete(output.path.clone()));
            } else if output.changed && output.entry.file.is_some() {
                state.push(self.change_of(index));
            }
        }
        self.forget_committed();
        self.changing = 0;
        Ok(state)
    }

    /// Syncs what the outputs got, several at once: a disk takes together what waits for it.
    fn sync_outputs(&mut self) -> Result<()> {
        let disk = &self.disk;
        let changed = |output: &&mut Output| output.changed && output.entry.file.is_some();
        let mut outputs: Vec<&mut Output> = self.outputs.iter_mut().filter(changed).collect();
        for together in outputs.chunks_mut(SYNCS_AT_ONCE) {
            let Some((first, others)) = together.split_first_mut() else {
                continue;
            };
            std::thread::scope(|scope| {
                let sync = |output: &mut Output| output.sync(disk);
                let others: Vec<_> = others
                    .iter_mut()
                    .map(|output| scope.spawn(move || sync(output)))
                    .collect();
                let mut result = sync(first);
                for other in others {
                    let other = other.join().unwrap_or_else(|_| {
                        Err(Error::fatal("sync", "an output").because("its thread has panicked"))
                    });
                    result = result.and(other);
                }
                result
            })?;
        }
        Ok(())
    }

    /// Sees that the path of output `index`, which is synced, leads to it, and that nobody else
    /// wrote to it.
    fn check_place(&mut self, index: usize) -> Result<()> {
        let output = &mut self.outputs[index];
        let Some(known) = output.entry.file else {
            return Ok(());
        };
        let Some(found) = self.disk.find(&output.path)? else {
            return Err(gone(&self.connector, &output.path));
        };
        match differs_outside(&known, found) {
            Some(how) => Err(not_ours(&self.connector, &output.path, &how)),
            None => {
                output.entry.generation = self.generation;
                Ok(())
            }
        }
    }

    /// Lets go of what the state will say from now on.
    fn forget_committed(&mut self) {
        let rotates = self.rotate.is_some();
        for output in &mut self.outputs {
            output.changed = false;
        }
        let keeps = |output: &Output| !output.finished && (rotates || output.handle.is_some());
        if self.outputs.iter().all(keeps) {
            return;
        }
        let mut open: HashMap<usize, usize> = HashMap::new();
        self.by_stream.clear();
        let outputs = std::mem::take(&mut self.outputs);
        for (before, output) in outputs
            .into_iter()
            .enumerate()
            .filter(|(_, output)| keeps(output))
        {
            open.insert(before, self.outputs.len());
            self.by_stream
                .insert(output.stream.clone(), self.outputs.len());
            self.outputs.push(output);
        }
        self.opened = self
            .opened
            .iter()
            .filter_map(|before| open.get(before).copied())
            .collect();
    }
}

/// Whether both are of one partition.
fn is_same_place(one: &SinkOffset, other: &SinkOffset) -> bool {
    one.is_of(&other.topic.name, other.partition)
}
