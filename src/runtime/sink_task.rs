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
use towpath_sdk::config::Start;
use towpath_sdk::{Flushed, Result, Sink, SinkBatch, SinkContext, SinkOffset, SinkPartition};

use crate::assignment::{Assigned, start_offset};
use crate::commit::{log_error, submit};
use crate::source_task::log_refused;
use crate::spec::SinkSpec;
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
    partition: SinkPartition,
    reader: Reader,
    /// Up to where the far side has it.
    delivered: u64,
}

/// A sink task that is open.
struct SinkTask<'a> {
    context: &'a TaskContext,
    spec: &'a SinkSpec,
    log: &'a Log,
    sink: Box<dyn Sink>,
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
    spec: &SinkSpec,
    assigned: &[Assigned],
    log: &Log,
    mut stop: Stop,
) -> Result<Ended> {
    let mut task = SinkTask::new(context, spec, log)?;
    let result = task.drive(assigned, &mut stop).await;
    let closed = task.sink.close().await;
    let ended = result?;
    closed.map(|()| ended)
}

impl<'a> SinkTask<'a> {
    fn new(context: &'a TaskContext, spec: &'a SinkSpec, log: &'a Log) -> Result<Self> {
        // State belongs to the group, as offsets do: who takes the group over takes both.
        let writer = Arc::new(open_writer(log, &spec.group, context.task)?);
        let state = Arc::new(TaskState::new(log, &spec.group, writer.clone()));
        let more = Arc::new(Notify::new());
        let wake = more.clone();
        let now = Instant::now();
        Ok(Self {
            context,
            spec,
            log,
            sink: spec.config.sink(),
            writer,
            state,
            inputs: Vec::new(),
            turn: 0,
            unflushed: Volume::default(),
            undelivered: Volume::default(),
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
                self.flush().await?;
                return Ok(Ended::Stopped);
            }
            let idle = !self.write_next().await?;
            if self.flush_is_due(idle) {
                self.flush().await?;
            } else if idle && self.unflushed.records == 0 && signal == Signal::Finish {
                return Ok(Ended::Done);
            } else if idle {
                self.wait(stop).await;
            }
        }
    }

    /// Finds the task's partitions and where to begin in each, and opens the sink.
    async fn open(&mut self, assigned: &[Assigned]) -> Result<()> {
        let mut beginnings = Vec::new();
        for (topic, partition) in assigned {
            let (topic, partition) = (topic.clone(), *partition);
            let (offset, committed) = start_offset(self.spec, self.log, &topic.name, partition)?;
            let reader = self
                .log
                .reader(&topic.name, partition, offset, ReadTo::Durable)
                .map_err(|error| log_error("read the log", error))?;
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
                reader,
                delivered: offset,
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
            on_error: self.spec.on_error,
            health: self.context.health.clone(),
        };
        self.sink.open(context).await
    }

    /// Writes what the inputs have next; false when none has anything.
    async fn write_next(&mut self) -> Result<bool> {
        let read = match tokio::task::block_in_place(|| self.read()) {
            Ok(read) => read,
            Err(error) => {
                // What stands before a damaged place is delivered.
                if self.unflushed.records > 0 {
                    self.flush().await?;
                }
                return Err(error);
            }
        };
        if read.is_empty() {
            return Ok(false);
        }
        self.sink.write(read).await?;
        Ok(true)
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
                reader, partition, ..
            } = &mut self.inputs[self.turn];
            let batches = match reader.next(READ_BYTES) {
                Ok(Some(batches)) => batches,
                Ok(None) => continue,
                // First what was read; the next call comes to the error.
                Err(_) if !read.is_empty() => break,
                Err(error) => return Err(log_error("read the log", error)),
            };
            for batch in &batches {
                bytes += batch.as_bytes().len();
                self.unflushed.add(batch);
                self.undelivered.add(batch);
            }
            read.push(SinkBatch {
                topic: partition.topic.clone(),
                partition: partition.partition,
                from_offset: partition.offset,
                batches,
            });
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
        self.unflushed.records > 0
            && (self.unflushed.bytes >= FLUSH_BYTES
                || since >= FLUSH_INTERVAL
                || idle && since >= FLUSH_PAUSE)
    }

    /// Makes durable what can be, and commits it.
    async fn flush(&mut self) -> Result<()> {
        let flushed: Flushed = self.sink.flush().await?;
        let offsets = flushed
            .offsets
            .iter()
            .map(|done| self.group_offset(&done.topic.name, done.partition, done.offset))
            .collect();
        let state = self.state.change(flushed.state);
        submit(
            &self.writer,
            AppendSet {
                offsets,
                state,
                ..AppendSet::default()
            },
        )
        .await?;
        log_refused(&self.context.connector, &flushed.refused);
        let advanced = flushed.offsets.iter().map(|done| self.advance(done)).sum();
        let delivered = self.undelivered.take(advanced);
        let skipped = (flushed.refused.len() as u64).min(delivered.records);
        self.context
            .stats
            .add(delivered.records - skipped, delivered.bytes, skipped);
        self.unflushed = Volume::default();
        self.context.health.reset_attempts();
        self.flushed_at = Instant::now();
        Ok(())
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
