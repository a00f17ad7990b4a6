//! A file as it is followed: what is saved of it, and what is known of it now.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use towpath_sdk::{Decoder, Origin};

use super::content::{Content, Stamp};
use super::saved::Saved;

/// Names a cursor while the source runs; an older cursor has a smaller one.
pub type CursorId = u64;

/// One content that is read, once, wherever its file wanders.
pub struct Cursor {
    /// Of its state.
    pub key: Bytes,
    pub saved: Saved,
    pub origin: Arc<Origin>,
    /// The file as it was last seen.
    pub stamp: Stamp,
    /// Nothing behind this place on disk is read: the end that a drain has fixed.
    pub limit: u64,
    /// It may have something to read, and waits for its turn.
    pub queued: bool,
    /// Nothing came for a while: what a pause completes is complete.
    pub paused: bool,
    /// When that will be so, milliseconds since 1970.
    pub pause_at_ms: Option<i64>,
    /// Its file is given up: the next turn delivers what is unfinished.
    pub last_turn: bool,
    /// Reading failed; the next scan tries again.
    pub failed: bool,
    /// The number of the batch that has its last change, of those given out since the start.
    pub batch: u64,
    /// The scan that has found its file last.
    pub scan: u64,
}

impl Cursor {
    pub fn new(key: Bytes, saved: Saved, stamp: Stamp, limit: u64) -> Self {
        let origin = Arc::new(origin(&saved.origin));
        Self {
            key,
            saved,
            origin,
            stamp,
            limit,
            queued: false,
            paused: false,
            pause_at_ms: None,
            last_turn: false,
            failed: false,
            batch: 0,
            scan: 0,
        }
    }

    pub fn path(&self) -> &Path {
        &self.saved.path
    }

    /// No file has its content any more, as far as is known.
    pub fn is_gone(&self) -> bool {
        self.saved.gone_ms.is_some()
    }

    /// All of the file as last seen was consumed.
    pub fn is_at_end(&self) -> bool {
        self.saved
            .end
            .is_some_and(|end| self.stamp.is_unwritten_since(&end))
    }
}

/// The place that the records of the file first seen at `path` come from.
fn origin(path: &Path) -> Origin {
    use std::os::unix::ffi::OsStrExt;
    let field = Bytes::copy_from_slice(path.as_os_str().as_bytes());
    Origin {
        name: path.to_string_lossy().into_owned(),
        fields: vec![("path".into(), field)],
    }
}

/// An open file and the decoder of its records.
pub struct Handle {
    pub content: Content,
    pub decoder: Box<dyn Decoder>,
    /// When it was used last, as a running number.
    pub used: u64,
}

/// What a path's name has in common with the names rotation gives the same file: its letters.
/// `app.log`, `app.log.1`, `app-20260101.log.gz` have the same.
pub fn family(path: &Path) -> Vec<u8> {
    let name = uncompressed_name(path);
    name.bytes()
        .filter(|byte| !byte.is_ascii_digit() && !b"-_.:+~ ".contains(byte))
        .collect()
}

/// Which of `tasks` reads the file at `path`. What rotation appends to a name does not count:
/// all files of one rotation belong to one task.
pub fn task_of(path: &Path, tasks: u32) -> u32 {
    use std::os::unix::ffi::OsStrExt;
    let name = uncompressed_name(path);
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit() || "-_.:+~".contains(c));
    let folder = path
        .parent()
        .map_or(&b""[..], |folder| folder.as_os_str().as_bytes());
    let mut place = folder.to_vec();
    place.push(b'/');
    place.extend_from_slice(base.as_bytes());
    (super::fingerprint::hash(&place) % u64::from(tasks.max(1))) as u32
}

/// Whether `path` is named like a compressed file.
pub fn has_packed_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending == "gz" || ending == "zst")
}

fn uncompressed_name(path: &Path) -> String {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned();
    let bare = name
        .strip_suffix(".gz")
        .or_else(|| name.strip_suffix(".zst"));
    bare.map_or_else(|| name.clone(), str::to_owned)
}

/// How long the file's name is: rotation only adds to names.
pub fn name_bytes(path: &Path) -> usize {
    path.file_name().map_or(0, |name| name.len())
}
