//! A file as the crate's readers want it: bytes from anywhere, many times. One stretch of it, a row
//! group as a rule, is held in memory, so that a file that comes over a network is asked for only once.

use std::io::{Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use bytes::buf::{Buf, Reader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use towpath_sdk::{Content, Error, Result};

use super::decode::bad;

/// What a footer mostly fits in.
const TAIL_BYTES: u64 = 64 << 10;
/// Bytes that are read besides what is held, at most: the footer of a file of very many row groups.
const APART_BYTES_MAX: usize = 256 << 20;

/// One file, shared by its readers.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Inner>>);

struct Inner {
    content: Box<dyn Content>,
    size: u64,
    /// What is held, and where it begins.
    held: Bytes,
    held_at: u64,
    /// Why the content could not be read.
    failure: Option<Error>,
}

impl Shared {
    /// Holds the end of the file, where the footer is.
    pub(super) fn new(mut content: Box<dyn Content>) -> Result<Self> {
        let sought = content.seek(SeekFrom::End(0));
        let size = sought.map_err(|error| match error.kind() {
            std::io::ErrorKind::Unsupported => bad("it is compressed as a whole"),
            _ => unread(error),
        })?;
        let shared = Self(Arc::new(Mutex::new(Inner {
            content,
            size,
            held: Bytes::new(),
            held_at: 0,
            failure: None,
        })));
        shared.hold(size.saturating_sub(TAIL_BYTES), size)?;
        Ok(shared)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A reader that panicked has changed nothing of it by halves.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the bytes from `start` to `end`, and no others any more.
    pub(super) fn hold(&self, start: u64, end: u64) -> Result<()> {
        let mut inner = self.lock();
        if end > inner.size {
            return Err(bad("a place behind the end of the file"));
        }
        inner.held = Bytes::new();
        inner.held = inner.bytes(start, end - start)?;
        inner.held_at = start;
        Ok(())
    }

    /// Why the content could not be read, if it was that.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.lock().failure.take()
    }
}

impl Inner {
    /// Reads from the content.
    fn bytes(&mut self, start: u64, length: u64) -> Result<Bytes> {
        let mut bytes = Vec::new();
        let sought = self.content.seek(SeekFrom::Start(start));
        let read = sought.and_then(|_| {
            let content = self.content.by_ref();
            content.take(length).read_to_end(&mut bytes)
        });
        match read {
            Ok(read) if read as u64 == length => Ok(bytes.into()),
            Ok(_) => Err(bad("it ends early")),
            Err(error) => Err(unread(error)),
        }
    }

    /// What stands from `start` on: what is held, or `apart` bytes.
    fn from(&mut self, start: u64, apart: usize) -> ParquetResult<Bytes> {
        let within = start.checked_sub(self.held_at);
        let within = within.and_then(|at| usize::try_from(at).ok());
        if let Some(at) = within.filter(|at| at.saturating_add(apart) <= self.held.len()) {
            return Ok(self.held.slice(at..));
        }
        let left = self.size.saturating_sub(start);
        let apart = u64::try_from(apart.min(APART_BYTES_MAX)).unwrap_or(0);
        self.bytes(start, apart.min(left)).map_err(|error| {
            self.failure = Some(error);
            ParquetError::General("the file cannot be read".to_owned())
        })
    }
}

impl Length for Shared {
    fn len(&self) -> u64 {
        self.lock().size
    }
}

impl ChunkReader for Shared {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        // Only the eight bytes behind a footer are read so besides what is held.
        Ok(self.lock().from(start, 8)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let mut bytes = self.lock().from(start, length)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF("it ends early".to_owned()));
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn unread(error: std::io::Error) -> Error {
    Error::transient("read", "Parquet").because(error)
}
