//! A topic that records go to, and where in it.

use std::sync::Arc;

use towpath_record::BatchBuilder;
use towpath_sdk::{Origin, Result};

use super::keyless;
use crate::partition;

/// Under `round_robin` whole batches may put a partition ahead of the others by this part of what
/// each of them has got from this task.
const UNEVEN_MAX: u64 = 8;

/// A topic, and a builder for each of its partitions.
pub(super) struct Topic {
    pub name: Arc<str>,
    pub builders: Vec<BatchBuilder>,
    /// Each record must have a key.
    pub compacted: bool,
    /// Under `round_robin`, where the last record went.
    pub turn: u32,
    /// Under `round_robin`, the records that each partition got.
    pub dealt: Vec<u64>,
}

impl Topic {
    pub fn partitions(&self) -> u32 {
        self.builders.len() as u32
    }

    /// Refuses a record that compaction could not tell from others.
    pub fn check_key(&self, key: Option<&[u8]>) -> Result<()> {
        if key.is_some() || !self.compacted {
            return Ok(());
        }
        Err(keyless(&self.name))
    }

    /// The partition for what has no key: that of the same number as far as there is one, where it
    /// was read from the log; else one for each origin.
    pub fn of_origin(&self, origin: &Origin, partition: Option<u32>) -> u32 {
        match partition {
            Some(partition) => partition % self.partitions(),
            None => partition::of_key(origin.name.as_bytes(), self.partitions()),
        }
    }

    /// The partition of the next record under `round_robin`.
    pub fn deal_record(&mut self) -> u32 {
        self.turn = (self.turn + 1) % self.partitions();
        self.dealt[self.turn as usize] += 1;
        self.turn
    }

    /// The partition of a whole batch of `records` under `round_robin`: the one that got the least.
    pub fn deal_batch(&mut self, records: u64) -> u32 {
        let least = (0..self.partitions()).min_by_key(|partition| self.dealt[*partition as usize]);
        let least = least.unwrap_or(0);
        self.dealt[least as usize] += records;
        least
    }

    /// Whether whole batches, of `records` together, leave the partitions about even.
    pub fn stays_even(&self, records: u64) -> bool {
        let each = self.dealt.iter().sum::<u64>() / u64::from(self.partitions());
        records.saturating_mul(UNEVEN_MAX) <= each
    }
}
