//! Where the records come from that a task writes to the log: a source's system, or, of a stream,
//! the log itself.

use std::sync::Arc;

use towpath_log::{GroupOffset, Log, ReadTo, Writer};
use towpath_record::Batch;
use towpath_sdk::config::Format;
use towpath_sdk::{
    Error, NewDecoder, Part, Refused, Result, Schemas, Source, SourceContext, StateChange,
    Tolerance,
};

use crate::assignment::Assigned;
use crate::reading::{Read, Reading};
use crate::spec::{ConnectorSpec, SourceSpec, StreamSpec};
use crate::step::Sequence;
use crate::supervisor::{Signal, Stop, TaskContext};
use crate::task_state::TaskState;

/// What a task takes its records from.
pub(crate) enum Feed {
    /// Opened later: a stop may cut it off.
    System(Box<dyn Source>, NewDecoder),
    /// Partitions of the log. Its position is the offsets of its group.
    Log(Reading, Stop),
}

/// What one read brought, and what becomes true with it.
pub(crate) struct Taken {
    pub records: Incoming,
    pub refused: Vec<Refused>,
    pub state: Vec<StateChange>,
    pub offsets: Vec<GroupOffset>,
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
    pub fn of_source(source: &SourceSpec, context: &TaskContext) -> Result<Self> {
        let schemas: Arc<dyn Schemas> = context.schemas.clone();
        let new_decoder = towpath_formats::decoder(source.config.format(), &schemas)?;
        Ok(Self::System(source.config.source(), new_decoder))
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
        let reading = Reading::open((spec, &stream.input), assigned, log, to, writer).await?;
        let topics = || reading.inputs.iter().map(|input| &input.partition.topic);
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
        let Self::System(source, new_decoder) = self else {
            return Ok(());
        };
        let context = SourceContext {
            connector: context.connector.clone(),
            task: context.task,
            tasks: context.tasks,
            drain: context.drain,
            state: state.clone(),
            new_decoder: new_decoder.clone(),
            schemas: context.schemas.clone(),
            codecs: Arc::new(towpath_formats::StandardCodecs),
            on_error: on_error.clone(),
            health: context.health.clone(),
        };
        source.open(context).await
    }

    /// The next records; `None` at the end. Cancel safe.
    pub async fn read(&mut self, context: &TaskContext) -> Result<Option<Taken>> {
        let (reading, stop) = match self {
            Self::Log(reading, stop) => (reading, stop),
            Self::System(source, _) => {
                let batch = source.read().await?;
                return Ok(batch.map(|batch| Taken {
                    records: Incoming::Parts(batch.parts),
                    refused: batch.refused,
                    state: batch.state,
                    offsets: Vec::new(),
                }));
            }
        };
        loop {
            // Asked before it is read: what was written by then is read.
            let signal = stop.signal();
            let read = tokio::task::block_in_place(|| reading.next(context))?;
            if !read.is_empty() {
                let next = read.iter().map(|read| &read.batch);
                let offsets = next.map(|batch| {
                    reading.group_offset(&batch.topic.name, batch.partition, batch.next_offset)
                });
                return Ok(Some(Taken {
                    offsets: offsets.collect(),
                    records: Incoming::Read(read),
                    refused: Vec::new(),
                    state: Vec::new(),
                }));
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
            Self::System(source, _) => source.ack(batches).await,
            Self::Log(..) => Ok(()),
        }
    }

    /// See [`Source::close`].
    pub async fn close(&mut self) -> Result<()> {
        match self {
            Self::System(source, _) => source.close().await,
            Self::Log(..) => Ok(()),
        }
    }
}
