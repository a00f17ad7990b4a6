//! Transforms: functions from batch to batch.

use bytes::Bytes;
use towpath_record::{Batch, BatchBuilder, Header, Record};

use crate::{Refused, Result, State};

/// One step between a source and the log, or between the log and a sink.
pub trait Transform: Send {
    /// Changes `batch`. It is a function of the batch, the state handed in and the batch's time:
    /// no clock, no I/O. Called once for each batch, in order, by one task.
    ///
    /// # Errors
    /// Bad records are refused one by one ([`WorkingBatch::refuse`]); an error fails the task.
    fn apply(&mut self, batch: &mut WorkingBatch, context: &TransformContext<'_>) -> Result<()>;
}

/// What a transform is given with a batch.
pub struct TransformContext<'a> {
    /// When the runtime took the batch, milliseconds since 1970.
    pub now_ms: i64,
    /// The transform's own declared state.
    pub state: &'a dyn State,
}

/// A batch on its way through a chain of transforms: the bytes it came with, and beside them only
/// what somebody has changed. A record nobody touched is copied as bytes.
#[derive(Debug)]
pub struct WorkingBatch {
    batch: Batch,
    /// By the record's index in `batch`, sorted.
    edits: Vec<(usize, Option<Edited>)>,
    refused: Vec<Refused>,
}

/// A record that a transform has replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edited {
    pub timestamp_ms: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl WorkingBatch {
    pub fn new(batch: Batch) -> Self {
        Self {
            batch,
            edits: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The batch as it came; indices in the other methods count its records from 0.
    pub fn original(&self) -> &Batch {
        &self.batch
    }

    /// What a transform has made of record `index`: `None` when it is untouched, `Some(None)` when
    /// it was dropped.
    pub fn edited(&self, index: usize) -> Option<Option<&Edited>> {
        let at = self
            .edits
            .binary_search_by_key(&index, |(index, _)| *index)
            .ok()?;
        Some(self.edits[at].1.as_ref())
    }

    /// Replaces record `index`.
    pub fn replace(&mut self, index: usize, record: Edited) {
        self.set(index, Some(record));
    }

    /// Leaves record `index` out.
    pub fn drop(&mut self, index: usize) {
        self.set(index, None);
    }

    /// Leaves record `index` out as bad; `on_error` decides what happens to it.
    pub fn refuse(&mut self, index: usize, refused: Refused) {
        self.drop(index);
        self.refused.push(refused);
    }

    /// The batch to go on with (`None` when no record is left), and the refused records. The
    /// original bytes when nothing was changed.
    pub fn finish(self) -> Result<(Option<Batch>, Vec<Refused>), towpath_record::BatchError> {
        if self.edits.is_empty() {
            return Ok((Some(self.batch), self.refused));
        }
        let mut builder = BatchBuilder::with_capacity(self.batch.as_bytes().len());
        let mut edits = self.edits.iter().peekable();
        for (index, record) in self.batch.records().enumerate() {
            let record: Record<'_> = record?;
            match edits.next_if(|(edited, _)| *edited == index) {
                None => builder.copy(&record)?,
                Some((_, None)) => {}
                Some((_, Some(edited))) => edited.push_to(&mut builder)?,
            }
        }
        Ok((builder.finish(), self.refused))
    }

    fn set(&mut self, index: usize, edit: Option<Edited>) {
        match self.edits.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.edits[at].1 = edit,
            Err(at) => self.edits.insert(at, (index, edit)),
        }
    }
}

impl Edited {
    fn push_to(&self, builder: &mut BatchBuilder) -> Result<(), towpath_record::BatchError> {
        let headers: Vec<Header<'_>> = self
            .headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: value.as_deref(),
            })
            .collect();
        builder.push(
            self.timestamp_ms,
            self.key.as_deref(),
            self.value.as_deref(),
            &headers,
        )
    }
}
