//! Writing CSV from JSON objects.

use bytes::Bytes;
use towpath_sdk::config::CsvOutput;
use towpath_sdk::json::{Documents, Fault, Kind, NodeId};

/// Writes one line for each JSON object, one field for each column.
///
/// A field is quoted when it must be; an empty string is quoted too, and null or a missing field is
/// empty, so that the two can be told apart (but for a single column, where both are quoted: a
/// blank line is no record). An object or a list is written as JSON.
#[derive(Debug)]
pub(crate) struct CsvWriter {
    output: CsvOutput,
    /// The line with the columns' names, if it is wanted.
    head: Vec<u8>,
    documents: Documents,
    /// The text of the field at hand.
    field: Vec<u8>,
}

impl CsvWriter {
    pub(crate) fn new(output: CsvOutput) -> Self {
        let mut writer = Self {
            output,
            head: Vec::new(),
            documents: Documents::default(),
            field: Vec::new(),
        };
        if writer.output.header {
            let mut head = Vec::new();
            for (index, column) in writer.output.columns.iter().enumerate() {
                writer.delimit(index, &mut head);
                writer.put(column.to_string().as_bytes(), &mut head);
            }
            head.push(b'\n');
            writer.head = head;
        }
        writer
    }

    /// What a file begins with.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Appends the line of `value`, one JSON object.
    ///
    /// # Errors
    /// `value` is no JSON, or no object; nothing is appended then.
    pub(crate) fn record(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let before = out.len();
        self.documents.reset(Bytes::new());
        let span = self.documents.make(|made| made.extend_from_slice(value));
        let root = self.documents.parse(span)?;
        if self.documents.kind(root) != Kind::Object {
            return Err(Fault {
                at: 0,
                what: "no object, so it has no columns",
            });
        }
        for index in 0..self.output.columns.len() {
            self.delimit(index, out);
            if let Some(node) = self.documents.find(root, &self.output.columns[index]) {
                self.put_node(node, out);
            }
        }
        // A blank line would be no record.
        if out.len() == before {
            self.put(b"", out);
        }
        out.push(b'\n');
        Ok(())
    }

    fn delimit(&self, index: usize, out: &mut Vec<u8>) {
        if index > 0 {
            out.push(self.output.delimiter);
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
        let CsvOutput {
            delimiter, quote, ..
        } = self.output;
        let plain = memchr::memchr3(delimiter, quote, b'\n', text).is_none()
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
