//! A flush: everything written, seen to be in place, synced, and said in one report.

use std::collections::HashMap;
use std::time::Instant;

use towpath_sdk::{Flushed, Result, StateChange};

use super::output::Output;
use super::placing::{differs_outside, gone, not_ours};
use super::writer::Writer;

impl Writer {
    /// Makes all that was accepted durable. After a bad record that ends the task this works once,
    /// for what came before it; the next call gives the error.
    pub(super) fn flush(&mut self) -> Result<Flushed> {
        if self.progress.is_empty()
            && self.refused.is_empty()
            && let Some(failure) = self.failure.take()
        {
            return Err(failure);
        }
        let now = Instant::now();
        for index in 0..self.outputs.len() {
            if self.outputs[index].due.is_some_and(|due| due <= now) {
                self.finish(index);
            }
        }
        self.drain(1)?;
        for output in &mut self.outputs {
            output.start_write_back(&self.disk);
        }
        let mut state = Vec::new();
        for index in 0..self.outputs.len() {
            if self.outputs[index].changed {
                self.make_durable(index)?;
            }
            let output = &self.outputs[index];
            if output.finished {
                state.push(StateChange::delete(output.path.clone()));
            } else if output.changed && output.entry.file.is_some() {
                state.push(self.change_of(index));
            }
        }
        self.forget_committed();
        let offsets = std::mem::take(&mut self.progress);
        Ok(Flushed {
            offsets,
            state,
            refused: std::mem::take(&mut self.refused),
        })
    }

    /// Syncs output `index`, and sees that its path leads to it and nobody else wrote to it.
    fn make_durable(&mut self, index: usize) -> Result<()> {
        let output = &mut self.outputs[index];
        let Some(known) = output.entry.file else {
            return Ok(());
        };
        output.sync(&self.disk)?;
        let Some(found) = self.disk.find(&output.path)? else { return Err(gone(&output.path)) };
        match differs_outside(&known, found) {
            Some(how) => Err(not_ours(&output.path, &how)),
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
