//! Which dead letters were retried: a bit for each, as state of [`OWNER`].
//!
//! The bits of [`BLOCK`] offsets of a partition are one key, `retried/ID/PARTITION/BLOCK` with the
//! topic's id, and 1 KiB at most. A key goes when all its letters are dropped or gone, or its topic.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use towpath_log::{Log, StateChange, TopicInfo};

use super::OWNER;

/// What the keys begin with.
const PREFIX: &str = "retried/";
/// Offsets in one key.
pub(super) const BLOCK: u64 = 8_192;
/// Keys of the past that one set deletes at most.
const STALE_MAX: usize = 1_000;

/// The marks of one topic.
pub(super) struct Marks {
    topic: String,
    /// Bits by partition and block, the first offset's in the lowest bit of the first byte.
    blocks: BTreeMap<(u32, u64), Bytes>,
    /// Marks in topics that are no more.
    gone: Vec<(Bytes, Bytes)>,
}

impl Marks {
    pub fn of(log: &Log, topic: &TopicInfo) -> Self {
        let topics = log.topics();
        let known: BTreeSet<String> = topics.iter().map(|topic| topic.id.to_string()).collect();
        let mut marks = Self {
            topic: topic.id.to_string(),
            blocks: BTreeMap::new(),
            gone: Vec::new(),
        };
        for (key, bits) in log.state(OWNER) {
            match parse(&key) {
                Some((id, partition, block)) if id == marks.topic => {
                    marks.blocks.insert((partition, block), bits);
                }
                Some((id, ..)) if !known.contains(id) => marks.gone.push((key, bits)),
                _ => {}
            }
        }
        marks
    }

    pub fn contains(&self, partition: u32, offset: u64) -> bool {
        let bits = self.blocks.get(&(partition, offset / BLOCK));
        bits.is_some_and(|bits| is_set(bits, offset % BLOCK))
    }

    /// How many of `offsets` are marked.
    pub fn count(&self, partition: u32, offsets: Range<u64>) -> u64 {
        let blocks = offsets.start / BLOCK..offsets.end.div_ceil(BLOCK).max(offsets.start / BLOCK);
        let held = self
            .blocks
            .range((partition, blocks.start)..(partition, blocks.end));
        let set = held.flat_map(|((_, block), bits)| {
            let first = block * BLOCK;
            (0..BLOCK)
                .filter(move |bit| is_set(bits, *bit))
                .map(move |bit| first + bit)
        });
        set.filter(|offset| offsets.contains(offset)).count() as u64
    }

    /// What deletes marks that nobody looks at any more: those below the first offset that is kept of
    /// each partition, and those in topics that are no more.
    pub fn stale(&self, first_kept: &BTreeMap<u32, u64>) -> Vec<StateChange> {
        let is_past = |(partition, block): &(u32, u64)| {
            let first = first_kept.get(partition).copied().unwrap_or(0);
            (block + 1) * BLOCK <= first
        };
        let past = self.blocks.iter().filter(|(place, _)| is_past(place));
        let past = past.map(|(place, bits)| (key(&self.topic, *place), bits.clone()));
        let delete = |(key, before): (Bytes, Bytes)| StateChange {
            key,
            before: Some(before),
            after: None,
        };
        let stale = past.chain(self.gone.iter().cloned());
        stale.take(STALE_MAX).map(delete).collect()
    }

    /// What marks `letters`, by partition and offset.
    pub fn changes(&self, letters: &[(u32, u64)]) -> Vec<StateChange> {
        let mut after: BTreeMap<(u32, u64), Vec<u8>> = BTreeMap::new();
        for letter in letters {
            let place = block_of(*letter);
            let bits = after.entry(place).or_insert_with(|| {
                self.blocks
                    .get(&place)
                    .map_or(Vec::new(), |bits| bits.to_vec())
            });
            let bit = (letter.1 % BLOCK) as usize;
            if bits.len() <= bit / 8 {
                bits.resize(bit / 8 + 1, 0);
            }
            bits[bit / 8] |= 1 << (bit % 8);
        }
        let change = |(place, bits): ((u32, u64), Vec<u8>)| StateChange {
            key: key(&self.topic, place),
            before: self.blocks.get(&place).cloned(),
            after: Some(bits.into()),
        };
        after.into_iter().map(change).collect()
    }
}

/// The block that the mark of a letter is in, by partition.
pub(super) fn block_of((partition, offset): (u32, u64)) -> (u32, u64) {
    (partition, offset / BLOCK)
}

fn is_set(bits: &[u8], bit: u64) -> bool {
    let byte = bits.get((bit / 8) as usize).copied().unwrap_or(0);
    byte & (1 << (bit % 8)) != 0
}

fn key(topic: &str, (partition, block): (u32, u64)) -> Bytes {
    Bytes::from(format!("{PREFIX}{topic}/{partition}/{block}"))
}

/// The topic's id, the partition and the block.
fn parse(key: &[u8]) -> Option<(&str, u32, u64)> {
    let mut parts = std::str::from_utf8(key)
        .ok()?
        .strip_prefix(PREFIX)?
        .split('/');
    let mut next = || parts.next();
    Some((next()?, next()?.parse().ok()?, next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is marked, in however many sets, is what a set of numbers would say.
        #[test]
        fn marks_are_a_set(rounds in prop::collection::vec(
            prop::collection::vec((0..3_u32, 0..3 * BLOCK), 1..20), 1..8,
        ), from in 0..3 * BLOCK, to in 0..4 * BLOCK) {
            let mut marks = Marks { topic: "t".to_owned(), blocks: BTreeMap::new(), gone: Vec::new() };
            let mut model = BTreeSet::new();
            for letters in rounds {
                for change in marks.changes(&letters) {
                    let (_, partition, block) = parse(&change.key).expect("a key");
                    let after = change.after.expect("nothing is deleted");
                    prop_assert!(after.len() as u64 <= BLOCK / 8);
                    let before = marks.blocks.insert((partition, block), after);
                    prop_assert_eq!(before, change.before);
                }
                model.extend(letters);
            }
            for partition in 0..3 {
                let marked = |offset: &u64| model.contains(&(partition, *offset));
                let wrong = (0..4 * BLOCK).find(|offset| marks.contains(partition, *offset) != marked(offset));
                prop_assert_eq!(wrong, None);
                let expected = (from..to).filter(marked).count() as u64;
                prop_assert_eq!(marks.count(partition, from..to), expected);
            }
            let first_kept = BTreeMap::from([(0, from)]);
            for change in marks.stale(&first_kept) {
                let (_, partition, block) = parse(&change.key).expect("a key");
                prop_assert!(partition == 0 && (block + 1) * BLOCK <= from);
            }
        }
    }
}
