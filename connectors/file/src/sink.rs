//! The file sink: each record once, in order, as a line of the file that `path` names.
//!
//! # State
//!
//! Of each file, under its path: an *intent* (the file may exist, and is empty then), or the file's
//! identity (device, inode, birth time, hash of the first bytes) and its committed *length*. Of a
//! rotated file that is full nothing is kept: its name never comes again.
//!
//! # What is done in which order
//!
//! A new file: commit the intent; create the folders (0700) and sync each and its parent; create
//! the file (0600, only if there is none) and sync its folder; commit its identity with length 0;
//! only then write. A commit of records: write the rest, ending the gzip member or zstd frame; see
//! that the path still leads to this file with this length; sync; then hand over offsets and
//! lengths, which become durable in one step. `open` cuts every file of this task that is longer
//! than its committed length back to it.
//!
//! # Why each record is there exactly once, whatever step is the last
//!
//! Offsets and lengths are committed together, after the bytes were synced (when one `write` changes
//! very many files, first in parts, each with its offset as state: see `ahead`). So at `open` the first
//! *length* bytes of each file are exactly the records below the committed offsets, and the rest,
//! if any, is cut before a record is written again. It is cut in every file, not only in those
//! that get records again, because `{now}` may lead a record elsewhere the second time. What
//! happens to a file that is being made:
//!
//! - before it exists: there is an intent or nothing; it is made now;
//! - after, without identity: there is an intent and an empty file, which is ours, as nothing was
//!   there when the intent was committed and nothing is written before the identity is;
//! - with identity: length 0 and a file to cut.
//!
//! With rotation a file is named by its first offset, and after a crash rotation by time may cut
//! the stream elsewhere. So whatever is left without a committed byte is removed at `open`; then
//! every stream has one file at most that is not full, because the commit that finishes a file
//! deletes its entry together with writing its successor's first length.
//!
//! A file that is not the committed one (another inode, birth or first bytes, another length after
//! the cut, gone) is never cut nor written: the task fails and says so. Files that get no record
//! may be moved, packed or deleted by anyone. A file that exists and has no entry is refused
//! (`if_exists: fail`), or its identity is committed with the length it has (`append`) before a
//! byte is written.
//!
//! `offsets reset` raises the generation. The records then come again and are appended to the known
//! files; one that is gone or replaced counts as new. With rotation every file of before counts as
//! full, so a name that comes again is refused as unknown.
//!
//! A lock (`flock`) on each open file keeps out a second writer, also what a cut-off call of an
//! earlier task may still be doing.

mod ahead;
mod config;
mod disk;
mod entry;
mod flush;
mod limits;
mod names;
mod output;
mod placing;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use towpath_sdk::{Error, Flushed, Result, Sink, SinkBatch, SinkContext};

use config::FileSinkOptions;
pub(crate) use config::sink_type;
use writer::Writer;

/// One task. The work is done by [`Writer`], which blocks, off the async threads.
pub(crate) struct FileSink {
    options: Arc<FileSinkOptions>,
    /// `None` before `open`, and while or after a call was cut off.
    writer: Option<Box<Writer>>,
}

impl FileSink {
    fn new(options: Arc<FileSinkOptions>) -> Self {
        Self {
            options,
            writer: None,
        }
    }

    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut writer = self.writer.take().ok_or_else(|| {
            Error::transient("go on with", "the file sink").because("its last call was cut off")
        })?;
        let (writer, result) = blocking(move || {
            let result = work(&mut writer);
            Ok((writer, result))
        })
        .await?;
        self.writer = Some(writer);
        result
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn open(&mut self, context: SinkContext) -> Result<()> {
        let options = self.options.clone();
        let commits = tokio::runtime::Handle::current();
        let open = move || Writer::open(&options, context, commits).map(Box::new);
        self.writer = Some(blocking(open).await?);
        Ok(())
    }

    async fn write(&mut self, batches: Vec<SinkBatch>) -> Result<()> {
        self.work(move |writer| {
            batches
                .into_iter()
                .try_for_each(|batch| writer.write(batch))
        })
        .await
    }

    async fn flush(&mut self, _end: bool) -> Result<Flushed> {
        self.work(Writer::flush).await
    }

    fn deadline(&self) -> Option<Instant> {
        self.writer.as_ref().and_then(|writer| writer.deadline())
    }
}

/// Runs `work`, which blocks, on a thread for that. It runs to its end even if nobody waits.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Error::fatal("finish", "a step of the file sink").because(error))
        })
}
