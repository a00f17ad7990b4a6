//! What `open` makes of the state: every upload of before is brought to its end, and every partition
//! learns how far its streams are done.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use towpath_sdk::{Error, Result, SinkPartition, State, StateChange, ValueAt};

use super::entry::{
    Ended, Entry, Kind, Oldest, Place, Routing, UploadEntry, read_ended_name, read_number,
};
use super::partition::{Partition, Streams};
use super::routing::Router;
use super::uploading::{Yard, complete, done, forget};
use crate::uploads::Upload;

/// Uploads that are brought to their end at the same time.
const AT_ONCE: usize = 16;

/// Brings the uploads of the partitions `places` to their end: those with an intent are completed,
/// the others given up. Afterwards the state names none of them.
pub(super) async fn end_uploads(yard: &Arc<Yard>, places: &[Place]) -> Result<()> {
    let mut ending = JoinSet::new();
    for place in places {
        for (mark, value) in place.scan(&*yard.state, Kind::Upload) {
            let mark = String::from_utf8_lossy(&mark).into_owned();
            let entry = UploadEntry::decode(&value)?;
            while ending.len() >= AT_ONCE {
                ended(ending.join_next().await)?;
            }
            ending.spawn(end(yard.clone(), place.clone(), mark, entry));
        }
    }
    while !ending.is_empty() {
        ended(ending.join_next().await)?;
    }
    Ok(())
}

fn ended(joined: Option<Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    joined
        .unwrap_or(Ok(Ok(())))
        .unwrap_or_else(|error| Err(Error::fatal("end", "an upload of before").because(error)))
}

async fn end(yard: Arc<Yard>, place: Place, mark: String, entry: UploadEntry) -> Result<()> {
    let upload = |id: &String| Upload {
        key: entry.key.clone(),
        id: id.clone(),
    };
    let is_done = match (&entry.id, &entry.intent) {
        (Some(id), Some(intent)) if entry.generation == yard.generation => {
            complete(&yard, &upload(id), &mark, &intent.parts).await?
        }
        (Some(id), _) => {
            yard.store.abort(&upload(id)).await?;
            false
        }
        // It may have been created; nobody else makes objects of this name.
        (None, _) => {
            for id in yard.store.open_uploads(&entry.key).await? {
                yard.store.abort(&upload(&id)).await?;
            }
            false
        }
    };
    let changes = match is_done {
        true => done(&place, &mark, &entry),
        false => vec![forget(&place, &mark)],
    };
    yard.state.commit(changes).await
}

/// What every partition of a task has in common.
pub(super) struct Common<'a> {
    pub(super) yard: &'a Yard,
    /// How paths are made now.
    pub(super) routing: &'a Routing,
    pub(super) value_at: ValueAt,
}

/// Takes up one partition, whose uploads have ended; adds to `changes` what the state is to say of
/// it from now on.
pub(super) fn take_up(
    common: &Common<'_>,
    given: &SinkPartition,
    changes: &mut Vec<StateChange>,
) -> Result<Partition> {
    let place = Place::of(given);
    let state = &*common.yard.state;
    let mut partition = Partition::new(given, place.clone());
    let mut ends: HashMap<u32, Streams> = HashMap::new();
    for (name, value) in place.scan(state, Kind::Ended) {
        let ended = Ended::decode(&value)?;
        if ended.generation != common.yard.generation || ended.end <= given.offset {
            changes.push(StateChange::delete(place.key(Kind::Ended, &name)));
            continue;
        }
        let (routing, stream) = read_ended_name(&name)?;
        partition.now.learn(&ended.times);
        partition.horizon = partition.horizon.max(ended.end);
        ends.entry(routing)
            .or_default()
            .insert(stream.into(), ended.end);
    }
    let mut current = None;
    let mut highest = 0;
    for (name, value) in place.scan(state, Kind::Routing) {
        let number = read_number(&name)?;
        highest = highest.max(number);
        let routing = Routing::decode(&value)?;
        if routing == *common.routing {
            current = Some(number);
        } else if let Some(streams) = ends.remove(&number) {
            let router = Router::restore(&routing, common.value_at)?;
            partition.earlier.push((number, router, streams));
        } else {
            changes.push(StateChange::delete(place.key(Kind::Routing, &name)));
        }
    }
    partition.routing = current.unwrap_or(highest + 1);
    partition.ended = ends.remove(&partition.routing).unwrap_or_default();
    if !ends.is_empty() {
        return Err(Error::fatal("read", "the state of the s3 sink")
            .because("it does not say how paths were made"));
    }
    if current.is_none() {
        let key = place.key(Kind::Routing, &partition.routing.to_be_bytes());
        changes.push(StateChange::put(key, common.routing.encode()));
    }
    if let [(_, value)] = &*place.scan(state, Kind::Oldest) {
        let oldest = Oldest::decode(value)?;
        partition.oldest =
            Some(oldest).filter(|oldest| oldest.generation == common.yard.generation);
    }
    Ok(partition)
}

/// Commits changes that need not be durable together, in sets of about `bytes`.
pub(super) async fn commit_each(
    state: &dyn State,
    changes: Vec<StateChange>,
    bytes: usize,
) -> Result<()> {
    let (mut set, mut size) = (Vec::new(), 0);
    for change in changes {
        size += change.key.len() + change.value.as_ref().map_or(0, |value| value.len());
        set.push(change);
        if size >= bytes {
            state.commit(std::mem::take(&mut set)).await?;
            size = 0;
        }
    }
    match set.is_empty() {
        true => Ok(()),
        false => state.commit(set).await,
    }
}
