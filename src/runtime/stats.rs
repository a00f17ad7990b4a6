//! What a connector has done: counters its tasks raise, and rates over the last seconds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Samples kept for rates: one a second.
const WINDOW: usize = 10;

/// Counters of one connector; raised once a batch.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Records and their bytes that became durable (source and stream: in the log; sink: at the far side).
    records: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    dead_letters: AtomicU64,
    retries: AtomicU64,
    samples: Mutex<VecDeque<(Instant, u64, u64)>>,
}

/// Records and bytes per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rates {
    pub records: f64,
    pub bytes: f64,
}

impl Stats {
    pub fn add(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Bad records that were left out, and whether they are kept as dead letters.
    pub fn add_refused(&self, records: u64, kept: bool) {
        let counter = if kept {
            &self.dead_letters
        } else {
            &self.skipped
        };
        counter.fetch_add(records, Relaxed);
    }

    pub fn add_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub fn records(&self) -> u64 {
        self.records.load(Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub fn skipped(&self) -> u64 {
        self.skipped.load(Relaxed)
    }

    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Relaxed)
    }

    pub fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Remembers where the counters stand; called about once a second.
    pub fn sample(&self, now: Instant) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == WINDOW {
            samples.pop_front();
        }
        samples.push_back((now, self.records(), self.bytes()));
    }

    /// Rates since the oldest sample.
    pub fn rates(&self, now: Instant) -> Rates {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(&(since, records, bytes)) = samples.front() else {
            return Rates::default();
        };
        let seconds = now
            .saturating_duration_since(since)
            .max(Duration::from_millis(1));
        let per_second = |now: u64, then: u64| (now - then) as f64 / seconds.as_secs_f64();
        Rates {
            records: per_second(self.records(), records),
            bytes: per_second(self.bytes(), bytes),
        }
    }
}
