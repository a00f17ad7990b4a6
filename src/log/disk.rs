//! The production storage: Linux files through `rustix`, private to the user (0700, 0600).

use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{FallocateFlags, FlockOperation};

use crate::storage::{Clock, DirEntry, File, Lock, Storage};

/// The local file system.
#[derive(Debug, Default)]
pub struct Disk;

struct DiskFile(std::fs::File);

struct DiskLock {
    /// Closing it releases the lock.
    _file: std::fs::File,
}

impl Lock for DiskLock {}

fn options() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    options
        .read(true)
        .mode(0o600)
        .custom_flags(flags.bits() as i32);
    options
}

impl Storage for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() || kind.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                entries.push(DirEntry {
                    name,
                    is_dir: kind.is_dir(),
                });
            }
        }
        Ok(entries)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(DiskFile(
            options().write(true).create_new(true).open(path)?,
        )))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn File>> {
        Ok(Box::new(DiskFile(options().write(write).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path, text: &str) -> io::Result<Result<Box<dyn Lock>, String>> {
        let mut file = options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)?;
                return Ok(Err(holder));
            }
            Err(error) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        Ok(Ok(Box::new(DiskLock { _file: file })))
    }

    fn boot_id(&self) -> io::Result<String> {
        Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
            .trim()
            .to_owned())
    }
}

impl File for DiskFile {
    fn read_at(&self, at: u64, length: usize, into: &mut Vec<u8>) -> io::Result<usize> {
        if length == 0 {
            return Ok(0);
        }
        let start = into.len();
        into.reserve(length);
        while into.len() < start + length {
            let done = into.len() - start;
            let before = into.len();
            let read = if into.capacity() - before > length - done {
                // Reading into all the spare room could pass `length`: read a bounded slice.
                into.resize(start + length, 0);
                let result = rustix::io::pread(&self.0, &mut into[before..], at + done as u64);
                into.truncate(before + *result.as_ref().unwrap_or(&0));
                result
            } else {
                let room = rustix::buffer::spare_capacity(into);
                rustix::io::pread(&self.0, room, at + done as u64)
            };
            match read {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(into.len() - start)
    }

    fn write_at(&self, at: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = slices.as_mut_slice();
        let mut at = at;
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match rustix::io::pwritev(&self.0, slices, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, length) {
            Ok(()) => Ok(()),
            // A file system without it: the file grows by writing, and by this.
            Err(rustix::io::Errno::OPNOTSUPP) if self.size()? < length => self.set_len(length),
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
