//! The upload of one object, from its first part to its end, beside all others.
//!
//! It is a straight line, and each step waits for the one before to be durable: say which key,
//! create, say which upload, send parts, say what the object is to be (the *intent*), complete, say
//! that it is done. `super` says what a crash behind each step means. The log commits what many
//! uploads say at the same time in one step.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use towpath_sdk::{Error, Result, State, StateChange};

use super::entry::{Ended, Entry, Intent, Kind, Place, UploadEntry, ended_name};
use crate::uploads::{Completed, Found, Part, Upload, Uploads};

/// What all uploads of a task share.
pub(super) struct Yard {
    /// `pipeline.connector`, for messages.
    pub(super) connector: Arc<str>,
    pub(super) store: Arc<dyn Uploads>,
    pub(super) state: Arc<dyn State>,
    /// See `SinkContext::generation`.
    pub(super) generation: u32,
}

/// What an upload is told next. When nothing can be told any more it is given up.
pub(super) enum Order {
    /// One more part. The permit stands for the memory.
    Part(Bytes, OwnedSemaphorePermit),
    /// That was all. Nothing else of this stream may be finishing. The permit stands for the calls.
    Finish(Ended, OwnedSemaphorePermit),
}

/// Whose upload it is.
pub(super) struct Owner {
    pub(super) place: Place,
    pub(super) mark: String,
    pub(super) key: String,
    pub(super) routing: u32,
    pub(super) stream: Arc<str>,
}

/// One upload.
pub(super) struct Uploading {
    yard: Arc<Yard>,
    place: Place,
    mark: String,
    entry: UploadEntry,
}

impl Uploading {
    pub(super) fn new(yard: Arc<Yard>, owner: Owner) -> Self {
        let Owner {
            place,
            mark,
            key,
            routing,
            stream,
        } = owner;
        let entry = UploadEntry {
            generation: yard.generation,
            key,
            routing,
            stream: stream.to_string(),
            id: None,
            intent: None,
        };
        Self {
            yard,
            place,
            mark,
            entry,
        }
    }

    /// Does as it is told, to the end; whether the object is done, and not given up.
    pub(super) async fn run(mut self, orders: mpsc::UnboundedReceiver<Order>) -> Result<bool> {
        self.commit_entry().await?;
        let id = self.yard.store.create(&self.entry.key, &self.mark).await?;
        self.entry.id = Some(id.clone());
        self.commit_entry().await?;
        let key = self.entry.key.clone();
        let upload = Upload { key, id };
        let Some((ended, parts, permit)) = self.send_parts(&upload, orders).await? else {
            self.yard.store.abort(&upload).await?;
            let forget = forget(&self.place, &self.mark);
            self.yard.state.commit(vec![forget]).await?;
            return Ok(false);
        };
        let intent = self.entry.intent.insert(Intent { ended, parts });
        let parts = intent.parts.clone();
        self.commit_entry().await?;
        if !complete(&self.yard, &upload, &self.mark, &parts).await? {
            return Err(Error::transient("complete", &self.entry.key)
                .because("its upload was aborted, or the store has lost parts of it")
                .remedy("its records are written anew; does a rule of the bucket abort uploads?"));
        }
        let done = done(&self.place, &self.mark, &self.entry);
        self.yard.state.commit(done).await?;
        drop(permit);
        Ok(true)
    }

    /// Sends parts until it is told the end; `None` when the upload is to be given up.
    async fn send_parts(
        &self,
        upload: &Upload,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) -> Result<Option<(Ended, Vec<Part>, OwnedSemaphorePermit)>> {
        let mut sending = JoinSet::new();
        let mut parts: Vec<Part> = Vec::new();
        for number in 1.. {
            let order = loop {
                tokio::select! {
                    order = orders.recv() => break order,
                    Some(sent) = sending.join_next() => parts.push(part(sent)?),
                }
            };
            match order {
                Some(Order::Part(content, permit)) => {
                    let (yard, upload) = (self.yard.clone(), upload.clone());
                    sending.spawn(async move {
                        let part = yard.store.upload_part(&upload, number, content).await;
                        drop(permit);
                        part
                    });
                }
                Some(Order::Finish(ended, permit)) => {
                    while let Some(sent) = sending.join_next().await {
                        parts.push(part(sent)?);
                    }
                    parts.sort_by_key(|part| part.number);
                    return Ok(Some((ended, parts, permit)));
                }
                None => break,
            }
        }
        sending.shutdown().await;
        Ok(None)
    }

    async fn commit_entry(&self) -> Result<()> {
        let key = self.place.key(Kind::Upload, self.mark.as_bytes());
        let changes = vec![StateChange::put(key, self.entry.encode())];
        self.yard.state.commit(changes).await
    }
}

fn part(sent: Result<Result<Part>, tokio::task::JoinError>) -> Result<Part> {
    sent.unwrap_or_else(|error| Err(Error::fatal("finish", "the upload of a part").because(error)))
}

/// Completes an upload whose intent is durable. False when its object was not made, and never will
/// be: the upload has ended otherwise.
///
/// # Errors
/// Fatal when an object of that name is there that is not this one.
pub(super) async fn complete(
    yard: &Yard,
    upload: &Upload,
    mark: &str,
    parts: &[Part],
) -> Result<bool> {
    let completed = yard.store.complete(upload, parts).await?;
    match completed {
        Completed::Done => return Ok(true),
        // Only what has ended cannot become an object any more.
        Completed::Broken => yard.store.abort(upload).await?,
        Completed::NoSuchUpload | Completed::Occupied => {}
    }
    let found = yard.store.look_up(&upload.key).await?;
    match (completed, found) {
        (_, Found::Object { mark: Some(found) }) if found == mark => Ok(true),
        (Completed::Occupied, Found::Object { .. }) => {
            let connector = &yard.connector;
            Err(Error::fatal("complete", &upload.key)
                .because("an object of that name is there that this sink has not just written")
                .remedy(format!(
                    "move it away or change `path`, and `towpath restart {connector}`; after \
                     `offsets reset` the objects of before have to go"
                )))
        }
        (Completed::Occupied, Found::Nothing) => Err(Error::transient("complete", &upload.key)
            .because("an object of that name was there, and is gone again")),
        (Completed::NoSuchUpload | Completed::Broken | Completed::Done, _) => Ok(false),
    }
}

/// Nothing is to be remembered of the upload with `mark`.
pub(super) fn forget(place: &Place, mark: &str) -> StateChange {
    StateChange::delete(place.key(Kind::Upload, mark.as_bytes()))
}

/// The object of `entry`, which has an intent, is done.
pub(super) fn done(place: &Place, mark: &str, entry: &UploadEntry) -> Vec<StateChange> {
    let ended = entry.intent.as_ref().map(|intent| {
        let name = ended_name(entry.routing, &entry.stream);
        StateChange::put(place.key(Kind::Ended, &name), intent.ended.encode())
    });
    std::iter::once(forget(place, mark)).chain(ended).collect()
}
