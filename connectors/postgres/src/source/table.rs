//! A table whose changes are captured: how its rows become records.

use std::io::Write;
use std::sync::Arc;

use towpath_record::{BatchBuilder, Header};
use towpath_sdk::json::put_string;
use towpath_sdk::{Error, Field, Origin, Result, Schema, SchemaHeaders, SchemaId};

use super::pgoutput::{Datum, Lsn};
use super::types::Type;

/// At this size a batch is handed over: about 1 MiB with one more row.
pub const FULL_BYTES: usize = (1 << 20) - (32 << 10);

/// What happened to a row, as Debezium writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
    /// It was there when the table was first read.
    Read,
    Truncate,
}

impl Operation {
    fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Create => b"c",
            Self::Update => b"u",
            Self::Delete => b"d",
            Self::Read => b"r",
            Self::Truncate => b"t",
        }
    }
}

/// Where a change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origination {
    pub lsn: Lsn,
    /// None for what was read.
    pub xid: Option<u32>,
    /// Of the commit, or of reading, since 1970.
    pub time_ms: i64,
}

/// A column as records have it.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub of: Type,
    pub nullable: bool,
    /// Part of a record's key.
    pub key: bool,
}

/// A table in one version of its columns.
#[derive(Debug)]
pub struct Table {
    pub origin: Arc<Origin>,
    name: String,
    /// In the order of the values.
    pub columns: Vec<Column>,
    pub keyed: bool,
    /// `schema.table`, for headers.
    full_name: String,
    schema_id: Option<SchemaId>,
    /// `"name":` of each column.
    labels: Vec<Vec<u8>>,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    key: Vec<u8>,
    value: Vec<u8>,
    /// Names of columns that the change left alone.
    unchanged: Vec<u8>,
    lsn: Vec<u8>,
    xid: Vec<u8>,
    time: Vec<u8>,
}

impl Table {
    /// `database` is whose it is.
    pub fn new(database: &str, (schema, name): (&str, &str), columns: Vec<Column>) -> Self {
        let field = |name: &'static str, value: &str| (name.into(), value.to_owned().into());
        let labels = columns.iter().map(|column| {
            let mut label = Vec::new();
            put_string(&column.name, &mut label);
            label.push(b':');
            label
        });
        Self {
            origin: Arc::new(Origin {
                name: format!("{schema}.{name}"),
                fields: vec![
                    field("database", database),
                    field("schema", schema),
                    field("table", name),
                ],
            }),
            name: name.to_owned(),
            keyed: columns.iter().any(|column| column.key),
            full_name: format!("{schema}.{name}"),
            schema_id: None,
            labels: labels.collect(),
            columns,
            scratch: Scratch::default(),
        }
    }

    /// The type of its records' values.
    pub fn value_schema(&self) -> Schema {
        let fields = self.columns.iter().map(|column| Field {
            nullable: column.nullable,
            key: column.key,
            ..Field::required(&column.name, column.of.field_type())
        });
        Schema {
            name: self.full_name.clone(),
            fields: fields.collect(),
        }
    }

    /// What the headers of its records refer to from now on.
    pub fn set_schema_id(&mut self, id: SchemaId) {
        self.schema_id = Some(id);
    }

    /// The key of a row, as records have it; `None` without one.
    pub fn key<'a>(&mut self, row: impl Iterator<Item = Datum<'a>>) -> Result<Option<&[u8]>> {
        self.put_key(row)?;
        Ok(self.keyed.then_some(&*self.scratch.key))
    }

    fn put_key<'a>(&mut self, row: impl Iterator<Item = Datum<'a>>) -> Result<()> {
        self.scratch.key.clear();
        if !self.keyed {
            return Ok(());
        }
        let mut key = std::mem::take(&mut self.scratch.key);
        let put = self.put_object(row, |column| column.key, &mut key);
        self.scratch.key = key;
        put.map(|_| ())
    }

    /// Puts the columns of `row` that `is_wanted` as an object; the indexes of those that are
    /// unchanged are returned, and they are left out.
    fn put_object<'a>(
        &self,
        row: impl Iterator<Item = Datum<'a>>,
        is_wanted: impl Fn(&Column) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<Vec<usize>> {
        let mut unchanged = Vec::new();
        out.push(b'{');
        let columns = self.columns.iter().zip(&self.labels).enumerate();
        for ((index, (column, label)), datum) in columns.zip(row) {
            if !is_wanted(column) {
                continue;
            }
            if datum == Datum::Unchanged {
                unchanged.push(index);
                continue;
            }
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(label);
            match datum {
                Datum::Text(text) => column.of.put(text, out).map_err(|cause| {
                    let place = format!("column {} of {}", column.name, self.full_name);
                    Error::record("understand", place).because(cause)
                })?,
                _ => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
        Ok(unchanged)
    }

    /// Appends the record of a row: with its value, or without when it is deleted.
    pub fn push_row<'a, I: Iterator<Item = Datum<'a>>>(
        &mut self,
        operation: Operation,
        row: impl Fn() -> I,
        from: Origination,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        self.put_key(row())?;
        let mut value = std::mem::take(&mut self.scratch.value);
        value.clear();
        // Without a key nothing but the row itself says what was deleted.
        let has_value = operation != Operation::Delete || !self.keyed;
        let unchanged = match has_value {
            true => self.put_object(row(), |_| true, &mut value)?,
            false => Vec::new(),
        };
        self.scratch.value = value;
        self.push(operation, has_value, &unchanged, from, out)
    }

    /// Appends the record of a truncation, without key and value.
    pub fn push_truncate(&mut self, from: Origination, out: &mut BatchBuilder) -> Result<()> {
        self.scratch.key.clear();
        self.push(Operation::Truncate, false, &[], from, out)
    }

    fn push(
        &mut self,
        operation: Operation,
        has_value: bool,
        unchanged: &[usize],
        from: Origination,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        let scratch = &mut self.scratch;
        digits(&mut scratch.lsn, from.lsn.0);
        digits(&mut scratch.xid, u64::from(from.xid.unwrap_or(0)));
        digits(&mut scratch.time, from.time_ms);
        scratch.unchanged.clear();
        for index in unchanged {
            if !scratch.unchanged.is_empty() {
                scratch.unchanged.push(b',');
            }
            scratch
                .unchanged
                .extend_from_slice(self.columns[*index].name.as_bytes());
        }
        let header = |key: &'static str, value| Header {
            key: key.as_bytes(),
            value: Some(value),
        };
        // In this order, those that are not always there last.
        let mut headers = [
            header("__op", operation.as_bytes()),
            header("__table", self.name.as_bytes()),
            header("__lsn", &*scratch.lsn),
            header("__source_ts_ms", &*scratch.time),
            header("__source_txId", &*scratch.xid),
            header("", b""),
            header("", b""),
        ];
        let mut count = if from.xid.is_some() { 5 } else { 4 };
        if let Some(id) = &self.schema_id
            && has_value
        {
            headers[count] = header(SchemaHeaders::VALUE.id, id.as_bytes());
            count += 1;
        }
        if !unchanged.is_empty() {
            headers[count] = header("__unchanged", &*scratch.unchanged);
            count += 1;
        }
        let key = (self.keyed && operation != Operation::Truncate).then_some(&*scratch.key);
        let value = has_value.then_some(&*scratch.value);
        out.push(from.time_ms, key, value, &headers[..count])
            .map_err(|cause| {
                Error::record("take", format!("a row of {}", self.full_name)).because(cause)
            })
    }
}

fn digits(out: &mut Vec<u8>, number: impl std::fmt::Display) {
    out.clear();
    // Writing to a Vec does not fail.
    let _ = write!(out, "{number}");
}
