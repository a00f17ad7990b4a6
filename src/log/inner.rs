//! What the handles and the writers of a log hold together, and how requests get to its committer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::LogError;
use crate::compaction::Compacting;
use crate::pipeline::Pipeline;
use crate::round::{Answer, Answered, Request};
use crate::set::Committed;
use crate::shared::Shared;
use crate::storage::Lock;
use crate::table::Places;

/// A log, for as long as anybody holds it.
pub(crate) struct Inner {
    pub shared: Arc<Shared>,
    /// None when the log is read-only.
    pub pipeline: Option<Arc<dyn Pipeline>>,
    /// The stages hold it too, until they have ended.
    pub lock: Mutex<Option<Arc<dyn Lock>>>,
    /// See [`Inner::files`].
    pub files: Mutex<()>,
    pub compacting: Compacting,
    /// Up to where tables are read that are open.
    pub tables: Places,
}

impl Drop for Inner {
    /// Without [`crate::Log::close`] this is a crash, but an orderly one: what was handed over is
    /// finished, and the lock is released last.
    fn drop(&mut self) {
        if let Some(pipeline) = &self.pipeline {
            pipeline.end();
        }
    }
}

impl Inner {
    /// Hands a request over, or answers it when the committer has ended.
    pub(crate) fn send(&self, request: Request) {
        if let Some(refused) = self.hand_over(request) {
            self.refuse(refused);
        }
    }

    /// Held through changes that also make or remove files outside the stages.
    pub(crate) fn files(&self) -> MutexGuard<'_, ()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the directory stay locked for as long as the caller may write there, even when the log is
    /// closed meanwhile.
    pub(crate) fn hold(&self) -> Result<Arc<dyn Lock>, LogError> {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.clone().ok_or_else(|| self.ended())
    }

    /// Hands a request over and waits for its answer.
    pub(crate) fn request(
        &self,
        make: impl FnOnce(Answer) -> Request,
    ) -> Result<Committed, LogError> {
        let (done, answered) = Answer::channel();
        self.send(make(done));
        self.wait(&answered)
    }

    /// Waits for the answer to what was handed over.
    pub(crate) fn wait(&self, answered: &Answered) -> Result<Committed, LogError> {
        if let Some(pipeline) = &self.pipeline {
            pipeline.settle();
        }
        let ended = |_| {
            let failure = self.shared.failure();
            failure.unwrap_or_else(|| LogError::failed("the log has ended"))
        };
        answered.recv().map_err(ended)?
    }

    /// Hands a request over; gives it back when the committer has ended.
    pub(crate) fn hand_over(&self, request: Request) -> Option<Request> {
        match &self.pipeline {
            Some(pipeline) => pipeline.send(request),
            None => Some(request),
        }
    }

    /// Answers a request that was given back. The callback may submit again: hold no lock.
    pub(crate) fn refuse(&self, request: Request) {
        request.into_answer().give(Err(self.ended()));
    }

    /// Why no request is taken.
    pub(crate) fn ended(&self) -> LogError {
        let dir = self.shared.layout.dir.display();
        self.shared.failure().unwrap_or_else(|| {
            if self.shared.read_only {
                LogError::invalid(format!("the log in {dir} was opened to be read only"))
            } else {
                LogError::failed("the log was closed")
            }
        })
    }
}
