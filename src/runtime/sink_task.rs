//! The life of a sink's task from `open` to `close`: read the log, write, flush, commit.
//!
//! An offset moves only with what the sink reports as durable, in one append set with the state
//! the sink adds. Reading alone moves nothing, so a life that ends early is simply repeated from
//! the committed offset.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use towpath_log::{AppendSet, Log, ReadTo, Writer};
use towpath_record::Batch;
use towpath_sdk::{
    Error, ErrorKind, Flushed, REFUSED_BYTES, REFUSED_MAX, Refused, Result, Sink, SinkBatch,
    SinkContext, SinkOffset, SinkPartition, Tolerance, now_ms,
};

use crate::assignment::{Assigned, sequences};
use crate::chain::Chain;
use crate::commit::submit;
use crate::dead_letter::DeadLetters;
use crate::reading::{Input, Read, Reading};
use crate::source_task::report_refused;
use crate::spec::{ConnectorSpec, SinkSpec};
use crate::step::{Changes, Sequence};
use crate::supervisor::{Ended, Signal, Stop, TaskContext};
use crate::task_state::TaskState;

/// Written without a flush at most, by volume and by time.
const FLUSH_BYTES: u64 = 64 << 20;
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// Between two flushes at least: under load a flush covers what came in this time, without load
/// it follows at once.
const FLUSH_PAUSE: Duration = Duration::from_millis(100);

/// A sink task that is open.
struct SinkTask<'a> {
    context: &'a TaskContext,
    spec: &'a SinkSpec,
    sink: Box<dyn Sink>,
    chain: Chain,
    writer: Arc<Writer>,
    state: Arc<TaskState>,
    reading: Reading,
    /// Written since the last flush.
    unflushed: Volume,
    /// Written and not yet reported as durable.
    undelivered: Volume,
    flushed_at: Instant,
    on_error: Tolerance,
    /// Records that were refused, until the sink is done with all before them.
    refused: Vec<Refused>,
    /// How many were refused when it was flushed last.
    refused_before: u64,
    /// What all that were refused by then took.
    refused_bytes_before: u64,
    dead_letters: Option<DeadLetters>,
}

/// Records, and the bytes of their batches.
#[derive(Debug, Clone, Copy, Default)]
struct Volume {
    records: u64,
    bytes: u64,
}

impl Volume {
    fn add(&mut self, batch: &Batch) {
        self.records += batch.len() as u64;
        self.bytes += batch.as_bytes().len() as u64;
    }

    /// Takes out `records`, with their share of the bytes.
    fn take(&mut self, records: u64) -> Self {
        let records = records.min(self.records);
        let share = records as f64 / self.records.max(1) as f64;
        let taken = Self {
            records,
            bytes: (self.bytes as f64 * share) as u64,
        };
        self.records -= taken.records;
        self.bytes -= taken.bytes;
        taken
    }
}

/// Runs one life of the task: until its end, a stop, or an error.
pub(crate) async fn run(
    context: &TaskContext,
    spec: &ConnectorSpec,
    sink: &SinkSpec,
    assigned: &[Assigned],
    log: &Log,
    mut stop: Stop,
) -> Result<Ended> {
    let mut task = SinkTask::new((context, spec, sink), assigned, log).await?;
    let result = task.drive(log, &mut stop).await;
    let closed = task.sink.close().await;
    let ended = result?;
    closed.map(|()| ended)
}

impl<'a> SinkTask<'a> {
    async fn new(
        (context, connector, spec): (&'a TaskContext, &'a ConnectorSpec, &'a SinkSpec),
        assigned: &[Assigned],
        log: &Log,
    ) -> Result<Self> {
        let state = Arc::new(TaskState::open(context, connector, log).await?);
        let writer = state.writer().clone();
        let reading = Reading::open(connector, assigned, log, ReadTo::Durable, &writer).await?;
        let now = Instant::now();
        let on_error = connector.tolerance();
        let mut chain = Chain::new(&connector.configured.transforms, on_error.clone());
        for sequence in sequences(assigned) {
            chain.open(&sequence, Some(&state))?;
        }
        tokio::task::block_in_place(|| chain.open_tables(log))?;
        Ok(Self {
            context,
            spec,
            sink: spec.config.sink(),
            chain,
            writer,
            state,
            reading,
            unflushed: Volume::default(),
            undelivered: Volume::default(),
            on_error,
            refused: Vec::new(),
            refused_before: 0,
            refused_bytes_before: 0,
            dead_letters: DeadLetters::of(context, connector, log),
            flushed_at: now.checked_sub(FLUSH_PAUSE).unwrap_or(now),
        })
    }

    async fn drive(&mut self, log: &Log, stop: &mut Stop) -> Result<Ended> {
        self.open(log).await?;
        self.context
            .health
            .set(crate::status::TaskState::Running, None);
        loop {
            let signal = stop.signal();
            if signal == Signal::Stop {
                self.flush(false).await?;
                return Ok(Ended::Stopped);
            }
            let idle = !self.write_next().await?;
            if idle && (signal == Signal::Finish || self.reading.all_stopped()) {
                self.flush(signal == Signal::Finish).await?;
                return self.reading.stopped().map(|()| Ended::Done);
            } else if self.flush_is_due(idle) {
                self.flush(false).await?;
            } else if idle {
                self.wait(stop).await;
            }
        }
    }

    async fn open(&mut self, log: &Log) -> Result<()> {
        let (format, fields) = self.spec.config.format();
        let context = SinkContext {
            connector: self.context.connector.clone(),
            task: self.context.task,
            tasks: self.context.tasks,
            log_id: log.id().to_string().into(),
            generation: log
                .group(&self.spec.input.group)
                .map_or(0, |group| group.generation),
            partitions: self
                .reading
                .inputs
                .iter()
                .map(|input| input.partition.clone())
                .collect(),
            scratch: self.scratch(log),
            state: self.state.clone(),
            encoder: towpath_formats::encoder(format, &fields)?,
            value_at: towpath_formats::lookup,
            schemas: self.context.schemas.clone(),
            codecs: Arc::new(towpath_formats::StandardCodecs),
            on_error: self.on_error.clone(),
            health: self.context.health.clone(),
        };
        self.sink.open(context).await
    }

    /// Where the sink may put what need not outlive it: a name of this task's own.
    fn scratch(&self, log: &Log) -> PathBuf {
        let TaskContext {
            connector, task, ..
        } = self.context;
        log.dir()
            .join("scratch")
            .join(format!("{connector}-{task}"))
    }

    /// Writes what the inputs have next; false when none has anything.
    async fn write_next(&mut self) -> Result<bool> {
        let read = tokio::task::block_in_place(|| self.reading.next(self.context))?;
        if read.is_empty() {
            return Ok(false);
        }
        for batch in read.iter().flat_map(|read| &read.batch.batches) {
            self.unflushed.add(batch);
            self.undelivered.add(batch);
            self.on_error.came(batch.len() as u64);
        }
        let (read, failed) = tokio::task::block_in_place(|| self.transform(read))?;
        let written = self.sink.write(read).await;
        let Err(error) = written.and(failed.map_or(Ok(()), Err)) else {
            return Ok(true);
        };
        // What came before a bad record is delivered.
        if error.kind() == ErrorKind::Record {
            self.flush(false).await?;
        }
        Err(error)
    }

    /// Puts what was read through the transforms. When a bad record ends the task, what came before
    /// it, and the error.
    fn transform(&mut self, read: Vec<Read>) -> Result<(Vec<SinkBatch>, Option<Error>)> {
        let now_ms = now_ms();
        let mut transformed = Vec::with_capacity(read.len());
        for read in read {
            let (batch, failed) = self.chain.for_sink(read, now_ms, &mut self.refused)?;
            transformed.push(batch);
            if failed.is_some() {
                return Ok((transformed, failed));
            }
        }
        Ok((transformed, None))
    }

    fn flush_is_due(&self, idle: bool) -> bool {
        let since = self.flushed_at.elapsed();
        if self
            .sink
            .deadline()
            .is_some_and(|deadline| deadline <= Instant::now())
        {
            return true;
        }
        let refused = self.on_error.refused() - self.refused_before;
        let bytes = self.on_error.refused_bytes() - self.refused_bytes_before;
        if refused >= REFUSED_MAX as u64 || bytes >= REFUSED_BYTES {
            return true;
        }
        self.unflushed.records > 0
            && (self.unflushed.bytes >= FLUSH_BYTES
                || since >= FLUSH_INTERVAL
                || idle && since >= FLUSH_PAUSE)
    }

    /// Makes durable what can be, all of it at the `end`, and commits it.
    async fn flush(&mut self, end: bool) -> Result<()> {
        let flushed: Flushed = self.sink.flush(end).await?;
        let offsets = flushed.offsets.iter().map(|done| {
            let SinkOffset {
                topic,
                partition,
                offset,
            } = done;
            self.reading.group_offset(&topic.name, *partition, *offset)
        });
        let offsets = offsets.collect();
        let changes = self.take_changes(&flushed.offsets);
        let mut state = self.state.remember(changes);
        state.extend(self.state.change(flushed.state));
        self.refused.extend(flushed.refused);
        self.refused_before = self.on_error.refused();
        self.refused_bytes_before = self.on_error.refused_bytes();
        let is_done = |bad: &mut Refused| is_done(bad, &self.reading.inputs, &flushed.offsets);
        let refused: Vec<_> = self.refused.extract_if(.., is_done).collect();
        let batches = match &mut self.dead_letters {
            Some(dead_letters) => {
                tokio::task::block_in_place(|| dead_letters.batch(&refused, now_ms()))?
            }
            None => None,
        };
        let set = AppendSet {
            batches: batches.into_iter().collect(),
            offsets,
            state,
            ..AppendSet::default()
        };
        submit(&self.writer, set).await?;
        report_refused(self.context, &refused, self.dead_letters.as_ref());
        let advanced = flushed.offsets.iter().map(|done| self.advance(done)).sum();
        let delivered = self.undelivered.take(advanced);
        let records = delivered.records.saturating_sub(refused.len() as u64);
        self.context.stats.add(records, delivered.bytes);
        self.unflushed = Volume::default();
        self.context.health.reset_attempts();
        self.flushed_at = Instant::now();
        Ok(())
    }

    /// What the records below `offsets` have changed in what the transforms remember.
    fn take_changes(&mut self, offsets: &[SinkOffset]) -> Changes {
        let mut changes = Changes::default();
        for done in offsets {
            let below = i64::try_from(done.offset).unwrap_or(i64::MAX);
            let sequence = Sequence::of(&done.topic, done.partition);
            self.chain.take_changes(&sequence, below, &mut changes);
        }
        changes
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self, stop: &mut Stop) {
        let flush_at = (self.unflushed.records > 0).then(|| self.flushed_at + FLUSH_PAUSE);
        let until = [flush_at, self.sink.deadline()].into_iter().flatten().min();
        let due = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.reading.more() => {}
            () = stop.changed() => {}
            () = due => {}
        }
    }

    /// Notes that the far side has a partition up to `done`; by how many offsets that is more.
    fn advance(&mut self, done: &SinkOffset) -> u64 {
        let of_partition = |input: &&mut Input| {
            input.partition.partition == done.partition && input.partition.topic == done.topic
        };
        let Some(input) = self.reading.inputs.iter_mut().find(of_partition) else {
            return 0;
        };
        let before = std::mem::replace(&mut input.delivered, done.offset);
        done.offset.saturating_sub(before)
    }
}

/// Whether an offset beyond the record was reported, now or before.
fn is_done(bad: &Refused, inputs: &[Input], reported: &[SinkOffset]) -> bool {
    let Some(place) = &bad.record.place else {
        return true;
    };
    let of_partition = |input: &&Input| {
        let SinkPartition {
            topic, partition, ..
        } = &input.partition;
        (*partition, &*topic.name) == (place.partition, &*place.topic)
    };
    let before = inputs.iter().filter(of_partition);
    let now = reported
        .iter()
        .filter(|reported| reported.is_of(&place.topic, place.partition));
    let offsets = before.map(|input| input.delivered);
    let mut offsets = offsets.chain(now.map(|reported| reported.offset));
    offsets.any(|offset| offset > place.offset)
}
