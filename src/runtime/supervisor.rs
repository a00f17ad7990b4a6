//! Keeps a task alive: opens it anew after transient errors, parks it after others.
//!
//! The states, as `status` shows them:
//!
//! ```text
//! starting -> running -> done (drain) | stopped | paused
//!    ^          |
//!    |          v
//!    +--- retrying (transient error; backoff)      failed (any other error, or a panic)
//! ```

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use towpath_log::{Log, Writer};
use towpath_sdk::{Error, ErrorKind, Result};
use tracing::{error, warn};

use crate::clock::now_ms;
use crate::commit::log_error;
use crate::health::TaskHealth;
use crate::retry::Backoff;
use crate::schemas::SchemaRegistry;
use crate::stats::Stats;
use crate::status::TaskState;

/// What a task is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Run,
    /// For streams and sinks in a drain: nobody writes any more what they read; end when all of it
    /// is done.
    Finish,
    /// End in order: what was accepted becomes durable first.
    Stop,
}

/// How a life of a task ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything there was, in a drain.
    Done,
    Stopped,
}

/// What a task is and where it reports; the same over all its lives.
#[derive(Debug, Clone)]
pub(crate) struct TaskContext {
    /// `pipeline.connector`.
    pub connector: Arc<str>,
    pub task: u32,
    pub tasks: u32,
    pub drain: bool,
    pub health: Arc<TaskHealth>,
    pub stats: Arc<Stats>,
    pub schemas: Arc<SchemaRegistry>,
}

/// The receiving end of [`Signal`]s.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<Signal>);

impl Stop {
    pub fn new(signals: watch::Receiver<Signal>) -> Self {
        Self(signals)
    }

    /// Returns when the task shall stop. Cancel safe.
    pub async fn requested(&mut self) {
        // A worker that is gone wants its tasks to stop.
        let _ = self.0.wait_for(|signal| *signal == Signal::Stop).await;
    }

    /// Returns when a signal was given that the caller has not seen. Cancel safe.
    pub async fn changed(&mut self) {
        // A worker that is gone says so by `signal`.
        let _ = self.0.changed().await;
    }

    pub fn signal(&mut self) -> Signal {
        match self.0.has_changed() {
            Ok(_) => *self.0.borrow_and_update(),
            Err(_) => Signal::Stop,
        }
    }
}

/// Runs lives of a task until one ends for good. `life` starts one.
pub(crate) async fn supervise<Life, Running>(
    context: TaskContext,
    backoff: Backoff,
    mut stop: Stop,
    life: Life,
) where
    Life: Fn(TaskContext, Stop) -> Running,
    Running: Future<Output = Result<Ended>> + Send + 'static,
{
    let mut failing_since = None;
    loop {
        if stop.signal() == Signal::Stop {
            context.health.set(TaskState::Stopped, None);
            return;
        }
        context.health.set(TaskState::Starting, None);
        let result = caught(life(context.clone(), stop.clone())).await;
        match result {
            Ok(Ended::Done) => return context.health.set(TaskState::Done, None),
            Ok(Ended::Stopped) => return context.health.set(TaskState::Stopped, None),
            Err(error) => {
                // A life that has run for long, or has committed something, has ended the row of
                // failures.
                if context.health.has_run_for() >= backoff.max {
                    context.health.reset_attempts();
                }
                if context.health.attempts() == 0 {
                    failing_since = None;
                }
                let since = *failing_since.get_or_insert_with(Instant::now);
                if !wait_after(&context, &backoff, since.elapsed(), &mut stop, error).await {
                    return;
                }
            }
        }
    }
}

/// After a transient error: waits for the next attempt and returns true. Otherwise, or at the
/// limit of attempts, parks the task.
async fn wait_after(
    context: &TaskContext,
    backoff: &Backoff,
    failing: Duration,
    stop: &mut Stop,
    error: Error,
) -> bool {
    let attempt = context.health.attempts() + 1;
    let wait = match error.kind() {
        ErrorKind::Transient => backoff.wait(attempt, failing),
        _ => None,
    };
    let Some(wait) = wait else {
        error!(
            connector = &*context.connector,
            task = context.task,
            "failed: {error}"
        );
        context
            .health
            .set(TaskState::Failed, Some(error.to_string()));
        return false;
    };
    warn!(
        connector = &*context.connector,
        task = context.task,
        attempt,
        "{error}; next attempt in {:.1} s",
        wait.as_secs_f64()
    );
    context.stats.add_retry();
    context.health.set_retrying(
        error.to_string(),
        attempt,
        now_ms() + wait.as_millis() as u64,
    );
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = stop.requested() => {}
    }
    true
}

/// Runs a life as a task of its own, so that a panic ends only that life. Dropping the future ends
/// the life too.
async fn caught(life: impl Future<Output = Result<Ended>> + Send + 'static) -> Result<Ended> {
    struct EndWithMe(tokio::task::AbortHandle);
    impl Drop for EndWithMe {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let running = tokio::spawn(life);
    let _end = EndWithMe(running.abort_handle());
    running.await.unwrap_or_else(|ended| {
        Err(Error::fatal("go on", "")
            .because(format!("a defect in the connector: {ended}"))
            .remedy("report it with the lines above; `restart` tries again"))
    })
}

/// Opens the task's writer, which fences every older one. Waits for the disk, so off the async
/// threads.
pub(crate) fn open_writer(log: &Log, connector: &str, task: u32) -> Result<Writer> {
    tokio::task::block_in_place(|| log.open_writer(connector, task))
        .map_err(|error| log_error("open the log for writing", error))
}

/// Bounds an orderly stop.
pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(30);
