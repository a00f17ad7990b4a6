//! Watches: who is woken when a log has published new ends.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use crate::shared::Shared;

/// Called after each publication.
pub(crate) type Wake = Arc<dyn Fn() + Send + Sync>;

/// The watches of a log, by number.
#[derive(Default)]
pub(crate) struct Watches {
    next: u64,
    pub wakes: BTreeMap<u64, Wake>,
}

/// Calls a wake-up until it is dropped; see [`Log::watch`](crate::Log::watch).
pub struct Watch {
    shared: Arc<Shared>,
    number: u64,
}

impl Watch {
    pub(crate) fn start(shared: &Arc<Shared>, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        let mut watches = shared
            .watches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let number = watches.next;
        watches.next += 1;
        watches.wakes.insert(number, Wake::from(wake));
        drop(watches);
        Self {
            shared: Arc::clone(shared),
            number,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watches = self
            .shared
            .watches
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        watches.wakes.remove(&self.number);
    }
}
