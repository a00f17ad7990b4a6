//! `after`: what happens to a file that was read to its end, once that is durable.
//!
//! A file goes when all of this holds: its last record, and the position behind it, are durable;
//! it is the file that was read, with the size and time of modification it had then; in a drain it
//! was read to the end that was fixed at the start, otherwise nobody has written to it for
//! [`SETTLED_MS`]. All of it is asked again right before. A file that somebody keeps open and
//! writes to more rarely than that must not be given to `after`: point `include` at its rotated
//! names.
//!
//! A kill between *durable* and this leaves the file; the next start finds it read to its end and
//! durable, and disposes of it. A kill between this and the deletion of its state leaves state
//! whose file is gone, which is forgotten in time.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use towpath_sdk::{Error, StateChange};

use super::content::identify;
use super::cursor::{Cursor, CursorId};
use super::follower::Follower;
use crate::config::After;

/// A followed file is complete when nobody has written to it for so long.
const SETTLED_MS: i64 = 60_000;

impl Follower {
    /// Disposes of what was read to its end in the first `acked` batches. The state of those files
    /// is to be deleted then.
    pub fn dispose(&mut self, acked: u64, now_ms: i64) -> Vec<StateChange> {
        if self.options.after == After::Keep {
            return Vec::new();
        }
        let due: Vec<CursorId> = self
            .finished
            .iter()
            .copied()
            .filter(|id| !self.is_dirty(*id))
            .filter(|id| {
                self.cursors
                    .get(id)
                    .is_some_and(|cursor| self.is_due(cursor, acked, now_ms))
            })
            .collect();
        let mut changes = Vec::new();
        for id in due {
            let Some(cursor) = self.cursors.get(&id) else {
                continue;
            };
            let path = cursor.path().to_owned();
            match dispose_of(cursor, &self.options.after) {
                Ok(true) => {
                    self.report(&path, None);
                    changes.extend(self.remove(id).map(StateChange::delete));
                }
                Ok(false) => {
                    self.finished.remove(&id);
                }
                Err(error) => {
                    let doing = if self.options.after == After::Delete {
                        "delete"
                    } else {
                        "move"
                    };
                    let error = Error::transient(doing, path.display())
                        .because(error)
                        .remedy("it was read; it is tried again until it works");
                    self.report(&path, Some(&error));
                }
            }
        }
        changes
    }

    fn is_due(&self, cursor: &Cursor, acked: u64, now_ms: i64) -> bool {
        let settled = self.draining || now_ms - cursor.stamp.modified_ms() > SETTLED_MS;
        let durable = cursor.batch <= acked;
        settled && durable && cursor.is_at_end() && cursor.saved.position > 0 && !cursor.is_gone()
    }
}

/// `false` when the file is not, or not any more, the one that was read.
fn dispose_of(cursor: &Cursor, after: &After) -> io::Result<bool> {
    let path = cursor.path();
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(false);
    };
    let (id, stamp) = identify(&metadata);
    let unchanged = cursor
        .saved
        .end
        .is_some_and(|end| stamp.is_unwritten_since(&end));
    if id != cursor.saved.id || !unchanged {
        return Ok(false);
    }
    match after {
        After::Keep => {}
        After::Delete => std::fs::remove_file(path)?,
        After::Move(folder) => move_into(folder, path)?,
    }
    Ok(true)
}

/// Moves `path` into `folder`, under a name that is free there.
fn move_into(folder: &Path, path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    for number in 0u32.. {
        let mut free = name.to_owned();
        if number > 0 {
            free.push(format!(".{number}"));
        }
        let target: PathBuf = folder.join(free);
        match rustix::fs::renameat_with(CWD, path, CWD, &target, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) => {}
            Err(rustix::io::Errno::XDEV) => {
                return Err(io::Error::other("the folder is on another file system"));
            }
            result => return Ok(result?),
        }
    }
    Err(io::Error::other("no name is free in the folder"))
}
