//! What can be asked of a worker, or of a data directory that no worker holds: the operations
//! behind the command line and the HTTP side, with their requests and answers as plain data.
//!
//! Operations on the log wait for the disk: call them off the async threads. Those that wait for
//! tasks or for records are async. Any number may run at once; what is changed for one owner goes
//! through one writer, whose sets are accepted in order.

mod dead_letters;
mod letter;
mod lifecycle;
mod marks;
mod offsets;
mod payload;
mod produce;
mod records;
mod retry;
mod schemas;
mod topics;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use towpath_log::{AppendSet, Log, RegistrationInfo, STATE_BYTES_MAX, StateChange, Writer};
use towpath_sdk::config::nearest;
use towpath_sdk::{Error, Result};

use crate::Worker;
use crate::commit::{hand_over, log_error, settled};
use crate::spec::ConnectorSpec;

pub use crate::schemas::{FieldText, SchemaText};
pub(crate) use dead_letters::mark_dead_letter_topics;
pub use dead_letters::{
    DeadLetter, DeadLetterGroup, DeadLetterTopic, DeadLettersPage, DeadLettersRequest, DropRequest,
    Dropped, DroppedFrom,
};
pub use lifecycle::{Changed, StatusAnswer};
pub use offsets::{
    ConnectorOffsets, ForgetAnswer, PartitionOffset, ResetAnswer, ResetRequest, StateKey,
};
pub use payload::Payload;
pub use produce::{NewRecord, ProduceRequest, Produced, ProducedTo};
pub use records::{RecordsPage, RecordsRequest, TailRecord};
pub use retry::{LeftGroup, Retried, RetriedGroup, RetryRequest};
pub use schemas::{SchemaSubject, SchemaVersion};
pub use topics::{Partition, Topic, TopicReader};

/// Owner of what is no connector's: which connectors are paused, which dead letters are retried, and
/// records of `produce`.
pub const OWNER: &str = "towpath";

/// State in one set; half of what the log allows, as one value may go beyond it.
const SET_STATE_BYTES: usize = STATE_BYTES_MAX / 2;

/// The key of owner [`OWNER`] that is there while `connector` is paused.
pub fn paused_key(connector: &str) -> Bytes {
    Bytes::from(format!("paused/{connector}"))
}

/// The connectors that are paused.
pub(crate) fn paused(log: &Log) -> BTreeSet<String> {
    let keys = log.state(OWNER).into_keys();
    keys.filter_map(|key| {
        Some(
            std::str::from_utf8(&key)
                .ok()?
                .strip_prefix("paused/")?
                .to_owned(),
        )
    })
    .collect()
}

/// Has pauses follow the connectors that are about to take over what another one had `formerly`.
/// Waits for the disk.
pub(crate) fn move_pauses(log: &Log, specs: &[ConnectorSpec]) -> Result<()> {
    let known = log.registrations();
    let is_known = |name: &str| known.iter().any(|old| old.registration.name == name);
    let paused = paused(log);
    let moved = specs.iter().filter(|spec| !is_known(&spec.name));
    let moved = moved.filter_map(|spec| {
        let former = spec.configured.formerly.as_deref()?;
        paused.contains(former).then_some((former, &*spec.name))
    });
    let marks = moved.flat_map(|(former, name)| {
        let mark = Some(Bytes::from_static(b"1"));
        [(paused_key(former), None), (paused_key(name), mark)]
    });
    Control::new(log.clone(), None, 0).change_state(OWNER, marks)
}

/// The operations; one for the life of a worker or a command.
pub struct Control {
    log: Log,
    worker: Option<Arc<Worker>>,
    /// Largest value or key that `produce` takes.
    record_bytes_max: u64,
    /// Opened at the first need, and again after a refused set.
    writer: Mutex<Option<Writer>>,
    /// Spreads records without key or partition.
    turn: AtomicU32,
    /// Dead letters are retried by one request at a time.
    retrying: Mutex<()>,
}

impl Control {
    /// With `worker`, connectors may be running and are asked of it.
    pub fn new(log: Log, worker: Option<Arc<Worker>>, record_bytes_max: u64) -> Self {
        let (writer, turn) = (Mutex::new(None), AtomicU32::new(0));
        Self {
            log,
            worker,
            record_bytes_max,
            writer,
            turn,
            retrying: Mutex::default(),
        }
    }

    /// Commits `set` as [`OWNER`] and waits for it, as `durability` says.
    fn commit(&self, set: AppendSet) -> Result<Vec<u64>> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match writer.take() {
            Some(open) => open,
            None => self.open_writer(OWNER)?,
        };
        let committed = settled(hand_over(&open, set).blocking_recv())?;
        *writer = Some(open);
        Ok(committed.base_offsets)
    }

    /// Puts or deletes keys of `owner`'s state, in as many sets as their size needs.
    fn change_state(
        &self,
        owner: &str,
        changes: impl IntoIterator<Item = (Bytes, Option<Bytes>)>,
    ) -> Result<()> {
        let stored = self.log.state(owner);
        let mut open = None;
        let mut changes = changes
            .into_iter()
            .map(|(key, after)| StateChange {
                before: stored.get(&key).cloned(),
                key,
                after,
            })
            .filter(|change| change.before != change.after)
            .peekable();
        while changes.peek().is_some() {
            let mut state = Vec::new();
            let mut bytes = 0;
            while bytes < SET_STATE_BYTES
                && let Some(change) = changes.next()
            {
                let values = [&change.before, &change.after];
                bytes +=
                    change.key.len() + values.into_iter().flatten().map(Bytes::len).sum::<usize>();
                state.push(change);
            }
            let set = AppendSet {
                state,
                ..AppendSet::default()
            };
            if owner == OWNER {
                self.commit(set)?;
                continue;
            }
            let writer = match &open {
                Some(writer) => writer,
                None => open.insert(self.open_writer(owner)?),
            };
            settled(hand_over(writer, set).blocking_recv())?;
        }
        Ok(())
    }

    fn open_writer(&self, owner: &str) -> Result<Writer> {
        self.log
            .open_writer(owner, 0)
            .map_err(|error| log_error("open the log for writing", error))
    }

    /// The registration of connector `name`; an unknown one is refused with the nearest name.
    fn registration(&self, name: &str) -> Result<RegistrationInfo> {
        let known = self.log.registrations();
        match known.iter().find(|info| info.registration.name == name) {
            Some(info) => Ok(info.clone()),
            None => Err(unknown_connector(name, &self.names())),
        }
    }

    /// Every connector the worker runs or the log remembers.
    fn names(&self) -> BTreeSet<String> {
        let registered = self
            .log
            .registrations()
            .into_iter()
            .map(|info| info.registration.name);
        let running = self
            .worker
            .iter()
            .flat_map(|worker| worker.status().connectors);
        registered
            .chain(running.map(|connector| connector.name))
            .collect()
    }
}

/// There is no connector `name`; says what there is.
fn unknown_connector(name: &str, known: &BTreeSet<String>) -> Error {
    let error = Error::configuration("find connector", format!("`{name}`"))
        .because("neither a pipeline nor the log knows it");
    // A connector's own name alone is the likeliest slip.
    let ends = |full: &&String| full.rsplit_once('.').is_some_and(|(_, own)| own == name);
    let near = known.iter().find(ends).map(String::as_str);
    match near.or_else(|| nearest(name, known.iter().map(String::as_str))) {
        Some(near) => error.remedy(format!("did you mean `{near}`?")),
        None if known.is_empty() => error.remedy("there are no connectors yet: `towpath run` one"),
        None => error.remedy(format!(
            "known are: {}",
            known
                .iter()
                .take(20)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        )),
    }
}

#[cfg(test)]
mod tests;
