//! What a log is told when it is opened.

/// When a set counts as done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk: it survives a power cut.
    #[default]
    Fsync,
    /// When the operating system has it: it survives a kill of the process. A power cut may step
    /// back to the last checkpoint, about a second.
    Os,
}

/// How far a reader may see. The same in `fsync` mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadTo {
    /// What survives a power cut.
    Durable,
    /// Everything committed.
    #[default]
    Committed,
}

/// Settings of a log; they may differ from one start to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// Default [`Durability::Fsync`].
    pub durability: Durability,
    /// Size from which a segment is sealed and the next one begun, 1 KiB to 2 GiB; a batch is
    /// never split, so one may be larger by a batch. Default 256 MiB.
    pub segment_bytes: u64,
    /// Size of a commit file, filled with zeros ahead of use, at least 16 KiB; a larger record
    /// makes a larger file. The first one of each start is at most 256 KiB. Default 4 MiB.
    pub commit_file_bytes: u64,
    /// In `os` mode, milliseconds from one checkpoint to the next. Default 1000.
    pub checkpoint_ms: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            segment_bytes: 256 << 20,
            commit_file_bytes: 4 << 20,
            checkpoint_ms: 1000,
        }
    }
}

impl LogConfig {
    /// The same within what the format can hold.
    pub(crate) fn clamped(self) -> Self {
        let blocks = |bytes: u64| bytes.clamp(16 << 10, 1 << 28).next_multiple_of(4096);
        Self {
            segment_bytes: self.segment_bytes.clamp(1 << 10, 2 << 30),
            commit_file_bytes: blocks(self.commit_file_bytes),
            ..self
        }
    }
}
