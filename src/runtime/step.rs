//! One transform of a chain: its instances, and what they remember.
//!
//! Most transforms have one instance in a task. Of one that keeps state there is an instance for
//! each *sequence* of records: for each partition the task reads, as partitions move between tasks
//! and records have an order only within one; at a source, for each task.
//!
//! A transform may look records up in a topic. Its rows are read here and handed to every instance: to
//! the topic's end before the first batch, and what has come since before each further one.
//!
//! What an instance remembers is state of the connector, under keys that begin with [`MARK`], the
//! transform (its name, and how many of that name stand before it: others may come and go) and the
//! sequence: `dedupe-9f86d081884c7d65.0/task.1/...`, `.../<id of the topic>.7/...`.
//!
//! # Why each record counts once, whatever happens
//!
//! What is committed with an offset is what the records below it have made of the state, no more
//! and no less ([`towpath_sdk::Transform::changes`]); with a source's position, what the records
//! before it have. Both are in one append set. So a life finds the state as it was where it goes
//! on, and records that come again, after a crash or behind a bad one that ended the task, are new
//! to it. This holds wherever a sink's offset lies, also within a batch. `offsets reset` deletes
//! the state of the partitions it moves; a topic that is made again has another id.

use bytes::{BufMut, Bytes, BytesMut};
use towpath_log::{Log, LogError, TableReader};
use towpath_pipeline::ConfiguredTransform;
use towpath_record::Record;
use towpath_sdk::config::Format;
use towpath_sdk::{Error, Result, SinkTopic, StateChange, Transform};

use crate::commit::log_error;

/// What all keys of transforms begin with, and none of a connector.
const MARK: u8 = 1;

/// Records that a transform sees in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// All that a task of a source reads.
    Task(u32),
    /// A partition of the topic with this id.
    Partition(u32, String),
    /// A batch of what is retried. It stands in no order with anything, and a record that comes
    /// again on purpose was not seen before: so nothing is remembered, before it or after it.
    Retried,
}

impl Sequence {
    pub fn of(topic: &SinkTopic, partition: u32) -> Self {
        Self::Partition(partition, topic.id.clone())
    }

    /// As it stands in keys.
    fn name(&self) -> String {
        match self {
            Self::Task(task) => format!("task.{task}"),
            Self::Partition(partition, topic) => format!("{topic}.{partition}"),
            Self::Retried => "retried".to_owned(),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let (first, number) = name.rsplit_once('.')?;
        let number = number.parse().ok()?;
        Some(match first {
            "task" => Self::Task(number),
            topic => Self::Partition(number, topic.to_owned()),
        })
    }
}

/// The transform and the sequence that a key of state is of; `None` when it is the connector's own.
pub(crate) fn remembered(key: &[u8]) -> Option<(&str, Sequence)> {
    let [MARK, key @ ..] = key else { return None };
    let mut parts = key.splitn(3, |byte| *byte == b'/');
    let mut text = || std::str::from_utf8(parts.next()?).ok();
    Some((text()?, Sequence::parse(text()?)?))
}

/// What transforms have changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// May become durable before `last`, in this order.
    pub ahead: Vec<StateChange>,
    /// Durable in one step, with what the records became.
    pub last: Vec<StateChange>,
}

/// A transform at its place in a chain.
pub(crate) struct Step {
    pub configured: ConfiguredTransform,
    /// Under which it keeps state, if it does.
    label: Option<String>,
    /// The topic that it looks records up in, once it is opened, and what its values are.
    table: Option<(TableReader, Format)>,
    /// Without state, the only one.
    instances: Vec<(Option<Sequence>, Box<dyn Transform>)>,
}

impl Step {
    /// The transforms of a chain, in their order.
    pub fn all(transforms: &[ConfiguredTransform]) -> Vec<Self> {
        let labels = labels(transforms);
        let step = |(configured, label): (&ConfiguredTransform, Option<String>)| {
            let only = label
                .is_none()
                .then(|| (None, configured.config.transform()));
            Self {
                configured: configured.clone(),
                label,
                table: None,
                instances: only.into_iter().collect(),
            }
        };
        transforms.iter().zip(labels).map(step).collect()
    }

    /// Gets ready for the records of `sequence`, with what is stored: `scan` gives every key that
    /// begins as it says, with its value, in order.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub fn open(
        &mut self,
        sequence: &Sequence,
        scan: impl Fn(&[u8]) -> Vec<(Bytes, Bytes)>,
    ) -> Result<()> {
        let Some(label) = &self.label else {
            return Ok(());
        };
        let prefix = prefix(label, sequence);
        let mut stored = scan(&prefix);
        for (key, _) in &mut stored {
            *key = key.slice(prefix.len()..);
        }
        let mut instance = self.configured.config.transform();
        instance.restore(&stored)?;
        self.instances.push((Some(sequence.clone()), instance));
        Ok(())
    }

    /// Opens the table that it looks records up in, if it does, and reads it to its end. To be called
    /// when all sequences are open. Waits for the disk.
    ///
    /// # Errors
    /// Of the log; and when the table is too large.
    pub fn open_table(&mut self, log: &Log) -> Result<()> {
        let Some(name) = self.configured.config.table_topic() else {
            return Ok(());
        };
        let reader = log
            .table(name)
            .map_err(|error| log_error(&format!("read the table {name}"), error))?;
        self.table = Some((reader, format_of(log, name)));
        self.catch_up()
    }

    /// Hands over the rows that have come since the last time.
    ///
    /// # Errors
    /// As [`Step::open_table`].
    pub fn catch_up(&mut self) -> Result<()> {
        let Some((reader, format)) = &mut self.table else {
            return Ok(());
        };
        let instances = &mut self.instances;
        let caught_up = reader.catch_up(|row| add_row(instances, row, *format).map_err(Fault::Row));
        caught_up.map_err(|fault| match fault {
            Fault::Log(error) => log_error("read a table", error),
            Fault::Row(error) => {
                Error::new(error.kind(), "run", &self.configured.place).because(error)
            }
        })
    }

    /// Hands over a row of a table that nobody reads: where there are no topics, only cases.
    ///
    /// # Errors
    /// When the table is too large.
    pub fn add_row(&mut self, topic: &str, row: &Record<'_>, format: Format) -> Result<()> {
        if self.configured.config.table_topic() != Some(topic) {
            return Ok(());
        }
        add_row(&mut self.instances, row, format)
    }

    /// The instance for the records of `sequence`; `None` unless it was opened. For each batch of
    /// what is retried a new one, if there is state; such transforms have no table.
    pub fn instance(&mut self, sequence: &Sequence) -> Option<&mut dyn Transform> {
        if *sequence == Sequence::Retried && self.label.is_some() {
            self.instances
                .retain(|(of, _)| of.as_ref() != Some(sequence));
            let instance = self.configured.config.transform();
            self.instances.push((Some(Sequence::Retried), instance));
        }
        let mut all = self.instances.iter_mut();
        let (_, instance) = all.find(|(of, _)| of.as_ref().is_none_or(|of| of == sequence))?;
        Some(&mut **instance)
    }

    /// Adds what the records of `sequence` below offset `below` have changed since the last call.
    pub fn take_changes(&mut self, sequence: &Sequence, below: i64, changes: &mut Changes) {
        let Some(label) = self.label.clone() else {
            return;
        };
        let Some(instance) = self.instance(sequence) else {
            return;
        };
        let prefix = prefix(&label, sequence);
        let full = |change: StateChange| StateChange {
            key: [&prefix[..], &change.key].concat().into(),
            ..change
        };
        let taken = instance.changes(below);
        changes.ahead.extend(taken.ahead.into_iter().map(full));
        changes.last.extend(taken.last.map(full));
    }
}

/// Why a table cannot be gone on with.
enum Fault {
    Log(LogError),
    Row(Error),
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

fn add_row(
    instances: &mut [(Option<Sequence>, Box<dyn Transform>)],
    row: &Record<'_>,
    format: Format,
) -> Result<()> {
    let Some(key) = row.key else { return Ok(()) };
    instances
        .iter_mut()
        .try_for_each(|(_, instance)| instance.table_row(key, row.value, format))
}

/// What the values of a topic are.
pub(crate) fn format_of(log: &Log, topic: &str) -> Format {
    let held = log.topic(topic);
    held.and_then(|topic| Format::from_word(&topic.config.format))
        .unwrap_or(Format::Bytes)
}

/// What tells those of a chain that keep state from each other.
fn labels(transforms: &[ConfiguredTransform]) -> Vec<Option<String>> {
    let names = transforms
        .iter()
        .map(|transform| transform.config.state_name());
    let names: Vec<_> = names.collect();
    let label = |index: usize| {
        let name = names[index].as_ref()?;
        let before = names[..index].iter().flatten();
        let number = before.filter(|other| *other == name).count();
        Some(format!("{name}.{number}"))
    };
    (0..names.len()).map(label).collect()
}

/// The deletion of what transforms remember in `stored` that are no longer in the chain, or of
/// sequences that are no more.
pub(crate) fn stale(
    transforms: &[ConfiguredTransform],
    stored: &[(Bytes, Bytes)],
    is_there: impl Fn(&Sequence) -> bool,
) -> Changes {
    let labels = labels(transforms);
    let is_stale = |key: &[u8]| {
        remembered(key).is_some_and(|(label, sequence)| {
            let mut known = labels.iter().flatten();
            !known.any(|known| known == label) || !is_there(&sequence)
        })
    };
    let gone = stored.iter().filter(|(key, _)| is_stale(key));
    Changes {
        ahead: gone
            .map(|(key, _)| StateChange::delete(key.clone()))
            .collect(),
        last: Vec::new(),
    }
}

fn prefix(label: &str, sequence: &Sequence) -> Bytes {
    let mut prefix = BytesMut::new();
    prefix.put_u8(MARK);
    prefix.put_slice(format!("{label}/{}/", sequence.name()).as_bytes());
    prefix.freeze()
}
