//! The end of a chain: rows become bytes.

use towpath_record::{BatchBuilder, BatchError, Headers};

use super::*;
use crate::json;

/// A row as it leaves.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The topic, when a transform has set it.
    pub topic: Option<&'a Arc<str>>,
    /// Whether a transform has set the key.
    pub key_set: bool,
    /// The offset of the record it came from.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes, in the format that was asked for.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
}

impl Outgoing<'_> {
    /// Appends the row to `builder`, with the next offset.
    ///
    /// # Errors
    /// The batch would be too large.
    pub fn push_to(&self, builder: &mut BatchBuilder) -> Result<(), BatchError> {
        builder.push_with_headers_of(self.timestamp_ms, self.key, self.value, self.headers)
    }
}

impl WorkingBatch {
    /// The batch that was loaded, when no transform has changed anything.
    pub fn unchanged(&self) -> Option<&Batch> {
        self.batch.as_ref().filter(|_| !self.changed)
    }

    /// Refuses the records whose values cannot be written as `format`: text for JSON that is not
    /// UTF-8.
    pub fn check(&mut self, format: Format) {
        if format != Format::Json {
            return;
        }
        for row in 0..self.rows.len() {
            let is_text = matches!(self.rows[row].value, Cell::Text(_));
            if self.rows[row].kept
                && is_text
                && let Err(error) = self.text(row, Side::Value)
            {
                self.refuse(row, error);
            }
        }
    }

    /// Refuses the records that `fits` refuses, given by how many bytes more leaves of each than came,
    /// its values encoded as `format`. It encodes all: [`WorkingBatch::growth_max`] tells when there
    /// is no need.
    ///
    /// # Errors
    /// Fatal when the bytes are no records, and those of [`WorkingBatch::emit`].
    pub fn refuse_grown(
        &mut self,
        format: Format,
        mut fits: impl FnMut(usize) -> bool,
    ) -> Result<()> {
        let Some(batch) = self.batch.clone() else {
            return Ok(());
        };
        let mut made = Vec::new();
        let mut row = 0;
        for (index, record) in batch.records().enumerate() {
            let record = record
                .map_err(|error| Error::fatal("read", "the records of a batch").because(error))?;
            let size = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
            let came = size(record.key) + size(record.value) + record.headers.as_bytes().len();
            let mut leaves = 0;
            let mut kept = None;
            // The rows of one record stand together.
            while self
                .rows
                .get(row)
                .is_some_and(|row| row.index as usize <= index)
            {
                if self.rows[row].kept {
                    kept = Some(row);
                    leaves += size(self.encode(row, Side::Key, Format::Text, &mut made)?);
                    leaves += size(self.encode(row, Side::Value, format, &mut made)?);
                    leaves += self.rows[row].headers.bytes();
                }
                row += 1;
            }
            if let Some(row) = kept
                && !fits(leaves.saturating_sub(came))
            {
                let what = format!("{} KiB are made of it", leaves >> 10);
                self.refuse(row, Error::record("transform", "a record").because(what));
            }
        }
        Ok(())
    }

    /// By how many bytes more may leave than came, at most: what was made or copied, with a comma
    /// and a colon for each piece, and escapes where text or bytes become JSON.
    pub fn growth_max(&self, input: Format, output: Format) -> usize {
        let came = self
            .batch
            .as_ref()
            .map_or(0, |batch| batch.as_bytes().len());
        let escapes = if input == output { 0 } else { came * 5 };
        self.documents.made_bytes() * 2 + escapes
    }

    /// Hands each row that is left to `take`, its value encoded as `format`.
    ///
    /// # Errors
    /// Those of `take`, and a record error for what [`WorkingBatch::check`] would have refused.
    pub fn emit(
        &self,
        format: Format,
        mut take: impl FnMut(Outgoing<'_>) -> Result<()>,
    ) -> Result<()> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for row in 0..self.rows.len() {
            let Row { kept, topic, .. } = self.rows[row];
            if !kept {
                continue;
            }
            take(Outgoing {
                topic: topic.and_then(|topic| self.topics.get(usize::from(topic))),
                key_set: self.rows[row].key_set,
                offset: self.rows[row].offset,
                timestamp_ms: self.rows[row].timestamp_ms,
                key: self.encode(row, Side::Key, Format::Text, &mut key)?,
                value: self.encode(row, Side::Value, format, &mut value)?,
                headers: self.headers(row),
            })?;
        }
        Ok(())
    }

    /// The bytes of a key or value: where they stand, or in `made`.
    fn encode<'a>(
        &'a self,
        row: usize,
        side: Side,
        format: Format,
        made: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>> {
        made.clear();
        match (self.cell(row, side), format) {
            (Cell::Null, _) => return Ok(None),
            (Cell::Document(node), _) => {
                // A key that was only looked into stays as it was.
                let stays = side == Side::Key && !self.rows[row].key_set;
                let is_json = format == Format::Json || stays;
                if let Some(text) = self.documents.unchanged(node).filter(|_| is_json) {
                    return Ok(Some(text));
                }
                match self.documents.string(node) {
                    // A string alone is its text; all else is JSON.
                    Some(text) if !is_json => made.extend_from_slice(text.as_bytes()),
                    _ => self.documents.write(node, made),
                }
            }
            (Cell::Text(_), Format::Json) => {
                let text = self.text(row, side)?.unwrap_or_default();
                json::put_string(&text, made);
            }
            (Cell::Bytes(span), Format::Json) => {
                json::put_base64(self.documents.bytes(span), made);
            }
            (Cell::Text(span) | Cell::Bytes(span) | Cell::Json(span), _) => {
                return Ok(Some(self.documents.bytes(span)));
            }
        }
        Ok(Some(made))
    }
}
