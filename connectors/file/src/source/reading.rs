//! Reading in turns: whose turn it is, what a batch takes, what comes of a turn.
//!
//! Each file gets one turn a batch, so a new small file never waits for a large one to end. A turn
//! ends when the batch is full or the file has nothing more for now.

use std::io;

use towpath_record::BatchBuilder;
use towpath_sdk::config::Framing;
use towpath_sdk::{Part, REFUSED_MAX, Refused, Result, SourceBatch};

use super::content::{Content, Stamp};
use super::cursor::{CursorId, Handle};
use super::follower::Follower;
use super::saved::Saved;
use super::turn::{CHUNK_BYTES, NoTurn, Turn};

/// A batch is closed at this size: about 1 MiB with what a record may add.
const FULL_BYTES: usize = (1 << 20) - (32 << 10);
/// What is read of small files goes together, up to so many.
const PARTS_MAX: usize = 1024;
/// Files kept open at most. One that is deleted while it is open is read to its end.
const HANDLES_MAX: u64 = 256;
/// And at least, however few this process may open.
const HANDLES_MIN: u64 = 8;
/// A whole file is read when it was not changed for so long.
const WHOLE_SETTLED_MS: i64 = 2_000;

/// Files kept open by a process that may open `limit`: the log, the sinks and other sources open
/// files too.
pub(super) fn handles_max(limit: Option<u64>) -> usize {
    let quarter = limit.unwrap_or(u64::MAX) / 4;
    quarter.clamp(HANDLES_MIN, HANDLES_MAX) as usize
}

impl Follower {
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
            && batch.refused.len() < REFUSED_MAX
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
        self.health
            .progress(self.done_bytes, self.known_bytes.max(self.done_bytes));
        Ok(Some(batch))
    }

    /// When there may be something to do without any change to a file, milliseconds since 1970.
    pub fn deadline_ms(&self) -> Option<i64> {
        let pause = self.pauses.first().map(|(at_ms, _)| *at_ms);
        let held = self.held.values().filter_map(|held| held.until_ms).min();
        pause.into_iter().chain(held).min()
    }

    /// The next cursor in the queue that no older one of the same origin must go before: what was
    /// rotated away is read before what came after it.
    fn next_ready(&mut self) -> Option<CursorId> {
        for _ in 0..self.queue.len() {
            let id = self.queue.pop_front()?;
            let Some(cursor) = self.cursors.get(&id) else {
                continue;
            };
            let siblings = self.by_origin.get(&cursor.saved.origin);
            let waits = siblings.is_some_and(|siblings| {
                siblings
                    .range(..id)
                    .any(|older| self.cursors.get(older).is_some_and(|c| c.queued))
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
        let (Some(cursor), Some(handle)) = (self.cursors.get(&id), self.handles.get_mut(&id))
        else {
            return 0;
        };
        let Ok((_, stamp)) = handle.content.identify() else {
            return 0;
        };
        let unread = stamp.size.saturating_sub(cursor.saved.position) as usize;
        let expected = if handle.content.is_compressed() {
            room
        } else {
            unread + unread / 8 + 256
        };
        let mut builder = BatchBuilder::with_capacity(expected.min(room + CHUNK_BYTES / 4));
        let mut positions = Vec::new();
        let refused_before = batch.refused.len();
        match self.reader.turn(
            cursor,
            handle,
            (&mut builder, &mut positions),
            &mut batch.refused,
            room,
            now_ms,
        ) {
            Ok(turn) => {
                let origin = cursor.origin.clone();
                self.finish_turn(id, turn, stamp, now_ms);
                let refused = batch.refused[refused_before..].iter();
                let refused_bytes: usize = refused.map(Refused::bytes).sum();
                let size_bytes = builder.size_bytes() + refused_bytes;
                batch.parts.extend(builder.finish().map(|batch| Part {
                    origin,
                    keyed: false,
                    batch,
                    positions,
                }));
                size_bytes
            }
            Err(no_turn) => {
                let gone = batch.refused.drain(refused_before..).len();
                self.reader.take_back(gone);
                self.no_turn(id, no_turn, now_ms);
                0
            }
        }
    }

    fn no_turn(&mut self, id: CursorId, no_turn: NoTurn, now_ms: i64) {
        match no_turn {
            NoTurn::Replaced => {
                self.replaced(id, now_ms);
                self.kindred = None;
            }
            NoTurn::Failed(error) => self.cannot_read(id, error, now_ms),
        }
    }

    fn finish_turn(&mut self, id: CursorId, turn: Turn, stamp: Stamp, now_ms: i64) {
        let Some(cursor) = self.cursors.get_mut(&id) else {
            return;
        };
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
        if at_end
            && self
                .cursors
                .get(&id)
                .is_some_and(|cursor| cursor.saved.position > 0)
        {
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
        let Some(cursor) = self.cursors.get(&id) else {
            return Ok(());
        };
        let mut content = Content::open(
            cursor.path(),
            cursor.limit,
            self.options.compression,
            &self.codecs,
        )?;
        let (found, stamp) = content.identify()?;
        if found != cursor.saved.id {
            return Err(NoTurn::Failed(io::ErrorKind::NotFound.into()));
        }
        if stamp.size.saturating_sub(cursor.saved.position) > FULL_BYTES as u64 {
            content.will_read_on();
        }
        let Saved {
            position,
            fingerprint,
            ..
        } = cursor.saved;
        if content.is_compressed() && !content.is_the_one(&fingerprint, position)? {
            return Err(NoTurn::Replaced);
        }
        self.keep_open(id, content);
        Ok(())
    }

    /// Keeps `content` open for `id`; the one used longest ago is closed for it.
    pub(super) fn keep_open(&mut self, id: CursorId, content: Content) {
        while self.handles.len() >= self.handles_max
            && let Some((&oldest, _)) = self.handles.iter().min_by_key(|(_, handle)| handle.used)
        {
            self.handles.remove(&oldest);
        }
        let decoder = (self.new_decoder)();
        self.handles.insert(
            id,
            Handle {
                content,
                decoder,
                used: self.handle_uses,
            },
        );
    }

    /// What the buffer of all turns takes.
    #[cfg(test)]
    pub fn buffer_bytes(&self) -> usize {
        self.reader.buffer_bytes()
    }
}
