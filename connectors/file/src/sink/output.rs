//! One file being written: what waits for the kernel, what the kernel has, what is synced.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use towpath_sdk::{Compressor, Encoder, Result};

use super::disk::Disk;
use super::entry::{Entry, Known};

/// A buffer that has grown beyond this for one large record is given back.
const BUFFER_KEPT_BYTES: usize = 2 << 20;

/// A file that records go to.
pub(super) struct Output {
    /// Its path if it had begun at offset 0; its path unless it is rotated.
    pub(super) stream: Arc<str>,
    pub(super) path: String,
    /// What the state will say of it; `file` is the file as it is now, with all that was written.
    pub(super) entry: Entry,
    /// Encoded, not yet written, of so many records.
    pub(super) buffer: Vec<u8>,
    pub(super) records: u64,
    /// Closed only when everything in it is synced.
    pub(super) handle: Option<File>,
    /// The file's last byte is no newline: it gets one before anything else.
    pub(super) unfinished_line: bool,
    /// How far it is synced, and how far write-back was started.
    pub(super) synced: u64,
    write_back: u64,
    /// It has changed since the last commit.
    pub(super) changed: bool,
    /// It is full.
    pub(super) finished: bool,
    /// When it is full by the clock.
    pub(super) due: Option<Instant>,
}

impl Output {
    /// `entry.file` is what is known to be synced.
    pub(super) fn new(stream: Arc<str>, path: String, entry: Entry, due: Option<Instant>) -> Self {
        let synced = entry.file.map_or(0, |file| file.length);
        Self {
            stream,
            path,
            entry,
            buffer: Vec::new(),
            records: 0,
            handle: None,
            unfinished_line: false,
            synced,
            write_back: synced,
            changed: false,
            finished: false,
            due,
        }
    }

    /// Takes the file as it was found or made.
    pub(super) fn place(&mut self, known: Known, handle: Option<File>) {
        self.entry.file = Some(known);
        self.synced = known.length;
        self.write_back = known.length;
        self.handle = handle;
    }

    /// What a change of its state adds to a set at most.
    pub(super) fn change_bytes(&self) -> usize {
        self.path.len() + self.entry.encoded_bytes_max()
    }

    /// Bytes the file has.
    pub(super) fn length(&self) -> u64 {
        self.entry.file.map_or(0, |file| file.length)
    }

    /// Writes what is buffered, as one member or frame if `compressor` is there; `packed` is its
    /// buffer. The file must be open. One that is empty is given its head.
    pub(super) fn drain(
        &mut self,
        disk: &Disk,
        encoder: &mut dyn Encoder,
        compressor: Option<&mut (dyn Compressor + '_)>,
        packed: &mut Vec<u8>,
    ) -> Result<()> {
        let (Some(handle), Some(file)) = (&self.handle, &mut self.entry.file) else {
            return Ok(());
        };
        encoder.block(self.records, &mut self.buffer)?;
        self.records = 0;
        if file.length == 0 && !encoder.head().is_empty() {
            self.buffer.splice(..0, encoder.head().iter().copied());
        }
        let bytes = match compressor {
            None => {
                if self.unfinished_line {
                    self.buffer.insert(0, b'\n');
                }
                &self.buffer
            }
            Some(compressor) => {
                packed.clear();
                compressor.write(&self.buffer, packed)?;
                compressor.finish(packed)?;
                &*packed
            }
        };
        disk.write(handle, &self.path, bytes, file.length)?;
        self.unfinished_line = false;
        file.head.extend(file.length, bytes);
        file.length += bytes.len() as u64;
        self.buffer.clear();
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Has the kernel begin to write what `sync` will wait for.
    pub(super) fn start_write_back(&mut self, disk: &Disk) {
        let length = self.length();
        if let Some(handle) = &self.handle
            && self.write_back < length
        {
            disk.start_write_back(handle, self.write_back, length);
            self.write_back = length;
        }
    }

    /// Makes durable what was written.
    pub(super) fn sync(&mut self, disk: &Disk) -> Result<()> {
        let length = self.length();
        if let Some(handle) = &self.handle
            && self.synced < length
        {
            disk.sync(handle, &self.path)?;
            self.synced = length;
        }
        Ok(())
    }
}
