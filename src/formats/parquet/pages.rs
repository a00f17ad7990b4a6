//! The pages of a column, before the crate believes what they say of themselves.
//!
//! It makes room for as many values as a page says that it has. With a damaged page that is more than
//! there is memory, which ends the process, and cannot be caught as the crate's panics are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parquet::basic::Type;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::data_type::{ByteArray, Int96};
use parquet::errors::{ParquetError, Result};

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
    room: Room,
}

impl Pages {
    /// Of values that are stored as `physical`.
    pub fn new(reader: Box<dyn PageReader>, physical: Type, room: &Room) -> Self {
        let value_bytes = match physical {
            Type::BOOLEAN => 1,
            Type::INT32 | Type::FLOAT => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => size_of::<Int96>(),
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => size_of::<ByteArray>(),
        };
        Self {
            reader,
            value_bytes,
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
        let bytes = values.saturating_mul(self.value_bytes + LEVELS_BYTES);
        match self.room.take(bytes) {
            true => Ok(()),
            false => Err(refused("a row group of more than 1 GiB in memory")),
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
