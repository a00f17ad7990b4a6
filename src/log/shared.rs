//! What the stages of the committer, the readers and the callers of a running log share.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::buffers::Buffers;
use crate::config::LogConfig;
use crate::handles::Handles;
use crate::partition::Segment;
use crate::segment::Layout;
use crate::state::State;
use crate::storage::{Clock, Storage};
use crate::topic::{LogId, PartitionKey};
use crate::watch::{Wake, Watches};
use crate::{Durability, LogError, ReadTo, compaction};

pub(crate) struct Shared {
    pub id: LogId,
    pub layout: Layout,
    pub config: LogConfig,
    pub storage: Arc<dyn Storage>,
    pub clock: Arc<dyn Clock>,
    pub handles: Handles,
    pub buffers: Buffers,
    published: RwLock<Published>,
    /// Sequence of a record up to which all are durable.
    pub durable: AtomicU64,
    /// Why each damaged partition has stopped. Fixed at the start.
    pub damage: BTreeMap<PartitionKey, String>,
    /// Nothing in the directory may be changed.
    pub read_only: bool,
    failure: Mutex<Option<LogError>>,
    pub watches: Mutex<Watches>,
    /// Where retention last saw the clocks, first at the start, to notice that one was set.
    pub clocks: Mutex<(i64, u64)>,
}

/// What readers may see.
pub(crate) struct Published {
    pub state: State,
    /// In `os` mode: durable ends of the partitions whose committed end is further.
    pub behind: HashMap<PartitionKey, u64>,
}

impl Published {
    /// The readable end of a partition.
    pub(crate) fn end(&self, key: PartitionKey, to: ReadTo) -> Option<u64> {
        let committed = self.state.partition(key)?.end;
        let durable = || self.behind.get(&key).copied().unwrap_or(committed);
        Some(if to == ReadTo::Durable {
            durable()
        } else {
            committed
        })
    }
}

/// What recovery hands over.
pub(crate) struct Parts {
    pub id: LogId,
    pub layout: Layout,
    pub config: LogConfig,
    pub storage: Arc<dyn Storage>,
    pub clock: Arc<dyn Clock>,
    pub state: State,
    pub durable: u64,
    pub damage: BTreeMap<PartitionKey, String>,
    /// Why the log was not opened as it was asked to be: its commit log is damaged.
    pub failure: Option<LogError>,
    /// Nothing in the directory may be changed.
    pub read_only: bool,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            id,
            layout,
            config,
            storage,
            clock,
            state,
            durable,
            damage,
            failure,
            read_only,
        } = parts;
        let clocks = Mutex::new((clock.now_ms(), clock.monotonic_ms()));
        Arc::new(Self {
            id,
            handles: Handles::new(Arc::clone(&storage), layout.clone(), read_only),
            buffers: Buffers::default(),
            layout,
            config,
            storage,
            clock,
            published: RwLock::new(Published {
                state,
                behind: HashMap::new(),
            }),
            durable: AtomicU64::new(durable),
            damage,
            read_only,
            failure: Mutex::new(failure),
            watches: Mutex::default(),
            clocks,
        })
    }

    pub(crate) fn published(&self) -> RwLockReadGuard<'_, Published> {
        // Only `publish` writes, and a panic there has stopped the log.
        self.published
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self) -> RwLockWriteGuard<'_, Published> {
        self.published
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the segment still is what readers of the partition are sent to.
    pub(crate) fn lists(&self, key: PartitionKey, segment: &Segment) -> bool {
        let published = self.published();
        let partition = published.state.partition(key);
        let mut segments = partition.into_iter().flat_map(|p| &p.segments);
        segments.any(|held| held.name() == segment.name())
    }

    /// Size from which a segment of the partition is sealed.
    pub(crate) fn segment_bytes(&self, state: &State, key: PartitionKey) -> u64 {
        let topic = state.topics.get(&key.topic);
        let compacted = topic.is_some_and(|topic| topic.config.is_compacted());
        match compacted {
            true => self.config.segment_bytes.min(compaction::SEGMENT_BYTES),
            false => self.config.segment_bytes,
        }
    }

    pub(crate) fn is_fsync(&self) -> bool {
        self.config.durability == Durability::Fsync
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Why the log takes no more sets, if so.
    pub(crate) fn failure(&self) -> Option<LogError> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends the log. The first failure is the one that is told.
    pub(crate) fn fail(&self, error: LogError) -> LogError {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| error.into_failed()).clone()
    }

    pub(crate) fn wake(&self) {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let wakes: Vec<Wake> = watches.wakes.values().cloned().collect();
        drop(watches);
        for wake in wakes {
            wake();
        }
    }
}
