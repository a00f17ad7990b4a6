//! The one writer of a task.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::LogError;
use crate::inner::Inner;
use crate::lease::{self, Asked, Lease};
use crate::round::{Answer, Request, SetFrom};
use crate::set::{AppendSet, Done};

/// Submits the append sets of one task. A refused set refuses all later ones: open a new writer,
/// and go on from what is stored.
pub struct Writer {
    log: Arc<Inner>,
    owner: Arc<str>,
    task: u32,
    generation: u32,
    /// Number of the last set, held while a set is handed over so that numbers arrive in order.
    number: Mutex<u64>,
}

impl Writer {
    pub(crate) fn new(log: Arc<Inner>, owner: Arc<str>, task: u32, generation: u32) -> Self {
        Self {
            log,
            owner,
            task,
            generation,
            number: Mutex::new(0),
        }
    }

    /// Raised by each opening of the task's writer.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Hands a set over and returns at once. `done` is called once, from a thread of the log (or,
    /// when the log has ended, before this returns), for all
    /// sets in the order they were submitted (but see [`AppendSet::until`]), once the set is
    /// durable, committed in `os` mode, or has failed. After `Failed` it is unknown whether the
    /// set was written. How many sets are in flight, and so their memory, is the caller's to
    /// bound.
    pub fn submit(&self, set: AppendSet, done: Done) {
        let done = Answer::new(done);
        let written = Vec::new();
        self.hand_over(|from| Request::Set {
            from,
            set,
            written,
            done,
        });
    }

    /// Begins the next set, one of any size, for some partitions of existing topics: see [`Lease`].
    /// Waits behind all sets that were submitted before it and behind the leases that others hold on
    /// these partitions: call it without holding a lease. It is refused as a set is.
    pub fn lease(&self, partitions: &BTreeSet<(Arc<str>, u32)>) -> Result<Lease, LogError> {
        self.ask_lease(partitions)?.wait()
    }

    pub(crate) fn ask_lease(
        &self,
        partitions: &BTreeSet<(Arc<str>, u32)>,
    ) -> Result<Asked, LogError> {
        let lock = self.log.hold()?;
        let places = lease::places(&self.log.shared, partitions)?;
        let (done, answered) = Answer::channel();
        let from = self.hand_over(|from| Request::Lease {
            from,
            partitions: places.keys().copied().collect(),
            done,
        });
        Ok(Asked {
            log: Arc::clone(&self.log),
            lock,
            from,
            places,
            answered,
        })
    }

    /// Hands over what becomes the next set.
    fn hand_over(&self, make: impl FnOnce(SetFrom) -> Request) -> SetFrom {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        *number += 1;
        let from = SetFrom {
            owner: Arc::clone(&self.owner),
            task: self.task,
            generation: self.generation,
            number: *number,
        };
        let refused = self.log.hand_over(make(from.clone()));
        drop(number);
        if let Some(refused) = refused {
            self.log.refuse(refused);
        }
        from
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Writer({} task {} generation {})",
            self.owner, self.task, self.generation
        )
    }
}
