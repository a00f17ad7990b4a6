//! Stage 1 of the committer: decides about each request, appends its batches to the segments and
//! encodes the commit record of the round. Nothing here is visible to anybody yet.
//!
//! It runs ahead on a state of its own that has everything in flight applied. Whatever can fail
//! for want of space happens here, so that it fails one set and not the log: segments are
//! allocated and commit files filled with zeros before stages 2 and 3 depend on them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::commits::{self, CommitFile};
use crate::entry::{self, Entry};
use crate::frame::{self, BLOCK_BYTES, FrameHeader};
use crate::round::{Answer, Record, Reply, Request, Round, SetFrom};
use crate::segment::SegmentFile;
use crate::set::{AppendSet, Committed, TopicBatch};
use crate::shared::Shared;
use crate::state::{Partition, State};
use crate::topic::PartitionKey;
use crate::{LogError, ReadTo, validate};

/// A round is closed when it holds this many bytes of batches.
pub(crate) const ROUND_BYTES: usize = 8 << 20;
/// Or when its record is this large.
const RECORD_BYTES: usize = 2 << 20;
const ALLOCATE_BYTES_MIN: u64 = 64 << 10;
const ALLOCATE_BYTES_MAX: u64 = 16 << 20;
/// Open tails beyond this many are dropped at the end of a round that did not use them.
const TAILS_MAX: usize = 64;
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
    tails: HashMap<PartitionKey, Tail>,
    writers: HashMap<(Arc<str>, u32), WriterState>,
    /// When each group was last reset: a writer from before may not move its offsets.
    resets: HashMap<String, u64>,
    /// The round being filled.
    round: Round,
    round_bytes: usize,
    body_bytes: usize,
}

/// The open end of a partition.
struct Tail {
    file: Arc<SegmentFile>,
    allocated: u64,
    step: u64,
    used_in: u64,
}

struct WriterState {
    generation: u32,
    /// Number of its last accepted set.
    number: u64,
    /// Sequence at which it was opened.
    opened: u64,
    refused: bool,
}

/// The end of a partition as a set moves it: entries once the whole set is written.
#[derive(Clone, Copy)]
struct End {
    base: u64,
    end: u64,
    length: u64,
    timestamp_ms_max: i64,
}

impl Appender {
    pub(crate) fn new(shared: Arc<Shared>, state: State, point: CommitPoint) -> Self {
        Self {
            shared,
            state,
            point,
            tails: HashMap::new(),
            writers: HashMap::new(),
            resets: HashMap::new(),
            round: Round::default(),
            round_bytes: 0,
            body_bytes: 0,
        }
    }

    /// Takes a request into the round. True when the round is full.
    pub(crate) fn take(&mut self, request: Request) -> bool {
        let (done, until, result) = match request {
            Request::Set { from, set, done } => {
                let until = set.until;
                (done, until, self.take_set(&from, &set))
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
        self.round_bytes >= ROUND_BYTES || self.body_bytes >= RECORD_BYTES
    }

    /// Closes the round: its record gets its place in the commit log.
    pub(crate) fn finish(&mut self) -> Round {
        let mut round = std::mem::take(&mut self.round);
        (self.round_bytes, self.body_bytes) = (0, 0);
        round.durable |= self.shared.is_fsync();
        if !round.entries.is_empty() {
            let header = self.next_header();
            let (bytes, checksum) = frame::encode(&header, &entry::encode_all(&round.entries));
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
        if self.tails.len() > TAILS_MAX {
            let sequence = round.sequence;
            self.tails.retain(|_, tail| tail.used_in >= sequence);
        }
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

    fn take_set(&mut self, from: &SetFrom, set: &AppendSet) -> Result<Committed, LogError> {
        self.open()?;
        let opened = self.current_writer(from)?;
        let result = self.append_set(from, set, opened);
        if result.is_err() {
            let writer = self.writers.get_mut(&(Arc::clone(&from.owner), from.task));
            if let Some(writer) = writer {
                writer.refused = true;
            }
        }
        result
    }

    /// Checks generation and number; returns when the writer was opened.
    fn current_writer(&mut self, from: &SetFrom) -> Result<u64, LogError> {
        let SetFrom {
            owner,
            task,
            generation,
            number,
        } = from;
        let current = self.state.generation(owner, *task);
        if *generation != current {
            return Err(LogError::fenced(format!(
                "task {task} of {owner} writes with generation {generation} but {current} is \
                 current: another writer has taken over; stop this one"
            )));
        }
        let writer = self.writers.get_mut(&(Arc::clone(owner), *task));
        let writer = writer.filter(|writer| writer.generation == current);
        match writer {
            Some(writer) if !writer.refused && writer.number + 1 == *number => {
                writer.number = *number;
                Ok(writer.opened)
            }
            _ => Err(LogError::fenced(format!(
                "an earlier set of task {task} of {owner} was refused, or {owner} was renamed or \
                 forgotten: open the writer again and go on from the stored state"
            ))),
        }
    }

    fn append_set(
        &mut self,
        from: &SetFrom,
        set: &AppendSet,
        opened: u64,
    ) -> Result<Committed, LogError> {
        let mut entries = validate::set(&self.state, &self.shared.damage, &from.owner, set)?;
        for offset in &set.offsets {
            if self
                .resets
                .get(&*offset.group)
                .is_some_and(|reset| *reset > opened)
            {
                return Err(LogError::fenced(format!(
                    "the offsets of group {} were reset after this writer was opened: open it \
                     again",
                    offset.group
                )));
            }
        }
        entries.push(Entry::Set {
            owner: from.owner.to_string(),
            task: from.task,
            generation: from.generation,
            number: from.number,
        });
        let bytes = entry::encode_all(&entries).len() + BATCH_ENTRY_BYTES * set.batches.len();
        self.reserve(bytes)?;
        let mut ends = BTreeMap::new();
        let mut base_offsets = Vec::with_capacity(set.batches.len());
        for batch in &set.batches {
            base_offsets.push(self.append_batch(batch, &mut ends)?);
        }
        entries.extend(ends.into_iter().map(|(key, at)| {
            let End {
                base,
                end,
                length,
                timestamp_ms_max,
            } = at;
            Entry::End {
                key,
                base,
                end,
                length,
                timestamp_ms_max,
            }
        }));
        self.accept(entries)?;
        Ok(Committed { base_offsets })
    }

    fn append_batch(
        &mut self,
        batch: &TopicBatch,
        ends: &mut BTreeMap<PartitionKey, End>,
    ) -> Result<u64, LogError> {
        let key = validate::partition(&self.state, &batch.topic, batch.partition)?;
        let bytes = batch.batch.as_bytes();
        let mut at = match ends.get(&key) {
            Some(at) => *at,
            None => self.open_end(key)?,
        };
        let tail = self.tail(key, &batch.topic, at.base)?;
        let after = at.length + bytes.len() as u64;
        if tail.allocated < after {
            let allocate = (after + tail.step).next_multiple_of(4096);
            let full = |error| LogError::io("allocate space in", &tail.file.path, error);
            tail.file.file.allocate(allocate).map_err(full)?;
            tail.allocated = allocate;
            tail.step = (tail.step * 2).min(ALLOCATE_BYTES_MAX);
        }
        // Base offset and leader epoch lie outside the checksum: only a copy of the front changes.
        let (front, rest) = bytes.split_at(16);
        let mut stamped = [0; 16];
        stamped.copy_from_slice(front);
        stamped[..8].copy_from_slice(&at.end.to_be_bytes());
        stamped[12..].fill(0);
        let written = tail.file.file.write_at(at.length, &[&stamped, rest]);
        written.map_err(|error| LogError::io("write to", &tail.file.path, error))?;
        let file = Arc::clone(&tail.file);
        self.round.add_file(&file);
        self.round_bytes += bytes.len();
        let base_offset = at.end;
        let header = batch.batch.header();
        at.end += u64::from(header.records_count);
        at.length = after;
        at.timestamp_ms_max = at.timestamp_ms_max.max(header.max_timestamp_ms);
        ends.insert(key, at);
        Ok(base_offset)
    }

    /// The end of the segment that the next batch goes to; a new segment if the active one is full
    /// or ends before a gap.
    fn open_end(&mut self, key: PartitionKey) -> Result<End, LogError> {
        let partition = self.partition(key)?;
        let usable = partition.active().is_some_and(|active| {
            active.length < self.shared.config.segment_bytes && active.end == partition.end
        });
        if !usable {
            self.roll(key)?;
            self.create_segment(key)?;
        }
        let active = self.partition(key)?.active();
        let active = active.ok_or_else(|| LogError::invalid("a partition has no segment"))?;
        let (base, end) = (active.base, active.end);
        let (length, timestamp_ms_max) = (active.length, active.timestamp_ms_max);
        Ok(End {
            base,
            end,
            length,
            timestamp_ms_max,
        })
    }

    fn partition(&self, key: PartitionKey) -> Result<&Partition, LogError> {
        let partition = self.state.partition(key);
        partition.ok_or_else(|| LogError::invalid("the topic was deleted"))
    }

    /// Seals the active segment, if there is one: cuts its file to its length.
    fn roll(&mut self, key: PartitionKey) -> Result<(), LogError> {
        let Some(active) = self.partition(key)?.active().copied() else {
            return Ok(());
        };
        // An empty segment already has the name that the next one would get.
        if active.length == 0 && active.end == self.partition(key)?.end {
            return Ok(());
        }
        self.reserve(BATCH_ENTRY_BYTES)?;
        let topic = self.topic_name(key);
        let file = Arc::clone(&self.tail(key, &topic, active.base)?.file);
        let cut = file.file.set_len(active.length);
        cut.map_err(|error| LogError::io("cut", &file.path, error))?;
        self.tails.remove(&key);
        self.round.add_file(&file);
        self.accept(vec![Entry::SegmentSealed {
            key,
            base: active.base,
        }])
    }

    fn create_segment(&mut self, key: PartitionKey) -> Result<(), LogError> {
        let base = self.partition(key)?.end;
        let path = self
            .shared
            .layout
            .segment(&self.topic_name(key), key.partition, base);
        // One left by an attempt for which the disk was full.
        let _ = self.shared.storage.remove(&path);
        let file = self.shared.storage.create(&path);
        let file = file.map_err(|error| LogError::io("create", &path, error))?;
        let dir = path.parent().map(std::path::Path::to_path_buf);
        let file = SegmentFile::new(file, path, base);
        self.shared.handles.insert(key, &file);
        self.round.add_file(&file);
        self.round.dirs.extend(dir);
        let used_in = self.point.sequence + 1;
        self.tails.insert(
            key,
            Tail {
                file,
                allocated: 0,
                step: ALLOCATE_BYTES_MIN,
                used_in,
            },
        );
        self.accept(vec![Entry::SegmentCreated { key, base }])
    }

    fn topic_name(&self, key: PartitionKey) -> String {
        self.state
            .topics
            .get(&key.topic)
            .map(|topic| topic.name.clone())
            .unwrap_or_default()
    }

    fn tail(&mut self, key: PartitionKey, topic: &str, base: u64) -> Result<&mut Tail, LogError> {
        let used_in = self.point.sequence + 1;
        if self
            .tails
            .get(&key)
            .is_none_or(|tail| tail.file.base != base)
        {
            let file = self.shared.handles.get(key, topic, base)?;
            let length = file.file.size();
            let allocated = length.map_err(|error| LogError::io("look at", &file.path, error))?;
            self.tails.insert(
                key,
                Tail {
                    file,
                    allocated,
                    step: ALLOCATE_BYTES_MIN,
                    used_in,
                },
            );
        }
        let tail = self
            .tails
            .get_mut(&key)
            .unwrap_or_else(|| unreachable!("inserted above"));
        tail.used_in = used_in;
        Ok(tail)
    }

    /// Makes sure that the round's record has room for `bytes` more, in a new commit file if need
    /// be, before anything is changed.
    fn reserve(&mut self, bytes: usize) -> Result<(), LogError> {
        let needed = frame::size_bytes(self.body_bytes + bytes) as u64;
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
        self.reserve(entry::encode_all(&entries).len())?;
        self.round.durable = true;
        for entry in &entries {
            match entry {
                Entry::GroupGeneration { group, .. } => {
                    self.resets.insert(group.clone(), self.point.sequence + 1);
                }
                Entry::TaskGeneration {
                    owner,
                    task,
                    generation,
                } => {
                    let (generation, number, refused) = (*generation, 0, false);
                    let opened = self.point.sequence + 1;
                    let writer = WriterState {
                        generation,
                        number,
                        opened,
                        refused,
                    };
                    self.writers
                        .insert((Arc::from(owner.as_str()), *task), writer);
                }
                Entry::TopicDeleted { topic } => self.tails.retain(|key, _| key.topic != *topic),
                Entry::Forgotten { name } => {
                    let owned = self.state.owned_alone(name);
                    self.writers.retain(|(owner, _), _| {
                        **owner != **name && !owned.iter().any(|o| **o == **owner)
                    });
                }
                Entry::Renamed { old, .. } => self.writers.retain(|(owner, _), _| **owner != **old),
                _ => {}
            }
        }
        self.accept(entries)
    }

    /// Applies checked entries to the state that runs ahead, and takes them into the record.
    fn accept(&mut self, entries: Vec<Entry>) -> Result<(), LogError> {
        for entry in entries {
            // The entry was checked against this state: a contradiction is a defect, and ends it.
            self.state
                .apply(&entry)
                .map_err(|why| self.shared.fail(LogError::invalid(why)))?;
            self.body_bytes += entry::encode_all(std::slice::from_ref(&entry)).len();
            self.round.entries.push(entry);
        }
        Ok(())
    }

    /// Cuts every segment to its length, so that the next start finds exactly what is committed.
    fn stop(&mut self) -> Result<(), LogError> {
        self.open()?;
        self.reserve(BATCH_ENTRY_BYTES)?;
        for (&key, tail) in &self.tails {
            let active = self.state.partition(key).and_then(Partition::active);
            if let Some(active) = active.filter(|active| active.base == tail.file.base) {
                let cut = tail.file.file.set_len(active.length);
                cut.map_err(|error| LogError::io("cut", &tail.file.path, error))?;
                self.round.add_file(&tail.file);
            }
        }
        self.tails.clear();
        self.round.durable = true;
        self.accept(vec![Entry::Stopped])
    }
}

fn nothing() -> Committed {
    Committed {
        base_offsets: Vec::new(),
    }
}
