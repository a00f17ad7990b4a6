//! Reading and changing a row.

use std::borrow::Cow;

use towpath_record::{Header, Headers};

use super::topic::wrong_topic_name;
use super::*;
use crate::{SchemaHeaders, json};

impl WorkingBatch {
    /// The key or value.
    pub fn cell(&self, row: usize, side: Side) -> Cell {
        match side {
            Side::Key => self.rows[row].key,
            Side::Value => self.rows[row].value,
        }
    }

    /// Replaces the key or value.
    pub fn set_cell(&mut self, row: usize, side: Side, cell: Cell) {
        self.changed = true;
        self.forget_schema(row, side);
        match side {
            Side::Key => {
                self.rows[row].key = cell;
                self.rows[row].key_set = true;
            }
            Side::Value => self.rows[row].value = cell,
        }
    }

    /// The decoded key or value, to look into; `None` when it is null. Text is decoded as JSON
    /// only as a key, which has no declared format.
    ///
    /// # Errors
    /// A record error when it is not JSON.
    pub fn root(&mut self, row: usize, side: Side) -> Result<Option<NodeId>> {
        let span = match (self.cell(row, side), side) {
            (Cell::Null, _) => return Ok(None),
            (Cell::Document(node), _) => return Ok(Some(node)),
            (Cell::Json(span), _) | (Cell::Text(span), Side::Key) => span,
            (Cell::Text(_) | Cell::Bytes(_), _) => {
                return Err(Error::record("look into", format!("the {}", side.as_str()))
                    .because("it is no JSON, and has no fields")
                    .remedy("put `parse_json` or another parser before this transform"));
            }
        };
        self.parse(row, side, span).map(Some)
    }

    /// The key or value as a node, whatever it is: null is `null`, text a string, bytes a string
    /// in base64. A key has no declared format: it is taken for JSON where it is JSON, else for
    /// text.
    ///
    /// # Errors
    /// A record error when a value is not what its format says.
    pub fn whole(&mut self, row: usize, side: Side) -> Result<NodeId> {
        let node = match (self.cell(row, side), side) {
            (Cell::Null, _) => self.documents.new_null(),
            (Cell::Document(node), _) => node,
            (Cell::Json(span), _) => self.parse(row, side, span)?,
            (Cell::Text(span), Side::Key) => match self.documents.parse(span) {
                Ok(node) => node,
                Err(_) => self.text_node(row, side)?,
            },
            (Cell::Text(_), Side::Value) => self.text_node(row, side)?,
            (Cell::Bytes(span), _) => {
                self.scratch.clear();
                json::put_base64(self.documents.bytes(span), &mut self.scratch);
                let Self {
                    documents, scratch, ..
                } = self;
                documents.scalar(|out| out.extend_from_slice(scratch))
            }
        };
        Ok(node)
    }

    fn text_node(&mut self, row: usize, side: Side) -> Result<NodeId> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let text = self.text(row, side).map(Option::unwrap_or_default);
        let put = text.map(|text| json::put_string(&text, &mut scratch));
        let node = put.map(|()| self.documents.scalar(|out| out.extend_from_slice(&scratch)));
        self.scratch = scratch;
        node
    }

    /// Decodes the text at `span` and makes it the key or value.
    ///
    /// # Errors
    /// A record error when it is not JSON.
    pub fn parse(&mut self, row: usize, side: Side, span: Span) -> Result<NodeId> {
        let node = self.documents.parse(span).map_err(|fault| {
            Error::record("read", format!("the {} as JSON", side.as_str())).because(fault)
        })?;
        match side {
            Side::Key => self.rows[row].key = Cell::Document(node),
            Side::Value => self.rows[row].value = Cell::Document(node),
        }
        Ok(node)
    }

    /// [`WorkingBatch::root`], to be changed.
    ///
    /// # Errors
    /// A record error when it is not JSON.
    pub fn root_mut(&mut self, row: usize, side: Side) -> Result<Option<NodeId>> {
        let root = self.root(row, side)?;
        self.changed = true;
        self.forget_schema(row, side);
        if side == Side::Key {
            self.rows[row].key_set = true;
        }
        Ok(root)
    }

    /// Takes the row's reference to a schema away, which is no longer true once the key or value is
    /// changed: what became of its types nobody knows.
    pub(super) fn forget_schema(&mut self, row: usize, side: Side) {
        if self.rows[row].headers_count == 0 {
            return;
        }
        let described = SchemaHeaders::of(side);
        let mut headers = self.headers(row).iter().flatten();
        if headers.any(|header| described.contain(&header)) {
            self.retain_headers(row, |header| !described.contain(header));
        }
    }

    /// The text of a key or value that is text, or a JSON string; `None` when it is null.
    ///
    /// # Errors
    /// A record error when it is neither, or not UTF-8.
    pub fn text(&self, row: usize, side: Side) -> Result<Option<Cow<'_, str>>> {
        let error = |why: String| {
            Error::record("read", format!("the {} as text", side.as_str())).because(why)
        };
        match self.cell(row, side) {
            Cell::Null => Ok(None),
            Cell::Text(span) | Cell::Bytes(span) => {
                let text = std::str::from_utf8(self.documents.bytes(span));
                text.map(|text| Some(Cow::Borrowed(text)))
                    .map_err(|utf8| error(utf8.to_string()))
            }
            Cell::Json(span) => {
                let bytes = self.documents.bytes(span);
                json::validate(bytes).map_err(|fault| error(fault.to_string()))?;
                match (bytes.trim_ascii(), std::str::from_utf8(bytes.trim_ascii())) {
                    ([b'"', ..], Ok(string)) => Ok(Some(json::string_text(string))),
                    _ => Err(error("it is JSON, and no string".to_owned())),
                }
            }
            Cell::Document(node) => match self.documents.string(node) {
                Some(text) => Ok(Some(text)),
                None => Err(error(format!(
                    "it is {}",
                    self.documents.kind(node).as_str()
                ))),
            },
        }
    }

    /// The topic that a transform has set, else the one of all records, if there is one.
    pub fn topic(&self, row: usize) -> Option<&Arc<str>> {
        match self.rows[row].topic {
            Some(topic) => self.topics.get(usize::from(topic)),
            None => self.topic.as_ref(),
        }
    }

    /// Sends the row to another topic.
    ///
    /// # Errors
    /// A record error when no topic can have that name, or when the rows of one batch would go to
    /// more than 65,535 topics.
    pub fn set_topic(&mut self, row: usize, topic: &str) -> Result<()> {
        let known = self.topics.iter().rposition(|known| **known == *topic);
        let index = known.unwrap_or(self.topics.len());
        if known.is_none() {
            if let Some(why) = wrong_topic_name(topic) {
                return Err(
                    Error::record("send a record to", format!("topic `{topic}`")).because(why),
                );
            }
            self.topics.push(topic.into());
        }
        let index = u16::try_from(index).map_err(|_| {
            Error::record("send a record to", format!("topic {topic}"))
                .because("its batch goes to more than 65,535 topics")
        })?;
        self.rows[row].topic = Some(index);
        self.changed = true;
        Ok(())
    }

    /// The partition the records are from; a source's have none yet.
    pub fn partition(&self) -> Option<u32> {
        self.partition
    }

    /// The offset; a source's records have none yet.
    pub fn offset(&self, row: usize) -> Option<i64> {
        self.partition.map(|_| self.rows[row].offset)
    }

    /// Milliseconds since 1970.
    pub fn timestamp_ms(&self, row: usize) -> i64 {
        self.rows[row].timestamp_ms
    }

    /// Replaces the timestamp.
    pub fn set_timestamp_ms(&mut self, row: usize, timestamp_ms: i64) {
        self.rows[row].timestamp_ms = timestamp_ms;
        self.changed = true;
    }

    /// The headers.
    pub fn headers(&self, row: usize) -> Headers<'_> {
        let Row {
            headers,
            headers_count,
            ..
        } = self.rows[row];
        Headers::encoded(headers_count as usize, self.documents.bytes(headers))
    }

    /// Adds a header behind the others.
    pub fn add_header(&mut self, row: usize, name: &str, value: Option<&[u8]>) {
        let before = self.rows[row].headers;
        let key = name.as_bytes();
        self.rows[row].headers = self
            .documents
            .extend(before, |out| Header { key, value }.put(out));
        self.rows[row].headers_count += 1;
        self.changed = true;
    }

    /// Keeps the headers for which `keep` holds.
    pub fn retain_headers(&mut self, row: usize, keep: impl Fn(&Header<'_>) -> bool) {
        let Self {
            documents,
            rows,
            scratch,
            ..
        } = self;
        let row = &mut rows[row];
        let before = Headers::encoded(row.headers_count as usize, documents.bytes(row.headers));
        scratch.clear();
        let mut count = 0;
        for header in before.iter().flatten().filter(|header| keep(header)) {
            header.put(scratch);
            count += 1;
        }
        if count != row.headers_count {
            row.headers = documents.make(|out| out.extend_from_slice(scratch));
            row.headers_count = count;
            self.changed = true;
        }
    }
}
