//! Avro object container files (Avro 1.11), read to JSON and written from it.
//!
//! | Avro | JSON |
//! |---|---|
//! | record, map | object |
//! | union | the value itself; writing takes the first branch that fits |
//! | enum | its symbol |
//! | bytes, fixed | base64 |
//! | float, double | shortest digits that give it back; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | decimal | a string with all digits |
//! | uuid | a string |
//! | string with the logical type `json` (our own) | written: its text; read: a string |
//! | date, time, timestamp | ISO 8601 |
//! | local timestamp | ISO 8601 without a zone |
//! | duration | ISO 8601, such as `P1M2DT3.004S` |
//!
//! Own code instead of the crate `apache-avro`: that one is 58 packages and builds a tree of values
//! for each record, where text is wanted. The tests read files that fastavro
//! wrote, and have fastavro read ours.

mod binary;
mod container;
mod decode;
mod description;
mod encode;
mod file;
pub(crate) mod logical;
mod registered;

pub(crate) use binary::Input;
pub(crate) use container::{AvroRecords, AvroWriter};
pub(crate) use decode::{put_display, put_float};
#[cfg(test)]
pub(crate) use description::description;
pub(crate) use file::AvroDecoder;
pub(crate) use registered::schema_of;
