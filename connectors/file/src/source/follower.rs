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
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use towpath_record::BatchBuilder;
use towpath_sdk::{
    Codecs, Error, Health, NewDecoder, Part, Result, SourceBatch, SourceContext, StateChange,
};

use super::content::{Content, FileId, Stamp};
use super::cursor::{Cursor, CursorId, Handle, family};
use super::finder::{Finder, Found};
use super::kinship::Held;
use super::saved::{LineState, Saved, file_key};
use super::turn::{CHUNK_BYTES, NoTurn, Reader, Turn};
use crate::config::{FileSourceOptions, Framing};

/// A batch is closed at this size: about 1 MiB with what a record may add.
const FULL_BYTES: usize = (1 << 20) - (32 << 10);
/// What is read of small files goes together, up to so many.
const PARTS_MAX: usize = 1024;
/// Files kept open. One that is deleted while it is open is read to its end.
const HANDLES_MAX: usize = 256;
/// A whole file is read when it was not changed for so long.
const WHOLE_SETTLED_MS: i64 = 2_000;

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
    new_decoder: NewDecoder,
    reader: Reader,

    pub(super) cursors: BTreeMap<CursorId, Cursor>,
    pub(super) by_id: HashMap<FileId, CursorId>,
    /// Cursors by the letters of their file's name: whom a new file may go on with.
    pub(super) families: HashMap<Vec<u8>, BTreeSet<CursorId>>,
    /// Cursors of one origin, for their order.
    by_origin: HashMap<PathBuf, BTreeSet<CursorId>>,
    pub(super) handles: HashMap<CursorId, Handle>,
    handle_uses: u64,
    pub(super) next_cursor: CursorId,
    /// Of the next key.
    pub(super) next_number: u64,

    /// Whose turn it is.
    queue: VecDeque<CursorId>,
    /// When a file will have been quiet long enough.
    pauses: BTreeSet<(i64, CursorId)>,
    /// New files that may be copies in the making.
    pub(super) held: HashMap<FileId, Held>,
    /// Whose state must go with the next batch, and which keys must go.
    dirty: BTreeSet<CursorId>,
    forgotten: Vec<Bytes>,
    /// Read to their end; `after` may apply.
    pub(super) finished: BTreeSet<CursorId>,
    /// Batches given out.
    batches: u64,
    pub(super) scans: u64,
    /// A file was not where it was last seen.
    pub(super) rescan: bool,
    /// Files and folders with a problem now, by path.
    pub(super) problems: BTreeMap<PathBuf, String>,
    /// What ends the task, behind what was read before.
    error: Option<Error>,
    /// Handed over, and known, for the share done.
    pub(super) done_bytes: u64,
    pub(super) known_bytes: u64,
}

impl Follower {
    /// A follower of the files of `context.task`, without any cursor; `Follower::restore` brings
    /// them.
    pub(super) fn empty(options: Arc<FileSourceOptions>, finder: Finder, context: &SourceContext) -> Self {
        Self {
            reader: Reader::new(options.clone(), context.on_error, context.drain),
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
            families: HashMap::new(),
            by_origin: HashMap::new(),
            handles: HashMap::new(),
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
            error: None,
            done_bytes: 0,
            known_bytes: 0,
        }
    }

    /// The next batch of what is there; `None` when nothing is left to read for now.
    ///
    /// # Errors
    /// A bad record that ends the task; what came before it was given out.
    pub fn next_batch(&mut self, now_ms: i64) -> Result<Option<SourceBatch>> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        while let Some(&(_, id)) = self.pauses.first().filter(|(at_ms, _)| *at_ms <= now_ms) {
            self.pauses.pop_first();
            if let Some(cursor) = self.cursors.get_mut(&id) {
                cursor.pause_at_ms = None;
                cursor.paused = true;
                self.enqueue(id);
            }
        }
        let mut batch = SourceBatch::default();
        let mut size_bytes = 0;
        while size_bytes + CHUNK_BYTES / 4 < FULL_BYTES
            && batch.parts.len() < PARTS_MAX
            && self.error.is_none()
            && let Some(id) = self.next_ready()
        {
            size_bytes += self.turn(id, FULL_BYTES - size_bytes, &mut batch, now_ms);
        }
        self.batches += 1;
        batch.state = self.take_changes();
        if batch.parts.is_empty() && batch.state.is_empty() && batch.refused.is_empty() {
            self.batches -= 1;
            return self.error.take().map_or(Ok(None), Err);
        }
        self.health.progress(self.done_bytes, self.known_bytes.max(self.done_bytes));
        Ok(Some(batch))
    }

    /// When there may be something to do without any change to a file, milliseconds since 1970.
    pub fn deadline_ms(&self) -> Option<i64> {
        let pause = self.pauses.first().map(|(at_ms, _)| *at_ms);
        let held = self.held.values().filter_map(|held| held.until_ms).min();
        pause.into_iter().chain(held).min()
    }

    /// What a drain must tell at its end: the files that could not be read.
    pub fn failure(&self) -> Option<Error> {
        let (path, why) = self.problems.first_key_value()?;
        let with = match self.problems.len() {
            1 => path.display().to_string(),
            more => format!("{more} files, the first of them {}", path.display()),
        };
        let error = Error::configuration("read", with).because(why.clone());
        Some(error.remedy("all other files were read; mend this and run again"))
    }

    /// What the buffer of all turns takes.
    #[cfg(test)]
    pub fn buffer_bytes(&self) -> usize {
        self.reader.buffer_bytes()
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
        self.families.entry(family(cursor.path())).or_default().insert(id);
        self.by_origin.entry(cursor.saved.origin.clone()).or_default().insert(id);
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
        leave(&mut self.families, &family(cursor.path()), id);
        leave(&mut self.by_origin, &cursor.saved.origin, id);
        self.handles.remove(&id);
        self.dirty.remove(&id);
        self.finished.remove(&id);
        if let Some(at_ms) = cursor.pause_at_ms {
            self.pauses.remove(&(at_ms, id));
        }
        Some(cursor.key)
    }

    /// The file of `id` was renamed.
    pub(super) fn rename(&mut self, id: CursorId, path: &Path) {
        let Some(cursor) = self.cursors.get_mut(&id) else { return };
        let before = family(cursor.path());
        cursor.saved.path = path.to_owned();
        leave(&mut self.families, &before, id);
        self.families.entry(family(path)).or_default().insert(id);
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

    /// Says that `path` has a problem, or none any more.
    pub(super) fn report(&mut self, path: &Path, problem: Option<&Error>) {
        match problem {
            Some(error) => {
                self.problems.insert(path.to_owned(), error.to_string());
            }
            None if self.problems.remove(path).is_none() => return,
            None => {}
        }
        self.health.report(&path.display().to_string(), problem);
    }

    /// The next cursor in the queue that no older one of the same origin must go before: what was
    /// rotated away is read before what came after it.
    fn next_ready(&mut self) -> Option<CursorId> {
        for _ in 0..self.queue.len() {
            let id = self.queue.pop_front()?;
            let Some(cursor) = self.cursors.get(&id) else { continue };
            let siblings = self.by_origin.get(&cursor.saved.origin);
            let waits = siblings.is_some_and(|siblings| {
                siblings.range(..id).any(|older| self.cursors.get(older).is_some_and(|c| c.queued))
            });
            if waits {
                self.queue.push_back(id);
                continue;
            }
            if let Some(cursor) = self.cursors.get_mut(&id) {
                cursor.queued = false;
            }
            return Some(id);
        }
        None
    }

    /// Reads `id` on into `batch`; gives the size of what was added.
    fn turn(&mut self, id: CursorId, room: usize, batch: &mut SourceBatch, now_ms: i64) -> usize {
        if let Err(no_turn) = self.open_file(id) {
            self.no_turn(id, no_turn, now_ms);
            return 0;
        }
        let (Some(cursor), Some(handle)) = (self.cursors.get(&id), self.handles.get_mut(&id)) else {
            return 0;
        };
        let Ok((_, stamp)) = handle.content.identify() else { return 0 };
        let unread = stamp.size.saturating_sub(cursor.saved.position) as usize;
        let expected = if handle.content.is_compressed() { room } else { unread + unread / 8 + 256 };
        let mut builder = BatchBuilder::with_capacity(expected.min(room + CHUNK_BYTES / 4));
        let refused_before = batch.refused.len();
        match self.reader.turn(cursor, handle, &mut builder, &mut batch.refused, room, now_ms) {
            Ok(turn) => {
                let origin = cursor.origin.clone();
                self.finish_turn(id, turn, stamp, now_ms);
                let size_bytes = builder.size_bytes();
                batch.parts.extend(builder.finish().map(|batch| Part { origin, keyed: false, batch }));
                size_bytes
            }
            Err(no_turn) => {
                batch.refused.truncate(refused_before);
                self.no_turn(id, no_turn, now_ms);
                0
            }
        }
    }

    fn no_turn(&mut self, id: CursorId, no_turn: NoTurn, now_ms: i64) {
        match no_turn {
            NoTurn::Replaced => self.replaced(id, now_ms),
            NoTurn::Failed(error) => self.cannot_read(id, error, now_ms),
        }
    }

    fn finish_turn(&mut self, id: CursorId, turn: Turn, stamp: Stamp, now_ms: i64) {
        let Some(cursor) = self.cursors.get_mut(&id) else { return };
        let path = cursor.saved.path.clone();
        let consumed = turn.position - cursor.saved.position;
        let moved = consumed > 0 || turn.line != cursor.saved.line;
        cursor.saved.position = turn.position;
        cursor.saved.line = turn.line;
        cursor.saved.fingerprint = turn.fingerprint;
        let was_paused = std::mem::take(&mut cursor.paused);
        let at_end = turn.caught_up && turn.unfinished_bytes == 0;
        cursor.saved.end = (at_end && cursor.limit >= stamp.size).then_some(stamp);
        cursor.failed = turn.failed.is_some();
        self.done_bytes += consumed;
        self.known_bytes = self.known_bytes.max(self.done_bytes);
        if moved {
            self.save(id);
        }
        if at_end && self.cursors.get(&id).is_some_and(|cursor| cursor.saved.position > 0) {
            self.finished.insert(id);
        } else {
            self.finished.remove(&id);
        }
        if let Some(error) = turn.refused {
            self.error = Some(error);
        } else if let Some(error) = turn.failed {
            self.cannot_read(id, error, now_ms);
            return;
        } else if !turn.caught_up {
            self.enqueue(id);
        } else if turn.unfinished_bytes > 0 && !was_paused {
            self.wait_for_pause(id, now_ms);
        }
        self.report(&path, None);
    }

    /// What is unfinished at `id` will be complete when nothing comes for a while.
    fn wait_for_pause(&mut self, id: CursorId, now_ms: i64) {
        let pause_ms = match (self.options.framing, &self.options.multiline) {
            (Framing::Whole, _) => WHOLE_SETTLED_MS,
            (Framing::Lines, Some(multiline)) => multiline.timeout.as_millis() as i64,
            (Framing::Lines, None) => return,
        };
        if let Some(cursor) = self.cursors.get_mut(&id) {
            let at_ms = now_ms.saturating_add(pause_ms);
            cursor.pause_at_ms = Some(at_ms);
            self.pauses.insert((at_ms, id));
        }
    }

    /// Makes sure that the file of `id` is open, and is the one it was.
    fn open_file(&mut self, id: CursorId) -> Result<(), NoTurn> {
        self.handle_uses += 1;
        if let Some(handle) = self.handles.get_mut(&id) {
            handle.used = self.handle_uses;
            return Ok(());
        }
        let Some(cursor) = self.cursors.get(&id) else { return Ok(()) };
        let mut content =
            Content::open(cursor.path(), cursor.limit, self.options.compression, &self.codecs)?;
        let (found, stamp) = content.identify()?;
        if found != cursor.saved.id {
            return Err(NoTurn::Failed(io::ErrorKind::NotFound.into()));
        }
        if stamp.size.saturating_sub(cursor.saved.position) > FULL_BYTES as u64 {
            content.will_read_on();
        }
        let Saved { position, fingerprint, .. } = cursor.saved;
        if content.is_compressed() && !content.is_the_one(&fingerprint, position)? {
            return Err(NoTurn::Replaced);
        }
        self.keep_open(id, content);
        Ok(())
    }

    /// Keeps `content` open for `id`; the one used longest ago is closed for it.
    pub(super) fn keep_open(&mut self, id: CursorId, content: Content) {
        while self.handles.len() >= HANDLES_MAX
            && let Some((&oldest, _)) = self.handles.iter().min_by_key(|(_, handle)| handle.used)
        {
            self.handles.remove(&oldest);
        }
        let decoder = (self.new_decoder)();
        self.handles.insert(id, Handle { content, decoder, used: self.handle_uses });
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

fn leave<K: std::hash::Hash + Eq + Clone>(
    index: &mut HashMap<K, BTreeSet<CursorId>>,
    name: &K,
    id: CursorId,
) {
    if let Some(members) = index.get_mut(name) {
        members.remove(&id);
        if members.is_empty() {
            index.remove(name);
        }
    }
}
