//! Row groups, and the footer that makes a file of them.

use std::sync::Arc;

use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataReader,
    ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use towpath_sdk::config::{AvroSchema, Compression, ParquetOutput};
use towpath_sdk::{Block, Error, Result};

use super::columns::Columns;
use super::layout::Layout;
use crate::avro::AvroRecords;

/// What a file begins with, and ends with behind the footer and its length.
pub(super) const MAGIC: &[u8] = b"PAR1";
/// Behind a footer: its length and [`MAGIC`].
const TAIL_BYTES: usize = 8;

/// Makes what stands in files of one schema.
pub(crate) struct ParquetWriter {
    records: AvroRecords,
    layout: Layout,
    properties: WriterPropertiesPtr,
}

impl ParquetWriter {
    /// # Errors
    /// Says what of the schema Parquet cannot hold.
    pub(crate) fn new(schema: AvroSchema, output: &ParquetOutput) -> Result<Self, String> {
        let layout = Layout::new(&schema)?;
        let codec = codec(output.compression).map_err(|error| error.to_string())?;
        let properties = WriterProperties::builder()
            .set_compression(codec)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            // It would have to be moved with the row group.
            .set_offset_index_disabled(true)
            .set_created_by(concat!("towpath version ", env!("CARGO_PKG_VERSION")).to_owned());
        Ok(Self {
            records: AvroRecords::new(schema, output.leaves_out),
            layout,
            properties: Arc::new(properties.build()),
        })
    }

    pub(crate) fn head(&self) -> &'static [u8] {
        MAGIC
    }

    /// Appends `value`, JSON text, in a form from which row groups are made; see
    /// [`AvroRecords::record`].
    pub(crate) fn record(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        self.records.record(value, out)
    }

    /// Makes a row group of the `records` that `buffer` holds; returns the footer of a file of it
    /// alone.
    pub(crate) fn block(&self, records: u64, buffer: &mut Vec<u8>) -> Result<Vec<u8>> {
        let filled = Columns::fill(&self.layout, records, std::mem::take(buffer));
        let columns = filled
            .map_err(|fault| Error::fatal("make", "a row group of Parquet").because(fault))?;
        let mut file = self.file_of(columns).map_err(failed)?;
        let note = file.0.split_off(file.1);
        file.0.drain(..MAGIC.len());
        *buffer = file.0;
        Ok(note)
    }

    /// A file of one row group, and where the row group ends.
    fn file_of(&self, columns: Columns) -> Result<(Vec<u8>, usize), ParquetError> {
        let (schema, properties) = (self.layout.schema.clone(), self.properties.clone());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties)?;
        let mut group = writer.next_row_group()?;
        columns.write(&mut group)?;
        group.close()?;
        let end = writer.bytes_written();
        Ok((writer.into_inner()?, end))
    }

    /// The footer of a file with these row groups.
    pub(crate) fn end(&self, blocks: &[Block]) -> Result<Vec<u8>> {
        let mut groups = Vec::with_capacity(blocks.len());
        let mut told = None;
        for block in blocks {
            let footer = &block.note[..block.note.len().saturating_sub(TAIL_BYTES)];
            let of_one = ParquetMetaDataReader::decode_metadata(footer).map_err(failed)?;
            told.get_or_insert_with(|| of_one.file_metadata().clone());
            let by = block.position as i64 - MAGIC.len() as i64;
            for group in of_one.row_groups() {
                groups.push(moved(group, by, groups.len()).map_err(failed)?);
            }
        }
        let told = match told {
            Some(told) => told,
            // Without a row group.
            None => self.empty().map_err(failed)?,
        };
        let records = groups.iter().map(RowGroupMetaData::num_rows).sum();
        let whole = FileMetaData::new(
            told.version(),
            records,
            told.created_by().map(str::to_owned),
            None,
            told.schema_descr_ptr(),
            told.column_orders().cloned(),
        );
        let mut footer = Vec::new();
        let metadata = ParquetMetaData::new(whole, groups);
        let written = ParquetMetaDataWriter::new(&mut footer, &metadata).finish();
        written.map_err(failed)?;
        Ok(footer)
    }

    fn empty(&self) -> Result<FileMetaData, ParquetError> {
        let (schema, properties) = (self.layout.schema.clone(), self.properties.clone());
        let writer = SerializedFileWriter::new(Vec::new(), schema, properties)?;
        Ok(writer.close()?.file_metadata().clone())
    }
}

/// What a footer says of a row group that stands elsewhere now.
fn moved(
    group: &RowGroupMetaData,
    by: i64,
    ordinal: usize,
) -> Result<RowGroupMetaData, ParquetError> {
    let column = |column: &ColumnChunkMetaData| {
        let (data, dictionary) = (column.data_page_offset(), column.dictionary_page_offset());
        let builder = column.clone().into_builder();
        let builder = builder.set_data_page_offset(data + by);
        let offset = dictionary.map(|offset| offset + by);
        builder.set_dictionary_page_offset(offset).build()
    };
    let columns = group
        .columns()
        .iter()
        .map(column)
        .collect::<Result<_, _>>()?;
    let mut builder = group.clone().into_builder().set_column_metadata(columns);
    if let Ok(ordinal) = i16::try_from(ordinal) {
        builder = builder.set_ordinal(ordinal.into());
    }
    if let Some(offset) = group.file_offset() {
        builder = builder.set_file_offset(offset + by);
    }
    builder.build()
}

fn codec(compression: Compression) -> Result<Codec, ParquetError> {
    Ok(match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Gzip { level } => Codec::GZIP(GzipLevel::try_new(level)?),
        Compression::Zstd { level } => Codec::ZSTD(ZstdLevel::try_new(level as i32)?),
        Compression::Snappy => Codec::SNAPPY,
    })
}

fn failed(error: ParquetError) -> Error {
    Error::fatal("write", "Parquet").because(error)
}
