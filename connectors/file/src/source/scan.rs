//! Looking at the file system: new files, grown ones, renamed, truncated and vanished ones.

use std::io;
use std::path::Path;

use towpath_sdk::Error;

use super::content::{Content, Stamp, identify};
use super::cursor::{CursorId, task_of};
use super::finder::{Found, Listing};
use super::follower::Follower;
use super::kinship::Kin;
use super::saved::Saved;
use crate::config::After;

/// A vanished file's handle is kept for so long: its writer may write on.
const LINGERS_MS: i64 = 60_000;
/// What is known of a content that is nowhere is kept for so long, and of so many.
const REMEMBERED_MS: i64 = 24 * 3_600_000;
const REMEMBERED_MAX: usize = 10_000;

/// A drain looks so often for files that are not where they were.
const DRAIN_SCANS_MAX: u64 = 10;

impl Follower {
    /// Looks at everything that `include` matches. Gives the folders that were looked into.
    pub fn scan(&mut self, now_ms: i64) -> std::collections::BTreeSet<std::path::PathBuf> {
        self.scans += 1;
        self.rescan = false;
        let mut listing = self.finder.list();
        let files = std::mem::take(&mut listing.files);
        let (known, mut unknown): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|found| self.by_id.contains_key(&found.id));
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
        let is_packed = |found: &Found| {
            found.path.extension().is_some_and(|ending| ending == "gz" || ending == "zst")
        };
        unknown.sort_by_key(is_packed);
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
        self.report_listing(&listing);
        self.remember_less(now_ms);
        listing.folders
    }

    /// Looks at one file that was written to. Anything but a known file that has grown asks for a
    /// scan (`true`).
    pub fn touch(&mut self, path: &Path, now_ms: i64) -> bool {
        let Ok(metadata) = std::fs::metadata(path) else { return true };
        let (id, stamp) = identify(&metadata);
        match self.by_id.get(&id).and_then(|id| self.cursors.get(id)) {
            Some(cursor) if cursor.path() == path => {
                let found = Found { path: path.to_owned(), id, stamp };
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
        let Some(&id) = self.by_id.get(&found.id) else { return false };
        let Some(cursor) = self.cursors.get_mut(&id) else { return false };
        cursor.scan = self.scans;
        if self.draining && self.scans == 1 {
            cursor.limit = found.stamp.size;
        }
        let renamed = cursor.saved.path != found.path;
        let before = std::mem::replace(&mut cursor.stamp, found.stamp);
        let failed_for_good = cursor.failed && before == found.stamp && self.handles.contains_key(&id);
        let grown = found.stamp.size.saturating_sub(before.size);
        let written = !found.stamp.is_unwritten_since(&before);
        // An inode used again looks like a rename or a write; only the content tells.
        if (renamed || written) && !self.has_content_of(id, found) {
            self.detach(id, before, now_ms);
            return false;
        }
        if renamed {
            self.rename(id, &found.path);
        }
        if !self.draining {
            self.known_bytes += grown;
        }
        let Some(cursor) = self.cursors.get(&id) else { return false };
        if written {
            self.stir(id);
        } else if !failed_for_good && (cursor.failed || (before != found.stamp && !cursor.is_at_end())) {
            self.enqueue(id);
        }
        true
    }

    /// Whether `found` has the content of `id`; also when that cannot be told, as it cannot be
    /// read now. Keeps it open.
    pub(super) fn has_content_of(&mut self, id: CursorId, found: &Found) -> bool {
        let Some(cursor) = self.cursors.get(&id) else { return false };
        let Saved { fingerprint, position, .. } = cursor.saved;
        if let Some(handle) = self.handles.get_mut(&id).filter(|handle| !handle.content.is_compressed())
            && handle.content.identify().is_ok_and(|(open, _)| open == found.id)
        {
            return handle.content.is_the_one(&fingerprint, position).unwrap_or(true);
        }
        let opened =
            Content::open(&found.path, cursor.limit, self.options.compression, &self.codecs);
        let Ok(mut content) = opened else { return true };
        match (content.identify(), content.is_the_one(&fingerprint, position)) {
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
            let Some(cursor) = self.cursors.get_mut(&id) else { continue };
            if cursor.saved.gone_ms.is_none() {
                cursor.saved.gone_ms = Some(now_ms);
                eprintln!("  missed {id} {:?}", cursor.saved);
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
        let (Some(cursor), Some(handle)) = (self.cursors.get_mut(&id), self.handles.get(&id)) else {
            return;
        };
        let Ok((_, stamp)) = handle.content.identify() else { return };
        if cursor.last_turn {
            if !cursor.queued {
                self.handles.remove(&id);
            }
        } else if stamp.size != cursor.stamp.size || !cursor.is_at_end() && !cursor.failed {
            let quiet = stamp.size == cursor.stamp.size;
            cursor.stamp = stamp;
            if quiet && cursor.saved.gone_ms.is_some_and(|since| now_ms - since > LINGERS_MS) {
                cursor.last_turn = true;
            }
            self.enqueue(id);
        } else if cursor.saved.gone_ms.is_some_and(|since| now_ms - since > LINGERS_MS) {
            self.handles.remove(&id);
        }
    }

    /// Takes in a file that no cursor has, if new ones are taken, or finds the one that goes on
    /// with it.
    fn admit(&mut self, found: &Found, newest: CursorId, take_new: bool, now_ms: i64) {
        match self.kin(found, newest, now_ms) {
            Kin::Continues(id, content) => self.go_on_with(id, found, content),
            Kin::Held(held) => {
                eprintln!("  {found:?} {held:?}");
                self.held.insert(found.id, held);
            }
            Kin::None if take_new && { eprintln!("  new {:?} as {}", found, self.next_cursor); true } => self.take_new(found),
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
        if let (Ok(Some((fingerprint, content))), Some(cursor)) = (known, self.cursors.get_mut(&id)) {
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
        eprintln!("  {id} goes on in {found:?}");
        tracing::debug!(path = %found.path.display(), "goes on with a file that was read before");
        self.rename(id, &found.path);
        let limit = self.limit_of(found.stamp);
        let Some(cursor) = self.cursors.get_mut(&id) else { return };
        cursor.saved.id = found.id;
        cursor.saved.gone_ms = None;
        cursor.saved.end = None;
        cursor.stamp = found.stamp;
        cursor.limit = limit;
        cursor.last_turn = false;
        cursor.scan = self.scans;
        self.by_id.insert(found.id, id);
        self.keep_open(id, content);
        self.save(id);
        self.stir(id);
    }

    /// The file of `id` has another content now: truncated, or its inode was used again.
    pub(super) fn replaced(&mut self, id: CursorId, now_ms: i64) {
        let Some(cursor) = self.cursors.get(&id) else { return };
        let (path, before, file) = (cursor.saved.path.clone(), cursor.stamp, cursor.saved.id);
        let gone = cursor.is_gone();
        self.detach(id, before, now_ms);
        match std::fs::metadata(&path).map(|metadata| identify(&metadata)) {
            Ok((id, stamp)) if !gone && id == file => {
                if stamp.size > 0 {
                    self.admit(&Found { path, id, stamp }, self.next_cursor, true, now_ms);
                }
            }
            _ => self.rescan = true,
        }
    }

    /// The content of `id` is no longer in the file where it was, which had `before`.
    pub(super) fn detach(&mut self, id: CursorId, before: Stamp, now_ms: i64) {
        self.handles.remove(&id);
        let Some(cursor) = self.cursors.get_mut(&id) else { return };
        let file = cursor.saved.id;
        let path = cursor.saved.path.clone();
        let position = cursor.saved.position;
        if position == 0 {
            // Nothing of it was given out: as if it had never been.
            self.remove(id);
            return;
        }
        cursor.saved.gone_ms.get_or_insert(now_ms);
        eprintln!("  detach {id} {:?}", cursor.saved);
        let unread = if cursor.is_at_end() { 0 } else { before.size.saturating_sub(position) };
        if self.by_id.get(&file) == Some(&id) {
            self.by_id.remove(&file);
        }
        self.finished.remove(&id);
        self.save(id);
        if unread == 0 {
            tracing::info!(path = %path.display(), "was truncated or replaced after it was read");
            return;
        }
        let error = Error::transient("read on", format!("{} at byte {position}", path.display()))
            .because(format!("it was truncated or replaced before its last {unread} bytes were read"))
            .remedy("its new content is read from the beginning; what was cut off is read if rotation kept a copy that `include` matches");
        tracing::warn!("{error}");
        self.report(&path, Some(&error));
    }

    /// Reading `id` failed.
    pub(super) fn cannot_read(&mut self, id: CursorId, error: io::Error, now_ms: i64) {
        let Some(cursor) = self.cursors.get_mut(&id) else { return };
        let path = cursor.saved.path.clone();
        cursor.failed = true;
        if error.kind() == io::ErrorKind::NotFound && !(self.draining && self.scans >= DRAIN_SCANS_MAX) {
            // Renamed or deleted since it was last seen: the next scan knows.
            self.rescan |= !cursor.is_gone();
            return;
        }
        let growing = now_ms - cursor.stamp.modified_ms() < LINGERS_MS;
        // The stream has nothing more to give until the file changes; other errors may pass.
        let content_error = error.raw_os_error().is_none();
        if !content_error {
            self.handles.remove(&id);
        }
        if error.kind() == io::ErrorKind::UnexpectedEof && growing && !self.draining {
            return;
        }
        let error = Error::transient("read", path.display()).because(error);
        self.report(&path, Some(&error));
    }

    fn report_listing(&mut self, listing: &Listing) {
        let named = listing.problems.iter().map(|(path, error)| (path, error.to_string()));
        let missing = self.draining && self.scans == 1 && self.options.after == After::Keep;
        let missing = listing.missing.iter().filter(|_| missing);
        let missing = missing.map(|path| (path, "there is no such file".to_owned()));
        let found: Vec<_> = named.chain(missing).collect();
        for (path, why) in &found {
            self.report(path, Some(&Error::transient("read", path.display()).because(why.clone())));
        }
        for path in &listing.refused {
            let error = Error::configuration("read", path.display())
                .because("it is not a regular file")
                .remedy("leave it out with `exclude`");
            self.health.report(&path.display().to_string(), Some(&error));
        }
        if !self.draining {
            let files: std::collections::BTreeSet<&Path> =
                self.cursors.values().filter(|cursor| !cursor.is_gone()).map(|c| c.path()).collect();
            let over = self.problems.keys().filter(|path| {
                !files.contains(path.as_path()) && !found.iter().any(|(found, _)| *found == *path)
            });
            for path in over.cloned().collect::<Vec<_>>() {
                self.report(&path, None);
            }
        }
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
