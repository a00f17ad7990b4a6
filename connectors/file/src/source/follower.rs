//! The core of the source: which files there are, how far each was read, whose turn it is.
//!
//! A plain synchronous type, stepped from outside: [`Follower::scan`] looks at the file system,
//! [`Follower::touch`] at one file, [`Follower::next_batch`] reads. It has no thread, no clock
//! (the time is handed in) and no notifications, so that tests can drive it through any history.
//!
//! A **cursor** belongs to a *content*, not to a name: it is found again by device and inode while
//! its fingerprint still holds, and otherwise, when its file is gone or was truncated, by its
//! fingerprint in the file that rotation made of it ([`super::kinship`]). A cursor whose content is
//! nowhere is *gone*; it is kept for a while, as a compressed file may turn up that goes on with it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use rustix::process::{Resource, getrlimit};
use towpath_sdk::framing::LineState;
use towpath_sdk::{Codecs, Error, Health, NewDecoder, SourceContext, StateChange};

use super::content::FileId;
use super::cursor::{Cursor, CursorId, Handle};
use super::finder::{Finder, Found};
use super::kinship::{Held, Kindred};
use super::reading::handles_max;
use super::saved::{Saved, file_key};
use super::turn::Reader;
use crate::config::FileSourceOptions;

/// Follows the files of one task.
pub struct Follower {
    pub(super) options: Arc<FileSourceOptions>,
    pub(super) finder: Finder,
    pub(super) codecs: Arc<dyn Codecs>,
    pub(super) health: Arc<dyn Health>,
    pub(super) task: u32,
    pub(super) tasks: u32,
    /// Only what is there at the first scan is read.
    pub(super) draining: bool,
    pub(super) new_decoder: NewDecoder,
    pub(super) reader: Reader,

    pub(super) cursors: BTreeMap<CursorId, Cursor>,
    pub(super) by_id: HashMap<FileId, CursorId>,
    /// Whom a new file may go on with; made when the first one asks, for one scan.
    pub(super) kindred: Option<Kindred>,
    /// Cursors of one origin, for their order.
    pub(super) by_origin: HashMap<PathBuf, BTreeSet<CursorId>>,
    pub(super) handles: HashMap<CursorId, Handle>,
    /// So many are kept.
    pub(super) handles_max: usize,
    pub(super) handle_uses: u64,
    pub(super) next_cursor: CursorId,
    /// Of the next key.
    pub(super) next_number: u64,

    /// Whose turn it is.
    pub(super) queue: VecDeque<CursorId>,
    /// When a file will have been quiet long enough.
    pub(super) pauses: BTreeSet<(i64, CursorId)>,
    /// New files that may be copies in the making.
    pub(super) held: HashMap<FileId, Held>,
    /// Whose state must go with the next batch, and which keys must go.
    pub(super) dirty: BTreeSet<CursorId>,
    pub(super) forgotten: Vec<Bytes>,
    /// Read to their end; `after` may apply.
    pub(super) finished: BTreeSet<CursorId>,
    /// Batches given out.
    pub(super) batches: u64,
    pub(super) scans: u64,
    /// A file was not where it was last seen.
    pub(super) rescan: bool,
    /// Files and folders with a problem now, by path.
    pub(super) problems: BTreeMap<PathBuf, String>,
    /// Of `include`, what has not matched any file since the start.
    pub(super) unmatched: BTreeSet<String>,
    /// What ends the task, behind what was read before.
    pub(super) error: Option<Error>,
    /// Handed over, and known, for the share done.
    pub(super) done_bytes: u64,
    pub(super) known_bytes: u64,
}

impl Follower {
    /// A follower of the files of `context.task`, without any cursor; `Follower::restore` brings
    /// them.
    pub(super) fn empty(
        options: Arc<FileSourceOptions>,
        finder: Finder,
        context: &SourceContext,
    ) -> Self {
        Self {
            reader: Reader::new(options.clone(), context.on_error.clone(), context.drain),
            options,
            finder,
            codecs: context.codecs.clone(),
            health: context.health.clone(),
            task: context.task,
            tasks: context.tasks,
            draining: context.drain,
            new_decoder: context.new_decoder.clone(),
            cursors: BTreeMap::new(),
            by_id: HashMap::new(),
            kindred: None,
            by_origin: HashMap::new(),
            handles: HashMap::new(),
            handles_max: handles_max(getrlimit(Resource::Nofile).current),
            handle_uses: 0,
            next_cursor: 0,
            next_number: 0,
            queue: VecDeque::new(),
            pauses: BTreeSet::new(),
            held: HashMap::new(),
            dirty: BTreeSet::new(),
            forgotten: Vec::new(),
            finished: BTreeSet::new(),
            batches: 0,
            scans: 0,
            rescan: false,
            problems: BTreeMap::new(),
            unmatched: BTreeSet::new(),
            error: None,
            done_bytes: 0,
            known_bytes: 0,
        }
    }

    pub(super) fn enqueue(&mut self, id: CursorId) {
        if let Some(cursor) = self.cursors.get_mut(&id)
            && !cursor.queued
        {
            cursor.queued = true;
            self.queue.push_back(id);
        }
    }

    /// State of `id` has changed, and goes with the next batch.
    pub(super) fn save(&mut self, id: CursorId) {
        self.dirty.insert(id);
    }

    /// Whether state of `id` still waits for the next batch.
    pub(super) fn is_dirty(&self, id: CursorId) -> bool {
        self.dirty.contains(&id)
    }

    /// Adds a cursor, and makes it known by its names.
    pub(super) fn add(&mut self, cursor: Cursor) -> CursorId {
        let id = self.next_cursor;
        self.next_cursor += 1;
        if let Some(kindred) = &mut self.kindred {
            kindred.add(id, &cursor);
        }
        self.by_origin
            .entry(cursor.saved.origin.clone())
            .or_default()
            .insert(id);
        if !cursor.is_gone() {
            self.by_id.insert(cursor.saved.id, id);
        }
        self.cursors.insert(id, cursor);
        id
    }

    /// A cursor at the beginning of the content of `found`.
    pub(super) fn add_new(&mut self, found: &Found, limit: u64) -> CursorId {
        let saved = Saved {
            position: 0,
            line: LineState::Start,
            id: found.id,
            fingerprint: super::fingerprint::Fingerprint::default(),
            end: None,
            gone_ms: None,
            origin: found.path.clone(),
            path: found.path.clone(),
        };
        let key = file_key(self.task, self.next_number);
        self.next_number += 1;
        self.known_bytes += found.stamp.size;
        let mut cursor = Cursor::new(key, saved, found.stamp, limit);
        cursor.scan = self.scans;
        self.add(cursor)
    }

    /// Forgets a cursor and its state.
    pub(super) fn forget(&mut self, id: CursorId) {
        if let Some(key) = self.remove(id) {
            self.forgotten.push(key);
        }
    }

    /// Forgets a cursor; gives the key of its state.
    pub(super) fn remove(&mut self, id: CursorId) -> Option<Bytes> {
        let cursor = self.cursors.remove(&id)?;
        if self.by_id.get(&cursor.saved.id) == Some(&id) {
            self.by_id.remove(&cursor.saved.id);
        }
        if let Some(siblings) = self.by_origin.get_mut(&cursor.saved.origin) {
            siblings.remove(&id);
            if siblings.is_empty() {
                self.by_origin.remove(&cursor.saved.origin);
            }
        }
        self.handles.remove(&id);
        self.dirty.remove(&id);
        self.finished.remove(&id);
        if let Some(at_ms) = cursor.pause_at_ms {
            self.pauses.remove(&(at_ms, id));
        }
        Some(cursor.key)
    }

    /// `id` has something new to read, so it is not quiet.
    pub(super) fn stir(&mut self, id: CursorId) {
        if let Some(cursor) = self.cursors.get_mut(&id) {
            cursor.paused = false;
            if let Some(at_ms) = cursor.pause_at_ms.take() {
                self.pauses.remove(&(at_ms, id));
            }
            self.enqueue(id);
        }
    }

    /// The changes of state that go with this batch.
    pub(super) fn take_changes(&mut self) -> Vec<StateChange> {
        let mut changes: Vec<StateChange> =
            self.forgotten.drain(..).map(StateChange::delete).collect();
        for id in std::mem::take(&mut self.dirty) {
            if let Some(cursor) = self.cursors.get_mut(&id) {
                cursor.batch = self.batches;
                changes.push(StateChange::put(cursor.key.clone(), cursor.saved.encode()));
            }
        }
        changes
    }
}
