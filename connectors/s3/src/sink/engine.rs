//! The work of one task: records into objects, objects into uploads, uploads into offsets. What
//! objects are is decided by [`Objects`]; here is what runs beside what: encoding, compression on
//! other threads, parts on their way, and uploads that finish.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use towpath_sdk::config::Compression;
use towpath_sdk::{Codecs, Error, Flushed, Result, SinkBatch};

use super::objects::Objects;
use super::uploading::{Order, Owner, Uploading, Yard};

/// After a failure uploads have so long to be given up.
const FAREWELL: Duration = Duration::from_secs(10);
/// How soon to look again at what is being compressed or finished when no record comes.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(super) struct Engine {
    pub(super) yard: Arc<Yard>,
    pub(super) objects: Objects,
    codecs: Arc<dyn Codecs>,
    compression: Compression,
    /// The wall clock, in milliseconds since 1970.
    clock: fn() -> i64,
    /// Pieces that are being compressed, each with the index of its object, in order.
    pieces: VecDeque<(usize, JoinHandle<Result<Vec<u8>>>)>,
    /// Each ends with the index of its object. Dropped, they stop where they are.
    uploads: JoinSet<(usize, Result<bool>)>,
    /// KiB of parts on their way.
    flight: Arc<Semaphore>,
    look_again: Option<Instant>,
    /// Something failed: what is left need not end well.
    failed: bool,
}

impl Engine {
    pub(super) fn new(
        yard: Arc<Yard>,
        objects: Objects,
        (codecs, compression): (Arc<dyn Codecs>, Compression),
        clock: fn() -> i64,
    ) -> Self {
        let permits = objects.limits.flight >> 10;
        Self {
            yard,
            objects,
            codecs,
            compression,
            clock,
            pieces: VecDeque::new(),
            uploads: JoinSet::new(),
            flight: Arc::new(Semaphore::new(permits)),
            look_again: None,
            failed: false,
        }
    }

    pub(super) async fn write(&mut self, batches: Vec<SinkBatch>) -> Result<()> {
        let now_ms = (self.clock)();
        let objects = &mut self.objects;
        let mut batches = batches.iter();
        let written = in_place(|| batches.try_for_each(|batch| objects.write(batch, now_ms)));
        let settled = self.settle(false).await;
        // What came before a bad record is accepted.
        written.and(settled)
    }

    pub(super) async fn flush(&mut self, end: bool) -> Result<Flushed> {
        self.objects.close_due((self.clock)(), end);
        self.settle(end).await?;
        while end && self.objects.slots.iter().any(Option::is_some) {
            if self.pieces.is_empty()
                && let Some(ended) = self.uploads.join_next().await
            {
                self.ended(ended)?;
            }
            self.settle(true).await?;
        }
        Ok(self.objects.report(self.yard.generation))
    }

    /// Uploads that are finishing are waited for, the others given up.
    /// Also after a failure: a call to create an upload that is cut off could be done behind the look
    /// that the next life has for it.
    pub(super) async fn close(&mut self) -> Result<()> {
        for object in self.objects.slots.iter_mut().flatten() {
            object.orders = None;
        }
        if self.failed {
            let ending = async { while self.uploads.join_next().await.is_some() {} };
            // What is not done by then ends where it is, as in a crash.
            let _ = tokio::time::timeout(FAREWELL, ending).await;
            return Ok(());
        }
        while let Some(ended) = self.uploads.join_next().await {
            self.ended(ended)?;
        }
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let objects = self.objects.slots.iter().flatten();
        let due_ms = objects.filter_map(|object| object.due_ms).min();
        let due = due_ms.and_then(|due_ms| {
            let left = u64::try_from(due_ms - (self.clock)()).unwrap_or(0);
            Instant::now().checked_add(Duration::from_millis(left))
        });
        due.into_iter().chain(self.look_again).min()
    }

    /// Moves everything on as far as it goes without waiting for uploads, and with `wait` until all
    /// parts that are ready are on their way.
    async fn settle(&mut self, wait: bool) -> Result<()> {
        let settled = self.try_settle(wait).await;
        self.failed |= settled.is_err();
        settled
    }

    async fn try_settle(&mut self, wait: bool) -> Result<()> {
        while let Some(ended) = self.uploads.try_join_next() {
            self.ended(ended)?;
        }
        let most = self.objects.limits.packing;
        for (index, piece) in in_place(|| self.objects.cut())? {
            self.pack(most - 1).await?;
            let (codecs, compression) = (self.codecs.clone(), self.compression);
            let compress = move || compress(&*codecs, &compression, &piece);
            self.pieces
                .push_back((index, tokio::task::spawn_blocking(compress)));
        }
        // While some are left, records are encoded.
        self.pack(if wait { 0 } else { most }).await?;
        for index in 0..self.objects.slots.len() {
            self.send(index, wait).await?;
        }
        in_place(|| self.objects.spill())?;
        if self.uploads.is_empty() {
            self.objects.parts.free();
        }
        let full = self.objects.slots.iter().flatten().any(|one| one.full);
        let going_on = full || !self.pieces.is_empty();
        self.look_again = going_on.then(|| Instant::now() + LOOK_AGAIN);
        Ok(())
    }

    /// Takes back what is compressed, and waits until no more than `left` pieces are not.
    async fn pack(&mut self, left: usize) -> Result<()> {
        while let Some((_, piece)) = self.pieces.front()
            && (piece.is_finished() || self.pieces.len() > left)
            && let Some((index, piece)) = self.pieces.pop_front()
        {
            let piece = piece.await.unwrap_or_else(panicked)?;
            self.objects.pack(index, piece);
        }
        Ok(())
    }

    fn ended(&mut self, ended: Result<(usize, Result<bool>), JoinError>) -> Result<()> {
        let ended = ended.map_or_else(panicked, |(index, done)| done.map(|done| (index, done)));
        self.failed |= ended.is_err();
        let (index, done) = ended?;
        if done {
            self.objects.done(index);
        }
        Ok(())
    }

    /// Sends the parts that object `index` has, and finishes it when it is full and all is sent.
    async fn send(&mut self, index: usize, wait: bool) -> Result<()> {
        let part_bytes = self.objects.limits.part;
        while let Some(object) = &self.objects.slots[index] {
            let ready = object.packed.len();
            let drained = object.is_drained();
            let is_last = drained && ready < part_bytes && (ready > 0 || object.orders.is_none());
            if ready < part_bytes && !is_last {
                break;
            }
            let Some(permit) = self.permit(ready.min(part_bytes), wait || !is_last).await? else {
                return Ok(());
            };
            let Some(object) = &mut self.objects.slots[index] else {
                return Ok(());
            };
            let scratch = &mut self.objects.scratch;
            let part = in_place(|| object.take_part(part_bytes, scratch))?;
            let part = self.objects.parts.lend(part);
            self.order(index, Order::Part(part, permit));
        }
        // One after the other: an end says that all before it is done.
        if !self.objects.may_finish(index) {
            return Ok(());
        }
        let Some(permit) = self.permit(0, wait).await? else {
            return Ok(());
        };
        let Some(object) = &mut self.objects.slots[index] else {
            return Ok(());
        };
        object.finishing = true;
        if let Some(object) = &self.objects.slots[index] {
            let ended = self.objects.ended(object, self.yard.generation);
            self.order(index, Order::Finish(ended, permit));
        }
        Ok(())
    }

    /// Leave for `bytes` to go on their way; `None` when there is none now, and it is not waited for.
    async fn permit(&mut self, bytes: usize, wait: bool) -> Result<Option<OwnedSemaphorePermit>> {
        let limits = &self.objects.limits;
        let all = limits.flight >> 10;
        let wanted = (bytes >> 10).clamp(all / limits.calls, all) as u32;
        let objects = self.objects.slots.iter().flatten();
        let waiting = objects.filter(|one| one.full && !one.finishing).count();
        let flight = self.flight.clone();
        if !wait && waiting <= limits.waiting {
            return Ok(flight.try_acquire_many_owned(wanted).ok());
        }
        let permit = flight.acquire_many_owned(wanted).await;
        permit.map(Some).map_err(|_| closed())
    }

    /// Tells the upload of object `index`, which is begun when there is none.
    fn order(&mut self, index: usize, order: Order) {
        let Some(object) = &mut self.objects.slots[index] else {
            return;
        };
        let orders = object.orders.get_or_insert_with(|| {
            let (orders, taken) = mpsc::unbounded_channel();
            let partition = &self.objects.partitions[object.place];
            let owner = Owner {
                place: partition.place.clone(),
                mark: object.mark.clone(),
                key: object.key.clone(),
                routing: partition.routing,
                stream: object.stream.clone(),
            };
            let upload = Uploading::new(self.yard.clone(), owner);
            self.uploads
                .spawn(async move { (index, upload.run(taken).await) });
            orders
        });
        // An upload that has failed takes no more; it says so where it is joined.
        let _ = orders.send(order);
    }
}

fn compress(codecs: &dyn Codecs, compression: &Compression, piece: &[u8]) -> Result<Vec<u8>> {
    let Some(mut compressor) = codecs.compressor(compression)? else {
        return Ok(piece.to_vec());
    };
    let mut packed = Vec::new();
    compressor.write(piece, &mut packed)?;
    compressor.finish(&mut packed)?;
    Ok(packed)
}

/// Runs `work`, which takes its time or blocks, so that other tasks of the worker go on.
fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn panicked<T>(error: JoinError) -> Result<T> {
    Err(Error::fatal("finish", "a step of the s3 sink").because(error))
}

#[cold]
fn closed() -> Error {
    Error::fatal("send", "a part").because("nothing is sent any more")
}
