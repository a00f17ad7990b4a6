//! Rows that were read of a table, and that wait for their place among its changes.
//!
//! **Why each row is once in the topic, with its order right.** A chunk is read while nothing is
//! taken from the stream, by a transaction whose snapshot S is known, and a message is written to
//! the server's log behind it. Every transaction that S sees stands in the log before that message;
//! so when the message comes by, all that the rows hold has come by as well, and the rows are
//! delivered there, with how far the table was read. What comes by before is of one of two kinds:
//! - a transaction that S sees: its change is delivered, and later the row as it was after it;
//! - one that S does not see: its change is newer than the row, which is dropped. What the change
//!   left alone (a large value) is taken from the row first.
//!
//! A third kind must not be: a transaction that S does not see and whose changes were delivered
//! before the chunk was read. The server writes a commit into its log before others see it, so that
//! can happen; it is noticed by the numbers of recent transactions, and the chunk is read again.

use std::collections::HashMap;

use towpath_record::BatchBuilder;
use towpath_sdk::Result;

use super::pgoutput::{Datum, Lsn};
use super::position::Progress;
use super::table::{FULL_BYTES, Operation, Origination, Table};
use super::visible::Visible;

/// Rows of one table, in the order of its key, as `COPY` sent them.
#[derive(Debug)]
pub struct Chunk {
    pub table: Table,
    pub oid: u32,
    pub visible: Visible,
    /// Milliseconds since 1970.
    pub read_ms: i64,
    pub lsn: Lsn,
    pub rows: Lines,
    /// Whether a row was dropped.
    dropped: Vec<bool>,
    /// The rows by their keys, made when a change asks.
    keys: Option<HashMap<Box<[u8]>, usize>>,
    /// How many rows were delivered.
    delivered: usize,
    /// The columns of the key, in its order.
    key_columns: Vec<usize>,
    /// Up to which key it goes; `None` to the end of the table.
    bound: Option<Vec<String>>,
}

/// Lines of `COPY`'s text format.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    /// Takes a line, with or without its newline.
    pub fn push(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Of all lines.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn get(&self, index: usize) -> &[u8] {
        let from = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[from..self.ends[index]]
    }
}

/// The values of one line, without what `COPY` puts before special characters.
#[derive(Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    /// Where each ends; `None` is null.
    ends: Vec<(usize, bool)>,
}

impl Fields {
    /// Takes a line apart (PostgreSQL manual, COPY, "Text Format").
    pub fn split(&mut self, line: &[u8]) {
        self.bytes.clear();
        self.ends.clear();
        for field in line.split(|byte| *byte == b'\t') {
            let is_null = field == b"\\N";
            if !is_null {
                self.put(field);
            }
            self.ends.push((self.bytes.len(), is_null));
        }
    }

    fn put(&mut self, mut field: &[u8]) {
        while let Some(at) = memchr::memchr(b'\\', field) {
            self.bytes.extend_from_slice(&field[..at]);
            let escaped = field.get(at + 1).copied();
            self.bytes.push(match escaped {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(byte) => byte,
                None => b'\\',
            });
            field = field.get(at + 2..).unwrap_or_default();
        }
        self.bytes.extend_from_slice(field);
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = Datum<'_>> {
        let mut from = 0;
        self.ends.iter().map(move |(end, is_null)| {
            let text = &self.bytes[from..*end];
            from = *end;
            if *is_null {
                Datum::Null
            } else {
                Datum::Text(text)
            }
        })
    }
}

impl Chunk {
    pub fn new(
        (oid, table, key_columns): (u32, Table, Vec<usize>),
        (visible, lsn, read_ms): (Visible, Lsn, i64),
        rows: Lines,
        bound: Option<Vec<String>>,
    ) -> Self {
        Self {
            dropped: vec![false; rows.len()],
            keys: None,
            delivered: 0,
            table,
            oid,
            visible,
            read_ms,
            lsn,
            rows,
            key_columns,
            bound,
        }
    }

    /// Drops the row with this key, which a newer change replaces; its values, if it was there.
    pub fn drop_row(&mut self, key: &[u8]) -> Result<Option<Fields>> {
        let mut fields = Fields::default();
        if self.keys.is_none() {
            let mut keys = HashMap::with_capacity(self.rows.len());
            for index in 0..self.rows.len() {
                fields.split(self.rows.get(index));
                if let Some(key) = self.table.key(fields.values())? {
                    keys.insert(key.into(), index);
                }
            }
            self.keys = Some(keys);
        }
        let found = self.keys.as_ref().and_then(|keys| keys.get(key).copied());
        let Some(index) = found.filter(|index| !self.dropped[*index]) else {
            return Ok(None);
        };
        self.dropped[index] = true;
        fields.split(self.rows.get(index));
        Ok(Some(fields))
    }

    /// Drops all rows: the table was emptied.
    pub fn drop_all(&mut self) {
        self.dropped.fill(true);
    }

    /// Appends rows up to about a batch. Returns how far the table is read with them.
    pub fn deliver(&mut self, out: &mut BatchBuilder) -> Result<Progress> {
        let from = Origination {
            lsn: self.lsn,
            xid: None,
            time_ms: self.read_ms,
        };
        let mut fields = Fields::default();
        while self.delivered < self.rows.len() && out.size_bytes() < FULL_BYTES {
            let index = self.delivered;
            self.delivered += 1;
            if !self.dropped[index] {
                fields.split(self.rows.get(index));
                let row = || fields.values();
                self.table.push_row(Operation::Read, row, from, out)?;
            }
        }
        Ok(match (&self.bound, self.delivered.checked_sub(1)) {
            (None, _) if self.is_delivered() => Progress::Done,
            (Some(bound), _) if self.is_delivered() => Progress::After(bound.clone()),
            (_, Some(last)) => Progress::After(self.key_of(last)),
            (_, None) => Progress::After(Vec::new()),
        })
    }

    /// Whether all rows were delivered.
    pub fn is_delivered(&self) -> bool {
        self.delivered == self.rows.len()
    }

    /// Up to which key it goes; `None` to the end of the table.
    pub fn into_bound(self) -> Option<Vec<String>> {
        self.bound
    }

    /// The text of each column of the key of the row at `index`.
    fn key_of(&self, index: usize) -> Vec<String> {
        let mut fields = Fields::default();
        fields.split(self.rows.get(index));
        let row: Vec<_> = fields.values().collect();
        let text = |column: &usize| match row.get(*column) {
            Some(Datum::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        };
        self.key_columns.iter().map(text).collect()
    }
}
