//! The newest offset of each key, in memory of a fixed size: what a pass of compaction knows.
//!
//! A key is known by 128 bits of hash. Two keys with the same ones would be taken for one, and a
//! record lost; among a thousand million keys that has a chance of 10^-21. The bits are two SipHash
//! values with keys of their own, drawn for each map, so nobody can prepare such a pair (as one can
//! for the MD5 that Kafka uses here).

use std::hash::{BuildHasher, RandomState};

/// Two hashes and an offset, the whole of which is free when the offset is [`FREE`].
type Slot = [u64; 3];

const FREE: u64 = u64::MAX;
/// Of four slots three are used at most, so that a search is short.
const USED_OF_FOUR: usize = 3;
const SLOTS_MIN: usize = 16;

pub(crate) struct NewestOffsets {
    hashers: [RandomState; 2],
    /// A power of two of them.
    slots: Vec<Slot>,
    slots_max: usize,
    used: usize,
}

impl NewestOffsets {
    /// An empty map that grows up to `bytes_max`, but holds a dozen keys at least.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let slots = (bytes_max / size_of::<Slot>()).max(SLOTS_MIN);
        Self {
            hashers: [RandomState::new(), RandomState::new()],
            slots: vec![[0, 0, FREE]; SLOTS_MIN],
            slots_max: 1 << slots.ilog2(),
            used: 0,
        }
    }

    /// The key's newest offset is `offset`, which is beyond all before. False, and nothing is
    /// changed, when the key is new and the map is full.
    pub(crate) fn put(&mut self, key: &[u8], offset: u64) -> bool {
        let hashes = self.hashes(key);
        let mut at = self.find(hashes);
        if self.slots[at][2] == FREE {
            if self.is_full() && !self.grow() {
                return false;
            }
            at = self.find(hashes);
            self.used += 1;
        }
        self.slots[at] = [hashes[0], hashes[1], offset];
        true
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<u64> {
        let offset = self.slots[self.find(self.hashes(key))][2];
        (offset != FREE).then_some(offset)
    }

    fn hashes(&self, key: &[u8]) -> [u64; 2] {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(key))
    }

    /// The slot of the key, or the free one where it would go.
    fn find(&self, hashes: [u64; 2]) -> usize {
        let last = self.slots.len() - 1;
        let mut at = hashes[0] as usize & last;
        while self.slots[at][2] != FREE && self.slots[at][..2] != hashes {
            at = (at + 1) & last;
        }
        at
    }

    fn is_full(&self) -> bool {
        self.used >= self.slots.len() / 4 * USED_OF_FOUR
    }

    fn grow(&mut self) -> bool {
        let count = self.slots.len() * 2;
        if count > self.slots_max {
            return false;
        }
        let before = std::mem::replace(&mut self.slots, vec![[0, 0, FREE]; count]);
        for slot in before.into_iter().filter(|slot| slot[2] != FREE) {
            let at = self.find([slot[0], slot[1]]);
            self.slots[at] = slot;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::Random;

    #[test]
    fn it_is_a_map_until_it_is_full() {
        let mut random = Random::new(crate::tests::seed());
        let mut newest = NewestOffsets::new(200_000);
        let mut expected = BTreeMap::new();
        let mut refused = 0;
        for offset in 0..20_000 {
            let key = random.below(8_000).to_le_bytes();
            if newest.put(&key, offset) {
                expected.insert(key, offset);
            } else {
                assert!(!expected.contains_key(&key), "a known key has its place");
                refused += 1;
            }
        }
        assert_eq!(expected.len(), 8_192 / 4 * 3, "of slots of 24 bytes");
        assert!(refused > 0);
        for number in 0..8_000_u64 {
            let key = number.to_le_bytes();
            assert_eq!(newest.get(&key), expected.get(&key).copied());
        }
    }
}
