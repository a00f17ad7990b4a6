//! How much of what is scarce one task takes at a time.

/// Files open at a time.
const OPEN_FILES_MAX: u64 = 1024;
/// Keys and values that one set changes, but for those of its last file. The log takes twice that;
/// the rest is for that file, and for offsets.
const CHANGES_BYTES: usize = 500 << 10;

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Files open at a time.
    pub(super) open_files: usize,
    /// Keys and values of state in one set.
    pub(super) changes_bytes: usize,
}

impl Limits {
    /// What this process may do.
    pub(super) fn of_process() -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        // The log, the sources and other sinks open files too.
        let open_files = limit.current.unwrap_or(u64::MAX) / 4;
        let open_files = usize::try_from(open_files.clamp(8, OPEN_FILES_MAX)).unwrap_or(8);
        Self {
            open_files,
            changes_bytes: CHANGES_BYTES,
        }
    }
}
