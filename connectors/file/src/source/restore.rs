//! The beginning: cursors from the committed state, and where to begin in files that are there at
//! the first start.

use std::io;
use std::sync::Arc;

use towpath_sdk::config::{Framing, Start};
use towpath_sdk::framing::LineState;
use towpath_sdk::{Error, Result, SourceContext, StateChange};

use super::content::{Content, Stamp};
use super::cursor::{Cursor, CursorId, task_of};
use super::fingerprint::Fingerprint;
use super::follower::Follower;
use super::saved::{FILE_PREFIX, Saved, number_of, start_key};
use crate::config::{After, FileSourceOptions};

/// Looked through at a time for the last newline of a file.
const STEP_BYTES: usize = 64 << 10;

impl Follower {
    /// Takes up the committed state and scans for the first time. The changes must be committed
    /// before anything is read: where `start` has said to begin.
    pub fn open(
        options: Arc<FileSourceOptions>,
        context: &SourceContext,
        now_ms: i64,
    ) -> Result<(Self, Vec<StateChange>)> {
        if let After::Move(folder) = &options.after {
            make_folder(folder)?;
        }
        let finder = options.finder();
        let start = options.start;
        let mut follower = Self::empty(options, finder, context);
        for (key, value) in context.state.scan(FILE_PREFIX.as_bytes()) {
            if let Some(number) = number_of(context.task, &key) {
                follower.next_number = follower.next_number.max(number + 1);
            }
            let saved = Saved::decode(&key, &value)?;
            if task_of(&saved.origin, context.tasks) == context.task {
                follower.resume(key, saved);
            }
        }
        follower.scan(now_ms);
        let begun = context.state.get(&start_key(context.task)).is_some();
        let mut changes = Vec::new();
        if start != Start::Earliest && !begun {
            follower.begin(start, now_ms)?;
            changes = follower.take_changes();
            changes.push(StateChange::put(
                start_key(context.task),
                now_ms.to_string(),
            ));
        }
        Ok((follower, changes))
    }

    /// A cursor from its state. Its file is found by the scan that follows.
    fn resume(&mut self, key: bytes::Bytes, saved: Saved) {
        // What it looked like at its end; it is read when it looks different now.
        let stamp = saved.end.unwrap_or(Stamp {
            size: saved.position,
            ..Stamp::default()
        });
        let limit = if self.draining { 0 } else { u64::MAX };
        let at_end = saved.end.is_some();
        self.known_bytes += saved.position;
        self.done_bytes += saved.position;
        let id = self.add(Cursor::new(key, saved, stamp, limit));
        if at_end {
            self.finished.insert(id);
        }
    }

    /// Applies `start` to the files that are there now and were never seen before.
    fn begin(&mut self, start: Start, now_ms: i64) -> Result<()> {
        let since_ms = match start {
            Start::Earliest => return Ok(()),
            Start::Latest => i64::MAX,
            Start::At(moment_ms) => moment_ms,
            Start::Ago(age) => now_ms.saturating_sub(age.0.as_millis() as i64),
        };
        let ids: Vec<CursorId> = self.cursors.keys().copied().collect();
        for id in ids {
            let Some(cursor) = self.cursors.get(&id) else {
                continue;
            };
            let old = cursor.stamp.modified_ms() < since_ms;
            if !old || cursor.saved.position > 0 || cursor.is_gone() {
                continue;
            }
            let path = cursor.path().to_owned();
            let end = self.end_of(id).map_err(|error| {
                Error::transient("find the end of", path.display())
                    .because(error)
                    .remedy("make it readable, or leave it out with `exclude`")
            })?;
            let Some(cursor) = self.cursors.get_mut(&id) else {
                continue;
            };
            (
                cursor.saved.position,
                cursor.saved.line,
                cursor.saved.fingerprint,
            ) = end;
            self.done_bytes += cursor.saved.position;
            self.save(id);
        }
        Ok(())
    }

    /// Where the content of `id` ends, behind its last whole line.
    fn end_of(&self, id: CursorId) -> io::Result<(u64, LineState, Fingerprint)> {
        let Some(cursor) = self.cursors.get(&id) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let compression = self.options.compression;
        let mut content = Content::open(cursor.path(), cursor.limit, compression, &self.codecs)?;
        let (mut position, mut line) = (content.end()?, LineState::Start);
        if !content.is_compressed() && self.options.framing == Framing::Lines {
            match last_newline(&mut content, position, self.options.max_line.0)? {
                Some(newline) => position = newline + 1,
                None if position > self.options.max_line.0 => line = LineState::Skip,
                None => position = 0,
            }
        }
        Ok((position, line, content.fingerprint(position)?))
    }
}

/// The last newline in front of `end`, if it is among the last `most` bytes.
fn last_newline(content: &mut Content, end: u64, most: u64) -> io::Result<Option<u64>> {
    let mut to = end;
    while to > end.saturating_sub(most.saturating_add(1)) {
        let from = to.saturating_sub(STEP_BYTES as u64);
        let step = content.read_range(from, (to - from) as usize)?;
        if let Some(at) = memchr::memrchr(b'\n', &step) {
            return Ok(Some(from + at as u64));
        }
        to = from;
    }
    Ok(None)
}

fn make_folder(folder: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| {
            Error::configuration(
                "make the folder that read files are moved to",
                folder.display(),
            )
            .because(error)
            .remedy("make it yourself, or set `after` to another folder")
        })
}
