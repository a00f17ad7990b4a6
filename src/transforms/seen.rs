//! The groups that were seen of late: what `dedupe` remembers.
//!
//! A *sight* is the first time that a group is seen within the window. Sights are numbered from 0,
//! and stand in *chunks* of 256. The window is the chunks that the last `groups` sights are in: a
//! function of the number of sights alone.
//!
//! # State
//!
//! Chunk `n` under its number, as eight bytes (big-endian): the fingerprints of sights `256 n` and
//! on, 16 bytes (little-endian) each. And the *head*, under `h`: one byte 1, the first chunk of the
//! window and the number of sights, as eight bytes (big-endian) each.
//!
//! # Why a restart finds what there was
//!
//! Only the head says what counts: chunks before its first, and fingerprints behind its number of
//! sights, do not. A chunk only grows, always by the same fingerprints for the same records, and is
//! deleted when a *durable* head no longer has it. So chunks may become durable before the head,
//! one by one; with the head the new sights count all at once, and that is durable together with
//! the records that they came from, or the offset behind them. A crash before it leaves chunks that
//! do not count, and are written again as the records come again.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use towpath_sdk::{Error, Result, StateChange, TransformChanges};

/// Sights in a chunk.
const CHUNK: u64 = 256;
const FINGERPRINT_BYTES: usize = 16;
/// The layout of the head: this byte, and two numbers.
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 1 + 2 * 8;
const HEAD_KEY: &[u8] = b"h";

/// A window over what was seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// So many sights are in the window at least.
    groups: u64,
    /// The groups in the window.
    known: HashSet<u128>,
    first_chunk: u64,
    /// Sights in their order, from the start of chunk `kept_from` on: those in the window, and
    /// those of chunks that [`Seen::changes`] has still to give out.
    kept: VecDeque<u128>,
    kept_from: u64,
    /// The offsets of the records of sights from `head.sights` on.
    offsets: VecDeque<i64>,
    /// As it was given out last.
    head: Head,
    /// The oldest chunk that was given out and not deleted.
    oldest_chunk: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Head {
    first_chunk: u64,
    sights: u64,
}

impl Head {
    /// The chunks that count.
    fn chunks(self) -> Range<u64> {
        self.first_chunk..self.sights.div_ceil(CHUNK)
    }

    fn encode(self) -> Bytes {
        let mut value = BytesMut::with_capacity(HEAD_BYTES);
        value.put_u8(VERSION);
        value.put_u64(self.first_chunk);
        value.put_u64(self.sights);
        value.freeze()
    }

    fn decode(mut value: &[u8]) -> Option<Self> {
        if value.len() != HEAD_BYTES || value.get_u8() != VERSION {
            return None;
        }
        let head = Self {
            first_chunk: value.get_u64(),
            sights: value.get_u64(),
        };
        // No window is ever that old, and no sum overflows.
        let in_range = head.sights < u64::MAX >> 1 && head.first_chunk <= head.sights / CHUNK;
        in_range.then_some(head)
    }
}

impl Seen {
    /// A window of `groups` that knows nothing yet.
    pub fn new(groups: u64) -> Self {
        Self {
            groups: groups.max(1),
            known: HashSet::new(),
            first_chunk: 0,
            kept: VecDeque::new(),
            kept_from: 0,
            offsets: VecDeque::new(),
            head: Head::default(),
            oldest_chunk: 0,
        }
    }

    /// The window of `groups` whose state is `entries`, in the order of their keys. It may have been
    /// of another size.
    ///
    /// # Errors
    /// Fatal when they are no such state.
    pub fn restore<'a>(
        groups: u64,
        entries: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self> {
        let mut seen = Self::new(groups);
        let mut chunks = Vec::new();
        let read = || {
            for (key, value) in entries {
                match <[u8; 8]>::try_from(key) {
                    Ok(number) => chunks.push((u64::from_be_bytes(number), value)),
                    Err(_) if key == HEAD_KEY => seen.head = Head::decode(value)?,
                    Err(_) => return None,
                }
            }
            seen.take_up(&chunks)
        };
        match read() {
            Some(()) => Ok(seen),
            None => Err(Error::fatal("read", "the state of `dedupe`")
                .because("it is damaged, or was written by a newer version")
                .remedy("run the version that wrote it")),
        }
    }

    /// Takes up the chunks of which its head says that they count.
    fn take_up(&mut self, chunks: &[(u64, &[u8])]) -> Option<()> {
        let counting = self.head.chunks();
        self.oldest_chunk = match chunks.first() {
            Some((oldest, _)) => *oldest.min(&counting.start),
            None => counting.start,
        };
        // Those to be deleted follow each other: they go one by one, the oldest first.
        let past = chunks.partition_point(|(number, _)| *number < counting.start);
        if past as u64 != counting.start - self.oldest_chunk {
            return None;
        }
        self.first_chunk = self.window_start(self.head.sights).max(counting.start);
        self.kept_from = self.first_chunk;
        for expected in self.first_chunk..counting.end {
            let at = chunks.binary_search_by_key(&expected, |(number, _)| *number);
            let (fingerprints, rest) = chunks[at.ok()?].1.as_chunks::<FINGERPRINT_BYTES>();
            let count = (self.head.sights - expected * CHUNK).min(CHUNK) as usize;
            if fingerprints.len() < count || !rest.is_empty() {
                return None;
            }
            let groups = fingerprints[..count]
                .iter()
                .map(|fingerprint| u128::from_le_bytes(*fingerprint));
            self.kept.extend(groups);
        }
        self.known.extend(&self.kept);
        Some(())
    }

    /// The first chunk of the window after so many sights.
    fn window_start(&self, sights: u64) -> u64 {
        sights.saturating_sub(self.groups) / CHUNK
    }

    fn sights(&self) -> u64 {
        self.kept_from * CHUNK + self.kept.len() as u64
    }

    /// Where a sight stands in `kept`.
    fn index_of(&self, sight: u64) -> usize {
        (sight - self.kept_from * CHUNK) as usize
    }

    /// Whether `group`, of the record at `offset`, is not in the window. It is from then on. Offsets
    /// only grow, or all are 0.
    pub fn is_new(&mut self, group: u128, offset: i64) -> bool {
        let new = self.known.insert(group);
        if new {
            self.kept.push_back(group);
            self.offsets.push_back(offset);
            self.move_window();
        }
        new
    }

    /// Forgets chunks that are no longer in the window.
    fn move_window(&mut self) {
        while self.first_chunk < self.window_start(self.sights()) {
            let start = self.index_of(self.first_chunk * CHUNK);
            for group in self.kept.range(start..start + CHUNK as usize) {
                self.known.remove(group);
            }
            self.first_chunk += 1;
        }
    }

    /// What the records below offset `below` have changed in the state since the last call.
    pub fn changes(&mut self, below: i64) -> TransformChanges {
        let count = self.offsets.partition_point(|offset| *offset < below);
        if count == 0 {
            return TransformChanges::default();
        }
        self.offsets.drain(..count);
        let before = self.head;
        let sights = before.sights + count as u64;
        let first_chunk = self.window_start(sights).max(before.first_chunk);
        self.head = Head {
            first_chunk,
            sights,
        };
        let key = |chunk: u64| chunk.to_be_bytes().to_vec();
        let gone = self.oldest_chunk..before.first_chunk;
        let mut ahead: Vec<_> = gone.map(|chunk| StateChange::delete(key(chunk))).collect();
        self.oldest_chunk = before.first_chunk;
        for chunk in before.sights / CHUNK..sights.div_ceil(CHUNK) {
            ahead.push(StateChange::put(key(chunk), self.chunk(chunk, sights)));
        }
        // What is full now will not be given out again.
        let needed = self.first_chunk.min(sights / CHUNK);
        self.kept.drain(..self.index_of(needed * CHUNK));
        self.kept_from = needed;
        TransformChanges {
            ahead,
            last: Some(StateChange::put(HEAD_KEY, self.head.encode())),
        }
    }

    /// The fingerprints of a chunk, up to so many sights.
    fn chunk(&self, chunk: u64, sights: u64) -> Bytes {
        let end = (chunk * CHUNK + CHUNK).min(sights);
        let sights = self.index_of(chunk * CHUNK)..self.index_of(end);
        let mut value = BytesMut::with_capacity(sights.len() * FINGERPRINT_BYTES);
        for group in self.kept.range(sights) {
            value.put_u128_le(*group);
        }
        value.freeze()
    }
}

#[cfg(test)]
mod tests;
