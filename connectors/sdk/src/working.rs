//! The working batch: a batch on its way through a chain of transforms.

mod emit;
mod row;
#[cfg(test)]
mod tests;
mod topic;

use std::sync::Arc;

use towpath_record::Batch;

use crate::config::Format;
use crate::json::{Documents, NodeId, Span};
use crate::{Error, ErrorKind, Result, Stage};
pub use emit::Outgoing;
pub use topic::{in_topic_name, is_internal_topic};

/// Text made in one batch at most, so that no chain of transforms grows without bound.
const MADE_BYTES_MAX: usize = 256 << 20;
/// Room for so many rows is kept from one batch to the next at most.
const KEPT_ROWS_MAX: usize = 64 << 10;

/// A batch, and beside its bytes only what somebody has looked into or changed.
///
/// A value is decoded when the first transform looks into it, stays decoded for all behind it, and
/// is encoded once at the end; a record that nobody touched is copied as bytes. The batch can be
/// loaded again and again; it keeps its memory, unless that is much.
///
/// A *row* is a record on its way; rows are numbered from 0 in their order, and those that were
/// dropped or refused stay where they are.
#[derive(Debug, Default)]
pub struct WorkingBatch {
    batch: Option<Batch>,
    topic: Option<Arc<str>>,
    partition: Option<u32>,
    documents: Documents,
    rows: Vec<Row>,
    /// Rows that came out of a row, until the transform is through with the batch.
    split: Vec<(usize, Row)>,
    /// Topics that transforms have named.
    topics: Vec<Arc<str>>,
    refused: Vec<RefusedRow>,
    changed: bool,
    /// For text on its way into `documents`; empty between calls or not, nobody relies on it.
    scratch: Vec<u8>,
}

/// Which half of a record a transform works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Side {
    /// The key.
    Key,
    /// The value.
    #[default]
    Value,
}

impl Side {
    /// For messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
        }
    }
}

/// A key or value on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Null: of a value, a tombstone.
    Null,
    /// Text, not necessarily UTF-8.
    Text(Span),
    /// Bytes.
    Bytes(Span),
    /// JSON text nobody has looked into.
    Json(Span),
    /// A decoded value.
    Document(NodeId),
}

/// A record that was left out.
#[derive(Debug)]
pub struct RefusedRow {
    /// Its index among the records of the batch that was loaded.
    pub index: usize,
    /// Its offset.
    pub offset: i64,
    /// What was being done with it.
    pub stage: Stage,
    /// Why.
    pub error: Error,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    /// The record it came from.
    index: u32,
    /// Whether it still goes anywhere.
    kept: bool,
    /// Whether the transform at hand is meant for it.
    selected: bool,
    /// Whether a transform has set the key.
    key_set: bool,
    /// An index in `topics` when a transform has set it.
    topic: Option<u16>,
    offset: i64,
    timestamp_ms: i64,
    key: Cell,
    value: Cell,
    headers: Span,
    headers_count: u32,
}

impl WorkingBatch {
    /// Takes the records of `batch`, whose values are `format`, from offset `from_offset` on.
    ///
    /// # Errors
    /// Fatal when the bytes are no records.
    pub fn load(&mut self, batch: &Batch, format: Format, from_offset: i64) -> Result<()> {
        self.documents.reset(batch.as_bytes().clone());
        self.rows.clear();
        self.rows.shrink_to(KEPT_ROWS_MAX);
        self.topics.clear();
        self.refused.clear();
        self.changed = false;
        self.rows.reserve(batch.len());
        for (index, record) in batch.records().enumerate() {
            let record = record
                .map_err(|error| Error::fatal("read", "the records of a batch").because(error))?;
            if record.offset < from_offset {
                continue;
            }
            let span = |bytes: &[u8]| self.documents.span_of(bytes);
            let value = |bytes| match format {
                Format::Text => Cell::Text(span(bytes)),
                Format::Json => Cell::Json(span(bytes)),
                Format::Bytes => Cell::Bytes(span(bytes)),
            };
            self.rows.push(Row {
                index: index as u32,
                kept: true,
                selected: true,
                key_set: false,
                topic: None,
                offset: record.offset,
                timestamp_ms: record.timestamp_ms,
                key: record.key.map_or(Cell::Null, |key| Cell::Text(span(key))),
                value: record.value.map_or(Cell::Null, value),
                headers: span(record.headers.as_bytes()),
                headers_count: record.headers.len() as u32,
            });
        }
        self.batch = Some(batch.clone());
        Ok(())
    }

    /// Says where the records are from or go to, as far as that is known: what expressions and
    /// transforms see as `topic` and `partition`.
    pub fn set_place(&mut self, topic: Option<Arc<str>>, partition: Option<u32>) {
        self.topic = topic;
        self.partition = partition;
    }

    /// The number of rows, dropped ones counted.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The decoded values.
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The decoded values, to make new ones.
    pub fn documents_mut(&mut self) -> &mut Documents {
        &mut self.documents
    }

    /// Calls `change` for each selected row that still goes anywhere. A record error refuses the
    /// row; rows that `change` made with [`WorkingBatch::split`] stand in its place afterwards.
    ///
    /// # Errors
    /// Any other error of `change`.
    pub fn each(&mut self, mut change: impl FnMut(&mut Self, usize) -> Result<()>) -> Result<()> {
        for row in 0..self.rows.len() {
            if !self.rows[row].kept || !self.rows[row].selected {
                continue;
            }
            let before = self.documents.mark();
            let changed = change(self, row).and_then(|()| self.check_made());
            match changed {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Record => {
                    self.refuse(row, error);
                    // Those behind it have the room; nobody looks at what came of its record.
                    self.documents.forget_since(before);
                }
                Err(error) => return Err(error),
            }
        }
        if !self.split.is_empty() {
            let before = std::mem::take(&mut self.rows);
            let mut split = self.split.drain(..).peekable();
            for (number, row) in before.into_iter().enumerate() {
                self.rows.push(row);
                let is_of = |(parent, _): &(usize, Row)| *parent == number;
                while let Some((_, row)) = split.next_if(is_of) {
                    self.rows.push(row);
                }
            }
        }
        Ok(())
    }

    fn check_made(&self) -> Result<()> {
        if self.documents.made_bytes() <= MADE_BYTES_MAX {
            return Ok(());
        }
        Err(Error::record("transform", "a record")
            .because("its batch has grown beyond 256 MiB")
            .remedy("let the transforms make less of each record"))
    }

    /// Selects the rows for which `test` holds, for the next transform; a record error refuses the
    /// row.
    ///
    /// # Errors
    /// Any other error of `test`.
    pub fn select(&mut self, mut test: impl FnMut(&mut Self, usize) -> Result<bool>) -> Result<()> {
        self.select_all();
        self.each(|batch, row| {
            batch.rows[row].selected = test(batch, row)?;
            Ok(())
        })
    }

    /// Selects all rows.
    pub fn select_all(&mut self) {
        for row in &mut self.rows {
            row.selected = true;
        }
    }

    /// Leaves the row out.
    pub fn drop_row(&mut self, row: usize) {
        self.rows[row].kept = false;
        self.changed = true;
    }

    /// Leaves the record that the row came from out as bad, with all rows that came from it.
    pub fn refuse(&mut self, row: usize, error: Error) {
        let index = self.rows[row].index;
        // The rows of one record stand together.
        let same = |other: &&mut Row| other.index == index;
        for other in self.rows[row..].iter_mut().take_while(same) {
            other.kept = false;
        }
        for other in self.rows[..row].iter_mut().rev().take_while(same) {
            other.kept = false;
        }
        self.split.retain(|(_, other)| other.index != index);
        self.changed = true;
        self.refused.push(RefusedRow {
            index: index as usize,
            offset: self.rows[row].offset,
            stage: Stage::Transform,
            error,
        });
    }

    /// The records that were left out, in the order in which they were refused.
    pub fn refused(&mut self) -> &mut Vec<RefusedRow> {
        &mut self.refused
    }

    /// Leaves out all rows of the records from `index` on.
    pub fn truncate(&mut self, index: usize) {
        self.changed = true;
        self.rows.retain(|row| (row.index as usize) < index);
    }

    /// Replaces the row by one for each of `values`, equal in all else.
    ///
    /// # Errors
    /// A record error when the batch has too many values.
    pub fn split(&mut self, row: usize, values: impl IntoIterator<Item = Cell>) -> Result<()> {
        self.forget_schema(row, Side::Value);
        let original = self.rows[row];
        self.drop_row(row);
        let mut shared_bytes = original.headers.bytes();
        if let Cell::Text(key) | Cell::Bytes(key) | Cell::Json(key) = original.key {
            shared_bytes += key.bytes();
        }
        for value in values {
            self.documents.count_copied(shared_bytes);
            // What is decoded may be changed in place: each row has its own.
            let key = match original.key {
                Cell::Document(node) => Cell::Document(self.documents.copy(node)?),
                key => key,
            };
            let new = Row {
                key,
                value,
                ..original
            };
            self.split.push((row, new));
        }
        Ok(())
    }
}
