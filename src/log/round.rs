//! Requests to the committer, and the rounds that carry them through its stages.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use crate::commits::CommitFile;
use crate::entry::Entry;
use crate::segment::SegmentFile;
use crate::set::{AppendSet, Committed, Done};
use crate::state::State;
use crate::tail::End;
use crate::topic::PartitionKey;
use crate::{LogError, ReadTo};

/// The entries that make a change, computed from the state with everything in flight applied.
pub(crate) type Change = Box<dyn FnOnce(&State) -> Result<Vec<Entry>, LogError> + Send>;

/// Where the outcome of a request is told, once, whatever happens: one that is dropped, because a
/// stage has panicked or the log was dropped, tells that nobody knows.
#[derive(Default)]
pub(crate) struct Answer(Option<Done>);

/// Where an answer arrives.
pub(crate) type Answered = mpsc::Receiver<Result<Committed, LogError>>;

impl Answer {
    pub(crate) fn new(done: Done) -> Self {
        Self(Some(done))
    }

    /// One that arrives where somebody waits for it.
    pub(crate) fn channel() -> (Self, Answered) {
        let (answer, answered) = mpsc::sync_channel(1);
        let done: Done = Box::new(move |result| {
            // Who no longer waits does not want to know.
            let _ = answer.send(result);
        });
        (Self::new(done), answered)
    }

    pub(crate) fn give(mut self, result: Result<Committed, LogError>) {
        if let Some(done) = self.0.take() {
            done(result);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(LogError::failed(
                "the log ended before this was answered, so it is unknown whether it was written: \
                 restart to read it back",
            )));
        }
    }
}

/// What stage 1 takes in.
pub(crate) enum Request {
    Set {
        from: SetFrom,
        set: AppendSet,
        /// Ends the lease of `from`: what its holder has written and synced.
        written: Vec<Written>,
        done: Answer,
    },
    /// Takes a lease for the set `from`; answered with the offset at which it begins in each
    /// partition.
    Lease {
        from: SetFrom,
        partitions: Vec<PartitionKey>,
        done: Answer,
    },
    /// Ends the lease of `from` without its set, whose files are gone.
    Release { from: SetFrom, done: Answer },
    /// Always made durable, in either mode.
    Change { change: Change, done: Answer },
    /// Seals the active segment, so that retention can drop it.
    Roll { key: PartitionKey, done: Answer },
    /// Makes everything before it durable.
    Checkpoint { done: Answer },
    /// The last request: seals the log's state as cleanly ended.
    Stop { done: Answer },
}

impl Request {
    pub(crate) fn into_answer(self) -> Answer {
        let (Self::Set { done, .. }
        | Self::Lease { done, .. }
        | Self::Release { done, .. }
        | Self::Change { done, .. }
        | Self::Roll { done, .. }
        | Self::Checkpoint { done }
        | Self::Stop { done }) = self;
        done
    }
}

/// Segments of a partition that a lease's holder has written, in order: each but the last is full.
pub(crate) struct Written {
    pub key: PartitionKey,
    pub segments: Vec<End>,
}

impl Written {
    /// Adds the entries that list the segments.
    pub(crate) fn entries(&self, out: &mut Vec<Entry>) {
        let key = self.key;
        for (number, end) in self.segments.iter().enumerate() {
            let base = end.base;
            out.push(Entry::SegmentCreated { key, base });
            out.push(end.entry(key));
            if number + 1 < self.segments.len() {
                out.push(Entry::SegmentSealed { key, base });
            }
        }
    }
}

/// Who submits a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetFrom {
    pub owner: Arc<str>,
    pub task: u32,
    pub generation: u32,
    /// 1 for the first set of a writer, one more for each.
    pub number: u64,
}

/// An answer on its way through the stages, so that answers keep the order of requests.
pub(crate) struct Reply {
    pub done: Answer,
    pub result: Result<Committed, LogError>,
    pub until: ReadTo,
}

/// What is made true with one commit record.
#[derive(Default)]
pub(crate) struct Round {
    pub sequence: u64,
    /// The commit record and where it goes; none when every request was refused.
    pub record: Option<Record>,
    pub entries: Vec<Entry>,
    /// Segments written to, and directories with new names, to sync before the record.
    pub files: Vec<Arc<SegmentFile>>,
    pub dirs: BTreeSet<PathBuf>,
    /// Sync before answering.
    pub durable: bool,
    /// The record opened a new commit file: time for a snapshot.
    pub snapshot: bool,
    pub replies: Vec<Reply>,
    /// The record's checksum.
    pub checksum: u32,
}

/// An encoded commit record.
pub(crate) struct Record {
    pub file: Arc<CommitFile>,
    pub position: u64,
    pub bytes: Vec<u8>,
}

impl Round {
    pub(crate) fn add_file(&mut self, file: &Arc<SegmentFile>) {
        if !self.files.iter().any(|known| Arc::ptr_eq(known, file)) {
            self.files.push(Arc::clone(file));
        }
    }
}
