//! The groups that were seen of late: what `dedupe` remembers.
//!
//! A window holds at least the last `groups` that were seen for the first time. It is kept in
//! *chunks* of 256, which are also the entries of its state: chunk `n`, under its number as eight
//! bytes (big-endian, so that entries stand in their order), holds the fingerprints of first sights
//! `256 n` and on, 16 bytes (little-endian) each. So a batch writes the chunks it has added to, 4 KiB
//! each at most, and deletes those that left the window whole; what stands between stays.

use std::collections::{HashSet, VecDeque};

use towpath_sdk::{Error, Result, StateChange};

/// First sights in a chunk.
const CHUNK: usize = 256;
const FINGERPRINT_BYTES: usize = 16;

/// A window over what was seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// That many last ones are known at least.
    groups: usize,
    known: HashSet<u128>,
    /// The known ones in the order of first sight, from the beginning of chunk `first_chunk` on.
    order: VecDeque<u128>,
    first_chunk: u64,
    /// Of what [`Seen::changes`] gave out: the first chunk, and the first sights up to here.
    stored_first_chunk: u64,
    stored: u64,
}

impl Seen {
    /// A window that knows nothing yet.
    pub fn new(groups: usize) -> Self {
        Self {
            groups: groups.max(1),
            known: HashSet::new(),
            order: VecDeque::new(),
            first_chunk: 0,
            stored_first_chunk: 0,
            stored: 0,
        }
    }

    /// The window whose state is `entries`, in the order of their keys. It may have been of
    /// another size.
    ///
    /// # Errors
    /// Fatal when they are no such state.
    pub fn restore<'a>(
        groups: usize,
        entries: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self> {
        let mut seen = Self::new(groups);
        for (key, value) in entries {
            seen.restore_chunk(key, value).ok_or_else(|| {
                Error::fatal("read", "the state of `dedupe`")
                    .because("it was not written by this version of towpath")
            })?;
        }
        seen.stored_first_chunk = seen.first_chunk;
        seen.stored = seen.sights();
        seen.shrink();
        Ok(seen)
    }

    fn restore_chunk(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let number = u64::from_be_bytes(key.try_into().ok()?);
        // No window is ever that old, and no sum overflows.
        let from = number.checked_mul(CHUNK as u64).filter(|from| *from < u64::MAX >> 1)?;
        if self.order.is_empty() {
            self.first_chunk = number;
        }
        let (fingerprints, rest) = value.as_chunks::<FINGERPRINT_BYTES>();
        // Chunks follow each other, and all but the last are full.
        let follows = from == self.sights();
        let fits = (1..=CHUNK).contains(&fingerprints.len()) && rest.is_empty();
        for fingerprint in fingerprints {
            let group = u128::from_le_bytes(*fingerprint);
            self.known.insert(group);
            self.order.push_back(group);
        }
        (follows && fits).then_some(())
    }

    /// First sights since the very first.
    fn sights(&self) -> u64 {
        self.first_chunk * CHUNK as u64 + self.order.len() as u64
    }

    /// Whether `group` is seen for the first time within the window; it is known then.
    pub fn is_new(&mut self, group: u128) -> bool {
        let new = self.known.insert(group);
        if new {
            self.order.push_back(group);
            self.shrink();
        }
        new
    }

    /// Forgets chunks that the window no longer needs.
    fn shrink(&mut self) {
        while self.order.len() >= self.groups.saturating_add(CHUNK) {
            for group in self.order.drain(..CHUNK) {
                self.known.remove(&group);
            }
            self.first_chunk += 1;
        }
    }

    /// What has changed in the state since the last call, or since it was restored.
    pub fn changes(&mut self) -> Vec<StateChange> {
        let key = |chunk: u64| chunk.to_be_bytes().to_vec();
        // The last chunk that was stored may have been full or not; one behind it never was.
        let stored_chunks = self.stored.div_ceil(CHUNK as u64);
        let gone = self.stored_first_chunk..self.first_chunk.min(stored_chunks);
        let mut changes: Vec<_> = gone.map(|chunk| StateChange::delete(key(chunk))).collect();
        let sights = self.sights();
        if self.stored < sights {
            let first = (self.stored / CHUNK as u64).max(self.first_chunk);
            for chunk in first..sights.div_ceil(CHUNK as u64) {
                let start = (chunk - self.first_chunk) as usize * CHUNK;
                let end = (start + CHUNK).min(self.order.len());
                let mut value = Vec::with_capacity((end - start) * FINGERPRINT_BYTES);
                for group in self.order.range(start..end) {
                    value.extend_from_slice(&group.to_le_bytes());
                }
                changes.push(StateChange::put(key(chunk), value));
            }
        }
        self.stored_first_chunk = self.first_chunk;
        self.stored = sights;
        changes
    }
}

#[cfg(test)]
mod tests;
