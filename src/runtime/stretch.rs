//! What goes into and comes out of the transforms of a source or stream.

use std::sync::Arc;

use towpath_record::{Batch, BatchBuilder, BatchError, Record};
use towpath_sdk::config::Format;
use towpath_sdk::{
    Cell, Error, ErrorKind, Origin, Original, Outgoing, Part, Place, Reached, RecordScope, Result,
    Side, Stage, Template, TemplateName, WorkingBatch,
};

use crate::route::SourceScope;
use crate::spec::{ConnectorSpec, SourceSpec};

/// A stretch ends behind the record with which it has so many bytes.
const STRETCH_BYTES: usize = 4 << 20;

/// Records of one origin that follow each other, and what is decided about them.
pub(crate) struct Stretch {
    /// Of a stream, the topic they were read from.
    pub origin: Arc<Origin>,
    /// The partition they were read from, if that is the log.
    pub partition: Option<u32>,
    /// The offset there of the first of them, where another append set may begin.
    pub offset: Option<u64>,
    /// Whether any record has a key.
    pub keyed: bool,
    pub batch: Batch,
    /// Where they go, when that was decided before the router sees them.
    pub topic: Option<Arc<str>>,
    /// Whether their keys stand, whatever the source's `key` says.
    pub key_stands: bool,
    /// As [`Part::positions`]; where a stream's transforms have made the batch anew, and of what is
    /// retried, the offsets that the records had.
    pub positions: Vec<u64>,
}

impl From<Part> for Stretch {
    fn from(part: Part) -> Self {
        Self {
            origin: part.origin,
            partition: None,
            offset: None,
            keyed: part.keyed,
            batch: part.batch,
            topic: None,
            key_stands: false,
            positions: part.positions,
        }
    }
}

impl Stretch {
    /// A batch of partition `partition` of the topic that `origin` names.
    pub fn read(origin: &Arc<Origin>, partition: u32, batch: &Batch) -> Self {
        let mut records = batch.records();
        Self {
            origin: origin.clone(),
            partition: Some(partition),
            offset: u64::try_from(batch.header().base_offset).ok(),
            keyed: records.any(|record| record.is_ok_and(|record| record.key.is_some())),
            batch: batch.clone(),
            topic: None,
            key_stands: false,
            positions: Vec::new(),
        }
    }

    /// Where the record at `index` of its batch came from, for messages.
    pub fn place(&self, index: usize) -> String {
        let name = &self.origin.name;
        match (self.partition, self.positions.get(index)) {
            (Some(partition), Some(offset)) => format!("{name}-{partition} offset {offset}"),
            (Some(partition), None) => {
                let offset = self.batch.header().base_offset + index as i64;
                format!("{name}-{partition} offset {offset}")
            }
            (None, Some(position)) => format!("{name} at byte {position}"),
            (None, None) => format!("record {index} of a batch from {name}"),
        }
    }

    /// The record at `index` of its batch, which came so far, to be refused.
    pub fn original(&self, index: usize, record: &Record<'_>, reached: Reached) -> Original {
        let mut original = Original::of(record, reached);
        match self.partition {
            None => original.origin = Some(self.origin.clone()),
            Some(partition) => {
                let known = self.positions.get(index).copied();
                let here = || u64::try_from(record.offset).unwrap_or(0);
                original.place = Some(Place {
                    topic: self.origin.name.as_str().into(),
                    partition,
                    offset: known.unwrap_or_else(here),
                });
            }
        }
        original.topic = self.topic.clone();
        original.key_stands = self.key_stands;
        original
    }

    /// Whether its last record and the first one of `next` came of the same record.
    pub fn shares_record(&self, next: &Self) -> bool {
        let last = self.positions.last().copied().or_else(|| {
            let next_offset = self.batch.header().next_offset();
            u64::try_from(next_offset - 1).ok()
        });
        let place = |stretch: &Self| (stretch.origin.clone(), stretch.partition);
        place(self) == place(next) && last.is_some() && last == next.offset
    }

    /// Whether its batch can be appended as it is: it has no record below `from_offset`, and none is
    /// missing between them.
    pub fn goes_whole(&self, from_offset: i64) -> bool {
        let header = self.batch.header();
        header.base_offset >= from_offset
            && header.next_offset() - header.base_offset == i64::from(header.records_count)
    }
}

/// Stretches in the making: one ends where topic or key are decided otherwise.
#[derive(Default)]
pub(crate) struct Stretches {
    done: Vec<Stretch>,
    builder: BatchBuilder,
    positions: Vec<u64>,
    topic: Option<Arc<str>>,
    key_stands: bool,
    keyed: bool,
    /// The offset of the last record.
    last: i64,
}

impl Stretches {
    /// Adds what came of a record of `part`.
    ///
    /// # Errors
    /// The batch would be too large.
    pub fn push(&mut self, part: &Stretch, row: &Outgoing<'_>) -> Result<(), BatchError> {
        let is_full = self.builder.size_bytes() >= STRETCH_BYTES && self.last != row.offset;
        self.last = row.offset;
        if self.topic.as_ref() != row.topic || self.key_stands != row.key_set || is_full {
            self.end(part);
            self.topic = row.topic.cloned();
            self.key_stands = row.key_set;
        }
        self.keyed |= row.key.is_some();
        let offset = u64::try_from(row.offset).unwrap_or(0);
        match part.partition {
            Some(_) if part.positions.is_empty() => self.positions.push(offset),
            // Records of a source, and those that are retried, have their indices for offsets.
            _ => self.positions.extend(part.positions.get(offset as usize)),
        }
        row.push_to(&mut self.builder)
    }

    /// All stretches that came of `part`.
    pub fn finish(&mut self, part: &Stretch) -> Vec<Stretch> {
        self.end(part);
        std::mem::take(&mut self.done)
    }

    fn end(&mut self, part: &Stretch) {
        if let Some(batch) = self.builder.finish() {
            self.done.push(Stretch {
                origin: part.origin.clone(),
                partition: part.partition,
                offset: part.offset.and(self.positions.first().copied()),
                keyed: std::mem::take(&mut self.keyed),
                batch,
                topic: self.topic.clone(),
                key_stands: self.key_stands,
                positions: std::mem::take(&mut self.positions),
            });
        }
    }
}

/// Topics and keys that need nothing but what the source knows: transforms see them.
pub(crate) struct Early {
    pipeline: Arc<str>,
    connector: String,
    /// The topic when it is the same for all records.
    pub fixed_topic: Option<Arc<str>>,
    /// What the values are before and behind the transforms.
    pub input: Format,
    pub output: Format,
    topic: Option<Template>,
    key: Option<Template>,
}

impl Early {
    pub fn new(spec: &ConnectorSpec, source: &SourceSpec) -> Self {
        let early = |template: &&Template| {
            let inside = |name: &TemplateName| {
                matches!(name, TemplateName::Value(_) | TemplateName::Header(_))
            };
            !template.names().any(inside)
        };
        let output = &source.output;
        let topic = output.fixed_topic.is_none().then_some(&output.topic);
        let knows_topic = topic.is_none_or(|topic| early(&topic));
        let needs_topic = |key: &Template| key.names().any(|name| *name == TemplateName::Topic);
        let early_key = |key: &&Template| early(key) && (knows_topic || !needs_topic(key));
        let input = source.config.format().topic_format();
        Self {
            pipeline: spec.pipeline.clone(),
            connector: spec.configured.name.clone(),
            fixed_topic: output.fixed_topic.as_deref().map(Arc::from),
            input,
            output: towpath_pipeline::output(&spec.configured.transforms, input),
            topic: topic.filter(early).cloned(),
            key: output.key.as_ref().filter(early_key).cloned(),
        }
    }

    /// Gives the rows of `working`, the records of `part`, what can be given.
    pub fn give(&self, part: &Stretch, now_ms: i64, working: &mut WorkingBatch) -> Result<()> {
        if self.topic.is_none() && self.key.is_none() {
            return Ok(());
        }
        let mut text = Vec::new();
        for (row, record) in part.batch.records().enumerate() {
            let record = record
                .map_err(|error| Error::fatal("read", "the records of a batch").because(error))?;
            match self.give_one(part, &record, now_ms, row, working, &mut text) {
                Err(error) if error.kind() == ErrorKind::Record => {
                    working.refuse(row, Error::record("route", part.place(row)).because(error));
                }
                given => given?,
            }
        }
        for refused in working.refused() {
            refused.stage = Stage::Route;
        }
        Ok(())
    }

    fn give_one(
        &self,
        part: &Stretch,
        record: &Record<'_>,
        now_ms: i64,
        row: usize,
        working: &mut WorkingBatch,
        text: &mut Vec<u8>,
    ) -> Result<()> {
        let mut scope = SourceScope {
            origin: &part.origin,
            topic: None,
            record: RecordScope {
                pipeline: &self.pipeline,
                connector: &self.connector,
                record,
                value_at: towpath_formats::lookup,
                now_ms,
            },
        };
        if let Some(topic) = &self.topic {
            text.clear();
            topic.render(&scope, text)?;
            working.set_topic(row, &String::from_utf8_lossy(text))?;
        }
        if let Some(key) = &self.key {
            text.clear();
            let topic = working.topic(row).cloned();
            scope.topic = topic.as_deref();
            key.render(&scope, text)?;
            let key = working
                .documents_mut()
                .make(|out| out.extend_from_slice(text));
            working.set_cell(row, Side::Key, Cell::Text(key));
        }
        Ok(())
    }
}
