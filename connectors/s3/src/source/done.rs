//! Which objects are done: in bounded memory, whatever the order in which they appear.
//!
//! The position of a source that lists a bucket cannot be a key: objects appear behind any key, at
//! any time. It cannot be the set of all that was read either, which grows for ever. So three
//! things say that an object is done:
//!
//! 1. the **floor**: it was modified before that moment;
//! 2. a **swept** region: its key is not behind a certain one, and it was modified before the
//!    region's own floor;
//! 3. an **entry** of its own, by key and ETag.
//!
//! *Sweeps.* A sweep goes through a listing of all keys. Its floor is [`WINDOW_MS`] before its
//! beginning. Whatever it passes is read, or gets an entry that says how far it was read. So of what
//! it has passed, all that was modified before its floor, and was visible then, is done or has an
//! entry that says otherwise: that is a swept region, which grows with the sweep, and at the end of
//! the sweep its floor is *the* floor. Entries that say no more than that are dropped. A sweep that
//! was cut off by a restart begins again at the first key: it finds nothing to do up to where the
//! last one came, and until then the region stands as it was.
//!
//! *What can be missed* is an object that becomes visible more than [`WINDOW_MS`] after the moment
//! at which, as it says itself, it was modified (S3 says of a multipart upload when it was begun).
//! Every other late one was modified after every floor, and has no entry: it is found.
//!
//! *Memory.* There are entries for what was modified within the window, and for what was begun and is
//! not read to its end. When they are more than [`REMEMBERED_MAX`], the sweep's floor is raised over
//! the oldest that it has passed: the window is as short as the bucket is busy, down to
//! [`SHORT_WINDOW_MS`]. It cannot be shorter: what appears behind a sweep is modified after the
//! sweep's beginning by the store's clock, which is not ours.
//!
//! *Tasks.* Keys are dealt to [`SHARDS`] by a hash, shards to tasks. All is kept by shard, so that
//! another number of tasks changes nothing about what is done.
//!
//! *Crash.* Changes become durable in the order in which they are made, those of a floor before the
//! deletion of what it covers. So an entry is missing only where a floor covers it.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher128};
use towpath_sdk::{Result, State, StateChange};

use super::saved::{self, Entry, Reading, Shard, Swept};
use crate::client::Listed;

/// An object may become visible so long after its time of modification.
pub const WINDOW_MS: i64 = 24 * 3_600_000;
/// But not less than this: S3 refuses who has a clock that differs by more.
pub const SHORT_WINDOW_MS: i64 = 15 * 60_000;
/// More entries than this are not kept, as far as a floor can cover them.
pub const REMEMBERED_MAX: usize = 100_000;
/// The most tasks that can share a bucket.
pub const SHARDS: u8 = 64;

/// An object's content: the shard of its key, and a hash of key and ETag.
pub type Id = (u8, u128);

/// What one task has done.
#[derive(Debug)]
pub struct Done {
    shards: BTreeMap<u8, Shard>,
    entries: HashMap<Id, Known>,
    /// Of the sweep in progress, and up to where it may be raised.
    floor_ms: i64,
    floor_max_ms: i64,
    remembered_max: usize,
}

#[derive(Debug)]
struct Known {
    entry: Entry,
    /// The sweep in progress has passed it.
    passed: bool,
}

/// How an object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing of it was read.
    New,
    /// It was read so far.
    Begun(Reading),
    /// It is read, and something is to be done with it now.
    Read,
    /// Nothing is left to do.
    Done,
}

impl Done {
    /// What the shards of `task` have committed; and the numbers of those that have not begun.
    ///
    /// # Errors
    /// Fatal, when something cannot be understood.
    pub fn restore(state: &dyn State, task: u32, tasks: u32) -> Result<(Self, Vec<u8>)> {
        let mut done = Self {
            shards: BTreeMap::new(),
            entries: HashMap::new(),
            floor_ms: i64::MIN,
            floor_max_ms: i64::MIN,
            remembered_max: REMEMBERED_MAX,
        };
        let mut fresh = Vec::new();
        for number in (0..SHARDS).filter(|number| u32::from(*number) % tasks.max(1) == task) {
            let key = saved::shard_key(number);
            let shard = match state.get(&key) {
                Some(value) => saved::decode_shard(&key, &value)?,
                None => {
                    fresh.push(number);
                    continue;
                }
            };
            done.shards.insert(number, shard);
            for (key, value) in state.scan(&saved::entries_of(number)) {
                let (id, entry) = saved::decode_entry(number, &key, &value)?;
                let passed = false;
                done.entries.insert(id, Known { entry, passed });
            }
        }
        Ok((done, fresh))
    }

    /// The shards `fresh` begin: what was modified before `floor_ms` is done, and `besides`.
    #[must_use]
    pub fn begin(&mut self, fresh: &[u8], floor_ms: i64, besides: &[Listed]) -> Vec<StateChange> {
        for number in fresh {
            let swept = None;
            self.shards.insert(*number, Shard { floor_ms, swept });
        }
        if fresh.is_empty() {
            return Vec::new();
        }
        let mut changes = self.shard_changes();
        for object in besides
            .iter()
            .filter(|object| fresh.contains(&shard_of(&object.key)))
        {
            let modified_ms = object.modified_ms;
            changes.push(self.put(object, Entry::Done { modified_ms }));
        }
        changes
    }

    /// Whether `key` is one of this task's.
    pub fn owns(&self, key: &str) -> bool {
        self.shards.contains_key(&shard_of(key))
    }

    /// Keeps fewer entries than [`REMEMBERED_MAX`].
    #[cfg(test)]
    pub fn remember(&mut self, entries: usize) {
        self.remembered_max = entries;
    }

    /// A sweep begins at the first key. All that is visible from now on, and was modified before
    /// `now_ms`, it will be shown.
    pub fn begin_sweep(&mut self, now_ms: i64) {
        self.floor_ms = now_ms.saturating_sub(WINDOW_MS);
        self.floor_max_ms = now_ms.saturating_sub(SHORT_WINDOW_MS);
        for known in self.entries.values_mut() {
            known.passed = false;
        }
    }

    /// How `object` stands, which the sweep passes now.
    pub fn standing(&mut self, object: &Listed) -> Standing {
        let id = id_of(object);
        if let Some(known) = self.entries.get_mut(&id) {
            known.passed = true;
            return match &known.entry {
                Entry::Reading(reading) => Standing::Begun(reading.clone()),
                Entry::Read => Standing::Read,
                Entry::Done { .. } => Standing::Done,
            };
        }
        let is_covered = |shard: &Shard| shard.covers(&object.key, object.modified_ms);
        match self.shards.get(&id.0).is_none_or(is_covered) {
            true => Standing::Done,
            false => Standing::New,
        }
    }

    /// `object` stands as `entry` says.
    #[must_use]
    pub fn put(&mut self, object: &Listed, entry: Entry) -> StateChange {
        let id = id_of(object);
        let change = StateChange::put(saved::entry_key(id), entry.encode());
        // What is put without having been passed before is read right now.
        let passed = self.entries.get(&id).is_none_or(|known| known.passed);
        self.entries.insert(id, Known { entry, passed });
        change
    }

    /// `object` is no more, or another content stands under its key.
    #[must_use]
    pub fn forget(&mut self, object: &Listed) -> StateChange {
        let id = id_of(object);
        self.entries.remove(&id);
        StateChange::delete(saved::entry_key(id))
    }

    /// The sweep has dealt with every object up to `key`.
    #[must_use]
    pub fn swept_to(&mut self, key: &str) -> Vec<StateChange> {
        self.raise_floor();
        for shard in self.shards.values_mut() {
            let before = shard.swept.take();
            let region = match before {
                Some(further) if *further.key > *key => further,
                before => Swept {
                    key: key.to_owned(),
                    floor_ms: before.map_or(self.floor_ms, |it| it.floor_ms.max(self.floor_ms)),
                },
            };
            shard.swept = Some(region);
        }
        self.drop_covered()
    }

    /// The sweep, which reads in the order of time, has dealt with every object that was modified
    /// before `modified_ms`.
    #[must_use]
    pub fn swept_before(&mut self, modified_ms: i64) -> Vec<StateChange> {
        self.raise_floor();
        for shard in self.shards.values_mut() {
            shard.floor_ms = shard.floor_ms.max(self.floor_ms.min(modified_ms));
        }
        self.drop_covered()
    }

    /// The sweep has dealt with every object.
    #[must_use]
    pub fn end_sweep(&mut self) -> Vec<StateChange> {
        self.raise_floor();
        for shard in self.shards.values_mut() {
            let swept = shard.swept.take().map_or(i64::MIN, |swept| swept.floor_ms);
            shard.floor_ms = shard.floor_ms.max(swept).max(self.floor_ms);
        }
        let mut changes = self.drop_covered();
        let gone = self.entries.iter().filter(|(_, known)| !known.passed);
        let gone: Vec<Id> = gone.map(|(id, _)| *id).collect();
        changes.extend(self.remove(gone));
        changes
    }

    /// Drops the entries that say no more than a floor does. The floors come first: see above.
    fn drop_covered(&mut self) -> Vec<StateChange> {
        let is_covered = |(id, known): &(&Id, &Known)| {
            let Entry::Done { modified_ms } = known.entry else {
                return false;
            };
            // What the sweep has passed lies in the region, whatever its key.
            let shard = self.shards.get(&id.0);
            known.passed && shard.is_some_and(|shard| shard.covers("", modified_ms))
        };
        let covered: Vec<Id> = self
            .entries
            .iter()
            .filter(is_covered)
            .map(|(id, _)| *id)
            .collect();
        if covered.is_empty() {
            return Vec::new();
        }
        let mut changes = self.shard_changes();
        changes.extend(self.remove(covered));
        changes
    }

    fn remove(&mut self, ids: Vec<Id>) -> impl Iterator<Item = StateChange> {
        ids.into_iter().map(|id| {
            self.entries.remove(&id);
            StateChange::delete(saved::entry_key(id))
        })
    }

    /// When there are too many entries, raises the sweep's floor over the oldest of those that it has
    /// passed, so that three quarters of what may be remembered are left.
    fn raise_floor(&mut self) {
        if self.entries.len() <= self.remembered_max {
            return;
        }
        let passed = self.entries.values().filter(|known| known.passed);
        let mut times: Vec<i64> = passed
            .filter_map(|known| match known.entry {
                Entry::Done { modified_ms } => Some(modified_ms),
                Entry::Reading(_) | Entry::Read => None,
            })
            .collect();
        let too_many = times.len().saturating_sub(self.remembered_max / 4 * 3);
        if too_many < times.len() {
            let (_, time, _) = times.select_nth_unstable(too_many);
            self.floor_ms = self.floor_ms.max(self.floor_max_ms.min(*time));
        }
    }

    fn shard_changes(&self) -> Vec<StateChange> {
        let change = |(number, shard): (&u8, &Shard)| {
            StateChange::put(saved::shard_key(*number), shard.encode())
        };
        self.shards.iter().map(change).collect()
    }
}

/// The hash must not change: what is committed is known by it.
fn shard_of(key: &str) -> u8 {
    let mut hasher = SipHasher13::new();
    hasher.write(key.as_bytes());
    (hasher.finish() % u64::from(SHARDS)) as u8
}

/// The hash must not change: what is committed is known by it.
fn id_of(object: &Listed) -> Id {
    let mut hasher = SipHasher128::new();
    hasher.write(object.key.as_bytes());
    // No key holds a NUL.
    hasher.write(b"\0");
    hasher.write(object.etag.as_bytes());
    (shard_of(&object.key), hasher.finish128().as_u128())
}
