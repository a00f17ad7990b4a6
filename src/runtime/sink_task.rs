//! The life of a sink's task from `open` to `close`: read the log, write, flush, commit.
//!
//! An offset moves only with what the sink reports as durable, in one append set with the state
//! the sink adds. Reading alone moves nothing, so a life that ends early is simply repeated from
//! the committed offset.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use towpath_log::{AppendSet, GroupOffset, Log, ReadTo, Reader, Watch, Writer};
use towpath_record::Batch;
use towpath_sdk::config::{Format, Start};
use towpath_sdk::{
    Error, ErrorKind, Flushed, Health, REFUSED_MAX, Refused, Result, Sink, SinkBatch, SinkContext,
    SinkOffset, SinkPartition, SinkTopic, Tolerance, now_ms,
};

use crate::assignment::{Assigned, start_offset};
use crate::chain::Chain;
use crate::commit::{log_error, submit};
use crate::dead_letter::DeadLetters;
use crate::source_task::report_refused;
use crate::spec::{ConnectorSpec, SinkSpec};
use crate::step::{Changes, Sequence};
use crate::supervisor::{Ended, Signal, Stop, TaskContext, open_writer};
use crate::task_state::TaskState;

/// What one read of the log brings at most (a larger batch comes alone).
const READ_BYTES: usize = 1 << 20;
/// Written without a flush at most, by volume and by time.
const FLUSH_BYTES: u64 = 64 << 20;
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// Between two flushes at least: under load a flush covers what came in this time, without load
/// it follows at once.
const FLUSH_PAUSE: Duration = Duration::from_millis(100);

/// One partition the task reads.
struct Input {
    /// As the sink sees it: the format is that behind the transforms.
    partition: SinkPartition,
    /// What its values are in the log.
    format: Format,
    reader: Reader,
    /// Up to where the far side has it.
    delivered: u64,
    /// Why nothing more is read of it in this life: the others go on.
    stopped: Option<Error>,
}

/// A sink task that is open.
struct SinkTask<'a> {
    context: &'a TaskContext,
    connector: &'a ConnectorSpec,
    spec: &'a SinkSpec,
    log: &'a Log,
    sink: Box<dyn Sink>,
    /// The transforms, if there are any.
    chain: Option<Chain>,
    writer: Arc<Writer>,
    state: Arc<TaskState>,
    inputs: Vec<Input>,
    /// The input that is read next: all take turns.
    turn: usize,
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
    dead_letters: Option<DeadLetters>,
    more: Arc<Notify>,
    _watch: Watch,
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
    let mut task = SinkTask::new(context, spec, sink, log)?;
    let result = task.drive(assigned, &mut stop).await;
    let closed = task.sink.close().await;
    let ended = result?;
    closed.map(|()| ended)
}

impl<'a> SinkTask<'a> {
    fn new(
        context: &'a TaskContext,
        connector: &'a ConnectorSpec,
        spec: &'a SinkSpec,
        log: &'a Log,
    ) -> Result<Self> {
        // State belongs to the group, as offsets do: who takes the group over takes both.
        let writer = Arc::new(open_writer(log, &spec.group, context.task)?);
        let state = Arc::new(TaskState::new(log, &spec.group, writer.clone()));
        let more = Arc::new(Notify::new());
        let wake = more.clone();
        let now = Instant::now();
        let on_error = connector.tolerance();
        Ok(Self {
            context,
            connector,
            spec,
            log,
            sink: spec.config.sink(),
            chain: Chain::new(&connector.configured.transforms, on_error.clone()),
            writer,
            state,
            inputs: Vec::new(),
            turn: 0,
            unflushed: Volume::default(),
            undelivered: Volume::default(),
            on_error,
            refused: Vec::new(),
            refused_before: 0,
            dead_letters: DeadLetters::of(context, connector, log),
            flushed_at: now.checked_sub(FLUSH_PAUSE).unwrap_or(now),
            more,
            _watch: log.watch(Box::new(move || wake.notify_one())),
        })
    }

    async fn drive(&mut self, assigned: &[Assigned], stop: &mut Stop) -> Result<Ended> {
        self.open(assigned).await?;
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
            let all_stopped =
                !self.inputs.is_empty() && self.inputs.iter().all(|input| input.stopped.is_some());
            if idle && (signal == Signal::Finish || all_stopped) {
                self.flush(signal == Signal::Finish).await?;
                let stopped = self
                    .inputs
                    .iter_mut()
                    .find_map(|input| input.stopped.take());
                return stopped.map_or(Ok(Ended::Done), Err);
            } else if self.flush_is_due(idle) {
                self.flush(false).await?;
            } else if idle {
                self.wait(stop).await;
            }
        }
    }

    /// Finds the task's partitions and where to begin in each, and opens the sink.
    async fn open(&mut self, assigned: &[Assigned]) -> Result<()> {
        self.state
            .forget_stale(self.context, self.connector, self.log)
            .await?;
        let mut beginnings = Vec::new();
        for (topic, partition) in assigned {
            let (topic, partition) = (topic.clone(), *partition);
            let (offset, committed) = start_offset(self.spec, self.log, &topic.name, partition)?;
            let reader = self
                .log
                .reader(&topic.name, partition, offset, ReadTo::Durable)
                .map_err(|error| log_error("read the log", error))?;
            let format = topic.format;
            let transforms = &self.connector.configured.transforms;
            let topic = Arc::new(SinkTopic {
                format: towpath_pipeline::output(transforms, format),
                ..(*topic).clone()
            });
            if let Some(chain) = &mut self.chain {
                chain.open(&Sequence::of(&topic, partition), Some(&self.state))?;
            }
            let partition = SinkPartition {
                topic,
                partition,
                offset,
            };
            if !committed && (offset > 0 || self.spec.start != Start::Earliest) {
                beginnings.push(self.group_offset(
                    &partition.topic.name,
                    partition.partition,
                    offset,
                ));
            }
            self.inputs.push(Input {
                partition,
                format,
                reader,
                delivered: offset,
                stopped: None,
            });
        }
        // A beginning that was chosen once stays: `latest` must not move with every restart.
        if !beginnings.is_empty() {
            submit(
                &self.writer,
                AppendSet {
                    offsets: beginnings,
                    ..AppendSet::default()
                },
            )
            .await?;
        }
        let (format, fields) = self.spec.config.format();
        let context = SinkContext {
            connector: self.context.connector.clone(),
            task: self.context.task,
            tasks: self.context.tasks,
            log_id: self.log.id().to_string().into(),
            generation: self
                .log
                .group(&self.spec.group)
                .map_or(0, |group| group.generation),
            partitions: self
                .inputs
                .iter()
                .map(|input| input.partition.clone())
                .collect(),
            state: self.state.clone(),
            encoder: towpath_formats::encoder(format, &fields)?,
            value_at: towpath_formats::lookup,
            codecs: Arc::new(towpath_formats::StandardCodecs),
            on_error: self.on_error.clone(),
            health: self.context.health.clone(),
        };
        self.sink.open(context).await
    }

    /// Writes what the inputs have next; false when none has anything.
    async fn write_next(&mut self) -> Result<bool> {
        let read = tokio::task::block_in_place(|| self.read())?;
        if read.is_empty() {
            return Ok(false);
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
    fn transform(&mut self, read: Vec<SinkBatch>) -> Result<(Vec<SinkBatch>, Option<Error>)> {
        let Some(chain) = &mut self.chain else {
            return Ok((read, None));
        };
        let now_ms = now_ms();
        let mut transformed = Vec::with_capacity(read.len());
        for batch in read {
            let is_of = |input: &&Input| {
                let SinkPartition {
                    topic, partition, ..
                } = &input.partition;
                *partition == batch.partition && topic.name == batch.topic.name
            };
            let format = self.inputs.iter().find(is_of).map(|input| input.format);
            let format = format.unwrap_or(batch.topic.format);
            let (batch, failed) = chain.for_sink(batch, format, now_ms, &mut self.refused)?;
            transformed.push(batch);
            if failed.is_some() {
                return Ok((transformed, failed));
            }
        }
        Ok((transformed, None))
    }

    /// Reads from one input after the other, beginning with the one whose turn it is, until there
    /// is enough for one write.
    fn read(&mut self) -> Result<Vec<SinkBatch>> {
        let mut read = Vec::new();
        let mut bytes = 0;
        for _ in 0..self.inputs.len() {
            if bytes >= READ_BYTES {
                break;
            }
            self.turn = (self.turn + 1) % self.inputs.len();
            let Input {
                reader,
                partition,
                stopped,
                ..
            } = &mut self.inputs[self.turn];
            if stopped.is_some() {
                continue;
            }
            let batches = match reader.next(READ_BYTES) {
                Ok(Some(batches)) => batches,
                Ok(None) => continue,
                Err(error) => {
                    let error = log_error("read the log", error);
                    if error.kind() == ErrorKind::Transient {
                        return Err(error);
                    }
                    // What stands before a damaged place, and the other partitions, go on.
                    let place = format!("{} {}", partition.topic.name, partition.partition);
                    self.context.health.report(&place, Some(&error));
                    *stopped = Some(error);
                    continue;
                }
            };
            for batch in &batches {
                bytes += batch.as_bytes().len();
                self.unflushed.add(batch);
                self.on_error.came(batch.len() as u64);
                self.undelivered.add(batch);
            }
            read.push(SinkBatch::new(
                partition.topic.clone(),
                partition.partition,
                partition.offset,
                batches,
            ));
        }
        Ok(read)
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
        if refused >= REFUSED_MAX as u64 {
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
        let offsets = flushed
            .offsets
            .iter()
            .map(|done| self.group_offset(&done.topic.name, done.partition, done.offset))
            .collect();
        let changes = self.take_changes(&flushed.offsets);
        let mut state = self.state.remember(changes);
        state.extend(self.state.change(flushed.state));
        self.refused.extend(flushed.refused);
        self.refused_before = self.on_error.refused();
        let is_done = |bad: &mut Refused| is_done(bad, &self.inputs, &flushed.offsets);
        let refused: Vec<_> = self.refused.extract_if(.., is_done).collect();
        let batches = match &mut self.dead_letters {
            Some(dead_letters) => dead_letters.batch(&refused, now_ms())?,
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
        if let Some(chain) = &mut self.chain {
            for done in offsets {
                let below = i64::try_from(done.offset).unwrap_or(i64::MAX);
                let sequence = Sequence::of(&done.topic, done.partition);
                chain.take_changes(&sequence, below, &mut changes);
            }
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
            () = self.more.notified() => {}
            () = stop.changed() => {}
            () = due => {}
        }
    }

    /// Notes that the far side has a partition up to `done`; by how many offsets that is more.
    fn advance(&mut self, done: &SinkOffset) -> u64 {
        let of_partition = |input: &&mut Input| {
            input.partition.partition == done.partition && input.partition.topic == done.topic
        };
        let Some(input) = self.inputs.iter_mut().find(of_partition) else {
            return 0;
        };
        let before = std::mem::replace(&mut input.delivered, done.offset);
        done.offset.saturating_sub(before)
    }

    fn group_offset(&self, topic: &str, partition: u32, offset: u64) -> GroupOffset {
        GroupOffset {
            group: self.spec.group.clone(),
            topic: topic.into(),
            partition,
            offset,
        }
    }
}

/// Whether an offset beyond the record was reported, now or before.
fn is_done(bad: &Refused, inputs: &[Input], reported: &[SinkOffset]) -> bool {
    let Some(place) = &bad.record.place else {
        return true;
    };
    let of_partition = |input: &&Input| {
        input.partition.partition == place.partition && input.partition.topic == place.topic
    };
    let before = inputs.iter().filter(of_partition);
    let now = reported
        .iter()
        .filter(|reported| reported.is_of(&place.topic.name, place.partition));
    let offsets = before.map(|input| input.delivered);
    let mut offsets = offsets.chain(now.map(|reported| reported.offset));
    offsets.any(|offset| offset > place.offset)
}
