//! Stage 1 of the committer: decides about each request, appends its batches to the segments and
//! encodes the commit record of the round. Nothing here is visible to anybody yet.
//!
//! It runs ahead on a state of its own that has everything in flight applied. Whatever can fail
//! for want of space happens here, so that it fails one set and not the log: segments are
//! allocated and commit files filled with zeros before stages 2 and 3 depend on them.

mod segments;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commits::{self, CommitFile};
use crate::entry::{self, Entry};
use crate::fence::Fence;
use crate::frame::{self, BLOCK_BYTES, FrameHeader};
use crate::partition::Partition;
use crate::round::{Answer, Record, Reply, Request, Round, SetFrom, Written};
use crate::set::{AppendSet, Committed, TopicBatch};
use crate::shared::Shared;
use crate::state::State;
use crate::tail::{End, Tails};
use crate::topic::PartitionKey;
use crate::turns::Turns;
use crate::{LogError, ReadTo, validate};

/// A round is closed when it holds this many bytes of batches.
pub(crate) const ROUND_BYTES: usize = 8 << 20;
/// Or when its record is this large.
const RECORD_BYTES: usize = 2 << 20;
/// Entries about segments that one batch can cause.
const BATCH_ENTRY_BYTES: usize = 160;

/// Where a round continues in the commit log.
pub(crate) struct CommitPoint {
    pub file: Arc<CommitFile>,
    pub position: u64,
    /// Of the last record, and its checksum.
    pub sequence: u64,
    pub checksum: u32,
}

pub(crate) struct Appender {
    shared: Arc<Shared>,
    state: State,
    point: CommitPoint,
    tails: Tails,
    fence: Fence,
    turns: Turns,
    /// The round being filled.
    round: Round,
    round_bytes: usize,
    /// Its entries, encoded.
    body: Vec<u8>,
}

impl Appender {
    pub(crate) fn new(shared: Arc<Shared>, state: State, point: CommitPoint) -> Self {
        Self {
            shared,
            state,
            point,
            tails: Tails::default(),
            fence: Fence::default(),
            turns: Turns::default(),
            round: Round::default(),
            round_bytes: 0,
            body: Vec::new(),
        }
    }

    /// Takes a request into the round, or has it wait for a lease. True when the round is full.
    pub(crate) fn take(&mut self, request: Request) -> bool {
        let Some(request) = self.turns.pass(&self.state, request) else {
            return false;
        };
        let (done, until, result) = match request {
            Request::Set {
                from,
                set,
                written,
                done,
            } => {
                let until = set.until;
                // Who has something to make durable waits for it; a barrier can wait.
                let is_empty = set.is_empty() && written.is_empty();
                self.round.durable |= until == ReadTo::Durable && !is_empty;
                (done, until, self.take_set(&from, &set, &written))
            }
            Request::Lease {
                from,
                partitions,
                done,
            } => (done, ReadTo::Durable, self.take_lease(&from, partitions)),
            Request::Release { from, done } => {
                self.turns.end(&from);
                (done, ReadTo::Committed, Ok(nothing()))
            }
            Request::Change { change, done } => {
                let result = self.open().and_then(|()| change(&self.state));
                let result = result.and_then(|entries| self.accept_change(entries));
                (done, ReadTo::Durable, result.map(|()| nothing()))
            }
            Request::Roll { key, done } => {
                self.round.durable = true;
                let result = self.open().and_then(|()| self.roll(key));
                (done, ReadTo::Durable, result.map(|()| nothing()))
            }
            Request::Checkpoint { done } => {
                self.round.durable = true;
                (done, ReadTo::Durable, self.open().map(|()| nothing()))
            }
            Request::Stop { done } => (done, ReadTo::Durable, self.stop().map(|()| nothing())),
        };
        self.reply(done, result, until);
        self.round_bytes >= ROUND_BYTES || self.body.len() >= RECORD_BYTES
    }

    /// The next request that waited for a lease which has ended: to be taken before any other.
    pub(crate) fn resumed(&mut self) -> Option<Request> {
        self.turns.resumed()
    }

    /// Closes the round: its record gets its place in the commit log.
    pub(crate) fn finish(&mut self) -> Round {
        let mut round = std::mem::take(&mut self.round);
        self.round_bytes = 0;
        round.durable |= self.shared.is_fsync();
        if !round.entries.is_empty() {
            let header = self.next_header();
            let (bytes, checksum) = frame::encode(&header, &self.body);
            self.body.clear();
            self.point.sequence += 1;
            self.point.checksum = checksum;
            let (file, position) = (Arc::clone(&self.point.file), self.point.position);
            self.point.position += bytes.len() as u64;
            round.record = Some(Record {
                file,
                position,
                bytes,
            });
        }
        round.sequence = self.point.sequence;
        round.checksum = self.point.checksum;
        self.tails.drop_unused(round.sequence);
        round
    }

    fn open(&self) -> Result<(), LogError> {
        self.shared.failure().map_or(Ok(()), Err)
    }

    fn reply(&mut self, done: Answer, result: Result<Committed, LogError>, until: ReadTo) {
        self.round.replies.push(Reply {
            done,
            result,
            until,
        });
    }

    fn next_header(&self) -> FrameHeader {
        FrameHeader {
            log_id: self.shared.id.0,
            sequence: self.point.sequence + 1,
            epoch: self.state.epoch,
            durable: self.shared.durable(),
            previous: self.point.checksum,
        }
    }

    fn take_set(
        &mut self,
        from: &SetFrom,
        set: &AppendSet,
        written: &[Written],
    ) -> Result<Committed, LogError> {
        self.open()?;
        let opened = self.fence.admit(&self.state, from)?;
        let result = self.append_set(from, set, written, opened);
        match result {
            Ok(_) => self.turns.end(from),
            Err(_) => self.fence.refuse(from),
        }
        result
    }

    fn append_set(
        &mut self,
        from: &SetFrom,
        set: &AppendSet,
        written: &[Written],
        opened: u64,
    ) -> Result<Committed, LogError> {
        let mut entries = validate::set(&self.state, &self.shared.damage, &from.owner, set)?;
        self.fence.check_offsets(set, opened)?;
        entries.push(Entry::Set {
            owner: from.owner.to_string(),
            task: from.task,
            generation: from.generation,
            number: from.number,
        });
        for written in written {
            self.partition(written.key)?;
            written.entries(&mut entries);
        }
        let encoded = entry::encode_all(&entries);
        self.reserve(encoded.len() + BATCH_ENTRY_BYTES * set.batches.len())?;
        let mut ends = BTreeMap::new();
        let mut base_offsets = Vec::with_capacity(set.batches.len());
        for batch in &set.batches {
            base_offsets.push(self.append_batch(batch, &mut ends)?);
        }
        self.accept(entries, &encoded)?;
        self.accept_small(ends.into_iter().map(|(key, at)| at.entry(key)).collect())?;
        Ok(Committed { base_offsets })
    }

    /// Announces the set `from`, whose holder writes it to segments of its own.
    fn take_lease(
        &mut self,
        from: &SetFrom,
        partitions: Vec<PartitionKey>,
    ) -> Result<Committed, LogError> {
        self.open()?;
        self.fence.expect(&self.state, from)?;
        let result = self.lease(&partitions);
        match result {
            Ok(_) => self.turns.begin(from, partitions),
            Err(_) => self.fence.refuse(from),
        }
        result
    }

    fn lease(&mut self, partitions: &[PartitionKey]) -> Result<Committed, LogError> {
        for key in partitions {
            self.partition(*key)?;
            validate::undamaged(&self.shared.damage, *key)?;
        }
        self.reserve(3 * BATCH_ENTRY_BYTES * partitions.len())?;
        self.round.durable = true;
        let bases = partitions.iter().map(|key| self.leave_to_holder(*key));
        let base_offsets = bases.collect::<Result<_, _>>()?;
        Ok(Committed { base_offsets })
    }

    fn append_batch(
        &mut self,
        batch: &TopicBatch,
        ends: &mut BTreeMap<PartitionKey, End>,
    ) -> Result<u64, LogError> {
        let key = validate::partition(&self.state, &batch.topic, batch.partition)?;
        let mut at = match ends.get(&key) {
            Some(at) => *at,
            None => self.open_end(key)?,
        };
        let base_offset = at.end;
        let tail = self.tail(key, &batch.topic, at.base)?;
        tail.append(&mut at, &batch.batch)?;
        let file = Arc::clone(&tail.file);
        self.round.add_file(&file);
        self.round_bytes += batch.batch.as_bytes().len();
        ends.insert(key, at);
        Ok(base_offset)
    }

    fn partition(&self, key: PartitionKey) -> Result<&Partition, LogError> {
        let partition = self.state.partition(key);
        partition.ok_or_else(|| LogError::invalid("the topic was deleted"))
    }

    /// Makes sure that the round's record has room for `bytes` more, in a new commit file if need
    /// be, before anything is changed.
    fn reserve(&mut self, bytes: usize) -> Result<(), LogError> {
        let needed = frame::size_bytes(self.body.len() + bytes) as u64;
        if self.point.position + needed > self.point.file.size_bytes {
            let size = self
                .shared
                .config
                .commit_file_bytes
                .max(BLOCK_BYTES as u64 + needed);
            let (dir, header) = (self.shared.layout.commits(), self.next_header());
            let storage = &*self.shared.storage;
            let file = commits::create(storage, &dir, &header, size, &[]);
            let file = file.map_err(|error| self.fail_if_final(error))?;
            self.point.file = Arc::new(file);
            self.point.position = BLOCK_BYTES as u64;
            (self.round.snapshot, self.round.durable) = (true, true);
        }
        Ok(())
    }

    fn fail_if_final(&self, error: LogError) -> LogError {
        if error.kind() == crate::LogErrorKind::Failed {
            self.shared.fail(error)
        } else {
            error
        }
    }

    fn accept_change(&mut self, entries: Vec<Entry>) -> Result<(), LogError> {
        let encoded = entry::encode_all(&entries);
        self.reserve(encoded.len())?;
        self.round.durable = true;
        for entry in &entries {
            self.fence.note(&self.state, entry, self.point.sequence + 1);
            if let Entry::TopicDeleted { topic } = entry {
                self.tails.remove_topic(*topic);
            }
        }
        self.accept(entries, &encoded)
    }

    /// Applies checked entries to the state that runs ahead, and takes them into the record, for
    /// which they are `encoded`.
    fn accept(&mut self, entries: Vec<Entry>, encoded: &[u8]) -> Result<(), LogError> {
        for entry in &entries {
            // The entry was checked against this state: a contradiction is a defect, and ends it.
            self.state
                .apply(entry)
                .map_err(|why| self.shared.fail(LogError::invalid(why)))?;
        }
        self.round.entries.extend(entries);
        self.body.extend_from_slice(encoded);
        Ok(())
    }

    /// The same for entries about segments, for which room was made with the request that causes them.
    fn accept_small(&mut self, entries: Vec<Entry>) -> Result<(), LogError> {
        let encoded = entry::encode_all(&entries);
        self.accept(entries, &encoded)
    }

    /// Cuts every segment to its length, so that the next start finds exactly what is committed.
    fn stop(&mut self) -> Result<(), LogError> {
        self.open()?;
        for request in self.turns.give_up() {
            let closed = Err(LogError::failed("the log was closed"));
            self.reply(request.into_answer(), closed, ReadTo::Durable);
        }
        self.reserve(BATCH_ENTRY_BYTES)?;
        for (key, tail) in self.tails.iter() {
            let active = self.state.partition(key).and_then(Partition::active);
            if let Some(active) = active.filter(|active| active.name() == tail.file.name) {
                let cut = tail.file.file.set_len(active.length);
                cut.map_err(|error| LogError::io("cut", &tail.file.path, error))?;
                self.round.add_file(&tail.file);
            }
        }
        self.tails.clear();
        self.round.durable = true;
        self.accept_small(vec![Entry::Stopped])
    }
}

fn nothing() -> Committed {
    Committed {
        base_offsets: Vec::new(),
    }
}
