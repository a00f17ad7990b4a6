//! The pages of a column, before the crate believes what they say of themselves.
//!
//! It makes room for as many values as a page says that it has. With a damaged page that is more than
//! there is memory, which ends the process, and cannot be caught as the crate's panics are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::data_type::{ByteArray, Int96};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescriptor;

use super::delta;

/// What the values of one row group may take in memory, their levels counted.
const VALUES_BYTES_MAX: usize = 1 << 30;
/// The levels of a value.
const LEVELS_BYTES: usize = 2 * size_of::<i16>();

/// The room that the columns of a row group share.
#[derive(Clone)]
pub(super) struct Room(Arc<AtomicUsize>);

impl Room {
    pub fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(VALUES_BYTES_MAX)))
    }

    /// Takes `bytes` of it, if that is left.
    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Relaxed, Relaxed, less).is_ok()
    }
}

/// The pages of one column.
pub(super) struct Pages {
    reader: Box<dyn PageReader>,
    value_bytes: usize,
    /// The largest repetition and definition level.
    levels: [i16; 2],
    room: Room,
}

impl Pages {
    /// Of the values that `column` describes.
    pub fn new(reader: Box<dyn PageReader>, column: &ColumnDescriptor, room: &Room) -> Self {
        let value_bytes = match column.physical_type() {
            Type::BOOLEAN => 1,
            Type::INT32 | Type::FLOAT => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => size_of::<Int96>(),
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => size_of::<ByteArray>(),
        };
        Self {
            reader,
            value_bytes,
            levels: [column.max_rep_level(), column.max_def_level()],
            room: room.clone(),
        }
    }

    fn check(&self, page: &Page) -> Result<()> {
        let values = page.num_values() as usize;
        let is_dictionary = matches!(page, Page::DictionaryPage { .. });
        // Of a dictionary each value stands there; of data a run of equal ones may be a few bytes.
        if is_dictionary && values > page.buffer().len() {
            return Err(refused("a dictionary with more values than bytes"));
        }
        if !self
            .values(page)
            .is_some_and(|(encoding, bytes)| delta::is_sound(encoding, bytes, values))
        {
            return Err(refused("a page whose counts do not fit each other"));
        }
        let bytes = values.saturating_mul(self.value_bytes + LEVELS_BYTES);
        match self.room.take(bytes) {
            true => Ok(()),
            false => Err(refused("a row group of more than 1 GiB in memory")),
        }
    }
}

impl Pages {
    /// What stands in a page behind its levels, and how it is encoded.
    fn values<'a>(&self, page: &'a Page) -> Option<(Encoding, &'a [u8])> {
        match page {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                rep_level_encoding,
                def_level_encoding,
                ..
            } => {
                let mut rest = &buf[..];
                let encodings = [*rep_level_encoding, *def_level_encoding];
                let levels = self.levels.into_iter().zip(encodings);
                for (max, encoding) in levels.filter(|(max, _)| *max > 0) {
                    // Runs have their length before them; what is packed by bits has not.
                    if encoding == Encoding::RLE {
                        let (length, behind) = rest.split_first_chunk::<4>()?;
                        rest = behind.get(u32::from_le_bytes(*length) as usize..)?;
                    } else {
                        let bits = u64::from(*num_values) * u64::from(16 - max.leading_zeros());
                        rest = rest.get(usize::try_from(bits.div_ceil(8)).ok()?..)?;
                    }
                }
                Some((*encoding, rest))
            }
            Page::DataPageV2 {
                buf,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let levels = def_levels_byte_len.checked_add(*rep_levels_byte_len)?;
                Some((*encoding, buf.get(levels as usize..)?))
            }
            Page::DictionaryPage { buf, encoding, .. } => Some((*encoding, &buf[..])),
        }
    }
}

fn refused(why: &str) -> ParquetError {
    ParquetError::General(why.to_owned())
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.reader.get_next_page()?;
        page.iter().try_for_each(|page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.reader.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.reader.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.reader.at_record_boundary()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
