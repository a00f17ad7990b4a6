//! Every touch of the file system, each an error that names its file. In tests each can be made to
//! fail, which is how a crash at every step is tried.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use towpath_sdk::{Error, Result};

use super::entry::{HEAD_BYTES, Head, Identity};

/// The file system.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// Operations left before one fails, and all after it.
    #[cfg(test)]
    pub(super) fault: super::tests::Fault,
}

/// A regular file as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) identity: Identity,
    pub(super) length: u64,
}

impl Disk {
    /// What stands at `path`; `None` when nothing does.
    pub(super) fn find(&self, path: &str) -> Result<Option<Found>> {
        let found = self.step().and_then(|()| Path::new(path).metadata());
        match found {
            Ok(metadata) if metadata.is_file() => Ok(Some(Found::of(&metadata))),
            Ok(_) => Err(Error::configuration("write", path)
                .because("it is not a regular file")
                .remedy("move it away or change `path`")),
            // A name below a file, too, is nothing that stands there; creating it will tell.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed("look at", path, error)),
        }
    }

    /// Creates an empty file that did not exist.
    pub(super) fn create(&self, path: &str) -> Result<(File, Found)> {
        let open = || {
            self.step()?;
            let mut options = OpenOptions::new();
            let file = options
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            Ok((Found::of(&file.metadata()?), file))
        };
        let (found, file) = open().map_err(|error| failed("create", path, error))?;
        lock(&file, path)?;
        Ok((file, found))
    }

    /// Opens a file that exists, without waiting whatever it is, and locks it; `None` when nothing
    /// stands there.
    pub(super) fn open(&self, path: &str) -> Result<Option<(File, Found)>> {
        let open = || -> io::Result<_> {
            self.step()?;
            let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            let mut options = OpenOptions::new();
            let file = options
                .read(true)
                .write(true)
                .custom_flags(nonblocking)
                .open(path)?;
            Ok((Found::of(&file.metadata()?), file))
        };
        let (found, file) = match open() {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", path, error)),
        };
        lock(&file, path)?;
        Ok(Some((file, found)))
    }

    /// Creates the folder of `path` and those above it where they are missing, and makes each new
    /// one durable.
    pub(super) fn create_folder_of(&self, path: &str) -> Result<()> {
        let mut missing = Vec::new();
        let mut folder = folder_of(path);
        while !folder.exists() {
            missing.push(folder);
            match folder.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => folder = parent,
                _ => break,
            }
        }
        for folder in missing.into_iter().rev() {
            let shown = folder.display();
            self.step()
                .and_then(|()| DirBuilder::new().mode(0o700).create(folder))
                .or_else(|error| match error.kind() {
                    ErrorKind::AlreadyExists if folder.is_dir() => Ok(()),
                    _ => Err(failed("create the folder", &shown.to_string(), error)),
                })?;
            self.sync_folder(folder_of(&shown.to_string()))?;
        }
        Ok(())
    }

    /// Makes the names in `folder` durable.
    pub(super) fn sync_folder(&self, folder: &Path) -> Result<()> {
        self.step()
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(|error| failed("sync the folder", &folder.display().to_string(), error))
    }

    pub(super) fn write(&self, file: &File, path: &str, bytes: &[u8], at: u64) -> Result<()> {
        let written = match self.step() {
            Ok(()) => file.write_all_at(bytes, at),
            // A crash tears a write.
            Err(error) => file
                .write_all_at(&bytes[..bytes.len() / 2], at)
                .and(Err(error)),
        };
        written.map_err(|error| failed("write", path, error))
    }

    pub(super) fn sync(&self, file: &File, path: &str) -> Result<()> {
        self.step()
            .and_then(|()| file.sync_data())
            .map_err(|error| failed("sync", path, error))
    }

    pub(super) fn cut(&self, file: &File, path: &str, length: u64) -> Result<()> {
        self.step()
            .and_then(|()| file.set_len(length))
            .map_err(|error| failed("cut", path, error))
    }

    pub(super) fn remove(&self, path: &str) -> Result<()> {
        self.step()
            .and_then(|()| std::fs::remove_file(path))
            .map_err(|error| failed("remove", path, error))
    }

    /// The hash of the first bytes of the first `length` bytes.
    pub(super) fn head(&self, file: &File, path: &str, length: u64) -> Result<Head> {
        let mut bytes = vec![0; length.min(HEAD_BYTES) as usize];
        file.read_exact_at(&mut bytes, 0)
            .map_err(|error| failed("read", path, error))?;
        let mut head = Head::EMPTY;
        head.extend(0, &bytes);
        Ok(head)
    }

    /// Whether the last of the first `length` bytes is a newline; true when there is none.
    pub(super) fn ends_in_newline(&self, file: &File, path: &str, length: u64) -> Result<bool> {
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)
                .map_err(|error| failed("read", path, error))?;
        }
        Ok(last == [b'\n'])
    }

    /// A second handle, to read from the start with; nothing else uses the place they share.
    pub(super) fn again(&self, file: &File, path: &str) -> Result<File> {
        let again = || {
            let mut again = file.try_clone()?;
            again.rewind()?;
            Ok(again)
        };
        again().map_err(|error| failed("read", path, error))
    }

    /// Asks the kernel to start writing a range back, so that a later sync has little to wait for.
    /// Linux does so for dirty pages it is told are not needed; they stay until they are clean.
    pub(super) fn start_write_back(&self, file: &File, from: u64, to: u64) {
        let length = std::num::NonZeroU64::new(to.saturating_sub(from));
        // Advice: a file system that cannot follow it loses nothing.
        let _ = rustix::fs::fadvise(file, from, length, rustix::fs::Advice::DontNeed);
    }

    #[cfg(not(test))]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        self.fault.step()
    }
}

impl Found {
    fn of(metadata: &std::fs::Metadata) -> Self {
        let birth = metadata
            .created()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let birth_ns = birth.map_or(0, |birth| birth.as_nanos() as i64);
        let identity = Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            birth_ns,
        };
        Self {
            identity,
            length: metadata.len(),
        }
    }
}

/// The folder a path stands in.
pub(super) fn folder_of(path: &str) -> &Path {
    match Path::new(path).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Keeps out every other Towpath, and what an earlier task of ours may still be doing.
fn lock(file: &File, path: &str) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::transient("write", path)
            .because(
                "another sink has it open, or an earlier call of this one that still waits for \
                 the disk",
            )
            .remedy("it goes on by itself when that is done; two sinks need a `path` each")),
        Err(TryLockError::Error(error)) => Err(failed("lock", path, error)),
    }
}

/// Most failures of a disk pass by themselves, or when a person has made room or given access; the
/// name that cannot be, does not.
fn failed(doing: &str, path: &str, error: io::Error) -> Error {
    let never = matches!(
        error.kind(),
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::InvalidFilename
    );
    let remedy = match error.kind() {
        _ if never => "change `path`",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "give this user access to it"
        }
        ErrorKind::AlreadyExists => "move it away or change `path`",
        _ => "see whether the disk is well",
    };
    let kind = if never {
        towpath_sdk::ErrorKind::Configuration
    } else {
        towpath_sdk::ErrorKind::Transient
    };
    Error::new(kind, doing, path).because(error).remedy(remedy)
}
