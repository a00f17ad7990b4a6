//! The life of a task that writes to the log, from `open` to `close`: take, transform, route, hand
//! over, acknowledge. Of a source, or of a stream, which takes its records from the log itself and
//! commits its offsets with what it made of them.
//!
//! Several append sets may be in flight. The committer settles them in order; when one fails, all
//! later ones of this writer are refused, the task ends with that error, and its successor opens
//! at what is durable. So nothing is lost, nothing doubled, and no order is changed.
//!
//! Under `durability: os` a set is settled when it is committed; the source hears of it only when
//! a *barrier*, an empty set that waits for the next checkpoint, says that it is durable.

use std::collections::VecDeque;
use std::sync::Arc;

use towpath_log::{AppendSet, Durability, Log, ReadTo, StateChange, Writer};
use towpath_sdk::{Refused, Result, Tolerance, now_ms};
use tracing::warn;

use crate::assignment::{Assigned, sequences};
use crate::budget::{Budget, Share};
use crate::commit::{Outcome, hand_over, settled};
use crate::dead_letter::DeadLetters;
use crate::feed::{Feed, Taken};
use crate::intake::Intake;
use crate::piece::Piece;
use crate::schemas::SubjectVersion;
use crate::spec::{ConnectorSpec, OutputSpec, SourceSpec, StreamSpec};
use crate::status;
use crate::step::Sequence;
use crate::supervisor::{Ended, Stop, TaskContext};
use crate::task_state::TaskState;

/// Append sets a task may have in flight.
const IN_FLIGHT_MAX: usize = 8;

/// A set on its way to the disk, and what to do when it has arrived.
struct InFlight {
    outcome: Outcome,
    records: u64,
    bytes: u64,
    refused: Vec<Refused>,
    /// Whether the feed is to hear of it: not of what is retried of a source.
    acknowledged: bool,
    /// Versions of schemas that it registers.
    registered: Vec<SubjectVersion>,
    /// Of the last set of a read, for all of them.
    _share: Option<Share>,
}

/// A task that is open.
struct SourceTask<'a> {
    context: &'a TaskContext,
    feed: Feed,
    intake: Intake,
    on_error: Tolerance,
    dead_letters: Option<DeadLetters>,
    writer: Arc<Writer>,
    state: Arc<TaskState>,
    in_flight: VecDeque<InFlight>,
    /// Batches of the source in this life that are committed, and those it was told to be durable.
    committed: u64,
    acked: u64,
    /// The barrier under way, and the batches before it.
    barrier: Option<(Outcome, u64)>,
    durability: Durability,
}

/// Runs one life of a source's task, of which `assigned` is retried: until its end, a stop, or an
/// error.
pub(crate) async fn run_source(
    (context, spec, source): (&TaskContext, &Arc<ConnectorSpec>, &SourceSpec),
    assigned: &[Assigned],
    log: &Log,
    budget: &Budget,
    stop: Stop,
) -> Result<Ended> {
    let state = TaskState::open(context, spec, log).await?;
    let writer = state.writer();
    let feed = Feed::of_source((context, spec, source), assigned, log, writer).await?;
    let mut task = SourceTask::new((context, spec), &source.output, feed, state, log)?;
    task.remember(Sequence::Task(context.task))?;
    task.open_tables(log)?;
    task.run(budget, stop).await
}

/// Runs one life of a stream's task, which reads `assigned`: until its end, a stop, or an error.
pub(crate) async fn run_stream(
    (context, spec, stream): (&TaskContext, &Arc<ConnectorSpec>, &StreamSpec),
    assigned: &[Assigned],
    log: &Log,
    budget: &Budget,
    stop: Stop,
) -> Result<Ended> {
    let state = TaskState::open(context, spec, log).await?;
    let writer = state.writer();
    let (feed, format) = Feed::of_stream((spec, stream), assigned, log, writer, &stop).await?;
    let mut output = stream.output.clone();
    match format {
        Some(format) => output.topic_config.format = format.as_str().to_owned(),
        // Nothing will come in this life: its topic is not created.
        None => output.fixed_topic = None,
    }
    let mut task = SourceTask::new((context, spec), &output, feed, state, log)?;
    for sequence in sequences(assigned) {
        task.remember(sequence)?;
    }
    task.open_tables(log)?;
    task.run(budget, stop).await
}

impl<'a> SourceTask<'a> {
    fn new(
        (context, spec): (&'a TaskContext, &Arc<ConnectorSpec>),
        output: &OutputSpec,
        feed: Feed,
        state: TaskState,
        log: &Log,
    ) -> Result<Self> {
        let on_error = spec.tolerance();
        Ok(Self {
            context,
            feed,
            intake: Intake::new(spec, output, &on_error, log, &context.schemas)?,
            on_error,
            dead_letters: DeadLetters::of(context, spec, log),
            writer: state.writer().clone(),
            state: Arc::new(state),
            in_flight: VecDeque::new(),
            committed: 0,
            acked: 0,
            barrier: None,
            durability: log.durability(),
        })
    }

    /// Gets ready for the records of `sequence`, with what the transforms remember of them.
    fn remember(&mut self, sequence: Sequence) -> Result<()> {
        self.intake.open(sequence, Some(&self.state))
    }

    /// Reads the tables that the transforms look records up in; when all that they remember is there.
    fn open_tables(&mut self, log: &Log) -> Result<()> {
        tokio::task::block_in_place(|| self.intake.chain().open_tables(log))
    }

    async fn run(mut self, budget: &Budget, mut stop: Stop) -> Result<Ended> {
        let opened = tokio::select! {
            opened = self.feed.open(self.context, &self.state, &self.on_error) => opened,
            () = stop.requested() => { return self.close(Ok(Ended::Stopped)).await }
        };
        let result = match opened {
            Ok(()) => {
                self.context.health.set(status::TaskState::Running, None);
                self.pump(budget, &mut stop).await
            }
            Err(error) => Err(error),
        };
        self.close(result).await
    }

    /// Reads and settles until the feed ends, fails or is stopped, and all that was handed over
    /// is settled.
    async fn pump(&mut self, budget: &Budget, stop: &mut Stop) -> Result<Ended> {
        let mut share = None;
        let mut end: Option<Result<Ended>> = None;
        loop {
            if self.in_flight.is_empty() {
                if self.acked == self.committed
                    && let Some(end) = end
                {
                    return end;
                }
                // While nothing comes, what is common is left to others.
                share = Some(budget.own());
            }
            let reading = end.is_none() && self.in_flight.len() < IN_FLIGHT_MAX;
            tokio::select! {
                biased;
                () = stop.requested(), if end.is_none() => end = Some(Ok(Ended::Stopped)),
                outcome = next_outcome(&mut self.in_flight), if !self.in_flight.is_empty() => {
                    settled(outcome)?;
                    self.settle().await?;
                }
                (outcome, before) = barrier(&mut self.barrier), if self.barrier.is_some() => {
                    settled(outcome)?;
                    self.barrier = None;
                    self.acknowledge(before).await?;
                }
                more = budget.shared(), if reading && share.is_none() => share = Some(more),
                taken = self.feed.read(self.context), if reading && share.is_some() => match taken {
                    Ok(Some(taken)) => {
                        let share = share.take().unwrap_or_else(|| budget.own());
                        if let Err(error) = self.hand_over(taken, share) {
                            end = Some(Err(error));
                        }
                    }
                    Ok(None) => end = Some(Ok(Ended::Done)),
                    // What came before the error is delivered first.
                    Err(error) => end = Some(Err(error)),
                },
            }
        }
    }

    /// Transforms what was taken, and hands it to the committer in as many sets as it takes.
    fn hand_over(&mut self, mut taken: Taken, mut share: Share) -> Result<()> {
        let mut refused = std::mem::take(&mut taken.refused);
        self.on_error
            .came(taken.records.len() + refused.len() as u64);
        let (now_ms, acknowledged) = (now_ms(), taken.acknowledged);
        let sequences = taken.records.sequences();
        let stretches = self.intake.transform(taken.records, now_ms, &mut refused)?;
        let mut pieces = Piece::all(stretches, taken.offsets).into_iter().peekable();
        let mut held = 0;
        while let Some(piece) = pieces.next() {
            let mut state = Vec::new();
            let mut behind = std::mem::take(&mut refused);
            if pieces.peek().is_some() {
                let changes = self.intake.take_changes_below(&sequences, &piece.offsets);
                state.extend(self.state.remember(changes));
                refused = behind.extract_if(.., |bad| !piece.is_behind(bad)).collect();
            } else {
                state.extend(self.state.remember(self.intake.take_changes()));
                state.extend(self.state.change(std::mem::take(&mut taken.state)));
            }
            held += self.hand_over_piece(piece, behind, state, now_ms)?;
            if let Some(set) = self.in_flight.back_mut() {
                set.acknowledged = acknowledged;
            }
        }
        share.hold(held);
        // The last one is settled last.
        if let Some(last) = self.in_flight.back_mut() {
            last._share = Some(share);
        }
        Ok(())
    }

    /// Routes what goes into one set, and hands it over; how many bytes it holds in memory.
    fn hand_over_piece(
        &mut self,
        piece: Piece,
        mut refused: Vec<Refused>,
        state: Vec<StateChange>,
        now_ms: i64,
    ) -> Result<u64> {
        let mut batches = self.intake.route(piece.stretches, now_ms, &mut refused)?;
        let records = batches.iter().map(|batch| batch.batch.len() as u64).sum();
        let bytes = batches
            .iter()
            .map(|batch| batch.batch.as_bytes().len() as u64)
            .sum();
        let refused_bytes: usize = refused.iter().map(Refused::bytes).sum();
        if let Some(dead_letters) = &mut self.dead_letters {
            batches.extend(dead_letters.batch(&refused, now_ms)?);
            self.intake.keep_schemas(&dead_letters.topic, &refused)?;
        }
        let registration = self.intake.registration(now_ms)?;
        let (registration, registered) = registration.unzip();
        batches.extend(registration);
        let set = AppendSet {
            batches,
            offsets: piece.offsets,
            state,
            until: ReadTo::Committed,
        };
        let outcome = hand_over(&self.writer, set);
        self.in_flight.push_back(InFlight {
            outcome,
            records,
            bytes,
            refused,
            acknowledged: true,
            registered: registered.unwrap_or_default(),
            _share: None,
        });
        Ok(bytes + refused_bytes as u64)
    }

    /// The first set in flight is committed.
    async fn settle(&mut self) -> Result<()> {
        let Some(done) = self.in_flight.pop_front() else {
            return Ok(());
        };
        self.committed += u64::from(done.acknowledged);
        self.context.schemas.committed(&done.registered);
        self.context.health.reset_attempts();
        self.context.stats.add(done.records, done.bytes);
        report_refused(self.context, &done.refused, self.dead_letters.as_ref());
        match self.durability {
            _ if !done.acknowledged => Ok(()),
            Durability::Fsync => self.acknowledge(self.committed).await,
            Durability::Os => {
                self.raise_barrier();
                Ok(())
            }
        }
    }

    /// Tells the source that the first `batches` batches are durable.
    async fn acknowledge(&mut self, batches: u64) -> Result<()> {
        self.acked = batches;
        if self.acked < self.committed {
            self.raise_barrier();
        }
        self.feed.ack(batches).await
    }

    /// Asks to hear when what is committed now is durable, unless such a question is open.
    fn raise_barrier(&mut self) {
        if self.barrier.is_none() {
            let set = AppendSet {
                until: ReadTo::Durable,
                ..AppendSet::default()
            };
            self.barrier = Some((hand_over(&self.writer, set), self.committed));
        }
    }

    async fn close(mut self, result: Result<Ended>) -> Result<Ended> {
        let closed = self.feed.close().await;
        let ended = result?;
        closed.map(|()| ended)
    }
}

/// The outcome of the open barrier, and the batches before it. Cancel safe.
async fn barrier(
    barrier: &mut Option<(Outcome, u64)>,
) -> (<Outcome as std::future::Future>::Output, u64) {
    match barrier {
        Some((outcome, before)) => (outcome.await, *before),
        None => std::future::pending().await,
    }
}

/// The outcome of the set handed over first. Cancel safe.
async fn next_outcome(
    in_flight: &mut VecDeque<InFlight>,
) -> <Outcome as std::future::Future>::Output {
    match in_flight.front_mut() {
        Some(first) => (&mut first.outcome).await,
        None => std::future::pending().await,
    }
}

/// Counts the records that were left out, and logs a line for the first of them.
pub(crate) fn report_refused(
    context: &TaskContext,
    refused: &[Refused],
    dead_letters: Option<&DeadLetters>,
) {
    let count = refused.len();
    let Some(first) = refused.first() else { return };
    context
        .stats
        .add_refused(count as u64, dead_letters.is_some());
    let connector = &*context.connector;
    match dead_letters {
        Some(kept) => warn!(connector, count, "kept in {}: {}", kept.topic, first.error),
        None => warn!(connector, count, "left out: {}", first.error),
    }
}
