//! Bytes that wait: in memory, and on disk when there are too many of them.
//!
//! All that is on disk stands in one file without a name, so nothing is left of it after a crash,
//! and however many objects are open, one file is. What was read back is punched out of it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::PathBuf;

use towpath_sdk::{Error, Result};

/// The file, made when it is first needed.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    file: Option<File>,
    /// Where the next bytes go.
    end: u64,
    /// Bytes that will be read back.
    live: u64,
}

/// Bytes in the file.
#[derive(Debug, Clone, Copy)]
struct Extent {
    at: u64,
    length: usize,
}

impl Scratch {
    /// At `path`, which is the task's own.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            end: 0,
            live: 0,
        }
    }

    fn failed(&self, doing: &str, error: io::Error) -> Error {
        Error::transient(doing, self.path.display()).because(error)
    }

    fn file(&mut self) -> Result<&File> {
        if self.file.is_none() {
            let file = self
                .create()
                .map_err(|error| self.failed("create", error))?;
            self.file = Some(file);
        }
        self.file
            .as_ref()
            .ok_or_else(|| Error::fatal("open", self.path.display()))
    }

    /// Creates the file, and takes its name from it.
    fn create(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.mode(0o600).open(&self.path)?;
        std::fs::remove_file(&self.path)?;
        Ok(file)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<Extent> {
        let at = self.end;
        let written = self.file()?.write_all_at(bytes, at);
        written.map_err(|error| self.failed("write", error))?;
        self.end += bytes.len() as u64;
        self.live += bytes.len() as u64;
        let length = bytes.len();
        Ok(Extent { at, length })
    }

    /// Appends what stands in `extent` to `out`, and frees it.
    fn take(&mut self, extent: Extent, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.resize(start + extent.length, 0);
        let read = self.file()?.read_exact_at(&mut out[start..], extent.at);
        read.map_err(|error| self.failed("read", error))?;
        self.live -= extent.length as u64;
        if self.live == 0 {
            self.end = 0;
            let emptied = self.file()?.set_len(0);
            emptied.map_err(|error| self.failed("empty", error))?;
        } else {
            punch(self.file()?, extent);
        }
        Ok(())
    }
}

/// Gives the disk its blocks back. Where that is not known it has them until the file is empty.
#[cfg(target_os = "linux")]
fn punch(file: &File, extent: Extent) {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let _ = fallocate(file, flags, extent.at, extent.length as u64);
}

#[cfg(not(target_os = "linux"))]
fn punch(_: &File, _: Extent) {}

/// Bytes in their order: those on disk first, the others in memory.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    spilled: Vec<Extent>,
    pub(super) memory: Vec<u8>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        let spilled: usize = self.spilled.iter().map(|extent| extent.length).sum();
        spilled + self.memory.len()
    }

    /// Moves what is in memory to disk. Blocks.
    pub(super) fn spill(&mut self, scratch: &mut Scratch) -> Result<()> {
        if !self.memory.is_empty() {
            self.spilled.push(scratch.put(&self.memory)?);
        }
        self.memory = Vec::new();
        Ok(())
    }

    /// Takes all. Blocks when something is on disk.
    pub(super) fn take(&mut self, scratch: &mut Scratch) -> Result<Vec<u8>> {
        if self.spilled.is_empty() {
            return Ok(std::mem::take(&mut self.memory));
        }
        let mut bytes = Vec::with_capacity(self.len());
        for extent in self.spilled.drain(..) {
            scratch.take(extent, &mut bytes)?;
        }
        bytes.append(&mut self.memory);
        self.memory = Vec::new();
        Ok(bytes)
    }
}
