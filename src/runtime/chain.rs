//! A connector's transforms, one behind the other, on one working batch.
//!
//! A record is decoded at most once and encoded at most once in the whole chain; a batch that no
//! transform changes goes on as it came. A record that a transform cannot take is refused with the
//! transform's name and place in the YAML, and with where the record came from; all that came of
//! it is refused with it.

mod from;

use std::sync::Arc;

use towpath_log::Log;
use towpath_pipeline::ConfiguredTransform;
use towpath_record::{Batch, BatchBuilder, BatchError, Record};
use towpath_sdk::config::Format;
use towpath_sdk::{
    Error, Original, Outgoing, Place, Reached, Refused, RefusedRow, Result, SinkBatch, Tolerance,
    TransformContext, WorkingBatch,
};

use crate::reading::Read;
use crate::retried::unwrap_for_sink;
use crate::step::{Changes, Sequence, Step};
use crate::stretch::{Stretch, Stretches};
use crate::task_state::TaskState;
use from::place;
pub(crate) use from::{Again, From};

/// What comes of the records of one append set may be larger than these by so much. Even if each is
/// then given its own value for a key, and as many are refused as can be, the set stays below what
/// the log takes (`towpath_log::SET_BYTES_MAX`).
const GROWTH_BYTES: usize = 16 << 20;

/// The transforms of one task.
pub(crate) struct Chain {
    steps: Vec<Step>,
    working: WorkingBatch,
    builder: BatchBuilder,
    stretches: Stretches,
    on_error: Tolerance,
    /// What the records of one append set may still grow by.
    growth_left: usize,
}

impl Chain {
    pub fn new(transforms: &[ConfiguredTransform], on_error: Tolerance) -> Self {
        Self {
            steps: Step::all(transforms),
            working: WorkingBatch::default(),
            builder: BatchBuilder::default(),
            stretches: Stretches::default(),
            on_error,
            growth_left: GROWTH_BYTES,
        }
    }

    /// What comes now is for another append set.
    pub fn begin_set(&mut self) {
        self.growth_left = GROWTH_BYTES;
    }

    /// What the records of this append set may still grow by, before the chain too.
    pub fn growth_left(&mut self) -> &mut usize {
        &mut self.growth_left
    }

    /// Gets ready for the records of `sequence`: once, before the first of them. What is remembered
    /// of them is in `state`; without it nothing is.
    ///
    /// # Errors
    /// What is remembered cannot be read.
    pub fn open(&mut self, sequence: &Sequence, state: Option<&TaskState>) -> Result<()> {
        let scan = |prefix: &[u8]| {
            state
                .map(|state| state.scan_all(prefix))
                .unwrap_or_default()
        };
        self.steps
            .iter_mut()
            .try_for_each(|step| step.open(sequence, scan))
    }

    /// Reads the tables that transforms look records up in, to their ends. To be called when all
    /// sequences are open. Waits for the disk.
    ///
    /// # Errors
    /// Of the log; and when a table is too large.
    pub fn open_tables(&mut self, log: &Log) -> Result<()> {
        self.steps
            .iter_mut()
            .try_for_each(|step| step.open_table(log))
    }

    /// Makes a record of `topic` a row of the tables that are made of it, without a log.
    pub fn add_row(&mut self, topic: &str, row: &Record<'_>, format: Format) -> Result<()> {
        self.steps
            .iter_mut()
            .try_for_each(|step| step.add_row(topic, row, format))
    }

    /// Adds what the records of `sequence` below offset `below` have changed in what is remembered,
    /// since the last call.
    pub fn take_changes(&mut self, sequence: &Sequence, below: i64, changes: &mut Changes) {
        for step in &mut self.steps {
            step.take_changes(sequence, below, changes);
        }
    }

    /// What a sink gets of what was read: the offsets stay. Of letters that are retried it gets their
    /// records, and transforms see where these stood at first. When a bad record ends the task, what
    /// came before it and the error.
    pub fn for_sink(
        &mut self,
        read: Read,
        now_ms: i64,
        refused: &mut Vec<Refused>,
    ) -> Result<(SinkBatch, Option<Error>)> {
        let Read {
            batch: mut read,
            format: input,
            reached,
        } = read;
        let retried = match reached {
            Some(_) => unwrap_for_sink(&mut read)?,
            None => Vec::new(),
        };
        if self.steps.is_empty() || matches!(reached, Some(Reached::Transformed(_))) {
            return Ok((read, None));
        }
        let topic: Arc<str> = read.topic.name.as_str().into();
        let sequence = match reached {
            Some(_) => Sequence::Retried,
            None => Sequence::of(&read.topic, read.partition),
        };
        self.steps.iter_mut().try_for_each(Step::catch_up)?;
        let from_offset = i64::try_from(read.from_offset).unwrap_or(i64::MAX);
        let mut batches = Vec::with_capacity(read.batches.len());
        for (at, batch) in read.batches.iter().enumerate() {
            self.working.load(batch, input, from_offset)?;
            match retried.get(at) {
                Some(stood) => {
                    let seen = stood.origin.name.as_str().into();
                    self.working.set_place(Some(seen), stood.partition);
                    let place = |row: &RefusedRow| stood.place(row.index);
                    self.apply(&sequence, now_ms, read.topic.format, &place)?;
                }
                None => {
                    self.working
                        .set_place(Some(topic.clone()), Some(read.partition));
                    let place = |row: &RefusedRow| place(&read, row.offset);
                    self.apply(&sequence, now_ms, read.topic.format, &place)?;
                }
            }
            if let Some(whole) = self.working.unchanged()
                && input == read.topic.format
            {
                batches.push(whole.clone());
                continue;
            }
            let (failed, left) = self.emit_at(batch.header().base_offset, read.topic.format)?;
            batches.extend(left);
            self.refuse(batch, refused, |row, record| {
                let mut original = Original::of(record, Reached::Decoded(input));
                original.place = Some(Place {
                    topic: topic.clone(),
                    partition: read.partition,
                    offset: u64::try_from(row.offset).unwrap_or(0),
                });
                original
            })?;
            if let Some(RefusedRow { offset, error, .. }) = failed {
                let next_offset = u64::try_from(offset).unwrap_or(read.from_offset);
                let before = SinkBatch {
                    batches,
                    next_offset,
                    ..read
                };
                return Ok((before, Some(self.on_error.one_too_many(error))));
            }
        }
        Ok((SinkBatch { batches, ..read }, None))
    }

    /// What is left of a batch that begins at `base_offset`, as `format`, with the offsets it had; and
    /// the record that is one too many, if one is.
    fn emit_at(
        &mut self,
        base_offset: i64,
        format: Format,
    ) -> Result<(Option<RefusedRow>, Option<Batch>)> {
        let Self {
            working,
            builder,
            on_error,
            ..
        } = self;
        let failed = emit(working, on_error, format, |row| {
            let delta = row.offset.saturating_sub(base_offset);
            builder.skip_to(u32::try_from(delta).unwrap_or(u32::MAX));
            row.push_to(builder).map_err(too_large)
        })?;
        Ok((failed, builder.finish_at(base_offset)))
    }

    /// What becomes of the records of `part` on their way into the log. What topics and keys need
    /// nothing but what a source knows is given first, so that the transforms see it.
    ///
    /// # Errors
    /// Also a bad record's, when that ends the task: nothing of `part` goes on then, as its
    /// position stands behind all of it.
    pub fn for_log(
        &mut self,
        part: Stretch,
        from: From<'_>,
        now_ms: i64,
        refused: &mut Vec<Refused>,
    ) -> Result<Vec<Stretch>> {
        let from_offset = from.offset();
        let whole = part.goes_whole(from_offset);
        if self.steps.is_empty() && whole && from.input() == from.output() {
            return Ok(vec![part]);
        }
        self.steps.iter_mut().try_for_each(Step::catch_up)?;
        let (topic, partition) = from.place(&part);
        self.working.set_place(topic, partition);
        self.working.load(&part.batch, from.input(), from_offset)?;
        if let Some(early) = from.early() {
            early.give(&part, now_ms, &mut self.working)?;
        }
        let output = from.output();
        let place = |row: &RefusedRow| from.tell(&part, row);
        self.apply(&from.sequence(), now_ms, output, &place)?;
        if self.working.unchanged().is_some() && whole && from.input() == output {
            return Ok(vec![part]);
        }
        self.bound_growth(from, &place)?;
        let Self {
            working,
            stretches,
            on_error,
            ..
        } = self;
        let failed = emit(working, on_error, output, |row| {
            stretches.push(&part, &row).map_err(too_large)
        })?;
        let stretches = stretches.finish(&part);
        if let Some(RefusedRow { error, .. }) = failed {
            return Err(self.on_error.one_too_many(error));
        }
        self.refuse(&part.batch, refused, |row, record| {
            part.original(row.index, record, from.reached())
        })?;
        Ok(stretches)
    }

    /// Puts the rows of the working batch through the transforms, behind which values are `output`;
    /// `place` says where the record of a row came from.
    fn apply(
        &mut self,
        sequence: &Sequence,
        now_ms: i64,
        output: Format,
        place: &dyn Fn(&RefusedRow) -> String,
    ) -> Result<()> {
        let context = TransformContext { now_ms };
        for step in &mut self.steps {
            let before = self.working.refused().len();
            match &step.configured.when {
                Some(when) => self.working.select(|batch, row| when.test(batch, row))?,
                None => self.working.select_all(),
            }
            let applied = match step.instance(sequence) {
                Some(instance) => instance.apply(&mut self.working, &context),
                None => Err(Error::fatal("find", "what it remembers").because("it was not opened")),
            };
            applied.map_err(|error| {
                Error::new(error.kind(), "run", &step.configured.place).because(error)
            })?;
            let refused = self.working.refused();
            for row in refused.split_off(before) {
                let what = format!("{} on {}", step.configured.place, place(&row));
                let error = Error::record("run", what).because(row.error);
                refused.push(RefusedRow { error, ..row });
            }
        }
        // What no transform has made JSON of.
        let before = self.working.refused().len();
        self.working.check(output);
        let refused = self.working.refused();
        for row in refused.split_off(before) {
            let what = format!("{} as {}", place(&row), output.as_str());
            let error = Error::record("pass on", what).because(row.error);
            refused.push(RefusedRow { error, ..row });
        }
        Ok(())
    }

    /// Refuses records that would make their append set larger than the log takes. What a stream has
    /// read may go in several sets, so each record of it is looked at alone.
    fn bound_growth(
        &mut self,
        from: From<'_>,
        place: &dyn Fn(&RefusedRow) -> String,
    ) -> Result<()> {
        let (input, output) = (from.input(), from.output());
        let alone = matches!(from, From::Log(_));
        let left = &mut self.growth_left;
        let mut fits = |grown: usize| {
            let fits = grown <= *left;
            *left -= if fits && !alone { grown } else { 0 };
            fits
        };
        if fits(self.working.growth_max(input, output)) {
            return Ok(());
        }
        let before = self.working.refused().len();
        self.working.refuse_grown(output, fits)?;
        let refused = self.working.refused();
        for row in refused.split_off(before) {
            let error = Error::record("pass on", place(&row))
                .because(row.error)
                .remedy(match alone {
                    true => "let the transforms make at most 16 MiB of a record",
                    false => {
                        "what is read at once may grow by 16 MiB: let the transforms make less of \
                         each record, or make it in a stream"
                    }
                });
            refused.push(RefusedRow { error, ..row });
        }
        Ok(())
    }

    /// Hands over what was refused of `batch`, with the records as they came, which `original` makes.
    fn refuse(
        &mut self,
        batch: &Batch,
        refused: &mut Vec<Refused>,
        original: impl Fn(&RefusedRow, &Record<'_>) -> Original,
    ) -> Result<()> {
        let mut rows = std::mem::take(self.working.refused())
            .into_iter()
            .peekable();
        for (index, record) in batch.records().enumerate() {
            if rows.peek().is_none() {
                break;
            }
            let Some(row) = rows.next_if(|row| row.index == index) else {
                continue;
            };
            let record = record
                .map_err(|error| Error::fatal("read", "the records of a batch").because(error))?;
            let bad = Refused {
                stage: row.stage,
                record: original(&row, &record),
                error: row.error,
            };
            self.on_error.refuse(refused, bad)?;
        }
        Ok(())
    }
}

/// Emits what is left; when there are more bad records than the task bears, what stands before the
/// first of those that are too many, and that one. The others are in their order.
fn emit(
    working: &mut WorkingBatch,
    on_error: &Tolerance,
    format: Format,
    take: impl FnMut(Outgoing<'_>) -> Result<()>,
) -> Result<Option<RefusedRow>> {
    let refused = working.refused();
    refused.sort_by_key(|row| row.index);
    let left = usize::try_from(on_error.left()).unwrap_or(usize::MAX);
    let failed = match refused.len() > left {
        true => refused.drain(left..).next(),
        false => None,
    };
    if let Some(failed) = &failed {
        working.truncate(failed.index);
    }
    working.emit(format, take)?;
    Ok(failed)
}

fn too_large(error: BatchError) -> Error {
    Error::record("transform", "a batch of records")
        .because(error)
        .remedy("let the transforms make less of each record")
}
