//! One seeded source of random numbers per test. The seed is printed when the test fails (libtest
//! shows the output of failed tests only) and `TOWPATH_SEED` replays it.

use std::hash::{BuildHasher, RandomState};

/// SplitMix64: small, quick, and good enough to choose what a test does.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A fresh seed, or the one of `TOWPATH_SEED`.
    pub fn new() -> Self {
        let given = std::env::var("TOWPATH_SEED").ok();
        let seed = match given {
            Some(seed) => seed.parse().expect("TOWPATH_SEED must be a number"),
            None => RandomState::new().hash_one(0),
        };
        println!("TOWPATH_SEED={seed}");
        Self(seed)
    }

    /// A second stream for another thread, fixed by this one.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// True `percent` times out of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}
