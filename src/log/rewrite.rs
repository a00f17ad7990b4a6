//! Writes the records of some segments that compaction keeps to one new file.
//!
//! The batches of the file tile the offsets of the segments: each begins where the one before
//! ended, and the last one ends where the segments did. When no record is kept, the file is empty.

use std::path::Path;

use towpath_record::{Batch, BatchBuilder, BatchError, Record};

use crate::LogError;
use crate::compaction::{Known, Pass};
use crate::partition::Segment;
use crate::segment::Walk;
use crate::storage::File;

/// A batch is closed when it has this size.
const BATCH_BYTES: usize = 1 << 20;
/// Unsynced bytes at most, so that a commit's sync does not wait for many.
pub(crate) const UNSYNCED_BYTES: u64 = 8 << 20;

/// What was written.
#[derive(Clone, Copy)]
pub(crate) struct Rewritten {
    pub length: u64,
    pub records: u64,
    pub timestamp_ms_max: i64,
}

/// Writes what is kept of `segments` to a new file at `path`, and makes it durable. An error leaves
/// the file as it is; one of a sync ends the log.
pub(crate) fn write(
    pass: &Pass<'_>,
    segments: &[Segment],
    known: &Known,
    path: &Path,
) -> Result<Rewritten, LogError> {
    let shared = pass.log.shared();
    let file = {
        let _files = pass.log.files();
        // One left by an attempt for which the disk was full.
        let _ = shared.storage.remove(path);
        shared.storage.create(path)
    };
    let file = file.map_err(|error| LogError::io("create", path, error))?;
    // It begins only if what it writes fits.
    let bytes = segments.iter().map(|segment| segment.length).sum();
    file.allocate(bytes)
        .map_err(|error| LogError::io("allocate space in", path, error))?;
    let mut output = Output {
        file: &*file,
        path,
        builder: BatchBuilder::with_capacity(BATCH_BYTES + BATCH_BYTES / 4),
        base: segments[0].base,
        unsynced: 0,
        written: Rewritten {
            length: 0,
            records: 0,
            timestamp_ms_max: i64::MIN,
        },
    };
    let sync_failed = |error| shared.fail(LogError::io("sync", path, error));
    for segment in segments {
        let input = pass.open(segment)?;
        let mut walk = Walk::new(&input, 0, segment.base, segment.length);
        while let Some(batch) = walk.batch()? {
            pass.log.inner.compacting.go_on()?;
            output.take(pass, known, &batch)?;
            if output.unsynced >= UNSYNCED_BYTES {
                output.unsynced = 0;
                file.sync().map_err(sync_failed)?;
            }
        }
    }
    output.close_batch(segments[segments.len() - 1].end)?;
    let written = output.written;
    file.set_len(written.length)
        .map_err(|error| LogError::io("cut", path, error))?;
    file.sync().map_err(sync_failed)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let synced = shared.storage.sync_dir(dir);
    synced.map_err(|error| shared.fail(LogError::io("sync", dir, error)))?;
    Ok(written)
}

/// Whether a record stays.
///
/// One with a null value has done its work once each key stands once below it and a pass has kept
/// it, and every open table has come past it: older records of its key are gone, so who begins to
/// read sees none. But the last record of a partition stays, so that a reader comes to the
/// partition's end.
fn is_kept(pass: &Pass<'_>, known: &Known, record: &Record<'_>) -> bool {
    let offset = record.offset as u64;
    let Some(key) = record.key.filter(|_| offset < known.end) else {
        return true;
    };
    match known.newest.get(key) {
        Some(newest) if newest > offset => false,
        _ => {
            let may_go = offset < pass.clean.min(pass.unread) && offset + 1 != pass.end;
            record.value.is_some() || !may_go
        }
    }
}

struct Output<'a> {
    file: &'a dyn File,
    path: &'a Path,
    builder: BatchBuilder,
    /// Offset at which the next batch begins.
    base: u64,
    unsynced: u64,
    written: Rewritten,
}

impl Output<'_> {
    fn take(&mut self, pass: &Pass<'_>, known: &Known, batch: &Batch) -> Result<(), LogError> {
        for record in batch.records() {
            let record = record.map_err(|error| self.wrong(error))?;
            if !is_kept(pass, known, &record) {
                continue;
            }
            let offset = record.offset as u64;
            // Only now: the last batch of all must reach to the end of the segments.
            if self.builder.size_bytes() >= BATCH_BYTES {
                self.close_batch(offset)?;
            }
            self.skip_to(offset);
            let copied = self.builder.copy(&record);
            copied.map_err(|error| self.wrong(error))?;
            self.written.records += 1;
        }
        Ok(())
    }

    /// Ends the batch before offset `end` and writes it.
    fn close_batch(&mut self, end: u64) -> Result<(), LogError> {
        self.skip_to(end);
        let Some(batch) = self.builder.finish_at(self.base as i64) else {
            return Ok(());
        };
        let bytes = batch.as_bytes();
        let written = self.file.write_at(self.written.length, &[bytes]);
        written.map_err(|error| LogError::io("write to", self.path, error))?;
        let newest = batch.header().max_timestamp_ms;
        self.written.timestamp_ms_max = self.written.timestamp_ms_max.max(newest);
        self.written.length += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        self.base = end;
        Ok(())
    }

    /// The next record gets `offset`; a batch spans fewer offsets than its deltas can say.
    fn skip_to(&mut self, offset: u64) {
        self.builder.skip_to((offset - self.base) as u32);
    }

    fn wrong(&self, error: BatchError) -> LogError {
        LogError::damaged(format!("cannot write {}: {error}", self.path.display()))
    }
}
