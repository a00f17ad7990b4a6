//! What must be there: known from what was submitted and answered, and from how far each owner is.

use super::{Model, PARTITIONS, TOPIC, name};
use crate::tests::values;
use crate::{Durability, Log, LogError, ReadTo};

impl Model<'_> {
    /// What is stored says which sets count: all that were acknowledged.
    pub(super) fn settle_lanes(&mut self, log: &Log, power_was_cut: bool) {
        let os = self.config.durability == Durability::Os;
        for (owner, lane) in self.lanes.iter_mut().enumerate() {
            let stored = stored(log, owner);
            let mut heard = lane.heard.lock().unwrap();
            let promised = match os && power_was_cut {
                true => heard.durable,
                false => heard.acknowledged,
            };
            let said = lane.said.len() as u64;
            assert!(
                (promised..=said).contains(&stored),
                "owner {owner}: {promised} acknowledged, {said} submitted, {stored} stored"
            );
            lane.said.truncate(stored as usize);
            (heard.acknowledged, heard.durable) = (stored, stored);
        }
    }

    /// Checks all that can be read at this moment.
    pub(super) fn check(&mut self, log: &Log) {
        if log.topic(TOPIC).is_none() {
            return assert!(self.lanes.iter().all(|lane| lane.said.is_empty()));
        }
        for partition in 0..PARTITIONS {
            let read = match read(log, partition) {
                Ok(read) => read,
                Err(error) => return assert!(self.disk.is_stopped(), "{error}"),
            };
            let mut held: Vec<u64> = read.iter().map(|(_, value)| *value).collect();
            for (offset, value) in read {
                self.name(partition, offset, value);
            }
            for (owner, lane) in self.lanes.iter().enumerate() {
                let mut after = 0;
                for said in &lane.said[..stored(log, owner) as usize] {
                    let here = said.iter().filter(|(at, _)| *at == partition);
                    let values: Vec<u64> = here.flat_map(|(_, v)| v.iter().copied()).collect();
                    let Some(first) = values.first() else {
                        continue;
                    };
                    let at = held.iter().position(|value| value == first);
                    let at = at.unwrap_or_else(|| panic!("owner {owner} has lost {values:?}"));
                    let end = at + values.len();
                    assert!(at >= after, "owner {owner}: {values:?} overtook others");
                    assert_eq!(held.get(at..end), Some(&*values), "partition {partition}");
                    held[at..end].fill(0);
                    after = end;
                }
            }
            assert!(
                held.iter().all(|value| *value == 0),
                "partition {partition} holds {held:?} of sets that do not count"
            );
        }
    }

    /// An offset never names two records.
    pub(super) fn name(&mut self, partition: u32, offset: u64, value: u64) {
        let known = *self.named.entry((partition, offset)).or_insert(value);
        assert_eq!(known, value, "partition {partition} offset {offset}");
    }
}

pub(super) fn stored(log: &Log, owner: usize) -> u64 {
    let state = log.state(&name(owner));
    let stored = state.get(&b"at"[..]);
    stored.map_or(0, |bytes| u64::from_le_bytes(*bytes.first_chunk().unwrap()))
}

fn read(log: &Log, partition: u32) -> Result<Vec<(u64, u64)>, LogError> {
    let mut reader = log.reader(TOPIC, partition, 0, ReadTo::Committed)?;
    let mut all = Vec::new();
    while let Some(batches) = reader.next(700)? {
        all.extend(batches.iter().flat_map(values));
    }
    Ok(all)
}
