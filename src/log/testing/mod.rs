//! For tests, of this crate and of its users: a disk that forgets, a clock that is set by hand,
//! and a log whose stages run one step at a time. Behind the feature `testing`.

mod foreign;
mod random;
mod sim;
mod steps;
mod world;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

pub use foreign::{check_entries, check_frame};
pub use random::Random;
pub use sim::SimDisk;
pub use steps::{Step, Steps};
pub use world::Fault;

use crate::recovery::Access;
use crate::{Clock, Log, LogConfig, LogError, Recovery, Storage};

/// Opens a log without threads: what is submitted waits for [`Steps::step`]. Methods that wait for
/// an answer take all steps there are. No steps when the log is read-only.
pub fn open_stepped(
    dir: &Path,
    config: LogConfig,
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
) -> Result<(Log, Option<Arc<Steps>>, Recovery), LogError> {
    let mut steps = None;
    let (log, recovery) = Log::start(
        dir,
        Access::Write,
        config,
        storage,
        clock,
        |shared, state, point, _| {
            Ok(Arc::clone(steps.insert(Steps::start(shared, state, point))) as _)
        },
    )?;
    Ok((log, steps, recovery))
}

/// Makes everything submitted so far durable, as `os` mode does every second.
pub fn checkpoint(log: &Log) -> Result<(), LogError> {
    log.request(|done| crate::round::Request::Checkpoint { done })
}

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ms: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl ManualClock {
    /// Lets time pass.
    pub fn advance(&self, ms: u64) {
        self.now_ms.fetch_add(ms as i64, Ordering::Relaxed);
        self.monotonic_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Sets the wall clock.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::Relaxed)
    }
}
