//! The thread of a task: it goes through listings, reads what is left to read, and does what is to
//! be done after.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use towpath_sdk::{Error, Health, Result, SourceBatch, State, StateChange, now_ms};

use super::Control;
use super::config::{After, Order, S3SourceOptions};
use super::content::{Halt, Trouble};
use super::disposal::dispose;
use super::done::{Done, Standing};
use super::outbox::Outbox;
use super::reader::{Kit, Reader, Turn};
use super::saved::{Entry, Reading};
use super::selection::Selection;
use crate::client::Listed;

/// In the order of time, so many objects are known ahead.
const AHEAD_MAX: usize = 10_000;
/// With more objects that cannot be read, something else is wrong.
const TROUBLES_MAX: usize = 10_000;
/// A stop waits so long for what is to be done with objects that were read.
const FAREWELL: Duration = Duration::from_secs(10);

/// What runs on the thread.
pub struct Task {
    kit: Kit,
    options: Arc<S3SourceOptions>,
    selection: Selection,
    done: Done,
    state: Arc<dyn State>,
    health: Arc<dyn Health>,
    outbox: Outbox,
    control: watch::Receiver<Control>,
    /// What was modified later is not read.
    until_ms: i64,
    /// What was read, by key, and the batch that must be durable before it is disposed of.
    read: BTreeMap<String, (u64, Listed)>,
    /// What cannot be read or disposed of, as this sweep has found, by key; and why.
    troubles: BTreeMap<String, String>,
    /// The ETag of what is damaged, by key; and how.
    damaged: HashMap<String, (String, String)>,
}

impl Task {
    pub fn new(
        kit: Kit,
        options: Arc<S3SourceOptions>,
        done: Done,
        (state, health): (Arc<dyn State>, Arc<dyn Health>),
        sender: mpsc::Sender<Result<SourceBatch>>,
        control: watch::Receiver<Control>,
        until_ms: i64,
    ) -> Self {
        Self {
            kit,
            selection: options.selection(),
            options,
            done,
            state,
            health,
            outbox: Outbox::new(sender),
            control,
            until_ms,
            read: BTreeMap::new(),
            troubles: BTreeMap::new(),
            damaged: HashMap::new(),
        }
    }

    /// Sweeps until it is stopped.
    pub fn follow(mut self) {
        loop {
            let swept = self.sweep();
            let waited = swept.and_then(|()| self.wait(self.options.poll_interval.0));
            if let Err(halt) = waited {
                return self.end(halt);
            }
        }
    }

    /// Sweeps once, then waits for the last acknowledgements.
    pub fn drain(mut self) {
        if let Err(halt) = self.sweep() {
            return self.end(halt);
        }
        if let Some(error) = self.failure() {
            return self.end(Halt::Failed(error));
        }
        self.outbox.close(None);
        while let Ok(()) = self.wait(Duration::from_secs(60)) {}
        self.farewell();
    }

    /// The task ends: says why, if somebody is to know.
    fn end(mut self, halt: Halt) {
        match halt {
            Halt::Failed(error) => self.outbox.close(Some(error)),
            Halt::Stopped => self.farewell(),
        }
    }

    /// What a drain must tell at its end: the objects that could not be read.
    fn failure(&self) -> Option<Error> {
        let (key, why) = self.troubles.first_key_value()?;
        let with = match self.troubles.len() {
            1 => key.clone(),
            more => format!("{more} objects, the first of them {key}"),
        };
        let error = Error::configuration("read", with).because(why.clone());
        Some(error.remedy("all other objects were read; mend or exclude it, and run again"))
    }

    /// Goes through all objects once.
    fn sweep(&mut self) -> Result<(), Halt> {
        let before = std::mem::take(&mut self.troubles);
        self.done.begin_sweep(now_ms().min(self.until_ms));
        match self.options.order {
            Order::Key => self.sweep_by_key()?,
            Order::LastModified => self.sweep_by_time()?,
        }
        let changes = self.done.end_sweep();
        self.send_alone(&changes)?;
        let over = before
            .keys()
            .filter(|key| !self.troubles.contains_key(*key));
        over.for_each(|key| self.health.report(key, None));
        let is_there = |key: &String, _: &mut _| self.troubles.contains_key(key);
        self.damaged.retain(is_there);
        self.dispose()
    }

    fn sweep_by_key(&mut self) -> Result<(), Halt> {
        let mut after = String::new();
        loop {
            let page = self.kit.remote.list(self.selection.prefix(), &after)?;
            for object in &page.objects {
                if let Some(reading) = self.meet(object) {
                    self.read(object, reading)?;
                }
            }
            let Some(last) = page.objects.last() else {
                return Ok(());
            };
            after.clone_from(&last.key);
            let changes = self.done.swept_to(&after);
            self.send_alone(&changes)?;
            if !page.more {
                return Ok(());
            }
        }
    }

    /// As many objects as are known ahead have been read, in their order, before a listing finds
    /// those behind them.
    fn sweep_by_time(&mut self) -> Result<(), Halt> {
        loop {
            let mut ahead = BTreeMap::new();
            let mut after = String::new();
            let mut more_ahead = false;
            loop {
                let page = self.kit.remote.list(self.selection.prefix(), &after)?;
                if let Some(last) = page.objects.last() {
                    after.clone_from(&last.key);
                }
                for object in page.objects {
                    let is_left = self.meet(&object).is_some();
                    if is_left && !self.troubles.contains_key(&object.key) {
                        ahead.insert((object.modified_ms, object.key.clone()), object);
                    }
                    if ahead.len() > AHEAD_MAX {
                        ahead.pop_last();
                        more_ahead = true;
                    }
                }
                if !page.more {
                    break;
                }
            }
            for object in ahead.values() {
                if let Some(reading) = self.meet(object) {
                    self.read(object, reading)?;
                }
            }
            match ahead.last_key_value() {
                Some(((modified_ms, _), _)) if more_ahead => {
                    let changes = self.done.swept_before(*modified_ms);
                    self.send_alone(&changes)?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// From where to read `object`, which a listing shows; `None` if nothing of it is to be read.
    fn meet(&mut self, object: &Listed) -> Option<Reading> {
        if !self.done.owns(&object.key) || !self.selection.selects(&object.key) {
            return None;
        }
        match self.done.standing(object) {
            Standing::New if object.modified_ms > self.until_ms => None,
            Standing::New => Some(Reading::default()),
            Standing::Begun(reading) => Some(reading),
            Standing::Read => {
                // If it is not in a batch of this life, that batch is durable.
                let durable = || (0, object.clone());
                self.read.entry(object.key.clone()).or_insert_with(durable);
                None
            }
            Standing::Done => None,
        }
    }

    /// Reads `object` on; what is wrong with it alone is told, and is no error.
    fn read(&mut self, object: &Listed, mut reading: Reading) -> Result<(), Halt> {
        let mut object = object.clone();
        loop {
            if let Some((etag, why)) = self.damaged.get(&object.key)
                && *etag == object.etag
            {
                self.troubles.insert(object.key, why.clone());
                return Ok(());
            }
            match self.read_to_end(&object, reading) {
                Ok(()) => return Ok(()),
                Err(Trouble::Gone) => {
                    tracing::info!(key = object.key, "is gone before it was read to its end");
                    self.outbox.change(self.done.forget(&object));
                    return Ok(());
                }
                Err(Trouble::Replaced) => {
                    let found = self.kit.remote.look_at(&object.key)?;
                    if found
                        .as_ref()
                        .is_some_and(|found| found.etag == object.etag)
                    {
                        let error = Error::transient("read", &object.key);
                        let error =
                            error.because("the store says that it was replaced, and was not");
                        return self.trouble(&object, &error);
                    }
                    tracing::info!(key = object.key, "was replaced; is read from its start");
                    self.outbox.change(self.done.forget(&object));
                    let Some(found) = found else { return Ok(()) };
                    if self.done.standing(&found) != Standing::New {
                        return Ok(());
                    }
                    (object, reading) = (found, Reading::default());
                }
                Err(Trouble::Damaged(error)) => {
                    let (etag, why) = (object.etag.clone(), error.to_string());
                    self.damaged.insert(object.key.clone(), (etag, why));
                    return self.trouble(&object, &error);
                }
                Err(Trouble::Denied(error)) => return self.trouble(&object, &error),
                Err(Trouble::Halt(halt)) => return Err(halt),
            }
        }
    }

    fn read_to_end(&mut self, object: &Listed, reading: Reading) -> Result<(), Trouble> {
        let mut reader = Reader::open(&self.kit, object, reading)?;
        loop {
            let (batch, room) = self.outbox.batch();
            let (added_bytes, turn) = reader.turn(&self.kit, batch, room);
            self.outbox.added(added_bytes);
            let ended = matches!(turn, Ok(Turn::Ended));
            let entry = match (&self.options.after, ended) {
                (_, false) => Entry::Reading(reader.reading().clone()),
                (After::Keep, true) => Entry::Done {
                    modified_ms: object.modified_ms,
                },
                (After::Delete | After::Tag | After::Move(_), true) => {
                    let read = (self.outbox.number(), object.clone());
                    self.read.insert(object.key.clone(), read);
                    Entry::Read
                }
            };
            self.outbox.change(self.done.put(object, entry));
            match turn? {
                Turn::Ended if self.outbox.is_due() => return Ok(self.send()?),
                Turn::Ended => return Ok(()),
                Turn::Full => self.send()?,
                Turn::Refused(error) => {
                    self.send()?;
                    return Err(Halt::Failed(error).into());
                }
            }
        }
    }

    /// `object` alone cannot be read on: it keeps an entry, and is told.
    fn trouble(&mut self, object: &Listed, error: &Error) -> Result<(), Halt> {
        if self.done.standing(object) == Standing::New {
            let entry = Entry::Reading(Reading::default());
            self.outbox.change(self.done.put(object, entry));
        }
        self.health.report(&object.key, Some(error));
        self.troubles.insert(object.key.clone(), error.to_string());
        if self.troubles.len() > TROUBLES_MAX {
            let what = format!("{TROUBLES_MAX} objects");
            let error = Error::configuration("read", what).because(error.to_string());
            return Err(Halt::Failed(error));
        }
        Ok(())
    }

    /// Hands over what is there, and disposes of what has become durable.
    fn send(&mut self) -> Result<(), Halt> {
        self.send_alone(&[])
    }

    /// As [`Self::send`], and `changes` behind it.
    fn send_alone(&mut self, changes: &[StateChange]) -> Result<(), Halt> {
        self.outbox.send_alone(changes)?;
        self.dispose()
    }

    /// Waits for `patience`, and disposes of what becomes durable.
    fn wait(&mut self, patience: Duration) -> Result<(), Halt> {
        let until = tokio::time::Instant::now() + patience;
        let (_, runtime) = self.kit.remote.unstopped();
        let runtime = runtime.clone();
        loop {
            if self.control.borrow_and_update().stop {
                return Err(Halt::Stopped);
            }
            self.dispose()?;
            let news = runtime
                .block_on(async { tokio::time::timeout_at(until, self.control.changed()).await });
            match news {
                Err(_) => return Ok(()),
                Ok(Err(_)) => return Err(Halt::Stopped),
                Ok(Ok(())) => {}
            }
        }
    }

    /// Does what is to be done with objects that were read and are durable.
    fn dispose(&mut self) -> Result<(), Halt> {
        self.dispose_of_durable(false)
    }

    /// After a stop only if `stopped`.
    fn dispose_of_durable(&mut self, stopped: bool) -> Result<(), Halt> {
        let acked = self.control.borrow().acked;
        let due = self.read.values().filter(|(batch, _)| *batch <= acked);
        let due: Vec<Listed> = due.map(|(_, object)| object.clone()).collect();
        let mut changes = Vec::new();
        for object in due {
            if self.control.borrow().stop && !stopped {
                break;
            }
            self.read.remove(&object.key);
            let (client, runtime) = self.kit.remote.unstopped();
            let (after, prefix) = (&self.options.after, self.selection.prefix());
            match runtime.block_on(dispose(client, after, prefix, &object)) {
                Ok(()) => changes.push(match after {
                    After::Delete | After::Move(_) => self.done.forget(&object),
                    After::Keep | After::Tag => {
                        let modified_ms = object.modified_ms;
                        self.done.put(&object, Entry::Done { modified_ms })
                    }
                }),
                // The next sweep meets it again.
                Err(error) => {
                    let error = error.remedy("it was read; it is tried again until it works");
                    self.health.report(&object.key, Some(&error));
                    self.troubles.insert(object.key.clone(), error.to_string());
                }
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let state = self.state.clone();
        let (_, runtime) = self.kit.remote.unstopped();
        runtime
            .block_on(async move { state.commit(changes).await })
            .map_err(Halt::Failed)
    }

    /// Disposes of what is durable already, if that does not take long.
    fn farewell(mut self) {
        let (_, runtime) = self.kit.remote.unstopped();
        let runtime = runtime.clone();
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        let farewell = std::thread::spawn(move || {
            // What is left is done at the next start.
            let _ = self.dispose_of_durable(true);
            drop(ended);
        });
        let _ = runtime.block_on(async { tokio::time::timeout(FAREWELL, end).await });
        drop(farewell);
    }
}
