//! Open segment files, shared and capped: a partition without traffic holds none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::LogError;
use crate::segment::{Layout, SegmentFile, SegmentName};
use crate::storage::Storage;
use crate::topic::PartitionKey;

/// Handles kept open when nobody uses them. One in use or with unsynced writes is never closed.
const IDLE_HANDLES_MAX: usize = 64;

/// The cache of open segments.
pub(crate) struct Handles {
    storage: Arc<dyn Storage>,
    layout: Layout,
    read_only: bool,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    files: HashMap<(PartitionKey, SegmentName), (Arc<SegmentFile>, u64)>,
    /// Counts uses, to find the one unused for longest.
    uses: u64,
}

impl Handles {
    pub(crate) fn new(storage: Arc<dyn Storage>, layout: Layout, read_only: bool) -> Self {
        Self {
            storage,
            layout,
            read_only,
            open: Mutex::default(),
        }
    }

    /// The open segment, opened now if need be.
    pub(crate) fn get(
        &self,
        key: PartitionKey,
        topic: &str,
        name: SegmentName,
    ) -> Result<Arc<SegmentFile>, LogError> {
        let mut open = self.lock();
        open.uses += 1;
        let uses = open.uses;
        if let Some((file, used)) = open.files.get_mut(&(key, name)) {
            *used = uses;
            return Ok(Arc::clone(file));
        }
        let path = self.layout.segment(topic, key.partition, name);
        let file = self.storage.open(&path, !self.read_only);
        let file = file.map_err(|error| LogError::io("open", &path, error))?;
        let file = SegmentFile::new(file, path, name);
        open.insert(key, &file);
        Ok(file)
    }

    /// Takes in a segment that was just made.
    pub(crate) fn insert(&self, key: PartitionKey, file: &Arc<SegmentFile>) {
        self.lock().insert(key, file);
    }

    /// Forgets a segment that is being deleted. Readers keep the handles they have.
    pub(crate) fn remove(&self, key: PartitionKey, name: SegmentName) {
        self.lock().files.remove(&(key, name));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        // A panic while it was held left nothing half done: each change is one map operation.
        self.open
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Open {
    fn insert(&mut self, key: PartitionKey, file: &Arc<SegmentFile>) {
        self.uses += 1;
        self.files
            .insert((key, file.name), (Arc::clone(file), self.uses));
        while self.files.len() > IDLE_HANDLES_MAX {
            let idle = self
                .files
                .iter()
                .filter(|(_, (file, _))| Arc::strong_count(file) == 1);
            let oldest = idle.min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            let Some(oldest) = oldest else { return };
            self.files.remove(&oldest);
        }
    }
}
