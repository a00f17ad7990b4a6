//! What a task knows of one partition: how far it was read, and how far it is done.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use towpath_sdk::{SinkBatch, SinkPartition, SinkTopic};

use super::entry::{Oldest, Place};
use super::routing::{Routed, Router};
use super::times::Now;

/// By stream, up to where it is done.
pub(super) type Streams = HashMap<Arc<str>, u64>;

pub(super) struct Partition {
    pub(super) topic: Arc<SinkTopic>,
    pub(super) place: Place,
    /// What was reported last: all records below it are in objects.
    pub(super) low: u64,
    /// Up to where records were taken.
    pub(super) accepted: u64,
    /// The number of the routing that holds.
    pub(super) routing: u32,
    /// Streams that are done further than `low`.
    pub(super) ended: Streams,
    /// The same of routings of before, with their numbers.
    pub(super) earlier: Vec<(u32, Router, Streams)>,
    /// Records from here on are in no object at the start.
    pub(super) horizon: u64,
    pub(super) now: Now,
    /// The objects of each stream that are not done, in their order. Only the first may be finishing,
    /// only the last may take records.
    pub(super) objects: HashMap<Arc<str>, VecDeque<usize>>,
    /// Records left out since `low` rose.
    pub(super) refused: usize,
    /// What the state says of the oldest record.
    pub(super) oldest: Option<Oldest>,
}

impl Partition {
    /// Of which the state says nothing.
    pub(super) fn new(given: &SinkPartition, place: Place) -> Self {
        Self {
            topic: given.topic.clone(),
            place,
            low: given.offset,
            accepted: given.offset,
            routing: 0,
            ended: Streams::new(),
            earlier: Vec::new(),
            horizon: 0,
            now: Now::default(),
            objects: HashMap::new(),
            refused: 0,
            oldest: None,
        }
    }

    /// Whether `batch` is of this partition.
    pub(super) fn is_of(&self, batch: &SinkBatch) -> bool {
        self.place.partition == batch.partition && self.topic == batch.topic
    }

    /// Whether a record of `stream` is in an object.
    pub(super) fn has(&self, offset: u64, stream: &str) -> bool {
        offset < self.horizon && self.ended.get(stream).is_some_and(|end| offset < *end)
    }

    /// Whether a record is in an object that was named in a way of before; `path` is a buffer.
    pub(super) fn had(&self, offset: u64, routed: Routed<'_>, path: &mut Vec<u8>) -> bool {
        if offset >= self.horizon || self.earlier.is_empty() {
            return false;
        }
        // The path of now may do without `{now}`.
        let settled = self.now.at(offset).0;
        let now_ms = settled.unwrap_or(routed.now_ms);
        let routed = Routed { now_ms, ..routed };
        self.earlier.iter().any(|(_, router, streams)| {
            // What had no path is in no object.
            router.stream(routed, path).is_ok()
                && std::str::from_utf8(path)
                    .ok()
                    .and_then(|stream| streams.get(stream))
                    .is_some_and(|end| offset < *end)
        })
    }
}
