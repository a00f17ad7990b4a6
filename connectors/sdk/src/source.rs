//! Sources: what reads records out of another system.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use towpath_record::Batch;

use crate::{
    Codecs, Health, NewDecoder, Refused, Result, Schemas, State, StateChange, Tolerance,
    async_trait,
};

/// The longest record a source may be asked to take: it has to fit in memory, and in a batch.
/// What a worker takes (`max_record`) is less, as a rule.
pub const RECORD_BYTES_MAX: u64 = 1 << 30;

/// One task of a source.
///
/// **Life**: the runtime calls `open` once, then `read` again and again, with `ack` in between,
/// and `close` at the end. One call at a time; the future of a call is dropped only where it says
/// so. After any error (but one from `close`) the instance is closed and dropped; a transient one
/// is followed, after a backoff, by a new instance that is opened at the state which is durable
/// then. So a source keeps nothing that it could not rebuild from its state.
///
/// **Atomicity**: a batch's records and its state changes become durable together or not at all,
/// in the order in which `read` returned them. *Accepted* means returned from `read`; *durable* is
/// told by `ack` and covers everything before.
#[async_trait]
pub trait Source: Send {
    /// Connects and finds the position in `context.state`. With `context.drain` it also fixes the
    /// end of what is there now.
    ///
    /// A stop cuts it off: the future is dropped, and `close` called. Whatever was begun by then
    /// must end by itself, and what it does to the far side must be right to do again.
    async fn open(&mut self, context: SourceContext) -> Result<()>;

    /// The next batch, as soon as there is anything, of about 1 MiB at most (a single larger
    /// record goes alone). `None` is the end: only with `drain`, or when the source has an end of
    /// its own; it is not called again.
    ///
    /// Must be cancel safe: the runtime drops the future when an `ack` or a shutdown comes first,
    /// and calls again; nothing may be lost by that.
    async fn read(&mut self) -> Result<Option<SourceBatch>>;

    /// The first `batches` batches returned by `read` since `open` are durable: what the far side
    /// still keeps for them may go. Called after the fact, may skip numbers, never goes back.
    async fn ack(&mut self, batches: u64) -> Result<()> {
        let _ = batches;
        Ok(())
    }

    /// Ends the task; called once, also after an error. Every batch was acknowledged before when
    /// the stop is orderly. Nothing durable may depend on it: after a kill it is not called.
    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What a source task is given.
pub struct SourceContext {
    /// `pipeline.connector`, for messages.
    pub connector: Arc<str>,
    /// This task, from 0, and how many there are: each takes its share of the places to read.
    pub task: u32,
    /// Its number of tasks.
    pub tasks: u32,
    /// The log's id, for the name of what is made at the far side: another log makes its own.
    pub log_id: Arc<str>,
    /// Read to the end that is there now, then return `None`.
    pub drain: bool,
    /// What the connector has committed; all its tasks see all of it.
    pub state: Arc<dyn State>,
    /// Makes a decoder for each place that is read; decoders may carry what they have seen.
    pub new_decoder: NewDecoder,
    /// For a source that knows the types of its records.
    pub schemas: Arc<dyn Schemas>,
    /// For compressed input.
    pub codecs: Arc<dyn Codecs>,
    /// What is done with bad records.
    pub on_error: Tolerance,
    /// Where to say that one place has a problem while the others go on.
    pub health: Arc<dyn Health>,
}

/// What one `read` hands over.
#[derive(Debug, Default)]
pub struct SourceBatch {
    /// Records by their origin. The order holds within an origin, and between the parts of one
    /// origin.
    pub parts: Vec<Part>,
    /// State that becomes true with the records. A batch may carry state alone.
    pub state: Vec<StateChange>,
    /// Records left out, as [`Tolerance::refuse`] allowed; [`crate::REFUSED_MAX`] at most.
    pub refused: Vec<Refused>,
}

/// Records that came from one place.
#[derive(Debug)]
pub struct Part {
    /// Where.
    pub origin: Arc<Origin>,
    /// Whether any record has a key of its own; without one the partition needs no look inside.
    pub keyed: bool,
    /// The records, one at least.
    pub batch: Batch,
    /// The byte of the origin at which each record begins, for messages; empty where there is none.
    pub positions: Vec<u64>,
}

/// A place in the source's own system: a file, a table, an object prefix.
///
/// Without a key, and unless `partition_by` says otherwise, the records of one origin go to one
/// partition, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Stable over restarts.
    pub name: String,
    /// What templates of this connector may name besides the general ones, such as `path`.
    pub fields: Vec<(Cow<'static, str>, Bytes)>,
}
