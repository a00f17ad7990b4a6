//! Running the three stages, on a thread each. (Tests run them one step at a time: `testing`.)

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::LogError;
use crate::append::{Appender, CommitPoint};
use crate::commit::{Committer, Syncer};
use crate::round::{Answer, Request, Round};
use crate::shared::Shared;
use crate::state::State;
use crate::storage::Lock;

/// Rounds that one commit sync may cover.
const ROUNDS_PER_SYNC: usize = 4;
/// Rounds that wait between two stages.
const ROUNDS_QUEUED: usize = 1;
/// Rounds that can be appended and not yet committed: one in each of stages 1 and 2, those that
/// stage 3 has taken, and those in the two queues.
pub(crate) const ROUNDS_IN_FLIGHT: usize = 2 + ROUNDS_PER_SYNC + 2 * ROUNDS_QUEUED;

/// A running committer.
pub(crate) trait Pipeline: Send + Sync {
    /// Hands a request over; gives it back when the committer has ended.
    fn send(&self, request: Request) -> Option<Request>;
    /// Does what is left to do, if nobody else does it.
    fn settle(&self);
    /// Lets the stages finish what they have, and ends them.
    fn end(&self);
}

/// What a thread runs.
type Stage = Box<dyn FnOnce() + Send>;

/// What lasts as long as a stage runs. The lock, because the last handle of the log may be dropped
/// by a callback on a stage's own thread, which then has rounds left to write.
struct StageLife {
    shared: Arc<Shared>,
    _lock: Arc<dyn Lock>,
}

impl Drop for StageLife {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.fail(LogError::failed(
                "a thread of the log has panicked; its message is on standard error",
            ));
        }
    }
}

/// The three stages on a thread each.
pub(crate) struct Threads {
    requests: Mutex<Option<Sender<Request>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(crate) fn start(
        shared: &Arc<Shared>,
        state: State,
        point: CommitPoint,
        lock: &Arc<dyn Lock>,
    ) -> Result<Arc<dyn Pipeline>, LogError> {
        let (appender, syncer, committer) = stages(shared, state, point, true);
        let (requests, incoming) = channel();
        let (to_sync, appended) = sync_channel(ROUNDS_QUEUED);
        let (to_commit, synced) = sync_channel(ROUNDS_QUEUED);
        let checkpoint =
            (!shared.is_fsync()).then(|| Duration::from_millis(shared.config.checkpoint_ms.max(1)));
        let run: [(&str, Stage); 3] = [
            (
                "log-append",
                Box::new(move || append_all(appender, &incoming, &to_sync, checkpoint)),
            ),
            (
                "log-sync",
                Box::new(move || sync_all(syncer, &appended, &to_commit)),
            ),
            (
                "log-commit",
                Box::new(move || commit_all(committer, &synced)),
            ),
        ];
        let mut threads = Vec::new();
        for (name, body) in run {
            let life = StageLife {
                shared: Arc::clone(shared),
                _lock: Arc::clone(lock),
            };
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || {
                    body();
                    drop(life);
                });
            threads.push(
                thread.map_err(|error| {
                    LogError::io("start a thread for", &shared.layout.dir, error)
                })?,
            );
        }
        Ok(Arc::new(Self {
            requests: Mutex::new(Some(requests)),
            threads: Mutex::new(threads),
        }))
    }
}

impl Pipeline for Threads {
    fn send(&self, request: Request) -> Option<Request> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        match &*requests {
            Some(requests) => requests.send(request).err().map(|refused| refused.0),
            None => Some(request),
        }
    }

    fn settle(&self) {}

    fn end(&self) {
        drop(
            self.requests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let me = std::thread::current().id();
        for thread in threads
            .drain(..)
            .filter(|thread| thread.thread().id() != me)
        {
            // A panic of a stage has been printed, and whoever waited has seen its channel close.
            let _ = thread.join();
        }
    }
}

/// The three stages over an opened log.
pub(crate) fn stages(
    shared: &Arc<Shared>,
    state: State,
    point: CommitPoint,
    parallel: bool,
) -> (Appender, Syncer, Committer) {
    let committer = Committer::new(Arc::clone(shared), point.checksum);
    let appender = Appender::new(Arc::clone(shared), state, point);
    (
        appender,
        Syncer::new(Arc::clone(shared), parallel),
        committer,
    )
}

/// Stage 1. A round takes what waits; nothing is waited for.
fn append_all(
    mut appender: Appender,
    incoming: &Receiver<Request>,
    to_sync: &SyncSender<Round>,
    checkpoint: Option<Duration>,
) {
    let mut checkpointed = std::time::Instant::now();
    let mut dirty = false;
    loop {
        let first = match checkpoint {
            _ if let Some(first) = appender.resumed() => first,
            Some(every) if dirty => {
                match incoming.recv_timeout(every.saturating_sub(checkpointed.elapsed())) {
                    Ok(first) => first,
                    Err(RecvTimeoutError::Timeout) => Request::Checkpoint {
                        done: Answer::default(),
                    },
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            _ => match incoming.recv() {
                Ok(first) => first,
                Err(_) => return,
            },
        };
        let mut full = appender.take(first);
        while !full && let Some(next) = appender.resumed().or_else(|| incoming.try_recv().ok()) {
            full = appender.take(next);
        }
        // Under load the queue is never empty, so the time is looked at here too.
        if checkpoint.is_some_and(|every| dirty && checkpointed.elapsed() >= every) {
            appender.take(Request::Checkpoint {
                done: Answer::default(),
            });
        }
        let round = appender.finish();
        dirty = !round.durable;
        if round.durable {
            checkpointed = std::time::Instant::now();
        }
        if to_sync.send(round).is_err() {
            return;
        }
    }
}

fn sync_all(mut syncer: Syncer, appended: &Receiver<Round>, to_commit: &SyncSender<Round>) {
    while let Ok(mut round) = appended.recv() {
        syncer.sync(&mut round);
        if to_commit.send(round).is_err() {
            return;
        }
    }
}

/// Stage 3 takes all rounds that wait, so that one sync covers them.
fn commit_all(mut committer: Committer, synced: &Receiver<Round>) {
    while let Ok(first) = synced.recv() {
        let mut rounds = vec![first];
        while rounds.len() < ROUNDS_PER_SYNC
            && let Ok(next) = synced.try_recv()
        {
            rounds.push(next);
        }
        committer.commit(rounds);
    }
}
