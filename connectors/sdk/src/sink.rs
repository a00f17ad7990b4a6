//! Sinks: what writes records into another system.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use towpath_record::{Batch, Record};

use crate::config::Format;
use crate::{
    Codecs, Encoder, Error, Health, Refused, Result, Schemas, State, StateChange, Tolerance,
    ValueAt, async_trait,
};

/// One task of a sink.
///
/// **Life**: the runtime calls `open` once, then `write` and `flush` in turns, and `close` at the
/// end; one call at a time, each awaited to its end (a stop at the deadline of a shutdown, and a
/// kill, can cut any of them off). After any error the instance is closed and dropped; a transient
/// one is followed, after a backoff, by a new instance that is opened at the offsets and state
/// which are durable then, and is given the records from there again, in order. Retry, batching
/// and limits are the runtime's.
///
/// **Durability**: `write` *accepts*; only what `flush` reports is *durable*, and only that moves
/// an offset. Offsets and state of one [`Flushed`] are committed in one step before the next call.
/// A sink that must not double records therefore writes its own place (a length, an upload) into
/// the state it reports, and on `open` undoes what goes beyond it.
#[async_trait]
pub trait Sink: Send {
    /// Connects, and brings the far side back to what `context.state` says.
    async fn open(&mut self, context: SinkContext) -> Result<()>;

    /// Takes records: of each partition at most once, continuing where its last ones ended; about
    /// 2 MiB in all, or a single larger batch. May buffer, within bounds of its own.
    ///
    /// # Errors
    /// A record error means that all records before the bad one are accepted, and that `on_error`
    /// forbids to leave it out: the runtime flushes once more, then ends the task with the error.
    /// After any other error nothing more is flushed.
    async fn write(&mut self, batches: Vec<SinkBatch>) -> Result<()>;

    /// Makes durable what can be, and reports up to where. Called when no more records wait, when
    /// enough were written (so that memory and the far side's lag stay bounded), when `deadline`
    /// has passed, and before `close` in an orderly stop.
    ///
    /// `end` is true once, in a drain, when no record will follow: what the sink holds back until
    /// more come, such as an object that is not full, is to be finished now.
    async fn flush(&mut self, end: bool) -> Result<Flushed>;

    /// When `flush` wants to be called although nothing may have been written: a file or object
    /// is due to be closed by the clock. Asked after each call.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Ends the task; called once, also after an error. Nothing durable may depend on it.
    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What a sink task is given.
pub struct SinkContext {
    /// `pipeline.connector`, for messages and templates.
    pub connector: Arc<str>,
    /// This task, from 0, and how many there are.
    pub task: u32,
    pub tasks: u32,
    /// The log's id: with a topic's id and the generation it tells what stands outside apart from
    /// what another log wrote there.
    pub log_id: Arc<str>,
    /// Raised by `offsets reset`, by nothing else.
    pub generation: u32,
    /// What this task will be given; fixed until it is closed.
    pub partitions: Vec<SinkPartition>,
    /// A name below the data directory that is this task's alone, for a file or folder that need not
    /// outlive it; its parent may have to be made. What stands there is left of an earlier life.
    pub scratch: PathBuf,
    /// What the connector has committed; all its tasks see all of it.
    pub state: Arc<dyn State>,
    pub encoder: Box<dyn Encoder>,
    /// For templates that look into a record's value.
    pub value_at: ValueAt,
    /// For a sink that wants exact types: what the ids in [`crate::SchemaHeaders`] mean.
    pub schemas: Arc<dyn Schemas>,
    pub codecs: Arc<dyn Codecs>,
    pub on_error: Tolerance,
    /// Where to say that one place has a problem while the others go on.
    pub health: Arc<dyn Health>,
}

/// A topic as a sink sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkTopic {
    pub name: String,
    /// The incarnation's id: a topic that was deleted and made again has another one.
    pub id: String,
    /// What its values are: text, json or bytes.
    pub format: Format,
}

/// A partition that a sink task reads, and where it begins.
#[derive(Debug, Clone)]
pub struct SinkPartition {
    pub topic: Arc<SinkTopic>,
    pub partition: u32,
    /// The committed offset: the first record that `write` will bring.
    pub offset: u64,
}

/// Records of one partition: batches that follow each other.
#[derive(Debug, Clone)]
pub struct SinkBatch {
    pub topic: Arc<SinkTopic>,
    pub partition: u32,
    /// Records below this offset were delivered before: a batch is read whole, and may begin
    /// earlier than the committed offset.
    pub from_offset: u64,
    /// The offset behind the last record, those counted that transforms left out: what is done when
    /// all are delivered.
    pub next_offset: u64,
    pub batches: Vec<Batch>,
}

impl SinkBatch {
    /// `batches` as they stand in the log.
    pub fn new(
        topic: Arc<SinkTopic>,
        partition: u32,
        from_offset: u64,
        batches: Vec<Batch>,
    ) -> Self {
        let next = batches.last().map(|batch| batch.header().next_offset());
        let next = next.and_then(|next| u64::try_from(next).ok()).unwrap_or(0);
        Self {
            topic,
            partition,
            from_offset,
            next_offset: next.max(from_offset),
            batches,
        }
    }

    /// The records to deliver, in order.
    ///
    /// # Errors
    /// Fatal when the bytes are no records; the iterator ends after it.
    pub fn records(&self) -> impl Iterator<Item = Result<Record<'_>>> {
        let from_offset = i64::try_from(self.from_offset).unwrap_or(i64::MAX);
        let malformed = move |error| {
            let place = format!("the records of {}-{}", self.topic.name, self.partition);
            Error::fatal("read", place).because(error)
        };
        self.batches
            .iter()
            .flat_map(Batch::records)
            .map(move |record| record.map_err(malformed))
            .filter(move |record| !matches!(record, Ok(record) if record.offset < from_offset))
    }
}

/// What `flush` made durable.
#[derive(Debug, Default)]
pub struct Flushed {
    pub offsets: Vec<SinkOffset>,
    pub state: Vec<StateChange>,
    /// Records left out since the last flush, as [`Tolerance::refuse`] allowed, each with its
    /// place. One is committed (counted, and kept as a dead letter) with the first offset reported
    /// beyond it; what is not by then is refused again by the next instance.
    pub refused: Vec<Refused>,
}

/// Every record of the partition below `offset` is durable at the far side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkOffset {
    pub topic: Arc<SinkTopic>,
    pub partition: u32,
    pub offset: u64,
}

impl SinkOffset {
    /// Whether this is about partition `partition` of `topic`.
    pub fn is_of(&self, topic: &str, partition: u32) -> bool {
        self.partition == partition && self.topic.name == topic
    }
}
