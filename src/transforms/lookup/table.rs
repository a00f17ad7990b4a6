//! A table in memory: rows as JSON text, found by the fingerprint of their key.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use towpath_formats::Csv;
use towpath_sdk::config::{CsvOptions, Size};
use towpath_sdk::json::{Scanner, string_text};
use towpath_sdk::printable;

use crate::by::fingerprint;

/// What a row takes beside its text, about.
const ROW_BYTES: u64 = 64;

/// Rows by their keys.
#[derive(Debug)]
pub(super) struct Table {
    rows: HashMap<u128, Box<[u8]>>,
    /// What they take in memory, about, and what they may.
    bytes: u64,
    bytes_max: u64,
}

impl Table {
    /// A table without rows.
    pub fn new(bytes_max: u64) -> Self {
        Self {
            rows: HashMap::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Reads the file at `path`, whose rows are known by their `column`.
    ///
    /// # Errors
    /// Says what is wrong, and in which line.
    pub fn load(
        path: &str,
        column: &str,
        options: &CsvOptions,
        bytes_max: u64,
    ) -> Result<Self, String> {
        let read = || {
            let mut bytes = Vec::new();
            File::open(path)?
                .take(bytes_max.saturating_add(1))
                .read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        let bytes = read().map_err(|error| error.to_string())?;
        if bytes.len() as u64 > bytes_max {
            return Err(format!("the file has more than {}", Size(bytes_max)));
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| at_line(&bytes, error.valid_up_to(), "invalid UTF-8"))?;
        let mut table = Self::new(bytes_max);
        table.read(text, column, options)?;
        Ok(table)
    }

    fn read(&mut self, text: &str, column: &str, options: &CsvOptions) -> Result<(), String> {
        let mut csv = Csv::new(options.clone())?;
        let header = csv.header(text, 0);
        let mut at = header.map_err(|fault| at_line(text.as_bytes(), 0, fault.what))?;
        let mut row = Vec::new();
        loop {
            at += text[at..].len() - text[at..].trim_start_matches(['\r', '\n']).len();
            if at == text.len() {
                break;
            }
            row.clear();
            let record = csv.record(text, at, &mut row);
            let end = record.map_err(|fault| at_line(text.as_bytes(), at, fault.what))?;
            let key = key_of(&row, column).ok_or_else(|| {
                let column = printable(column);
                format!("it has no column `{column}`")
            })?;
            let fingerprint = fingerprint(key.as_bytes());
            if self.rows.contains_key(&fingerprint) {
                let what = format!("another row with the key `{}`", printable(&key));
                return Err(at_line(text.as_bytes(), at, &what));
            }
            self.put(fingerprint, Some(&row))?;
            at = end;
        }
        match self.rows.is_empty() {
            true => Err("it has no rows".to_owned()),
            false => Ok(()),
        }
    }

    /// Replaces the row whose key has this fingerprint, or takes it out.
    ///
    /// # Errors
    /// Says that it has become too large.
    pub fn put(&mut self, key: u128, row: Option<&[u8]>) -> Result<(), String> {
        let size = |row: &[u8]| row.len() as u64 + ROW_BYTES;
        self.bytes += row.map_or(0, size);
        let before = match row {
            Some(row) => self.rows.insert(key, row.into()),
            None => self.rows.remove(&key),
        };
        self.bytes -= before.map_or(0, |row| size(&row));
        match self.bytes > self.bytes_max {
            true => Err(format!("its rows take more than {}", Size(self.bytes_max))),
            false => Ok(()),
        }
    }

    /// The row whose key has this fingerprint, as JSON.
    pub fn row(&self, key: u128) -> Option<&[u8]> {
        self.rows.get(&key).map(|row| &**row)
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
