//! A decoder of CSV: any number of records a payload.

use std::sync::Arc;

use towpath_record::BatchBuilder;
use towpath_sdk::{Decoder, Envelope, Error, Result, Schemas};

use super::Csv;
use crate::described::Description;
use crate::parse::{Fault, Parser};

/// Reads the records of each payload; the first record it meets is the header, if one is wanted.
/// So a decoder belongs to one file, whose lines it is given from the first on. When the header is
/// bad, all that follows is refused: no other record is ever taken for it.
pub(crate) struct CsvDecoder {
    csv: Csv,
    /// Why the header was refused.
    bad_header: Option<Fault>,
    /// The header as it came, once a payload that had it was taken.
    header: Option<Vec<u8>>,
    /// The objects of a payload one behind the other, and where each ends.
    made: Vec<u8>,
    ends: Vec<usize>,
    schemas: Arc<dyn Schemas>,
    /// Of the records, once there was one.
    description: Option<Description>,
}

impl CsvDecoder {
    pub(crate) fn new(csv: Csv, schemas: Arc<dyn Schemas>) -> Self {
        let (made, ends) = (Vec::new(), Vec::new());
        Self {
            csv,
            bad_header: None,
            header: None,
            made,
            ends,
            schemas,
            description: None,
        }
    }

    /// Gives the header, if `payload` has it.
    fn parse<'p>(&mut self, payload: &'p [u8]) -> Result<Option<&'p str>, Fault> {
        let text = self.csv.begin(payload)?;
        let mut header = None;
        let mut at = 0;
        while at < text.len() {
            if let Some(line_break) = blank(&text.as_bytes()[at..]) {
                at += line_break;
            } else if let Some(fault) = self.bad_header {
                return Err(fault);
            } else if self.csv.wants_header() {
                let start = at;
                at = self.csv.header(text, start)?;
                header = Some(text[start..at].trim_end_matches(['\r', '\n']));
            } else {
                at = self.csv.record(text, at, &mut self.made)?;
                self.ends.push(self.made.len());
            }
        }
        Ok(header)
    }
}

/// The bytes of the line break `text` begins with.
fn blank(text: &[u8]) -> Option<usize> {
    match text {
        [b'\n', ..] | [b'\r'] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

impl Decoder for CsvDecoder {
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        self.made.clear();
        self.ends.clear();
        let header = self.parse(payload).map_err(|fault| {
            let what = match self.bad_header {
                Some(_) => "CSV without its header, which was refused",
                None => "CSV",
            };
            self.bad_header = self.csv.wants_header().then_some(fault);
            Error::record("read", what).because(self.csv.explain(fault))
        })?;
        if let Some(header) = header {
            self.header = Some(header.as_bytes().to_vec());
        }
        let mut start = 0;
        for &end in &self.ends {
            let description = match &mut self.description {
                Some(known) => known,
                None => self.description.insert(match self.csv.schema() {
                    Some(schema) => Description::new(self.schemas.id_of(schema)?),
                    None => Description::default(),
                }),
            };
            description.push(&self.made[start..end], envelope, out)?;
            start = end;
        }
        Ok(())
    }

    fn wants_beginning(&self) -> bool {
        self.csv.wants_header() && self.bad_header.is_none()
    }

    fn lose_beginning(&mut self) {
        self.bad_header = Some(Fault {
            at: 0,
            what: "a header longer than `max_line`",
        });
    }

    fn head(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }
}
