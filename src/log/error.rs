//! The one error type of the log: what failed, where, why, and what to do, in one line.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What kind of failure it is, which decides what the caller may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogErrorKind {
    /// The disk is full. The set failed, its writer must be opened again; the log goes on.
    Transient,
    /// A newer writer of the same task exists, or the group's offsets were reset.
    Fenced,
    /// The offset is outside what the partition holds.
    OutOfRange,
    /// Bytes on the disk are not what was written. Nothing was cut or skipped.
    Damaged,
    /// Another process holds the directory.
    Locked {
        /// Its process id, if it has written it down.
        pid: Option<u32>,
    },
    /// The request contradicts what the log holds, or its limits.
    Invalid,
    /// The log has ended: a sync failed, or it was closed. What was in flight is unknown.
    Failed,
    /// The operating system refused an operation.
    Io,
}

/// Why an operation of the log failed. Cheap to clone: one failure can end many sets.
#[derive(Debug, Clone)]
pub struct LogError {
    kind: LogErrorKind,
    message: String,
    source: Option<Arc<std::io::Error>>,
}

impl LogError {
    pub(crate) fn new(kind: LogErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(LogErrorKind::Invalid, message)
    }

    pub(crate) fn damaged(message: impl Into<String>) -> Self {
        Self::new(LogErrorKind::Damaged, message)
    }

    pub(crate) fn fenced(message: impl Into<String>) -> Self {
        Self::new(LogErrorKind::Fenced, message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(LogErrorKind::Failed, message)
    }

    /// An operating system error while `doing` something to `path`. A full disk is transient.
    pub(crate) fn io(doing: &str, path: &Path, error: std::io::Error) -> Self {
        let full = matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        );
        let (kind, remedy) = if full {
            (LogErrorKind::Transient, "; free space on that file system")
        } else {
            (LogErrorKind::Io, "")
        };
        let message = format!("cannot {doing} {}: {error}{remedy}", path.display());
        Self {
            kind,
            message,
            source: Some(Arc::new(error)),
        }
    }

    /// What the caller may do about it.
    pub fn kind(&self) -> LogErrorKind {
        self.kind
    }

    /// The same failure as the end of the log: nothing is retried after it.
    pub(crate) fn into_failed(self) -> Self {
        if self.kind == LogErrorKind::Failed {
            return self;
        }
        let message = format!(
            "the log has stopped: {}; what was in flight is unknown: restart to read it back",
            self.message
        );
        Self {
            kind: LogErrorKind::Failed,
            message,
            source: self.source,
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|error| error.as_ref() as &(dyn std::error::Error + 'static))
    }
}
