//! The stages of the committer without threads, in an order that the test chooses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::append::{Appender, CommitPoint};
use crate::commit::{Committer, Syncer};
use crate::pipeline::{Pipeline, stages};
use crate::round::{Request, Round};
use crate::shared::Shared;
use crate::state::State;

/// A step of the committer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Take up to so many requests into a round and append them.
    Append(usize),
    /// Sync the segments of the oldest appended round.
    Sync,
    /// Commit up to so many synced rounds with one sync.
    Commit(usize),
}

/// The stages and the queues between them.
pub struct Steps {
    inner: Mutex<Inner>,
}

struct Inner {
    appender: Appender,
    syncer: Syncer,
    committer: Committer,
    requests: VecDeque<Request>,
    appended: VecDeque<Round>,
    synced: VecDeque<Round>,
}

impl Steps {
    pub(crate) fn start(shared: &Arc<Shared>, state: State, point: CommitPoint) -> Arc<Self> {
        let (appender, syncer, committer) = stages(shared, state, point, false);
        let (requests, appended, synced) = Default::default();
        let inner = Inner {
            appender,
            syncer,
            committer,
            requests,
            appended,
            synced,
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
        })
    }

    /// Takes one step; false when there was nothing to do.
    pub fn step(&self, step: Step) -> bool {
        let mut inner = self.lock();
        let Inner {
            appender,
            syncer,
            committer,
            requests,
            appended,
            synced,
        } = &mut *inner;
        match step {
            Step::Append(count) => {
                let (mut taken, mut open) = (0, false);
                while taken < count
                    && let Some(request) = appender.resumed().or_else(|| requests.pop_front())
                {
                    taken += 1;
                    open = !appender.take(request);
                    if !open {
                        appended.push_back(appender.finish());
                    }
                }
                if open {
                    appended.push_back(appender.finish());
                }
                taken > 0
            }
            Step::Sync => {
                let Some(mut round) = appended.pop_front() else {
                    return false;
                };
                syncer.sync(&mut round);
                synced.push_back(round);
                true
            }
            Step::Commit(count) => {
                let count = count.min(synced.len());
                if count > 0 {
                    committer.commit(synced.drain(..count).collect());
                }
                count > 0
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipeline for Steps {
    fn send(&self, request: Request) -> Option<Request> {
        self.lock().requests.push_back(request);
        None
    }

    fn settle(&self) {
        let all = [
            Step::Append(usize::MAX),
            Step::Sync,
            Step::Commit(usize::MAX),
        ];
        // `|` and not `||`: each round takes all three.
        while self.step(all[0]) | self.step(all[1]) | self.step(all[2]) {}
    }

    fn end(&self) {}
}
