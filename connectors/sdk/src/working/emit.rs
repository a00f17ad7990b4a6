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
