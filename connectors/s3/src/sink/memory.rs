//! Memory of parts, used again for the next ones. Parts are large and are made on many threads: giving
//! their memory back and taking it anew each time is slow, and has the process hold more of it than was
//! ever in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Room behind a part for what comes in the turn that makes it full.
const BEHIND: usize = 2304 << 10;
/// What is so large is mapped by itself by glibc's allocator. What is smaller it takes from the heap of
/// some thread, and each of these keeps what it once had. Pages that are never touched cost nothing.
const MAPPED_BYTES: usize = 33 << 20;

/// What parts have left behind. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct PartMemory {
    part_bytes: usize,
    left: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl PartMemory {
    pub(super) fn new(part_bytes: usize) -> Self {
        Self {
            part_bytes,
            left: Arc::default(),
        }
    }

    /// Of each.
    fn bytes(&self) -> usize {
        (self.part_bytes + BEHIND).max(MAPPED_BYTES)
    }

    fn left(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends `bytes` to `part`, which moves into memory of this kind when it is half full.
    pub(super) fn append(&self, part: &mut Vec<u8>, bytes: &[u8]) {
        let length = part.len() + bytes.len();
        if length > part.capacity() && length > self.part_bytes / 2 {
            let mut whole = self.left().pop().unwrap_or_default();
            whole.reserve_exact(self.bytes().max(length));
            whole.extend_from_slice(part);
            *part = whole;
        }
        part.extend_from_slice(bytes);
    }

    /// `part`, whose memory is left behind when nobody has it any more.
    pub(super) fn lend(&self, part: Vec<u8>) -> Bytes {
        if part.capacity() < self.bytes() {
            return Bytes::from(part);
        }
        let home = self.clone();
        Bytes::from_owner(Lent { part, home })
    }

    /// Gives back what is not in use.
    pub(super) fn free(&self) {
        *self.left() = Vec::new();
    }
}

struct Lent {
    part: Vec<u8>,
    home: PartMemory,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.part
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut part = std::mem::take(&mut self.part);
        part.clear();
        self.home.left().push(part);
    }
}
