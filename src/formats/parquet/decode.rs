//! Reads files: payloads that are a whole one, and files of any size row group by row group.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::get_column_reader;
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use towpath_record::BatchBuilder;
use towpath_sdk::{Content, Decoder, Envelope, Error, RecordFile, Result, Schemas};

use super::content::Shared;
use super::pages::{Pages, Room};
use super::rows::{Column, put_object};
use super::shape::{Place, description, places};
use crate::described::{Description, Made};

/// Bytes of the records of a file that is a payload, as JSON, at most.
const PAYLOAD_JSON_BYTES_MAX: usize = 1 << 30;
/// Bytes of a row group as it stands in the file, at most: it is in memory while it is read.
const GROUP_BYTES_MAX: u64 = 512 << 20;
/// Records are made of so many bytes of columns at a time, and of so many records at most.
const STEP_BYTES: u64 = 1 << 20;
const STEP_RECORDS: u64 = 4096;

pub(crate) struct ParquetDecoder {
    schemas: Arc<dyn Schemas>,
}

impl ParquetDecoder {
    pub(crate) fn new(schemas: Arc<dyn Schemas>) -> Self {
        Self { schemas }
    }
}

impl Decoder for ParquetDecoder {
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        let content = Cursor::new(Bytes::copy_from_slice(payload));
        let mut file = ParquetFile::open(Box::new(content), 0, &*self.schemas)?;
        let mut made = Made::default();
        while file.step(&mut made)? {
            if made.text.len() > PAYLOAD_JSON_BYTES_MAX {
                return Err(bad("a file of more than 1 GiB of JSON"));
            }
        }
        made.push(&mut file.description, envelope, out)
    }

    fn open(
        &self,
        content: Box<dyn Content>,
        position: u64,
    ) -> Option<Result<Box<dyn RecordFile>>> {
        let opened = ParquetFile::open(content, position, &*self.schemas);
        Some(opened.map(|file| Box::new(file) as _))
    }
}

/// A file that is being read. Its position is a number of records.
struct ParquetFile {
    content: Shared,
    reader: SerializedFileReader<Shared>,
    places: Vec<Place>,
    description: Description,
    /// Kept for its memory.
    made: Made,
    /// The row group that is being read.
    group: Option<Group>,
    groups_begun: usize,
    /// Records that were made; those that are handed over are `position`.
    made_records: u64,
    position: u64,
}

/// A row group that is being read.
struct Group {
    columns: Vec<Column>,
    /// Records that are not made yet.
    left: u64,
    /// Made at a time.
    step: u64,
}

impl ParquetFile {
    fn open(content: Box<dyn Content>, position: u64, schemas: &dyn Schemas) -> Result<Self> {
        let content = Shared::new(content)?;
        guarded(&content.clone(), || {
            let reader = SerializedFileReader::new(content.clone()).map_err(bad)?;
            let schema = reader.metadata().file_metadata().schema_descr_ptr();
            let root = schema.root_schema();
            let places = places(root).map_err(bad)?;
            // Nothing would bound the records then but what the file says of itself.
            if schema.num_columns() == 0 {
                return Err(bad("a file without columns"));
            }
            let described = description(root, &places);
            let mut file = Self {
                content,
                reader,
                places,
                description: Description::new(schemas.id_of(described)?),
                made: Made::default(),
                group: None,
                groups_begun: 0,
                made_records: 0,
                position,
            };
            file.skip_to(position)?;
            Ok(file)
        })
    }

    /// Passes over whole row groups, and records of the last.
    fn skip_to(&mut self, position: u64) -> Result<()> {
        while self.made_records < position && self.begin_group()? {
            let Some(group) = &mut self.group else { break };
            let skipped = group.left.min(position - self.made_records);
            if skipped < group.left {
                group.skip(skipped)?;
            }
            group.left -= skipped;
            self.made_records += skipped;
        }
        match self.made_records == position {
            true => Ok(()),
            false => Err(bad(format!("it ends before record {position}"))),
        }
    }

    /// Begins the next row group when there is none at hand; false at the end.
    fn begin_group(&mut self) -> Result<bool> {
        while self.group.as_ref().is_none_or(|group| group.left == 0) {
            // What it holds goes first.
            self.group = None;
            if self.groups_begun == self.reader.num_row_groups() {
                return Ok(false);
            }
            self.group = Some(self.group_at(self.groups_begun)?);
            self.groups_begun += 1;
        }
        Ok(true)
    }

    fn group_at(&self, index: usize) -> Result<Group> {
        let group = self.reader.get_row_group(index).map_err(bad)?;
        let metadata = group.metadata();
        let left = u64::try_from(metadata.num_rows()).map_err(bad)?;
        let ranges = metadata.columns().iter().map(|column| column.byte_range());
        let ranges = ranges.map(|(start, length)| (start, start.saturating_add(length)));
        let (start, end) = ranges.fold((u64::MAX, 0), |(start, end), range| {
            (start.min(range.0), end.max(range.1))
        });
        if left > 0 && start < end {
            if end - start > GROUP_BYTES_MAX {
                return Err(bad("a row group of more than 512 MiB"));
            }
            self.content.hold(start, end)?;
        }
        let room = Room::new();
        let column = |index: usize| {
            let descriptor = metadata.column(index).column_descr_ptr();
            let definition_max = descriptor.max_def_level();
            let pages = group.get_column_page_reader(index)?;
            let pages = Box::new(Pages::new(pages, &descriptor, &room));
            Ok(Column::new(
                get_column_reader(descriptor, pages),
                definition_max,
            ))
        };
        let columns = (0..group.num_columns()).map(column);
        let plain = u64::try_from(metadata.total_byte_size()).unwrap_or(0);
        let record = (plain / left.max(1)).max(1);
        Ok(Group {
            columns: columns.collect::<Result<_, ParquetError>>().map_err(bad)?,
            left,
            step: (STEP_BYTES / record).clamp(1, STEP_RECORDS),
        })
    }

    /// Makes some records more; false at the end.
    fn step(&mut self, made: &mut Made) -> Result<bool> {
        let content = self.content.clone();
        guarded(&content, || {
            if !self.begin_group()? {
                return Ok(false);
            }
            let Some(group) = &mut self.group else {
                return Ok(false);
            };
            let records = group.step.min(group.left);
            for column in &mut group.columns {
                column.fill(records as usize).map_err(bad)?;
            }
            for _ in 0..records {
                put_object(&self.places, &mut group.columns, &mut made.text).map_err(bad)?;
                made.ends.push(made.text.len());
            }
            group.left -= records;
            self.made_records += records;
            Ok(true)
        })
    }
}

impl Group {
    fn skip(&mut self, records: u64) -> Result<()> {
        let records = usize::try_from(records).map_err(bad)?;
        let columns = &mut self.columns;
        columns
            .iter_mut()
            .try_for_each(|column| column.skip(records))
            .map_err(bad)
    }
}

impl RecordFile for ParquetFile {
    fn read(
        &mut self,
        envelope: &Envelope<'_>,
        full_bytes: usize,
        out: &mut BatchBuilder,
    ) -> Result<bool> {
        while out.size_bytes() < full_bytes {
            let mut made = std::mem::take(&mut self.made);
            if !self.step(&mut made)? {
                return Ok(false);
            }
            made.push(&mut self.description, envelope, out)?;
            (self.made, self.position) = (made, self.made_records);
        }
        Ok(true)
    }

    fn position(&self) -> u64 {
        self.position
    }
}

/// Does `work`, whose readers are the crate's: they trust what a file says of itself, and panic on
/// some that are damaged. What kept `content` from being read is told before what came of it.
fn guarded<T>(content: &Shared, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    let done = done.unwrap_or_else(|_| Err(bad("the file is damaged")));
    done.map_err(|error| content.take_failure().unwrap_or(error))
}

pub(super) fn bad(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::record("read", "Parquet").because(why)
}
