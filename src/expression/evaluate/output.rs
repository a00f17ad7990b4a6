//! What came out, as JSON text.

use std::fmt::Display;
use std::io::Write;

use towpath_sdk::json;

use super::Run;
use crate::data::Data;
use crate::fault::{Fault, Why};
use crate::syntax::Place;
use crate::{text, time};

/// The longest JSON text that is made, but for one value of the record.
const JSON_BYTES_MAX: usize = 64 << 20;

impl<'a> Run<'a> {
    /// Appends `data`, which came out at `place`.
    pub(crate) fn put(
        &self,
        data: &Data<'_>,
        place: Place,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let fault = |why| Fault { place, why };
        if out.len() > JSON_BYTES_MAX {
            return Err(fault(Why::Steps));
        }
        match data {
            Data::Null => out.extend_from_slice(b"null"),
            Data::Boolean(yes) => append(out, yes),
            Data::Integer(number) => append(out, number),
            Data::Double(number) => {
                let json = text::double_json(*number);
                append(
                    out,
                    json.ok_or(fault(Why::Unfit("it is no finite number")))?,
                );
            }
            Data::String(text) => json::put_string(text, out),
            Data::Bytes(bytes) => json::put_base64(bytes, out),
            Data::Timestamp(time) => json::put_string(&time::timestamp_text(*time), out),
            Data::Duration(span) => json::put_string(&time::duration_text(*span), out),
            Data::Node(node) | Data::Large(node) => self.documents.write(*node, out),
            Data::Items(items) => self.put_list(items, place, out)?,
            Data::List(items) => self.put_list(items, place, out)?,
            Data::Map(entries) => {
                let entries = entries.iter().map(|(name, of)| (*name, of));
                self.put_object(entries, place, out)?;
            }
            Data::Headers => {
                let headers = self.headers();
                self.put_object(headers.iter().map(|(name, of)| (&**name, of)), place, out)?;
            }
        }
        Ok(())
    }

    fn put_list(&self, items: &[Data<'_>], place: Place, out: &mut Vec<u8>) -> Result<(), Fault> {
        out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.put(item, place, out)?;
        }
        out.push(b']');
        Ok(())
    }

    fn put_object<'e, 'd: 'e>(
        &self,
        entries: impl Iterator<Item = (&'e str, &'e Data<'d>)>,
        place: Place,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        out.push(b'{');
        for (index, (name, of)) in entries.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::put_string(name, out);
            out.push(b':');
            self.put(of, place, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

fn append(out: &mut Vec<u8>, what: impl Display) {
    let written = write!(out, "{what}");
    debug_assert!(written.is_ok(), "a vector takes any text");
}
