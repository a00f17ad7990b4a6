//! The batch being put together, and how it is handed over.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use towpath_sdk::{Error, REFUSED_MAX, Result, SourceBatch, StateChange};

use super::content::Halt;

/// A batch is closed at this size: about 1 MiB with what a record may add.
const FULL_BYTES: usize = (1 << 20) - (32 << 10);
/// What is left of a batch is not worth to begin an object for.
const ROOM_BYTES: usize = 64 << 10;
/// What is read of small objects goes together, up to so many, and for so long.
const PARTS_MAX: usize = 1024;
const GATHER: Duration = Duration::from_millis(100);
/// State goes alone in steps of so many changes.
const CHANGES_MAX: usize = 1_000;

/// Where batches go.
pub struct Outbox {
    /// Closed at the end of a drain.
    sender: Option<mpsc::Sender<Result<SourceBatch>>>,
    batch: SourceBatch,
    bytes: usize,
    /// Since when something is in the batch.
    begun: Option<Instant>,
    sent: u64,
}

impl Outbox {
    pub fn new(sender: mpsc::Sender<Result<SourceBatch>>) -> Self {
        Self {
            sender: Some(sender),
            batch: SourceBatch::default(),
            bytes: 0,
            begun: None,
            sent: 0,
        }
    }

    /// The batch, to add records to, and how many bytes it has room for.
    pub fn batch(&mut self) -> (&mut SourceBatch, usize) {
        self.begun.get_or_insert_with(Instant::now);
        (&mut self.batch, FULL_BYTES.saturating_sub(self.bytes))
    }

    /// So much was added to the batch.
    pub fn added(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Adds a change, which becomes durable with the batch.
    pub fn change(&mut self, change: StateChange) {
        self.batch.state.push(change);
    }

    /// The number of the batch that is being put together; the first is 1.
    pub fn number(&self) -> u64 {
        self.sent + 1
    }

    /// Whether the batch should be handed over rather than another object begun.
    pub fn is_due(&self) -> bool {
        self.bytes + ROOM_BYTES >= FULL_BYTES
            || self.batch.parts.len() >= PARTS_MAX
            || self.batch.refused.len() >= REFUSED_MAX
            || self.batch.state.len() >= CHANGES_MAX
            || self.begun.is_some_and(|begun| begun.elapsed() >= GATHER)
    }

    /// Hands the batch over, when there is anything in it; waits until there is room for it.
    pub fn send(&mut self) -> Result<(), Halt> {
        let batch = std::mem::take(&mut self.batch);
        (self.bytes, self.begun) = (0, None);
        if batch.parts.is_empty() && batch.state.is_empty() && batch.refused.is_empty() {
            return Ok(());
        }
        self.sent += 1;
        let sender = self.sender.as_ref().ok_or(Halt::Stopped)?;
        let sent = sender.blocking_send(Ok(batch));
        sent.map_err(|_| Halt::Stopped)
    }

    /// Hands the batch over, and then `changes`, in steps: they need not be one.
    pub fn send_alone(&mut self, changes: &[StateChange]) -> Result<(), Halt> {
        self.send()?;
        for step in changes.chunks(CHANGES_MAX) {
            self.batch.state.extend_from_slice(step);
            self.send()?;
        }
        Ok(())
    }

    /// Nothing comes any more, but for why, if there is an error.
    pub fn close(&mut self, error: Option<Error>) {
        if let (Some(sender), Some(error)) = (self.sender.take(), error) {
            // Nobody there is nobody to tell.
            let _ = sender.blocking_send(Err(error));
        }
    }
}
