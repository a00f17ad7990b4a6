//! What goes wrong with single files: replaced and truncated ones, ones that cannot be read. None
//! of it stops the others; all of it is reported, and tried again.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use towpath_sdk::Error;

use super::content::{Stamp, identify};
use super::cursor::CursorId;
use super::finder::{Found, Listing};
use super::follower::Follower;
use super::scan::LINGERS_MS;
use crate::config::After;

/// A drain looks so often for files that are not where they were.
const DRAIN_SCANS_MAX: u64 = 10;

impl Follower {
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

    /// The file of `id` has another content now: truncated, or its inode was used again.
    pub(super) fn replaced(&mut self, id: CursorId, now_ms: i64) {
        let Some(cursor) = self.cursors.get(&id) else {
            return;
        };
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
        let Some(cursor) = self.cursors.get_mut(&id) else {
            return;
        };
        let file = cursor.saved.id;
        let path = cursor.saved.path.clone();
        let position = cursor.saved.position;
        if position == 0 {
            // Nothing of it was given out: as if it had never been.
            self.remove(id);
            return;
        }
        cursor.saved.gone_ms.get_or_insert(now_ms);
        let unread = if cursor.is_at_end() {
            0
        } else {
            before.size.saturating_sub(position)
        };
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
        self.report(&path, Some(&error));
    }

    /// Reading `id` failed.
    pub(super) fn cannot_read(&mut self, id: CursorId, error: io::Error, now_ms: i64) {
        let Some(cursor) = self.cursors.get_mut(&id) else {
            return;
        };
        let path = cursor.saved.path.clone();
        cursor.failed = true;
        if error.kind() == io::ErrorKind::NotFound
            && !(self.draining && self.scans >= DRAIN_SCANS_MAX)
        {
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

    /// Says which globs match nothing at the start, and each that does later. Where files are taken
    /// away once they are read, there being none is as it should be.
    pub(super) fn report_unmatched(&mut self, listing: &Listing) {
        if self.scans == 1 && self.task == 0 && self.options.after == After::Keep {
            self.unmatched.clone_from(&listing.unmatched);
            let remedy = if self.draining {
                // It says itself which named files are missing.
                let missing = |glob: &String| listing.missing.iter().any(|path| path == glob);
                self.unmatched.retain(|glob| !missing(glob));
                "check `include`"
            } else {
                "check `include`; files that appear later are read"
            };
            for glob in &self.unmatched {
                let error = Error::transient("find", format!("a file that matches {glob}"));
                self.health.report(glob, Some(&error.remedy(remedy)));
            }
        }
        let health = &self.health;
        self.unmatched.retain(|glob| {
            let still = listing.unmatched.contains(glob);
            if !still {
                health.report(glob, None);
            }
            still
        });
    }

    pub(super) fn report_listing(&mut self, listing: &Listing) {
        let named = listing
            .problems
            .iter()
            .map(|(path, error)| (path, error.to_string()));
        let missing = self.draining && self.scans == 1 && self.options.after == After::Keep;
        let missing = listing.missing.iter().filter(|_| missing);
        let missing = missing.map(|path| (path, "there is no such file".to_owned()));
        let found: Vec<_> = named.chain(missing).collect();
        for (path, why) in &found {
            self.report(
                path,
                Some(&Error::transient("read", path.display()).because(why.clone())),
            );
        }
        for path in &listing.refused {
            let error = Error::configuration("read", path.display())
                .because("it is not a regular file")
                .remedy("leave it out with `exclude`");
            self.health
                .report(&path.display().to_string(), Some(&error));
        }
        if !self.draining && !self.problems.is_empty() {
            let files: BTreeSet<&Path> = self
                .cursors
                .values()
                .filter(|cursor| !cursor.is_gone())
                .map(|c| c.path())
                .collect();
            let over = self.problems.keys().filter(|path| {
                !files.contains(path.as_path()) && !found.iter().any(|(found, _)| *found == *path)
            });
            for path in over.cloned().collect::<Vec<_>>() {
                self.report(&path, None);
            }
        }
    }
}
