//! Records that refer to their schema: its id stands in a header in front of those the source gives.

use towpath_record::{BatchBuilder, Header, Headers};
use towpath_sdk::{Envelope, Error, Result, SchemaHeaders, SchemaId};

use crate::parse::push;

/// What all records of one schema have in common; the default is that of records without one.
#[derive(Default)]
pub(crate) struct Description {
    /// The header with the id, encoded once; empty without a schema.
    header: Vec<u8>,
    /// Room for it and those of the record at hand.
    headers: Vec<u8>,
}

impl Description {
    pub fn new(id: SchemaId) -> Self {
        let mut header = Vec::new();
        Header {
            key: SchemaHeaders::VALUE.id.as_bytes(),
            value: Some(id.as_bytes()),
        }
        .put(&mut header);
        Self {
            header,
            headers: Vec::new(),
        }
    }

    /// Appends one record.
    pub fn push(
        &mut self,
        value: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        if self.header.is_empty() {
            return push(value, envelope, out);
        }
        self.headers.clear();
        self.headers.extend_from_slice(&self.header);
        for header in envelope.headers {
            header.put(&mut self.headers);
        }
        let headers = Headers::encoded(1 + envelope.headers.len(), &self.headers);
        out.push_with_headers_of(envelope.timestamp_ms, envelope.key, Some(value), headers)
            .map_err(|error| Error::record("take", "a record").because(error))
    }
}

/// Records as JSON, one behind the other, that are handed over together.
#[derive(Default)]
pub(crate) struct Made {
    pub text: Vec<u8>,
    /// Where each ends in `text`.
    pub ends: Vec<usize>,
}

impl Made {
    /// Appends all to `out`; none is left.
    pub fn push(
        &mut self,
        description: &mut Description,
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        let mut start = 0;
        for &end in &self.ends {
            description.push(&self.text[start..end], envelope, out)?;
            start = end;
        }
        self.text.clear();
        self.ends.clear();
        Ok(())
    }
}
