//! The text that was made, and the memory that all of it takes.

use super::*;

/// What is kept of the memory of a batch for the next one, at most.
const KEPT_BYTES_MAX: usize = 16 << 20;
const KEPT_NODES_MAX: usize = 256 << 10;

/// How far [`Documents`] have grown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    made: usize,
    extra_bytes: usize,
    nodes: usize,
}

impl Documents {
    /// Forgets everything, and takes `base` as the bytes that spans refer to: at most 2 GiB. The
    /// memory of a large batch is not kept.
    pub fn reset(&mut self, base: Bytes) {
        debug_assert!(base.len() < MADE as usize);
        self.base = base;
        self.made.clear();
        self.made.shrink_to(KEPT_BYTES_MAX);
        self.extra_bytes = 0;
        self.nodes.clear();
        self.nodes.shrink_to(KEPT_NODES_MAX);
        self.scratch.clear();
        self.scratch.shrink_to(KEPT_BYTES_MAX);
    }

    /// The memory it holds.
    #[cfg(test)]
    pub(crate) fn kept_bytes(&self) -> usize {
        self.made.capacity() + self.nodes.capacity() * size_of::<Node>() + self.scratch.capacity()
    }

    /// How far it has grown.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            made: self.made.len(),
            extra_bytes: self.extra_bytes,
            nodes: self.nodes.len(),
        }
    }

    /// Forgets what was made since `mark`. What was changed since then must not be looked at again.
    pub(crate) fn forget_since(&mut self, mark: Mark) {
        self.made.truncate(mark.made);
        self.extra_bytes = mark.extra_bytes;
        self.nodes.truncate(mark.nodes);
    }

    /// Keeps what `write` appends. Behind 2 GiB nothing is kept: [`Documents::made_bytes`] tells.
    pub fn make(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.made.len();
        write(&mut self.made);
        self.made_from(start)
    }

    /// The span of what was made from `start` on.
    fn made_from(&mut self, start: usize) -> Span {
        let bytes = self.made.len() - start;
        if self.made.len() >= MADE as usize {
            self.made.truncate(start);
            self.extra_bytes += bytes;
            return Span::default();
        }
        Span {
            start: start as u32 | MADE,
            bytes: bytes as u32,
        }
    }

    /// Counts text that is going to be written once more as made.
    pub(crate) fn count_copied(&mut self, bytes: usize) {
        self.extra_bytes = self.extra_bytes.saturating_add(bytes);
    }

    /// Keeps the bytes of `span` with what `write` appends to them, as [`Documents::make`] does.
    pub fn extend(&mut self, span: Span, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.made.len();
        match span.start & MADE {
            0 => {
                let from = &self.base[span.start as usize..][..span.bytes as usize];
                self.made.extend_from_slice(from);
            }
            _ => {
                let from = (span.start & !MADE) as usize;
                self.made
                    .extend_from_within(from..from + span.bytes as usize);
            }
        }
        write(&mut self.made);
        self.made_from(start)
    }

    /// The size of the text that was made or copied.
    pub fn made_bytes(&self) -> usize {
        self.made.len().saturating_add(self.extra_bytes)
    }
}
