//! The record batch: Kafka's format v2 (magic 2), uncompressed, as the one layout of records
//! everywhere in Towpath. A source builds it, the log stores it, a sink reads it; none of them
//! copies or re-encodes a record that nobody changed.
//!
//! Format: Apache Kafka documentation, "Message format", record batch v2 (KIP-98).
//! `README.md` has the layout in a table and what this crate leaves out.
//!
//! Everything here is a pure function of bytes: no I/O, no clock, no allocation per record.
//! Readers are total: whatever the bytes are, they return an error and never panic, and no length
//! found in the bytes is believed before it was compared with what is left.

#![warn(missing_docs)]

mod batch;
mod builder;
mod header;
mod record;
#[cfg(test)]
mod tests;
mod varint;

pub use batch::{Batch, Records};
pub use builder::BatchBuilder;
pub use header::{BatchHeader, HEADER_BYTES, stamp_base_offset, verify_crc};
pub use record::{Header, Headers, HeadersIter, Record};

/// What is wrong with the bytes of a batch, or why a record cannot be added to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchError {
    /// The bytes end before what they announce.
    Truncated {
        /// Bytes that are announced.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// `magic` is not 2: an older format, or not a record batch at all.
    Magic(i8),
    /// The batch is compressed; this layout is uncompressed only.
    Compressed(u8),
    /// The checksum does not match the bytes.
    Crc {
        /// What the header says.
        stored: u32,
        /// What the bytes have.
        computed: u32,
    },
    /// A field contradicts another one or its own range; the text names it.
    Malformed(&'static str),
    /// The batch would pass 2 GiB - 1, the format's limit.
    TooLarge,
}

impl std::fmt::Display for BatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated { needed, available } => {
                write!(
                    f,
                    "the batch needs {needed} bytes but {available} are there"
                )
            }
            Self::Magic(magic) => write!(f, "record format {magic} instead of 2"),
            Self::Compressed(codec) => write!(f, "the batch is compressed (codec {codec})"),
            Self::Crc { stored, computed } => {
                write!(f, "checksum {computed:08x} instead of {stored:08x}")
            }
            Self::Malformed(what) => write!(f, "malformed batch: {what}"),
            Self::TooLarge => write!(f, "the batch would be larger than 2 GiB"),
        }
    }
}

impl std::error::Error for BatchError {}
