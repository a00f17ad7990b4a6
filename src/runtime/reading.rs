//! The reading half of a task: its partitions of the log, where it begins in each, and whose turn it
//! is. A source's are those of what is retried alone.
//!
//! Reading moves no offset. A partition that cannot be read on is left alone, while the others go
//! on: it is told as a problem at once, and as the task's error at the end.

use std::sync::Arc;

use tokio::sync::Notify;
use towpath_log::{AppendSet, GroupOffset, Log, ReadTo, Reader, Watch, Writer};
use towpath_sdk::config::{Format, Start};
use towpath_sdk::{Error, ErrorKind, Health, Reached, Result, SinkBatch, SinkPartition, SinkTopic};

use crate::assignment::{Assigned, start_offset};
use crate::commit::{log_error, submit};
use crate::retried::{held_partition, reached_in, seen_partition};
use crate::spec::ConnectorSpec;
use crate::supervisor::TaskContext;

/// What one read of the log brings at most (a larger batch comes alone).
const READ_BYTES: usize = 1 << 20;

/// The partitions of one task.
pub(crate) struct Reading {
    pub inputs: Vec<Input>,
    group: Arc<str>,
    /// The input that is read next: all take turns.
    turn: usize,
    more: Arc<Notify>,
    _watch: Watch,
}

/// One partition the task reads.
pub(crate) struct Input {
    /// As it is behind the transforms: so is the topic's format.
    pub partition: SinkPartition,
    /// What its values are in the log.
    pub format: Format,
    /// Of letters that are retried, how far they came.
    pub reached: Option<Reached>,
    /// Up to where the far side of a sink has it.
    pub delivered: u64,
    reader: Reader,
    /// Why nothing more is read of it in this life.
    stopped: Option<Error>,
}

/// What was read of a partition.
pub(crate) struct Read {
    /// As it stands in the log, but for the topic's format, which is that behind the transforms.
    pub batch: SinkBatch,
    /// What the values are in the log.
    pub format: Format,
    /// Of letters that are retried, how far they came.
    pub reached: Option<Reached>,
}

impl Reading {
    /// Finds where to begin in each partition of `assigned`, of which it sees what is there `to`.
    pub async fn open(
        connector: &ConnectorSpec,
        assigned: &[Assigned],
        log: &Log,
        to: ReadTo,
        writer: &Writer,
    ) -> Result<Self> {
        let more = Arc::new(Notify::new());
        let wake = more.clone();
        let mut reading = Self {
            inputs: Vec::new(),
            group: connector.owner().clone(),
            turn: 0,
            more,
            _watch: log.watch(Box::new(move || wake.notify_one())),
        };
        let mut beginnings = Vec::new();
        for (topic, partition) in assigned {
            let (offset, committed) = start_offset(connector, log, &topic.name, *partition)?;
            let reader = log
                .reader(&topic.name, *partition, offset, to)
                .map_err(|error| log_error("read the log", error))?;
            let start = connector
                .input()
                .map_or(&Start::Earliest, |input| &input.start);
            if !committed && (offset > 0 || *start != Start::Earliest) {
                beginnings.push(reading.group_offset(&topic.name, *partition, offset));
            }
            let reached = reached_in(&topic.name, *partition);
            let format = match reached {
                Some(Reached::Decoded(format) | Reached::Transformed(format)) => format,
                Some(Reached::Undecoded) | None => topic.format,
            };
            let transforms = &connector.configured.transforms;
            let topic = Arc::new(SinkTopic {
                format: match reached {
                    Some(Reached::Transformed(_)) => format,
                    _ => towpath_pipeline::output(transforms, format),
                },
                ..(**topic).clone()
            });
            reading.inputs.push(Input {
                partition: SinkPartition {
                    partition: match reached {
                        Some(_) => seen_partition(&topic, *partition),
                        None => *partition,
                    },
                    topic,
                    offset,
                },
                format,
                reached,
                delivered: offset,
                reader,
                stopped: None,
            });
        }
        // A beginning that was chosen once stays: `latest` must not move with every restart.
        if !beginnings.is_empty() {
            let set = AppendSet {
                offsets: beginnings,
                ..AppendSet::default()
            };
            submit(writer, set).await?;
        }
        Ok(reading)
    }

    /// Reads from one input after the other, beginning with the one whose turn it is, until there
    /// is enough for one write; nothing when none has anything. What is retried comes alone and batch
    /// by batch, as what comes of a read of it goes into one set. Waits for the disk.
    ///
    /// # Errors
    /// What may pass; anything else stops one input.
    pub fn next(&mut self, context: &TaskContext) -> Result<Vec<Read>> {
        let mut read = Vec::new();
        let mut bytes = 0;
        for _ in 0..self.inputs.len() {
            if bytes >= READ_BYTES {
                break;
            }
            let turn = (self.turn + 1) % self.inputs.len();
            let input = &mut self.inputs[turn];
            let before: Option<&Read> = read.last();
            if before.is_some_and(|before| before.reached.or(input.reached).is_some()) {
                break;
            }
            self.turn = turn;
            if input.stopped.is_some() {
                continue;
            }
            let SinkPartition {
                topic,
                partition,
                offset,
            } = &input.partition;
            let bytes_max = match input.reached {
                Some(_) => 1,
                None => READ_BYTES,
            };
            let batches = match input.reader.next(bytes_max) {
                Ok(Some(batches)) => batches,
                Ok(None) => continue,
                Err(error) => {
                    let error = log_error("read the log", error);
                    if error.kind() == ErrorKind::Transient {
                        return Err(error);
                    }
                    // What stands before a damaged place, and the other partitions, go on.
                    let place = format!("{} {partition}", topic.name);
                    context.health.report(&place, Some(&error));
                    input.stopped = Some(error);
                    continue;
                }
            };
            bytes += batches
                .iter()
                .map(|batch| batch.as_bytes().len())
                .sum::<usize>();
            read.push(Read {
                batch: SinkBatch::new(topic.clone(), *partition, *offset, batches),
                format: input.format,
                reached: input.reached,
            });
        }
        Ok(read)
    }

    /// Returns when the log has more than when it was looked last. Cancel safe.
    pub async fn more(&self) {
        self.more.notified().await;
    }

    /// Whether there are inputs, and nothing more is read of any.
    pub fn all_stopped(&self) -> bool {
        !self.inputs.is_empty() && self.inputs.iter().all(|input| input.stopped.is_some())
    }

    /// Why an input was stopped, if one was.
    pub fn stopped(&mut self) -> Result<()> {
        let stopped = self
            .inputs
            .iter_mut()
            .find_map(|input| input.stopped.take());
        stopped.map_or(Ok(()), Err)
    }

    /// That the group is done with a partition, by the number the task sees, up to `offset`.
    pub fn group_offset(&self, topic: &str, partition: u32, offset: u64) -> GroupOffset {
        GroupOffset {
            group: self.group.clone(),
            topic: topic.into(),
            partition: held_partition(partition),
            offset,
        }
    }
}
