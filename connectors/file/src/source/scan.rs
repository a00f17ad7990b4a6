//! Looking at the file system: new files, grown ones, renamed, truncated and vanished ones.

use std::path::Path;

use super::content::{Content, Stamp, identify};
use super::cursor::{CursorId, has_packed_name, task_of};
use super::finder::Found;
use super::follower::Follower;
use super::kinship::Kin;
use super::saved::Saved;

/// A vanished file's handle is kept for so long: its writer may write on.
pub const LINGERS_MS: i64 = 60_000;
/// What is known of a content that is nowhere is kept for so long, and of so many.
const REMEMBERED_MS: i64 = 24 * 3_600_000;
const REMEMBERED_MAX: usize = 10_000;

impl Follower {
    /// Looks at everything that `include` matches. Gives the folders that were looked into.
    pub fn scan(&mut self, now_ms: i64) -> std::collections::BTreeSet<std::path::PathBuf> {
        self.scans += 1;
        self.rescan = false;
        let mut listing = self.finder.list();
        let files = std::mem::take(&mut listing.files);
        let (known, mut unknown): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|found| self.by_id.contains_key(&found.id));
        let mut others = Vec::new();
        for found in known {
            if !self.observe(&found, now_ms) {
                others.push(found);
            }
        }
        unknown.extend(others);
        self.miss(now_ms);
        let held_before = std::mem::take(&mut self.held);
        // Compressed files last: what they were made of is then known.
        unknown.sort_by_key(|found| has_packed_name(&found.path));
        let newest = self.next_cursor;
        for found in &unknown {
            if found.stamp.size == 0 || task_of(&found.path, self.tasks) != self.task {
                continue;
            }
            let held = held_before.get(&found.id);
            match held.filter(|held| self.stays_held(held, found)) {
                Some(held) => {
                    self.held.insert(found.id, *held);
                }
                None => {
                    // A drain reads what was there when it began.
                    let take_new = !self.draining || self.scans == 1 || held.is_some();
                    self.admit(found, newest, take_new, now_ms);
                }
            }
        }
        self.kindred = None;
        self.report_unmatched(&listing);
        self.report_listing(&listing);
        self.remember_less(now_ms);
        listing.folders
    }

    /// Looks at one file that was written to. Anything but a known file that has grown asks for a
    /// scan (`true`).
    pub fn touch(&mut self, path: &Path, now_ms: i64) -> bool {
        let Ok(metadata) = std::fs::metadata(path) else {
            return true;
        };
        let (id, stamp) = identify(&metadata);
        match self.by_id.get(&id).and_then(|id| self.cursors.get(id)) {
            Some(cursor) if cursor.path() == path => {
                let found = Found {
                    path: path.to_owned(),
                    id,
                    stamp,
                };
                !self.observe(&found, now_ms)
            }
            _ => true,
        }
    }

    /// Whether a file was not where it was last seen, so that a scan is due.
    pub fn wants_scan(&self) -> bool {
        self.rescan
    }

    /// Compares a known file with what is known of it. `false` when it is another one that has
    /// taken its device and inode.
    fn observe(&mut self, found: &Found, now_ms: i64) -> bool {
        let Some(&id) = self.by_id.get(&found.id) else {
            return false;
        };
        let Some(cursor) = self.cursors.get_mut(&id) else {
            return false;
        };
        cursor.scan = self.scans;
        if self.draining && self.scans == 1 {
            cursor.limit = found.stamp.size;
        }
        let renamed = cursor.saved.path != found.path;
        let before = std::mem::replace(&mut cursor.stamp, found.stamp);
        let failed_for_good =
            cursor.failed && before == found.stamp && self.handles.contains_key(&id);
        let grown = found.stamp.size.saturating_sub(before.size);
        let written = !found.stamp.is_unwritten_since(&before);
        // An inode used again looks like a rename or a write; only the content tells.
        if (renamed || written) && !self.has_content_of(id, found) {
            self.detach(id, before, now_ms);
            return false;
        }
        if let Some(cursor) = self.cursors.get_mut(&id) {
            cursor.saved.path.clone_from(&found.path);
        }
        if !self.draining {
            self.known_bytes += grown;
        }
        let Some(cursor) = self.cursors.get(&id) else {
            return false;
        };
        if written {
            self.stir(id);
        } else if !failed_for_good
            && (cursor.failed || (before != found.stamp && !cursor.is_at_end()))
        {
            self.enqueue(id);
        }
        true
    }

    /// Whether `found` has the content of `id`; also when that cannot be told, as it cannot be
    /// read now. Keeps it open.
    pub(super) fn has_content_of(&mut self, id: CursorId, found: &Found) -> bool {
        let Some(cursor) = self.cursors.get(&id) else {
            return false;
        };
        let Saved {
            fingerprint,
            position,
            ..
        } = cursor.saved;
        if let Some(handle) = self
            .handles
            .get_mut(&id)
            .filter(|handle| !handle.content.is_compressed())
            && handle
                .content
                .identify()
                .is_ok_and(|(open, _)| open == found.id)
        {
            return handle
                .content
                .is_the_one(&fingerprint, position)
                .unwrap_or(true);
        }
        let opened = Content::open(
            &found.path,
            cursor.limit,
            self.options.compression,
            &self.codecs,
        );
        let Ok(mut content) = opened else { return true };
        match (
            content.identify(),
            content.is_the_one(&fingerprint, position),
        ) {
            (Ok((open, _)), Ok(same)) if open == found.id => {
                if same {
                    self.keep_open(id, content);
                }
                same
            }
            // A stream that ends or breaks in front of the position has not what was read there.
            (Ok(_), Err(error)) => error.raw_os_error().is_some(),
            _ => true,
        }
    }

    /// Deals with cursors whose file this scan has not found.
    fn miss(&mut self, now_ms: i64) {
        let missed: Vec<CursorId> = self
            .cursors
            .iter()
            .filter(|(_, cursor)| cursor.scan != self.scans)
            .map(|(id, _)| *id)
            .collect();
        for id in missed {
            let Some(cursor) = self.cursors.get_mut(&id) else {
                continue;
            };
            if cursor.saved.gone_ms.is_none() {
                cursor.saved.gone_ms = Some(now_ms);
                self.by_id.remove(&cursor.saved.id);
                self.finished.remove(&id);
                if !self.handles.contains_key(&id) && !cursor.is_at_end() {
                    let unread = cursor.stamp.size.saturating_sub(cursor.saved.position);
                    let path = cursor.path().display();
                    tracing::warn!(%path, unread, "vanished before all of it was read");
                }
                if !self.handles.contains_key(&id) && cursor.saved.position == 0 {
                    self.remove(id);
                    continue;
                }
                self.save(id);
            }
            self.follow_vanished(id, now_ms);
        }
    }

    /// Reads a vanished file on as long as its handle is kept, and closes that at last.
    fn follow_vanished(&mut self, id: CursorId, now_ms: i64) {
        let (Some(cursor), Some(handle)) = (self.cursors.get_mut(&id), self.handles.get(&id))
        else {
            return;
        };
        let Ok((_, stamp)) = handle.content.identify() else {
            return;
        };
        if cursor.last_turn {
            if !cursor.queued {
                self.handles.remove(&id);
            }
        } else if stamp.size != cursor.stamp.size || !cursor.is_at_end() && !cursor.failed {
            let quiet = stamp.size == cursor.stamp.size;
            cursor.stamp = stamp;
            if quiet
                && cursor
                    .saved
                    .gone_ms
                    .is_some_and(|since| now_ms - since > LINGERS_MS)
            {
                cursor.last_turn = true;
            }
            self.enqueue(id);
        } else if cursor
            .saved
            .gone_ms
            .is_some_and(|since| now_ms - since > LINGERS_MS)
        {
            self.handles.remove(&id);
        }
    }

    /// Takes in a file that no cursor has, if new ones are taken, or finds the one that goes on
    /// with it.
    pub(super) fn admit(&mut self, found: &Found, newest: CursorId, take_new: bool, now_ms: i64) {
        match self.kin(found, newest, now_ms) {
            Kin::Continues(id, content) => self.go_on_with(id, found, content),
            Kin::Held(held) => {
                self.held.insert(found.id, held);
            }
            Kin::None if take_new => self.take_new(found),
            Kin::None => {}
        }
    }

    /// Begins with a new file. Its first bytes are looked at here and now, so that it is told from
    /// one that takes its place before it is read.
    fn take_new(&mut self, found: &Found) {
        let limit = self.limit_of(found.stamp);
        let id = self.add_new(found, limit);
        self.enqueue(id);
        let opened = Content::open(&found.path, limit, self.options.compression, &self.codecs);
        let known = opened.and_then(|mut content| {
            let same = content.identify()?.0 == found.id;
            Ok(same.then_some((content.fingerprint(0)?, content)))
        });
        // Where this fails the turn fails, and says so.
        if let (Ok(Some((fingerprint, content))), Some(cursor)) = (known, self.cursors.get_mut(&id))
        {
            cursor.saved.fingerprint = fingerprint;
            self.keep_open(id, content);
        }
    }

    /// How far a file is read: in a drain to where its end is now.
    pub(super) fn limit_of(&self, stamp: Stamp) -> u64 {
        if self.draining { stamp.size } else { u64::MAX }
    }

    /// The content of `id` is in another file now.
    fn go_on_with(&mut self, id: CursorId, found: &Found, content: Content) {
        tracing::debug!(path = %found.path.display(), "goes on with a file that was read before");
        let limit = self.limit_of(found.stamp);
        let Some(cursor) = self.cursors.get_mut(&id) else {
            return;
        };
        cursor.saved.path.clone_from(&found.path);
        let before = std::mem::replace(&mut cursor.saved.id, found.id);
        cursor.saved.gone_ms = None;
        cursor.saved.end = None;
        cursor.stamp = found.stamp;
        cursor.limit = limit;
        cursor.last_turn = false;
        cursor.scan = self.scans;
        if self.by_id.get(&before) == Some(&id) {
            // That file is still there, and is nobody's now.
            self.by_id.remove(&before);
            self.rescan = true;
        }
        self.by_id.insert(found.id, id);
        self.keep_open(id, content);
        self.save(id);
        self.stir(id);
    }

    /// Forgets contents that have been nowhere for long, and the oldest when there are too many.
    fn remember_less(&mut self, now_ms: i64) {
        let mut gone: Vec<(i64, CursorId)> = self
            .cursors
            .iter()
            .filter_map(|(id, cursor)| Some((cursor.saved.gone_ms?, *id)))
            .filter(|(_, id)| !self.handles.contains_key(id))
            .collect();
        gone.sort_unstable();
        let surplus = gone.len().saturating_sub(REMEMBERED_MAX);
        for (at, (since_ms, id)) in gone.into_iter().enumerate() {
            if at < surplus || now_ms - since_ms > REMEMBERED_MS {
                self.forget(id);
            }
        }
    }
}
