//! The file source: a task around the [`Follower`](follower::Follower).
//!
//! **Threads.** The follower lives on a thread of its own, as everything it does may block. It
//! hands batches through a channel that holds one, so that with the one being built at most two
//! are read ahead; `read` only takes from the channel, and so loses nothing when it is cancelled.
//!
//! **Delivery.** Exactly once into the log. A batch carries, for each file it has records of, the
//! position behind them, a fingerprint of what was read and the identity of the file; records and
//! positions become durable together. All else is found out anew at each start, so it does not
//! matter where a kill strikes:
//! - before a batch is durable: its files are read again from the positions before it;
//! - after: they are read on behind it;
//! - between *durable* and `after: delete`: the file is found read to its end, and deleted then.
//!
//! **What is lost** is only what was never readable for us: bytes written between our last read
//! and a truncation (copytruncate has this window for every reader), and files deleted before they
//! were opened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle as Runtime;
use tokio::sync::mpsc;
use towpath_sdk::{
    Error, Result, Source, SourceBatch, SourceContext, State, StateChange, async_trait, now_ms,
};

use crate::config::FileSourceOptions;
use follower::Follower;
use watch::{Bell, Watch};

pub mod content;
mod cursor;
mod disposal;
pub mod finder;
mod fingerprint;
mod follower;
mod kinship;
mod reading;
mod restore;
mod saved;
mod scan;
#[cfg(test)]
mod tests;
mod trouble;
mod turn;
mod watch;

/// Two scans are at least so far apart, and four times what the last one took.
const SCANS_APART: Duration = Duration::from_millis(20);
/// Waited for news when nothing is due.
const PATIENCE: Duration = Duration::from_secs(60);

/// One task of the file source.
pub struct FileSource {
    options: Arc<FileSourceOptions>,
    running: Option<Running>,
}

struct Running {
    batches: mpsc::Receiver<Result<SourceBatch>>,
    bell: Arc<Bell>,
    thread: std::thread::JoinHandle<()>,
    draining: bool,
}

impl FileSource {
    pub fn new(options: Arc<FileSourceOptions>) -> Self {
        Self {
            options,
            running: None,
        }
    }
}

#[async_trait]
impl Source for FileSource {
    async fn open(&mut self, context: SourceContext) -> Result<()> {
        let options = self.options.clone();
        let (state, draining) = (context.state.clone(), context.drain);
        let connector = context.connector.clone();
        let opened =
            tokio::task::spawn_blocking(move || Follower::open(options, &context, now_ms()));
        let (follower, changes) = opened
            .await
            .map_err(|error| Error::fatal("open", &connector).because(error))??;
        if !changes.is_empty() {
            state.commit(changes).await?;
        }
        let (sender, batches) = mpsc::channel(1);
        let bell = Arc::new(Bell::default());
        let task = Task {
            follower,
            sender: Some(sender),
            bell: bell.clone(),
            state,
            runtime: Runtime::current(),
            poll_interval: self.options.poll_interval.0,
        };
        let thread = std::thread::Builder::new()
            .name(format!("file {connector}"))
            .spawn(move || {
                if draining {
                    task.drain()
                } else {
                    task.follow()
                }
            })
            .map_err(|error| Error::transient("start a thread for", &connector).because(error))?;
        self.running = Some(Running {
            batches,
            bell,
            thread,
            draining,
        });
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<SourceBatch>> {
        let Some(running) = &mut self.running else {
            return Ok(None);
        };
        match running.batches.recv().await {
            Some(batch) => batch.map(Some),
            None if running.draining => Ok(None),
            None => Err(Error::fatal("read", "files").because("the reading thread has ended")),
        }
    }

    async fn ack(&mut self, batches: u64) -> Result<()> {
        if let Some(running) = &self.running {
            running.bell.ring(|happened| happened.acked = batches);
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let Some(running) = self.running.take() else {
            return Ok(());
        };
        running.bell.ring(|happened| happened.stop = true);
        drop(running.batches);
        let ended = tokio::task::spawn_blocking(|| running.thread.join()).await;
        match ended {
            Ok(Ok(())) => Ok(()),
            _ => {
                Err(Error::fatal("stop", "reading files")
                    .because("the reading thread has panicked"))
            }
        }
    }
}

impl Drop for FileSource {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.bell.ring(|happened| happened.stop = true);
        }
    }
}

/// What runs on the thread.
struct Task {
    follower: Follower,
    /// Dropped at the end of a drain.
    sender: Option<mpsc::Sender<Result<SourceBatch>>>,
    bell: Arc<Bell>,
    state: Arc<dyn State>,
    runtime: Runtime,
    poll_interval: Duration,
}

impl Task {
    /// Reads what is there, then waits for the last acknowledgements.
    fn drain(mut self) {
        loop {
            match self.follower.next_batch(now_ms()) {
                Ok(None) if self.follower.wants_scan() => drop(self.follower.scan(now_ms())),
                Ok(None) => match self.follower.deadline_ms() {
                    None => break,
                    Some(at_ms) => {
                        if self.news(until(at_ms)).stop {
                            return;
                        }
                        self.follower.scan(now_ms());
                    }
                },
                Ok(Some(batch)) => {
                    if !self.send(Ok(batch)) {
                        return;
                    }
                    if self.news(Duration::ZERO).stop {
                        return;
                    }
                }
                Err(error) => {
                    self.send(Err(error));
                    return;
                }
            }
        }
        if let Some(error) = self.follower.failure() {
            self.send(Err(error));
        }
        self.sender = None;
        while !self.news(PATIENCE).stop {}
    }

    /// Follows files until it is stopped.
    fn follow(mut self) {
        let mut watch = Watch::new(self.bell.clone());
        let mut scan_due = Instant::now();
        let mut next_poll = scan_due;
        let mut allowed = scan_due;
        loop {
            let now = Instant::now();
            if (self.follower.wants_scan() || now >= scan_due) && now >= allowed {
                let folders = self.follower.scan(now_ms());
                let took = now.elapsed();
                next_poll = now + took + self.poll_interval;
                allowed = now + took + SCANS_APART.max(4 * took);
                // What happened in a new folder before it was watched, the next scan sees.
                scan_due = if watch.folders(&folders) {
                    allowed
                } else {
                    next_poll
                };
            }
            let patience = match self.follower.next_batch(now_ms()) {
                Ok(Some(batch)) => {
                    if !self.send(Ok(batch)) {
                        return;
                    }
                    Duration::ZERO
                }
                Ok(None) => {
                    let due = if self.follower.wants_scan() {
                        allowed
                    } else {
                        scan_due
                    };
                    let pause = self.follower.deadline_ms().map_or(PATIENCE, until);
                    due.saturating_duration_since(Instant::now()).min(pause)
                }
                Err(error) => {
                    self.send(Err(error));
                    return;
                }
            };
            let news = self.news(patience);
            if news.stop {
                return;
            }
            let mut scan = news.scan;
            for path in &news.written {
                // Not below a watched folder: whatever it is, a scan will tell.
                let path = watch.name(path);
                scan |= path.is_none_or(|path| self.follower.touch(&path, now_ms()));
            }
            if scan
                || self
                    .follower
                    .deadline_ms()
                    .is_some_and(|at_ms| at_ms <= now_ms())
            {
                scan_due = Instant::now();
            }
            scan_due = scan_due.min(next_poll);
        }
    }

    /// Takes the news, and disposes of what became durable.
    fn news(&mut self, patience: Duration) -> watch::Happened {
        let news = self.bell.wait(patience);
        let changes = self.follower.dispose(news.acked, now_ms());
        if !changes.is_empty() {
            self.commit(changes);
        }
        news
    }

    /// A failure leaves state whose file is gone, which is forgotten in time; but the outcome is
    /// unknown, so the task must end.
    fn commit(&mut self, changes: Vec<StateChange>) {
        let state = self.state.clone();
        if let Err(error) = self
            .runtime
            .block_on(async move { state.commit(changes).await })
        {
            self.send(Err(error));
            self.sender = None;
        }
    }

    /// `false` when nobody wants batches any more.
    fn send(&self, batch: Result<SourceBatch>) -> bool {
        self.sender
            .as_ref()
            .is_some_and(|sender| sender.blocking_send(batch).is_ok())
    }
}

/// How long it is until `at_ms`.
fn until(at_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(at_ms - now_ms()).unwrap_or(0))
}
