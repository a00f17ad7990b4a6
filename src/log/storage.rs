//! Everything the log asks of the operating system: files, directories, a lock, the time.
//! `disk` is the real thing; `sim` forgets what was not synced.

use std::io;
use std::path::Path;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The last component of the path.
    pub name: String,
    /// True for a directory; false for a regular file. Anything else is not listed.
    pub is_dir: bool,
}

/// A file system. All paths are absolute or relative to the process. Calls may come from any
/// thread at once; two calls never race on the same name.
pub trait Storage: Send + Sync {
    /// Makes the directory `path` (0700); its parent must exist. Fine if it is there already.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, in no particular order.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// Makes a new file (0600), open for reading and writing. Fails if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens an existing regular file; for writing too if `write`. Symbolic links are refused.
    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn File>>;
    /// Renames a file or directory, replacing a file that has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes the name of a file. Open handles stay usable.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes the lock file at `path`, which it makes if need be, and writes `text` (a line of
    /// which the first word is the holder's pid). `Err(Some(text))` tells who holds it.
    fn lock(&self, path: &Path, text: &str) -> io::Result<Result<Box<dyn Lock>, String>>;
    /// A word that changes when the machine starts anew, and so loses its page cache.
    fn boot_id(&self) -> io::Result<String>;
}

/// A lock on the data directory, held until it is dropped.
pub trait Lock: Send + Sync {}

/// An open file. Calls may come from any thread at once.
pub trait File: Send + Sync {
    /// Appends to `into` up to `length` bytes from position `at`; fewer only at the end of the
    /// file. Returns how many.
    fn read_at(&self, at: u64, length: usize, into: &mut Vec<u8>) -> io::Result<usize>;
    /// Writes the parts one behind the other from position `at`. After an error any part of it
    /// may have been written.
    fn write_at(&self, at: u64, parts: &[&[u8]]) -> io::Result<()>;
    /// Makes sure that the file has `length` bytes with disk space behind them; new ones are zero.
    fn allocate(&self, length: u64) -> io::Result<()>;
    /// Cuts or extends the file.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Size in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Makes content and size durable. After an error nothing is known about either, and the log
    /// never calls it on that file again.
    fn sync(&self) -> io::Result<()>;
}

/// The time. Retention asks for it, and registrations; nothing on the path of a record does.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970, by a clock that may be set.
    fn now_ms(&self) -> i64;
    /// Milliseconds since any fixed moment, by a clock that only runs forward.
    fn monotonic_ms(&self) -> u64;
}
