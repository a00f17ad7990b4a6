//! What stands between bytes outside and records inside: decoders, encoders and compression.
//!
//! Everything here is a pure function of bytes. Whatever those are, the answer is a record or an
//! error, never a panic, and memory is bounded by the record at hand. The runtime makes these and
//! hands them to connectors, which know only the traits of `towpath-sdk`.

#![warn(missing_docs)]

mod avro;
mod compression;
mod csv;
mod decode;
mod described;
mod encode;
mod fields;
mod grok;
mod logfmt;
mod lookup;
mod parquet;
mod parse;
mod pattern;
mod syslog;
#[cfg(test)]
mod tests;
mod typed;
mod user_agent;

pub use compression::StandardCodecs;
pub use csv::Csv;
pub use decode::decoder;
pub use encode::encoder;
pub use grok::{grok, grok_names};
pub use logfmt::Logfmt;
pub use lookup::lookup;
pub use parse::{Fault, Parser};
pub use pattern::Pattern;
pub use syslog::Syslog;
pub use user_agent::UserAgent;
