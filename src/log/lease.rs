//! A lease: how a set of any size is written, such as a database transaction of many GiB. Its holder
//! writes the records on a thread of its own, in memory for one batch, while the committer serves
//! all others; then one ordinary commit record makes them visible, with the state that belongs to
//! them, all at once or not at all.
//!
//! The steps, and what a crash behind each leaves:
//! 1. *Taken*: one record, durable in either mode, seals the active segment of each partition and
//!    says from which offset on the files there are the holder's. It is durable before there is any
//!    such file, so a start that finds some knows what they are, however large, and removes them.
//! 2. *Written*: batches, with the offsets they will have, to new segments that nothing lists.
//!    Nobody else appends to these partitions meanwhile ([`crate::turns`]), so the offsets hold.
//!    Readers, retention and compaction see only what is listed.
//! 3. *Synced*: each segment is cut to its length and synced, and then its directory.
//! 4. *Committed*: the record lists them, beside the state, and is checked as that of any set. It is
//!    durable in either mode. From then on they are segments like others, the last one not sealed.
//!
//! A lease that is dropped ends like this: its files are removed, that is made durable, and only then
//! the next one may append. Else a later segment of the same name could come out of a crash with what
//! was written here. Files go under the lock `files`, and only while their topic is there: a topic
//! that was deleted took its directory along, and another one may have its name. When it is unknown
//! whether the commit record counts, the files stay for the next start to decide.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::inner::Inner;
use crate::rewrite::UNSYNCED_BYTES;
use crate::round::{Answer, Answered, Request, SetFrom, Written};
use crate::segment::{SegmentFile, SegmentName};
use crate::set::{AppendSet, Committed, StateChange, TopicBatch};
use crate::shared::Shared;
use crate::storage::Lock;
use crate::tail::{End, Tails};
use crate::topic::PartitionKey;
use crate::{LogError, LogErrorKind, ReadTo, fence, validate};

/// Segments that are open at once: of more partitions than that, all are synced and let go.
const OPEN_MAX: usize = 64;

/// A set of any size on its way to its partitions, which nobody else appends to meanwhile: sets for
/// them wait, and all later sets of this writer.
///
/// Dropped without [`Lease::commit`] it leaves nothing behind, and as with a refused set all later
/// ones of its writer are refused. Everything here waits for the disk, dropping too: give it a thread
/// of its own. Whoever holds one ends it: as long as it is open, others wait.
pub struct Lease {
    log: Arc<Inner>,
    from: SetFrom,
    places: BTreeMap<PartitionKey, Place>,
    /// Of the last segments of some places.
    tails: Tails,
    /// Bytes written since the last sync.
    unsynced: u64,
    /// Its files are its own to remove.
    open: bool,
    /// Dropped last.
    _lock: Arc<dyn Lock>,
}

/// What is written to a partition.
pub(crate) struct Place {
    topic: Arc<str>,
    dir: PathBuf,
    /// Offset at which the lease begins.
    base: u64,
    /// Size from which a segment is full.
    segment_bytes: u64,
    /// All but the last are full, cut and synced.
    segments: Vec<End>,
}

/// The places in these partitions, for a lease that begins nowhere yet.
pub(crate) fn places(
    shared: &Shared,
    partitions: &BTreeSet<(Arc<str>, u32)>,
) -> Result<BTreeMap<PartitionKey, Place>, LogError> {
    let published = shared.published();
    let places = partitions.iter().map(|(topic, partition)| {
        let key = validate::partition(&published.state, topic, *partition)?;
        let place = Place {
            dir: shared.layout.partition(topic, *partition),
            topic: Arc::clone(topic),
            base: 0,
            segment_bytes: shared.segment_bytes(&published.state, key),
            segments: Vec::new(),
        };
        Ok((key, place))
    });
    places.collect()
}

/// A lease that was asked for.
pub(crate) struct Asked {
    pub log: Arc<Inner>,
    pub lock: Arc<dyn Lock>,
    pub from: SetFrom,
    pub places: BTreeMap<PartitionKey, Place>,
    pub answered: Answered,
}

impl Asked {
    /// Waits until the lease is taken.
    pub(crate) fn wait(self) -> Result<Lease, LogError> {
        let taken = self.log.wait(&self.answered)?;
        Ok(self.taken(taken))
    }

    pub(crate) fn taken(mut self, taken: Committed) -> Lease {
        for (place, base) in self.places.values_mut().zip(taken.base_offsets) {
            place.base = base;
        }
        Lease {
            log: self.log,
            from: self.from,
            places: self.places,
            tails: Tails::default(),
            unsynced: 0,
            open: true,
            _lock: self.lock,
        }
    }
}

impl Lease {
    /// Writes the next batch of its partition; returns the offset of its first record. When it fails
    /// as `Transient`, the disk being full, the same batch may be tried again.
    pub fn append(&mut self, batch: &TopicBatch) -> Result<u64, LogError> {
        let key = self.check(batch)?;
        let bytes = batch.batch.as_bytes().len() as u64;
        if self.tails.len() >= OPEN_MAX {
            self.close_segments()?;
        }
        if self.unsynced + bytes > UNSYNCED_BYTES {
            self.sync()?;
        }
        let Some(place) = self.places.get_mut(&key) else {
            return Err(LogError::invalid(format!(
                "the lease of {} does not include {} partition {}: name all partitions when it is \
                 taken",
                self.from.owner, batch.topic, batch.partition
            )));
        };
        let end = place.segment(&self.log, key, &mut self.tails)?;
        let (handles, topic) = (&self.log.shared.handles, &batch.topic);
        let tail = self.tails.get(handles, key, topic, end.base, 0)?;
        let offset = end.end;
        tail.append(end, &batch.batch)?;
        self.unsynced += bytes;
        Ok(offset)
    }

    /// Makes all that was written visible, together with these changes of state, at most
    /// [`crate::STATE_BYTES_MAX`] bytes; durable when it returns, in either mode. When it fails as
    /// `Failed` it is unknown whether it was written, otherwise it was not.
    pub fn commit(mut self, state: Vec<StateChange>) -> Result<(), LogError> {
        self.close_segments()?;
        let shared = Arc::clone(&self.log.shared);
        let mut written = Vec::new();
        for (&key, place) in &self.places {
            if !place.segments.is_empty() {
                // Or its directory is gone.
                let _files = self.log.files();
                place.exists(&shared, key)?;
                sync_dir(&shared, &place.dir)?;
                let segments = place.segments.clone();
                written.push(Written { key, segments });
            }
        }
        let from = self.from.clone();
        let set = AppendSet {
            state,
            until: ReadTo::Durable,
            ..AppendSet::default()
        };
        let committed = self.log.request(|done| Request::Set {
            from,
            set,
            written,
            done,
        });
        // Refused, it is to be dropped; but of what is unknown the next start decides.
        let refused = committed.as_ref().err();
        self.open = refused.is_some_and(|error| error.kind() != LogErrorKind::Failed);
        committed.map(|_| ())
    }

    /// The batch's partition, if the log goes on and this is still the task's writer.
    fn check(&self, batch: &TopicBatch) -> Result<PartitionKey, LogError> {
        let shared = &self.log.shared;
        shared.failure().map_or(Ok(()), Err)?;
        validate::check_batch(batch)?;
        let published = shared.published();
        fence::check_generation(&published.state, &self.from)?;
        validate::partition(&published.state, &batch.topic, batch.partition)
    }

    /// Syncs what was written to open segments.
    fn sync(&mut self) -> Result<(), LogError> {
        let shared = &self.log.shared;
        let mut tails = self.tails.iter();
        tails.try_for_each(|(_, tail)| sync(shared, &tail.file))?;
        self.unsynced = 0;
        Ok(())
    }

    /// Cuts all open segments to their lengths, syncs and closes them.
    fn close_segments(&mut self) -> Result<(), LogError> {
        for (key, tail) in self.tails.iter() {
            let last = self
                .places
                .get(&key)
                .and_then(|place| place.segments.last());
            if let Some(last) = last {
                cut(&tail.file, last.length)?;
            }
        }
        self.sync()?;
        self.tails.clear();
        Ok(())
    }

    fn remove_segments(&self) -> Result<(), LogError> {
        let shared = &self.log.shared;
        let _files = self.log.files();
        for (&key, place) in &self.places {
            // One that was deleted took its directory along.
            if place.segments.is_empty() || place.exists(shared, key).is_err() {
                continue;
            }
            for segment in &place.segments {
                let name = SegmentName::first(segment.base);
                let path = place.dir.join(name.to_string());
                shared.handles.remove(key, name);
                let removed = shared.storage.remove(&path);
                removed.map_err(|error| LogError::io("remove", &path, error))?;
            }
            sync_dir(shared, &place.dir)?;
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        if let Err(error) = self.remove_segments() {
            // Others must not append to what may come back.
            self.log.shared.fail(error);
        }
        let (from, done) = (self.from.clone(), Answer::default());
        self.log.send(Request::Release { from, done });
    }
}

impl Place {
    /// The segment that the next batch goes to: a new one, if there is none or it is full.
    fn segment(
        &mut self,
        log: &Inner,
        key: PartitionKey,
        tails: &mut Tails,
    ) -> Result<&mut End, LogError> {
        let base = match self.segments.last() {
            Some(last) if last.length < self.segment_bytes => None,
            Some(last) => {
                let handles = &log.shared.handles;
                let file = &tails.get(handles, key, &self.topic, last.base, 0)?.file;
                cut(file, last.length)?;
                sync(&log.shared, file)?;
                Some(last.end)
            }
            None => Some(self.base),
        };
        if let Some(base) = base {
            let file = self.create(log, key, base)?;
            tails.insert(key, file, 0, 0);
            self.segments.push(End::at(base));
        }
        let last = self.segments.last_mut();
        Ok(last.unwrap_or_else(|| unreachable!("one was pushed")))
    }

    fn create(
        &self,
        log: &Inner,
        key: PartitionKey,
        base: u64,
    ) -> Result<Arc<SegmentFile>, LogError> {
        let (shared, name) = (&log.shared, SegmentName::first(base));
        let path = self.dir.join(name.to_string());
        let files = log.files();
        self.exists(shared, key)?;
        // One without records may stand there: see stage 1.
        let _ = shared.storage.remove(&path);
        let file = shared.storage.create(&path);
        drop(files);
        let file = file.map_err(|error| LogError::io("create", &path, error))?;
        let file = SegmentFile::new(file, path, name);
        shared.handles.insert(key, &file);
        Ok(file)
    }
}

impl Place {
    /// Fails when its topic was deleted. Holds as long as the caller holds `files`.
    fn exists(&self, shared: &Shared, key: PartitionKey) -> Result<(), LogError> {
        match shared.published().state.partition(key) {
            Some(_) => Ok(()),
            None => Err(LogError::invalid(format!(
                "topic {} was deleted",
                self.topic
            ))),
        }
    }
}

fn cut(file: &SegmentFile, length: u64) -> Result<(), LogError> {
    let cut = file.file.set_len(length);
    cut.map_err(|error| LogError::io("cut", &file.path, error))
}

fn sync(shared: &Shared, file: &SegmentFile) -> Result<(), LogError> {
    let synced = file.file.sync();
    synced.map_err(|error| shared.fail(LogError::io("sync", &file.path, error)))
}

fn sync_dir(shared: &Shared, dir: &Path) -> Result<(), LogError> {
    let synced = shared.storage.sync_dir(dir);
    synced.map_err(|error| shared.fail(LogError::io("sync", dir, error)))
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SetFrom {
            owner,
            task,
            number,
            ..
        } = &self.from;
        write!(f, "Lease(set {number} of {owner} task {task})")
    }
}
