//! Buffers that readers use again: memory that was never touched before is several times slower.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// Buffers of all readers of a log that are kept an eye on.
const BUFFERS_MAX: usize = 8;
/// Larger ones are not kept.
const BUFFER_BYTES_MAX: usize = 2 << 20;

/// Shared by all readers, so that thousands of partitions need no more memory than one.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<VecDeque<Bytes>>);

impl Buffers {
    /// A buffer for `length` bytes whose batches nobody holds any more, or a new one. Empty.
    pub(crate) fn take(&self, length: usize) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..kept.len() {
            let Some(candidate) = kept.pop_front() else {
                break;
            };
            match candidate.try_into_mut() {
                Ok(mut free) => {
                    free.clear();
                    let buffer = Vec::from(free);
                    if buffer.capacity() >= length {
                        return buffer;
                    }
                }
                Err(used) => kept.push_back(used),
            }
        }
        drop(kept);
        Vec::with_capacity(length)
    }

    /// Remembers a buffer that was filled.
    pub(crate) fn keep(&self, bytes: &Bytes) {
        if bytes.len() > BUFFER_BYTES_MAX {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= BUFFERS_MAX {
            kept.pop_front();
        }
        kept.push_back(bytes.clone());
    }
}
