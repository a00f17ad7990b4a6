//! Writing CSV from JSON objects.

use bytes::Bytes;
use towpath_sdk::Path;
use towpath_sdk::json::{Documents, Fault, Kind, NodeId};

/// Writes one line for each JSON object, one field for each column.
///
/// A field is quoted when it must be; an empty string is quoted too, and null or a missing field is
/// empty, so that the two can be told apart. An object or a list is written as JSON.
#[derive(Debug)]
pub struct CsvWriter {
    columns: Vec<Path>,
    delimiter: u8,
    quote: u8,
    documents: Documents,
    /// The text of the field at hand.
    field: Vec<u8>,
}

impl CsvWriter {
    /// With these columns. `delimiter` and `quote` must be different ASCII characters and no line
    /// breaks, as [`towpath_sdk::config::CsvOptions::check`] has it.
    pub fn new(columns: Vec<Path>, delimiter: u8, quote: u8) -> Self {
        Self {
            columns,
            delimiter,
            quote,
            documents: Documents::default(),
            field: Vec::new(),
        }
    }

    /// Appends the line with the columns' names.
    pub fn header(&mut self, out: &mut Vec<u8>) {
        for index in 0..self.columns.len() {
            self.delimit(index, out);
            let name = self.columns[index].to_string();
            self.put(name.as_bytes(), out);
        }
        out.push(b'\n');
    }

    /// Appends the line of `value`, one JSON object.
    ///
    /// # Errors
    /// `value` is no JSON, or no object; nothing is appended then.
    pub fn record(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.documents.reset(Bytes::new());
        let span = self.documents.make(|made| made.extend_from_slice(value));
        let root = self.documents.parse(span)?;
        if self.documents.kind(root) != Kind::Object {
            return Err(Fault {
                at: 0,
                what: "no object, so it has no columns",
            });
        }
        for index in 0..self.columns.len() {
            self.delimit(index, out);
            if let Some(node) = self.documents.find(root, &self.columns[index]) {
                self.put_node(node, out);
            }
        }
        out.push(b'\n');
        Ok(())
    }

    fn delimit(&self, index: usize, out: &mut Vec<u8>) {
        if index > 0 {
            out.push(self.delimiter);
        }
    }

    fn put_node(&mut self, node: NodeId, out: &mut Vec<u8>) {
        match self.documents.kind(node) {
            Kind::Null => {}
            Kind::String => {
                let text = self.documents.string(node).unwrap_or_default();
                self.put(text.as_bytes(), out);
            }
            _ => {
                self.field.clear();
                self.documents.write(node, &mut self.field);
                self.put(&self.field, out);
            }
        }
    }

    fn put(&self, text: &[u8], out: &mut Vec<u8>) {
        let quote = self.quote;
        let plain = memchr::memchr3(self.delimiter, quote, b'\n', text).is_none()
            && memchr::memchr(b'\r', text).is_none();
        if plain && !text.is_empty() {
            return out.extend_from_slice(text);
        }
        out.push(quote);
        let mut rest = text;
        while let Some(at) = memchr::memchr(quote, rest) {
            out.extend_from_slice(&rest[..=at]);
            out.push(quote);
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        out.push(quote);
    }
}
