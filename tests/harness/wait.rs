//! Waiting for events.

use std::time::{Duration, Instant};

/// Longest wait for anything: generous, since it is reached only by what is broken.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Polls `event` until it gives something, and gives that back. Panics after [`DEADLINE`], naming
/// `what` never came.
#[track_caller]
pub fn wait_for<T>(what: &str, mut event: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = event() {
            return seen;
        }
        assert!(
            started.elapsed() < DEADLINE,
            "{what}: not within {DEADLINE:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
