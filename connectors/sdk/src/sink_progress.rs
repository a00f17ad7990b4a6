//! What a sink keeps in mind between two flushes.

use towpath_record::Record;

use crate::{
    Error, ErrorKind, Flushed, Original, Place, Reached, Refused, Result, SinkBatch, SinkOffset,
    Stage, StateChange, Tolerance,
};

/// Up to where each partition is accepted, and which records were left out, since the last flush.
#[derive(Debug)]
pub struct SinkProgress {
    on_error: Tolerance,
    offsets: Vec<SinkOffset>,
    refused: Vec<Refused>,
}

impl SinkProgress {
    /// Nothing accepted; bad records are treated as `on_error` says.
    pub fn new(on_error: Tolerance) -> Self {
        Self {
            on_error,
            offsets: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Everything below `offset` of the partition of `batch` is accepted.
    pub fn reached(&mut self, batch: &SinkBatch, offset: u64) {
        let same = |known: &&mut SinkOffset| known.is_of(&batch.topic.name, batch.partition);
        match self.offsets.iter_mut().find(same) {
            Some(known) => known.offset = offset,
            None => self.offsets.push(SinkOffset {
                topic: batch.topic.clone(),
                partition: batch.partition,
                offset,
            }),
        }
    }

    /// Leaves out `record`, of `batch`, which met `error`.
    ///
    /// # Errors
    /// `error` itself when it is not the record's; that of [`Tolerance::refuse`] when the record may
    /// not be left out. `write` returns it. What came before the record counts as accepted then.
    pub fn refuse(&mut self, batch: &SinkBatch, record: &Record<'_>, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::Record {
            return Err(error);
        }
        let offset = u64::try_from(record.offset).unwrap_or(batch.from_offset);
        let mut original = Original::of(record, Reached::Transformed(batch.topic.format));
        original.place = Some(Place {
            topic: batch.topic.name.as_str().into(),
            partition: batch.partition,
            offset,
        });
        let bad = Refused {
            stage: Stage::Deliver,
            error,
            record: original,
        };
        let refused = self.on_error.refuse(&mut self.refused, bad);
        if refused.is_err() {
            self.reached(batch, offset);
        }
        refused
    }

    /// What is accepted and not yet reported.
    pub fn offsets(&self) -> &[SinkOffset] {
        &self.offsets
    }

    /// Reports all of it, with `state`; to be called when it is durable.
    pub fn report(&mut self, state: Vec<StateChange>) -> Flushed {
        Flushed {
            offsets: std::mem::take(&mut self.offsets),
            state,
            refused: std::mem::take(&mut self.refused),
        }
    }
}
