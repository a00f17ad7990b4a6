//! Records into objects: which one a record goes to, when it is full, and what is next to be
//! compressed or sent of it. Knows no store; everything here is done at once or blocks on disk.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use jiff::tz::TimeZone;
use towpath_record::Record;
use towpath_sdk::{Error, REFUSED_MAX, Result, SchemaId, SinkBatch, SinkProgress};

use super::config::{OnNull, Rotate};
use super::encoders::Encoders;
use super::limits::Limits;
use super::memory::PartMemory;
use super::object::Object;
use super::partition::Partition;
use super::routing::{Routed, Router};
use super::schedule;
use super::scratch::Scratch;

pub(super) struct Objects {
    pub(super) router: Router,
    pub(super) rotate: Rotate,
    /// Of `rotate.schedule`.
    pub(super) timezone: TimeZone,
    pub(super) on_null: OnNull,
    pub(super) encoders: Encoders,
    pub(super) compressed: bool,
    pub(super) limits: Limits,
    pub(super) partitions: Vec<Partition>,
    /// Every object that is not done, at an index that stays its own.
    pub(super) slots: Vec<Option<Object>>,
    pub(super) scratch: Scratch,
    pub(super) parts: PartMemory,
    pub(super) progress: SinkProgress,
    /// Of a record: its stream, and another path.
    pub(super) stream: Vec<u8>,
    pub(super) path: Vec<u8>,
}

/// The records of one batch.
struct Turn {
    /// The index of their partition.
    place: usize,
    /// When they came.
    came_ms: i64,
    /// `{now}` for the records up to an offset.
    now_ms: i64,
    now_until: u64,
    /// The object of the record before.
    current: Option<usize>,
    /// The schema of the record at hand, where objects are by schema, and the index of its encoder.
    schema: Option<SchemaId>,
    encoder: usize,
}

impl Objects {
    /// Takes the records of `batch`, which came at `came_ms`.
    pub(super) fn write(&mut self, batch: &SinkBatch, came_ms: i64) -> Result<()> {
        let place = self.partitions.iter().position(|one| one.is_of(batch));
        let place = place.ok_or_else(|| {
            let place = format!("{}-{}", batch.topic.name, batch.partition);
            Error::fatal("take records of", place).because("it was not given to this task")
        })?;
        let mut turn = Turn {
            place,
            came_ms,
            now_ms: 0,
            now_until: if self.router.has_now { 0 } else { u64::MAX },
            current: None,
            schema: None,
            encoder: 0,
        };
        for record in batch.records() {
            let record = record?;
            if let Err(error) = self.accept(batch, &record, &mut turn) {
                self.progress.refuse(batch, &record, error)?;
                self.partitions[place].refused += 1;
            }
        }
        self.progress.reached(batch, batch.next_offset);
        Ok(())
    }

    #[inline]
    fn accept(&mut self, batch: &SinkBatch, record: &Record<'_>, turn: &mut Turn) -> Result<()> {
        if record.value.is_none() && !self.takes_null(batch, record)? {
            return Ok(());
        }
        let offset = u64::try_from(record.offset).unwrap_or(batch.from_offset);
        if offset >= turn.now_until {
            self.set_now(batch, record, offset, turn);
        }
        let routed = Routed {
            batch,
            record,
            now_ms: turn.now_ms,
        };
        let schema = self.router.schema(record);
        if schema != turn.schema {
            turn.current = None;
            turn.encoder = self.encoders.of(schema)?;
            turn.schema = schema;
        }
        let partition = &self.partitions[turn.place];
        let is_new = offset >= partition.horizon;
        let index = match turn.current {
            Some(index) if is_new && !self.router.per_record => index,
            _ => {
                if partition.had(offset, routed, &mut self.path) {
                    let encoder = self.encoders.get_mut(turn.encoder);
                    return encoder.encode(batch, record, &mut Vec::new());
                }
                match self.object_for(routed, offset, turn)? {
                    Some(index) => index,
                    None => return Ok(()),
                }
            }
        };
        let Some(object) = &mut self.slots[index] else {
            return Err(no_object());
        };
        // The first record was encoded before there was an object for it.
        if object.end <= offset {
            let encoder = self.encoders.get_mut(object.encoder);
            encoder.encode(batch, record, &mut object.raw.memory)?;
            object.end = offset + 1;
        }
        object.records += 1;
        object.raw_records += 1;
        turn.current = Some(index);
        if self.is_full(index) {
            self.close(index);
            turn.current = None;
        }
        Ok(())
    }

    fn takes_null(&self, batch: &SinkBatch, record: &Record<'_>) -> Result<bool> {
        match self.on_null {
            OnNull::Write => Ok(true),
            OnNull::Skip => Ok(false),
            OnNull::Fail => {
                let (topic, partition, offset) =
                    (&batch.topic.name, batch.partition, record.offset);
                let place = format!("the record at offset {offset} of {topic}-{partition}");
                Err(Error::record("write", place)
                    .because("it has no value")
                    .remedy("set `on_null` to `skip` or `write`"))
            }
        }
    }

    /// Sets what `{now}` is for the records from `offset` on.
    #[cold]
    fn set_now(&mut self, batch: &SinkBatch, record: &Record<'_>, offset: u64, turn: &mut Turn) {
        let partition = &mut self.partitions[turn.place];
        let (settled, until) = partition.now.at(offset);
        let path_at = |now_ms, path| {
            let routed = Routed {
                batch,
                record,
                now_ms,
            };
            self.router.stream(routed, path).is_ok()
        };
        turn.now_until = until;
        turn.now_ms = match settled {
            Some(now_ms) if offset < partition.horizon => {
                turn.now_until = until.min(partition.horizon);
                now_ms
            }
            Some(now_ms)
                if path_at(now_ms, &mut self.path)
                    && path_at(turn.came_ms, &mut self.stream)
                    && self.path == self.stream =>
            {
                now_ms
            }
            _ => {
                partition.now.begin(offset, turn.came_ms);
                turn.came_ms
            }
        };
        turn.current = None;
    }

    /// The object that a record goes to, made when there is none; `None` when the record is in one
    /// that is done. A bad record is refused again then.
    fn object_for(
        &mut self,
        routed: Routed<'_>,
        offset: u64,
        turn: &Turn,
    ) -> Result<Option<usize>> {
        self.router.stream(routed, &mut self.stream)?;
        let current = turn.current.and_then(|index| self.slots[index].as_ref());
        if current.is_some_and(|object| object.stream.as_bytes() == self.stream) {
            return Ok(turn.current);
        }
        // Paths are always UTF-8.
        let stream = String::from_utf8_lossy(&self.stream);
        let partition = &self.partitions[turn.place];
        let last = partition.objects.get(&*stream).and_then(VecDeque::back);
        let takes = |index: &usize| self.slots[*index].as_ref().is_some_and(|one| !one.full);
        if let Some(index) = last.copied().filter(takes) {
            return Ok(Some(index));
        }
        let key = self.router.key(routed)?;
        let mut raw = Vec::new();
        let encoder = self.encoders.get_mut(turn.encoder);
        encoder.encode(routed.batch, routed.record, &mut raw)?;
        if partition.has(offset, &stream) {
            return Ok(None);
        }
        let stream: Arc<str> = stream.into();
        let index = self.begin(turn, stream, key, offset);
        if let Some(object) = &mut self.slots[index] {
            object.raw.memory = raw;
            object.end = offset + 1;
        }
        Ok(Some(index))
    }

    /// A new object, whose first record is at `from`.
    fn begin(&mut self, turn: &Turn, stream: Arc<str>, key: String, from: u64) -> usize {
        let partition = &mut self.partitions[turn.place];
        let known = partition.oldest.filter(|oldest| oldest.offset == from);
        let came_ms = known.map_or(turn.came_ms, |oldest| oldest.came_ms);
        let by_age = self
            .rotate
            .time
            .map(|time| came_ms.saturating_add(millis(time.0)));
        let by_schedule = self.rotate.schedule.map(|every| {
            let every_ms = millis(every.0).max(1);
            schedule::next(came_ms, every_ms, &self.timezone)
        });
        let object = Object {
            place: turn.place,
            stream: stream.clone(),
            encoder: turn.encoder,
            key,
            mark: uuid::Uuid::new_v4().simple().to_string(),
            from,
            end: from,
            records: 0,
            came_ms,
            due_ms: by_age.into_iter().chain(by_schedule).min(),
            raw: Default::default(),
            raw_records: 0,
            blocks: Vec::new(),
            cut: 0,
            ended: false,
            packing: 0,
            packed: Default::default(),
            size: 0,
            orders: None,
            full: false,
            finishing: false,
        };
        let index = self.slots.iter().position(Option::is_none);
        let index = index.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(object);
        let of_stream = partition.objects.entry(stream).or_default();
        of_stream.push_back(index);
        index
    }

    fn is_full(&self, index: usize) -> bool {
        let Some(object) = &self.slots[index] else {
            return false;
        };
        if self
            .rotate
            .records
            .is_some_and(|most| object.records >= most.get())
        {
            return true;
        }
        // What compression or blocks will make of `raw` is not known yet.
        let encoder = self.encoders.get(object.encoder);
        let plain = !self.compressed && encoder.block_bytes().is_none();
        let raw = if plain { object.raw.len() as u64 } else { 0 };
        let size = self.rotate.size.map_or(u64::MAX, |size| size.0);
        object.size + raw >= size.min(self.limits.object)
    }

    /// The object takes no more records.
    fn close(&mut self, index: usize) {
        if let Some(object) = &mut self.slots[index] {
            object.full = true;
            object.due_ms = None;
        }
    }

    /// Closes what is due at `now_ms`, or all.
    pub(super) fn close_due(&mut self, now_ms: i64, all: bool) {
        for index in 0..self.slots.len() {
            let Some(object) = &self.slots[index] else {
                continue;
            };
            // What was left out is kept until `low` passes it.
            let many = self.partitions[object.place].refused >= REFUSED_MAX;
            if !object.full && (all || many || object.due_ms.is_some_and(|due| due <= now_ms)) {
                self.close(index);
            }
        }
    }

    /// Cuts chunks, in pieces that are to be compressed, each with the index of its object; what need
    /// not be compressed is packed at once. Blocks when something is on disk.
    pub(super) fn cut(&mut self) -> Result<Vec<(usize, Bytes)>> {
        let mut pieces = Vec::new();
        let mut cut = 0;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(object) = slot else { continue };
            let encoder = self.encoders.get_mut(object.encoder);
            let good = encoder.block_bytes().unwrap_or(0).max(self.limits.chunk);
            if object.ended || object.raw.len() < good && !object.full {
                continue;
            }
            let mut chunk = object.cut(encoder, &mut self.scratch)?;
            cut += chunk.len();
            let is_busy = !object.full && chunk.len() >= self.limits.piece;
            if !self.compressed {
                object.size += chunk.len() as u64;
                self.parts.append(&mut object.packed.memory, &chunk);
                if is_busy {
                    chunk.clear();
                    object.raw.memory = chunk;
                }
            } else if !chunk.is_empty() {
                if is_busy {
                    object.raw.memory.reserve(chunk.len() + chunk.len() / 8);
                }
                let mut rest = Bytes::from(chunk);
                while rest.len() >= 2 * self.limits.piece {
                    pieces.push((index, rest.split_to(self.limits.piece)));
                    object.packing += 1;
                }
                pieces.push((index, rest));
                object.packing += 1;
            }
            if cut >= self.limits.cut {
                break;
            }
        }
        Ok(pieces)
    }

    /// Takes back a piece of object `index` that was compressed.
    pub(super) fn pack(&mut self, index: usize, piece: Vec<u8>) {
        let Some(object) = &mut self.slots[index] else {
            return;
        };
        object.packing -= 1;
        object.size += piece.len() as u64;
        self.parts.append(&mut object.packed.memory, &piece);
        if !object.full && self.is_full(index) {
            self.close(index);
        }
    }

    /// Moves what waits to disk, the largest first, when it takes too much memory. Blocks.
    pub(super) fn spill(&mut self) -> Result<()> {
        let held = |object: &Object| object.held();
        let mut resting: usize = self.slots.iter().flatten().map(held).sum();
        if resting <= self.limits.resting {
            return Ok(());
        }
        let mut objects: Vec<&mut Object> = self.slots.iter_mut().flatten().collect();
        objects.sort_by_key(|object| std::cmp::Reverse(object.held()));
        for object in objects {
            if resting <= self.limits.resting / 2 {
                break;
            }
            resting -= object.held();
            object.spill(&mut self.scratch)?;
        }
        Ok(())
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// An index of a slot that has no object.
#[cold]
fn no_object() -> Error {
    Error::fatal("write", "to an object of the s3 sink").because("it is done")
}
