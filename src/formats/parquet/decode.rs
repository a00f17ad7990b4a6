//! Reads whole files: each payload is one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::get_column_reader;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use towpath_record::BatchBuilder;
use towpath_sdk::{Decoder, Envelope, Error, Result, Schemas};

use super::pages::{Pages, Room};
use super::rows::{Column, put_object};
use super::shape::{Place, description, places};
use crate::described::Description;

/// Bytes of the records of one file, as JSON, at most.
const FILE_JSON_BYTES_MAX: usize = 1 << 30;

pub(crate) struct ParquetDecoder {
    schemas: Arc<dyn Schemas>,
    made: Vec<u8>,
    ends: Vec<usize>,
}

impl ParquetDecoder {
    pub(crate) fn new(schemas: Arc<dyn Schemas>) -> Self {
        let (made, ends) = (Vec::new(), Vec::new());
        Self {
            schemas,
            made,
            ends,
        }
    }

    /// Makes the records of a file, and gives what describes them.
    fn parse(&mut self, payload: &[u8]) -> Result<Description> {
        let reader = SerializedFileReader::new(Bytes::copy_from_slice(payload)).map_err(bad)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let root = schema.root_schema();
        let places = places(root).map_err(bad)?;
        // Nothing would bound the records then but what the file says of itself.
        if schema.num_columns() == 0 {
            return Err(bad("a file without columns"));
        }
        for index in 0..reader.num_row_groups() {
            let group = reader.get_row_group(index).map_err(bad)?;
            self.group(&*group, &places)?;
        }
        let described = description(root, &places);
        Ok(Description::new(self.schemas.id_of(described)?))
    }

    fn group(&mut self, group: &dyn RowGroupReader, places: &[Place]) -> Result<()> {
        let metadata = group.metadata();
        let records = usize::try_from(metadata.num_rows()).map_err(bad)?;
        let room = Room::new();
        let column = |index: usize| {
            let descriptor = metadata.column(index).column_descr_ptr();
            let definition_max = descriptor.max_def_level();
            let pages = group.get_column_page_reader(index)?;
            let pages = Box::new(Pages::new(pages, descriptor.physical_type(), &room));
            Column::read(
                get_column_reader(descriptor, pages),
                records,
                definition_max,
            )
        };
        let columns = (0..group.num_columns()).map(column);
        let mut columns = columns
            .collect::<Result<Vec<_>, ParquetError>>()
            .map_err(bad)?;
        for _ in 0..records {
            put_object(places, &mut columns, &mut self.made).map_err(bad)?;
            self.ends.push(self.made.len());
            if self.made.len() > FILE_JSON_BYTES_MAX {
                return Err(bad("a file of more than 1 GiB of JSON"));
            }
        }
        Ok(())
    }
}

impl Decoder for ParquetDecoder {
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        self.made.clear();
        self.ends.clear();
        // The crate's readers trust what a file says of itself, and panic on some that are damaged.
        let parsed = catch_unwind(AssertUnwindSafe(|| self.parse(payload)));
        let mut description = parsed.unwrap_or_else(|_| Err(bad("the file is damaged")))?;
        let mut start = 0;
        for &end in &self.ends {
            description.push(&self.made[start..end], envelope, out)?;
            start = end;
        }
        Ok(())
    }
}

fn bad(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::record("read", "Parquet").because(why)
}
