//! Where the records come from that a task writes to the log: a source's system, or, of a stream and
//! of what is retried, the log itself.

use std::sync::Arc;

use towpath_log::{GroupOffset, Log, ReadTo, Writer};
use towpath_record::Batch;
use towpath_sdk::config::Format;
use towpath_sdk::{
    Error, NewDecoder, Part, Refused, Result, Schemas, Source, SourceBatch, SourceContext,
    StateChange, Tolerance,
};

use crate::assignment::Assigned;
use crate::reading::{Read, Reading};
use crate::spec::{ConnectorSpec, SourceSpec, StreamSpec};
use crate::step::Sequence;
use crate::supervisor::{Signal, Stop, TaskContext};
use crate::task_state::TaskState;

/// What a task takes its records from.
pub(crate) enum Feed {
    System(System),
    /// Partitions of the log. Its position is the offsets of its group.
    Log(Reading, Stop),
}

/// A source's system, and what is retried of it.
pub(crate) struct System {
    /// Opened later: a stop may cut it off.
    source: Box<dyn Source>,
    new_decoder: NewDecoder,
    log_id: Arc<str>,
    retried: Reading,
    /// Whether what is retried is looked at first: both take turns.
    retried_first: bool,
    /// Whether the source has ended.
    ended: bool,
}

/// What one read brought, and what becomes true with it.
pub(crate) struct Taken {
    pub records: Incoming,
    pub refused: Vec<Refused>,
    pub state: Vec<StateChange>,
    pub offsets: Vec<GroupOffset>,
    /// Whether the feed is to hear that it is durable.
    pub acknowledged: bool,
}

impl Taken {
    /// Of the log, where `read` was read.
    fn of_log(reading: &Reading, read: Vec<Read>, acknowledged: bool) -> Self {
        let next = read.iter().map(|read| &read.batch);
        let offsets = next.map(|batch| {
            reading.group_offset(&batch.topic.name, batch.partition, batch.next_offset)
        });
        Self {
            offsets: offsets.collect(),
            records: Incoming::Read(read),
            refused: Vec::new(),
            state: Vec::new(),
            acknowledged,
        }
    }

    fn of_source(batch: SourceBatch) -> Self {
        Self {
            records: Incoming::Parts(batch.parts),
            refused: batch.refused,
            state: batch.state,
            offsets: Vec::new(),
            acknowledged: true,
        }
    }
}

/// Records on their way into the log.
pub(crate) enum Incoming {
    Parts(Vec<Part>),
    Read(Vec<Read>),
}

impl Incoming {
    /// As which records transforms see what was read of the log, each read's.
    pub fn sequences(&self) -> Vec<Sequence> {
        match self {
            Self::Parts(_) => Vec::new(),
            Self::Read(read) => {
                let of = |Read { batch, .. }: &Read| Sequence::of(&batch.topic, batch.partition);
                read.iter().map(of).collect()
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        let of_read = |read: &Read| -> usize { read.batch.batches.iter().map(Batch::len).sum() };
        let records: usize = match self {
            Self::Parts(parts) => parts.iter().map(|part| part.batch.len()).sum(),
            Self::Read(read) => read.iter().map(of_read).sum(),
        };
        records as u64
    }
}

impl Feed {
    /// A source's system, and what is retried of it: that is `assigned`.
    pub async fn of_source(
        (context, spec, source): (&TaskContext, &ConnectorSpec, &SourceSpec),
        assigned: &[Assigned],
        log: &Log,
        writer: &Writer,
    ) -> Result<Self> {
        let schemas: Arc<dyn Schemas> = context.schemas.clone();
        Ok(Self::System(System {
            new_decoder: towpath_formats::decoder(source.config.format(), &schemas)?,
            source: source.config.source(),
            log_id: log.id().to_string().into(),
            retried: Reading::open(spec, assigned, log, ReadTo::Committed, writer).await?,
            retried_first: false,
            ended: false,
        }))
    }

    /// What a stream reads of `assigned`, and what its values are behind the transforms, if there is
    /// anything to read.
    ///
    /// # Errors
    /// Also when that is not the same for all of them and the topic they go to.
    pub async fn of_stream(
        (spec, stream): (&ConnectorSpec, &StreamSpec),
        assigned: &[Assigned],
        log: &Log,
        writer: &Writer,
        stop: &Stop,
    ) -> Result<(Self, Option<Format>)> {
        // What it reads may not survive a power cut; then what it made of that does not either, as
        // the log falls back to what it was before.
        let to = ReadTo::Committed;
        let reading = Reading::open(spec, assigned, log, to, writer).await?;
        // What is retried becomes what all else is.
        let inputs = || {
            reading
                .inputs
                .iter()
                .filter(|input| input.reached.is_none())
        };
        let topics = || inputs().map(|input| &input.partition.topic);
        let held = stream.output.fixed_topic.as_ref();
        let held = held.and_then(|name| Format::from_word(&log.topic(name)?.config.format));
        let Some(first) = topics().next() else {
            return Ok((Self::Log(reading, stop.clone()), None));
        };
        let format = held.unwrap_or(first.format);
        if let Some(other) = topics().find(|topic| topic.format != format) {
            let (written, format) = (other.format.as_str(), format.as_str());
            return Err(Error::configuration("write records of topic", &other.name)
                .because(format!(
                    "the transforms make {written} of them, not {format} as of others"
                ))
                .remedy(
                    "use a stream of its own for them, or transforms that make the same of all",
                ));
        }
        Ok((Self::Log(reading, stop.clone()), Some(format)))
    }

    /// Connects a source. Cut off as [`Source::open`] says.
    pub async fn open(
        &mut self,
        context: &TaskContext,
        state: &Arc<TaskState>,
        on_error: &Tolerance,
    ) -> Result<()> {
        let Self::System(system) = self else {
            return Ok(());
        };
        let context = SourceContext {
            connector: context.connector.clone(),
            task: context.task,
            tasks: context.tasks,
            log_id: system.log_id.clone(),
            drain: context.drain,
            state: state.clone(),
            new_decoder: system.new_decoder.clone(),
            schemas: context.schemas.clone(),
            codecs: Arc::new(towpath_formats::StandardCodecs),
            on_error: on_error.clone(),
            health: context.health.clone(),
        };
        system.source.open(context).await
    }

    /// The next records; `None` at the end. Cancel safe.
    pub async fn read(&mut self, context: &TaskContext) -> Result<Option<Taken>> {
        let (reading, stop) = match self {
            Self::Log(reading, stop) => (reading, stop),
            Self::System(system) => return system.read(context).await,
        };
        loop {
            // Asked before it is read: what was written by then is read.
            let signal = stop.signal();
            let read = tokio::task::block_in_place(|| reading.next(context))?;
            if !read.is_empty() {
                return Ok(Some(Taken::of_log(reading, read, true)));
            }
            if signal == Signal::Finish || reading.all_stopped() {
                return reading.stopped().map(|()| None);
            }
            tokio::select! {
                () = reading.more() => {}
                () = stop.changed() => {}
            }
        }
    }

    /// See [`Source::ack`].
    pub async fn ack(&mut self, batches: u64) -> Result<()> {
        match self {
            Self::System(system) => system.source.ack(batches).await,
            Self::Log(..) => Ok(()),
        }
    }

    /// See [`Source::close`].
    pub async fn close(&mut self) -> Result<()> {
        match self {
            Self::System(system) => system.source.close().await,
            Self::Log(..) => Ok(()),
        }
    }
}

impl System {
    /// The next records of the source, or of what is retried, in turns; `None` when the source has
    /// ended and all is read. A read of the source that is under way is given up only for records
    /// that are retried, of which there is an end; the log stirring alone does not disturb it. Cancel
    /// safe.
    async fn read(&mut self, context: &TaskContext) -> Result<Option<Taken>> {
        let Self {
            source,
            retried,
            retried_first,
            ended,
            ..
        } = self;
        let next = |retried: &mut Reading| -> Result<Option<Taken>> {
            if retried.inputs.is_empty() {
                return Ok(None);
            }
            let read = tokio::task::block_in_place(|| retried.next(context))?;
            Ok((!read.is_empty()).then(|| Taken::of_log(retried, read, false)))
        };
        if (std::mem::take(retried_first) || *ended)
            && let Some(taken) = next(retried)?
        {
            return Ok(Some(taken));
        }
        if !*ended {
            let mut reading = source.read();
            let mut looked = false;
            loop {
                let more = async {
                    if looked {
                        retried.more().await;
                    }
                };
                tokio::select! {
                    biased;
                    batch = &mut reading => match batch? {
                        Some(batch) => {
                            *retried_first = true;
                            return Ok(Some(Taken::of_source(batch)));
                        }
                        None => break,
                    },
                    () = more => {}
                }
                looked = true;
                if let Some(taken) = next(retried)? {
                    return Ok(Some(taken));
                }
            }
            *ended = true;
        }
        match next(retried)? {
            Some(taken) => Ok(Some(taken)),
            None => retried.stopped().map(|()| None),
        }
    }
}
