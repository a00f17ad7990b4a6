//! Stages 2 and 3 of the committer: sync the segments; then write and sync the commit records,
//! publish, and answer, strictly in order. A failed sync ends the log.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::LogError;
use crate::ReadTo;
use crate::commits::{self, CommitFile};
use crate::entry::{self, Entry};
use crate::frame::FrameHeader;
use crate::round::{Record, Reply, Round};
use crate::segment::SegmentFile;
use crate::set::Committed;
use crate::shared::Shared;

/// Stage 2. In `os` mode it gathers what is unsynced until a round that must be durable.
pub(crate) struct Syncer {
    shared: Arc<Shared>,
    files: Vec<Arc<SegmentFile>>,
    dirs: BTreeSet<PathBuf>,
    /// Sync several files at once, each on its own thread.
    parallel: bool,
}

impl Syncer {
    pub(crate) fn new(shared: Arc<Shared>, parallel: bool) -> Self {
        Self {
            shared,
            files: Vec::new(),
            dirs: BTreeSet::new(),
            parallel,
        }
    }

    pub(crate) fn sync(&mut self, round: &mut Round) {
        for file in round.files.drain(..) {
            if !self.files.iter().any(|known| Arc::ptr_eq(known, &file)) {
                self.files.push(file);
            }
        }
        self.dirs.append(&mut round.dirs);
        if round.durable && self.shared.failure().is_none() {
            let files = std::mem::take(&mut self.files);
            let dirs = std::mem::take(&mut self.dirs);
            if let Err(error) = self.sync_all(&files, &dirs) {
                self.shared.fail(error);
            }
        }
    }

    fn sync_all(
        &self,
        files: &[Arc<SegmentFile>],
        dirs: &BTreeSet<PathBuf>,
    ) -> Result<(), LogError> {
        let sync = |file: &Arc<SegmentFile>| {
            file.file
                .sync()
                .map_err(|error| LogError::io("sync", &file.path, error))
        };
        match files {
            [first, rest @ ..] if self.parallel && !rest.is_empty() => {
                std::thread::scope(|scope| {
                    let others: Vec<_> = rest
                        .iter()
                        .map(|file| scope.spawn(move || sync(file)))
                        .collect();
                    let mut result = sync(first);
                    for other in others {
                        let other = other.join();
                        result = result.and(other.unwrap_or_else(|_| {
                            Err(LogError::failed(
                                "a thread that synced a segment has panicked",
                            ))
                        }));
                    }
                    result
                })?
            }
            files => files.iter().try_for_each(sync)?,
        }
        dirs.iter().try_for_each(|dir| {
            self.shared
                .storage
                .sync_dir(dir)
                .map_err(|error| LogError::io("sync", dir, error))
        })
    }
}

/// Stage 3.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    /// Commit files with records that are not synced.
    unsynced: Vec<Arc<CommitFile>>,
    /// Answers that wait for a checkpoint.
    waiting: Vec<Reply>,
    /// Checksum of the last record published, for snapshots.
    checksum: u32,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, checksum: u32) -> Self {
        Self {
            shared,
            unsynced: Vec::new(),
            waiting: Vec::new(),
            checksum,
        }
    }

    /// Commits the rounds that wait, in order, with one sync for all of them.
    pub(crate) fn commit(&mut self, rounds: Vec<Round>) {
        let result = match self.shared.failure() {
            Some(failure) => Err(failure),
            None => self.write(&rounds).map_err(|error| self.shared.fail(error)),
        };
        if let Err(failure) = result {
            self.refuse(rounds, &failure);
            return;
        }
        let durable = rounds.iter().rposition(|round| round.durable);
        for (number, round) in rounds.into_iter().enumerate() {
            let is_durable = durable.is_some_and(|last| number <= last);
            self.publish(round, is_durable);
        }
        self.shared.wake();
    }

    fn write(&mut self, rounds: &[Round]) -> Result<(), LogError> {
        for Record {
            file,
            position,
            bytes,
        } in rounds.iter().filter_map(|r| r.record.as_ref())
        {
            let written = file.file.write_at(*position, &[bytes]);
            written.map_err(|error| LogError::io("write to", &file.path, error))?;
            if !self.unsynced.iter().any(|known| Arc::ptr_eq(known, file)) {
                self.unsynced.push(Arc::clone(file));
            }
        }
        if rounds.iter().any(|round| round.durable) {
            for file in self.unsynced.drain(..) {
                file.file
                    .sync()
                    .map_err(|error| LogError::io("sync", &file.path, error))?;
            }
        }
        Ok(())
    }

    fn publish(&mut self, round: Round, is_durable: bool) {
        let mut published = self.shared.publish();
        let mut result = Ok(());
        for entry in &round.entries {
            if let (false, Entry::End { key, .. }) = (is_durable, entry) {
                let end = published
                    .state
                    .partition(*key)
                    .map_or(0, |partition| partition.end);
                published.behind.entry(*key).or_insert(end);
            }
            result = result.and_then(|()| published.state.apply(entry));
        }
        if is_durable {
            published.behind.clear();
            self.shared.durable.store(round.sequence, Ordering::Release);
        }
        drop(published);
        if let Err(why) = result {
            self.shared.fail(LogError::invalid(why));
        }
        self.checksum = round.checksum;
        if round.snapshot
            && let Err(error) = self.snapshot(round.sequence)
        {
            // A full disk only means that more is replayed at the next start.
            if error.kind() == crate::LogErrorKind::Failed {
                self.shared.fail(error);
            }
        }
        self.answer(round.replies, is_durable);
    }

    fn answer(&mut self, replies: Vec<Reply>, is_durable: bool) {
        if is_durable {
            for reply in self.waiting.drain(..) {
                reply.done.give(reply.result);
            }
        }
        for reply in replies {
            if is_durable || reply.until == ReadTo::Committed || reply.result.is_err() {
                reply.done.give(reply.result);
            } else {
                self.waiting.push(reply);
            }
        }
    }

    fn refuse(&mut self, rounds: Vec<Round>, failure: &LogError) {
        let replies = rounds.into_iter().flat_map(|round| round.replies);
        for reply in self.waiting.drain(..).chain(replies) {
            let result: Result<Committed, _> = reply.result.and_then(|_| Err(failure.clone()));
            reply.done.give(result);
        }
        self.shared.wake();
    }

    /// Writes the published state down and drops what it makes superfluous.
    fn snapshot(&self, sequence: u64) -> Result<(), LogError> {
        let shared = &self.shared;
        let (body, epoch) = {
            let published = shared.published();
            (
                entry::encode_all(&published.state.entries()),
                published.state.epoch,
            )
        };
        let header = FrameHeader {
            log_id: shared.id.0,
            sequence,
            epoch,
            durable: sequence,
            previous: self.checksum,
        };
        let (storage, dir) = (&*shared.storage, shared.layout.commits());
        commits::write_snapshot(storage, &dir, &header, &body)?;
        commits::drop_old(storage, &dir)
    }
}
