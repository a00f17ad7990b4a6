//! How long to wait before a task that failed for a transient reason is opened anew.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// `retry: { first, max, limit }` of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub first: Duration,
    pub max: Duration,
    /// How long a task may go on failing before it is parked; `None` is for ever.
    pub limit: Option<Duration>,
}

impl Backoff {
    /// The wait before attempt `attempt` (from 1) of a task that has been failing for `failing`:
    /// doubled each time up to the maximum, and then spread over its upper half, so that tasks
    /// that failed together do not return together. `None` when the limit is passed.
    pub fn wait(&self, attempt: u32, failing: Duration) -> Option<Duration> {
        if self.limit.is_some_and(|limit| failing >= limit) {
            return None;
        }
        let doubled = self
            .first
            .saturating_mul(1 << attempt.saturating_sub(1).min(20));
        let full = doubled.min(self.max);
        // A hasher with fresh keys is the standard library's source of randomness.
        let random = RandomState::new().build_hasher().finish();
        Some(full / 2 + (full / 2).mul_f64(random as f64 / u64::MAX as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum_and_stop_at_the_limit() {
        let backoff = Backoff {
            first: Duration::from_millis(250),
            max: Duration::from_secs(60),
            limit: Some(Duration::from_secs(100)),
        };
        for (attempt, full_ms) in [(1, 250), (2, 500), (5, 4_000), (9, 60_000), (40, 60_000)] {
            let wait = backoff
                .wait(attempt, Duration::from_secs(99))
                .expect("within the limit")
                .as_millis();
            assert!(
                (full_ms / 2..=full_ms).contains(&wait),
                "attempt {attempt} waits {wait} ms"
            );
        }
        assert_eq!(backoff.wait(1, Duration::from_secs(100)), None);
    }
}
