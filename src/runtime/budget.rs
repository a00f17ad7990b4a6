//! The memory budget for data in flight (`memory_limit`), and back-pressure by it.
//!
//! A task that has nothing in flight may always read one batch: that minimum is its own, so that
//! no task can wait for another one's memory and all make progress. Whatever a task reads ahead
//! beyond it is taken from the budget that all share, and given back when the batch is durable.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one read may bring; the budget is counted in these.
pub(crate) const READ_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Budget {
    reads: Arc<Semaphore>,
}

/// The right to hold one batch in memory, until dropped.
#[derive(Debug)]
pub(crate) struct Share {
    _shared: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// `limit_bytes` less what `tasks` tasks own as their minimum is shared.
    pub fn new(limit_bytes: u64, tasks: u64) -> Self {
        let shared = (limit_bytes / READ_BYTES).saturating_sub(tasks);
        let shared = usize::try_from(shared)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self {
            reads: Arc::new(Semaphore::new(shared)),
        }
    }

    /// The share that a task with nothing in flight has in any case.
    pub fn own(&self) -> Share {
        Share { _shared: None }
    }

    /// Waits for a share of what is common. Cancel safe.
    pub async fn shared(&self) -> Share {
        // The semaphore is never closed; if it were, nothing would be limited.
        Share {
            _shared: self.reads.clone().acquire_owned().await.ok(),
        }
    }
}
