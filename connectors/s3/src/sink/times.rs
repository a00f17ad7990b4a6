//! What `{now}` is for each record of a partition.
//!
//! A record that is read again must get the path that it had the first time. So `{now}` does not
//! follow the clock: it stands still from one offset to another, as long as the path stays the same,
//! and what it was for all records from low to the end of an object is committed with the object's
//! intent. At `open` what was committed holds again. It must be for all of them: another record that
//! is read again, and gets the stream of that object now, would count as being in it.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::entry::Times;

/// From each offset on it was this, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Now(BTreeMap<u64, i64>);

impl Now {
    /// What it is at `offset`, if that is settled, and the next offset at which it may be another.
    pub(super) fn at(&self, offset: u64) -> (Option<i64>, u64) {
        let before = self.0.range(..=offset).next_back();
        let behind = (Bound::Excluded(offset), Bound::Unbounded);
        let until = self.0.range(behind).next();
        (
            before.map(|(_, now_ms)| *now_ms),
            until.map_or(u64::MAX, |(offset, _)| *offset),
        )
    }

    /// From `offset` on it is `now_ms`, up to where another time is known to begin.
    pub(super) fn begin(&mut self, offset: u64, now_ms: i64) {
        self.0.insert(offset, now_ms);
    }

    /// What it is for the records from `from` to `end`.
    pub(super) fn within(&self, from: u64, end: u64) -> Times {
        let first = self.at(from).0.map(|now_ms| (from, now_ms));
        let behind = (Bound::Excluded(from), Bound::Excluded(end));
        let others = self.0.range(behind).map(|(offset, now)| (*offset, *now));
        first.into_iter().chain(others).collect()
    }

    /// Takes up what was committed.
    pub(super) fn learn(&mut self, times: &Times) {
        self.0.extend(times.iter().copied());
    }

    /// Nothing below `offset` is asked for any more.
    pub(super) fn forget_below(&mut self, offset: u64) {
        let Some((first, _)) = self.0.range(..=offset).next_back() else {
            return;
        };
        self.0 = self.0.split_off(&first.clone());
    }
}
