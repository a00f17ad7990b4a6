//! A table in memory: the rows of a CSV file as JSON text, found by the fingerprint of their key.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use towpath_formats::Csv;
use towpath_sdk::config::CsvOptions;
use towpath_sdk::json::{Scanner, string_text};
use towpath_sdk::printable;

use crate::by::fingerprint;

/// The largest file.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Rows by their keys.
#[derive(Debug)]
pub(super) struct Table {
    /// Objects, one behind the other.
    rows: Vec<u8>,
    /// Where a row begins and how long it is.
    places: HashMap<u128, (usize, usize)>,
}

impl Table {
    /// Reads the file at `path`, whose rows are known by their `column`.
    ///
    /// # Errors
    /// Says what is wrong, and in which line.
    pub fn load(path: &str, column: &str, options: &CsvOptions) -> Result<Self, String> {
        let read = || {
            let mut bytes = Vec::new();
            File::open(path)?
                .take(FILE_BYTES_MAX + 1)
                .read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        let bytes = read().map_err(|error| error.to_string())?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err("the file has more than 64 MiB".to_owned());
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| at_line(&bytes, error.valid_up_to(), "invalid UTF-8"))?;
        Self::read(text, column, options)
    }

    fn read(text: &str, column: &str, options: &CsvOptions) -> Result<Self, String> {
        let mut csv = Csv::new(options.clone())?;
        let header = csv.header(text, 0);
        let mut at = header.map_err(|fault| at_line(text.as_bytes(), 0, fault.what))?;
        let mut table = Self {
            rows: Vec::new(),
            places: HashMap::new(),
        };
        loop {
            at += text[at..].len() - text[at..].trim_start_matches(['\r', '\n']).len();
            if at == text.len() {
                break;
            }
            let start = table.rows.len();
            let record = csv.record(text, at, &mut table.rows);
            let end = record.map_err(|fault| at_line(text.as_bytes(), at, fault.what))?;
            let row = &table.rows[start..];
            let key = key_of(row, column).ok_or_else(|| {
                let column = printable(column);
                format!("it has no column `{column}`")
            })?;
            if table
                .places
                .insert(fingerprint(key.as_bytes()), (start, row.len()))
                .is_some()
            {
                let what = format!("another row with the key `{}`", printable(&key));
                return Err(at_line(text.as_bytes(), at, &what));
            }
            at = end;
        }
        if table.places.is_empty() {
            return Err("it has no rows".to_owned());
        }
        table.rows.shrink_to_fit();
        Ok(table)
    }

    /// The row whose key has this fingerprint, as JSON.
    pub fn row(&self, key: u128) -> Option<&[u8]> {
        let (start, bytes) = *self.places.get(&key)?;
        self.rows.get(start..start + bytes)
    }
}

/// The text of a field of an object.
fn key_of(row: &[u8], column: &str) -> Option<String> {
    let mut scanner = Scanner::new(row);
    if !scanner.enter_field(column).ok()? {
        return None;
    }
    let value = std::str::from_utf8(scanner.value().ok()?).ok()?;
    Some(match value.starts_with('"') {
        true => string_text(value).into_owned(),
        false => value.to_owned(),
    })
}

fn at_line(text: &[u8], at: usize, what: &str) -> String {
    let line = 1 + text[..at].iter().filter(|byte| **byte == b'\n').count();
    format!("line {line}: {what}")
}
