//! The memory budget for data in flight (`memory_limit`), and back-pressure by it.
//!
//! It is counted in bytes. A task that has nothing in flight may always read one batch, so that no
//! task can wait for another one's memory, and all make progress; that batch is counted too. To
//! read ahead, a task waits until what one read brings as a rule fits; when it has read, it holds
//! what it really got. So what sources have in flight is at most the limit, and one batch for each
//! of their tasks. What a sink's task reads from the log is set aside at the start.

use tokio::sync::watch;

/// What one read brings as a rule; more when a record is larger.
pub(crate) const READ_BYTES: u64 = 1 << 20;
/// What a sink's task has read of the log at most: it reads until it has enough, or a batch that
/// is larger.
pub(crate) const SINK_BYTES: u64 = 2 * READ_BYTES;

/// Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    limit_bytes: u64,
    used_bytes: watch::Sender<u64>,
}

/// The right to hold so many bytes in memory, until dropped.
#[derive(Debug)]
pub(crate) struct Share {
    bytes: u64,
    used_bytes: watch::Sender<u64>,
}

impl Budget {
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            used_bytes: watch::Sender::new(0),
        }
    }

    /// The share that a task with nothing in flight has in any case.
    pub fn own(&self) -> Share {
        self.used_bytes.send_modify(|used| *used += READ_BYTES);
        self.share()
    }

    /// Waits until another read fits. Cancel safe.
    pub async fn shared(&self) -> Share {
        let fits = |used: &u64| used + READ_BYTES <= self.limit_bytes;
        let take = |used: &mut u64| {
            let fits = fits(used);
            *used += if fits { READ_BYTES } else { 0 };
            fits
        };
        let mut used = self.used_bytes.subscribe();
        while !self.used_bytes.send_if_modified(take) {
            // The sender is `self`'s.
            let _ = used.wait_for(fits).await;
        }
        self.share()
    }

    fn share(&self) -> Share {
        Share {
            bytes: READ_BYTES,
            used_bytes: self.used_bytes.clone(),
        }
    }
}

impl Share {
    /// What was read takes `bytes`.
    pub fn hold(&mut self, bytes: u64) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        self.used_bytes
            .send_modify(|used| *used = (*used + bytes).saturating_sub(before));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used_bytes.send_modify(|used| *used -= self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Whether another read may begin at once.
    async fn fits(budget: &Budget) -> bool {
        let wait = tokio::time::timeout(Duration::from_millis(20), budget.shared());
        wait.await.is_ok()
    }

    #[tokio::test]
    async fn what_is_held_counts_by_its_bytes() {
        let budget = Budget::new(3 * READ_BYTES);
        let mut first = budget.own();
        let mut second = budget.shared().await;
        assert!(fits(&budget).await, "a third of three");
        second.hold(2 * READ_BYTES);
        assert!(!fits(&budget).await, "one has become two");
        first.hold(100);
        assert!(!fits(&budget).await, "a hundred bytes are too many");
        first.hold(0);
        assert!(fits(&budget).await, "two of three");
        second.hold(9 * READ_BYTES);
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.shared().await }
        });
        drop(budget.own());
        drop(second);
        let third = waiting.await.expect("it gets its share");
        drop((first, third));
        assert_eq!(*budget.used_bytes.borrow(), 0);
    }
}
