//! The object container file: a header with the schema, then blocks, each with a marker behind it.
//! Here it is written; `file` reads it.

use std::io::Read;

use bytes::Bytes;
use flate2::read::DeflateEncoder;
use towpath_sdk::config::{AvroCodec, AvroSchema};
use towpath_sdk::json::Documents;
use towpath_sdk::{Error, Result};

use super::binary::{put_bytes, put_long};
use super::encode::{Misfit, encode};

pub(super) const MAGIC: &[u8] = b"Obj\x01";

/// `block` as the codec compresses it; `None` for one that stays as it is.
fn compress(codec: AvroCodec, block: &[u8]) -> Result<Option<Vec<u8>>> {
    let cannot =
        |error: std::io::Error| Error::transient("compress", "an Avro block").because(error);
    Ok(Some(match codec {
        AvroCodec::Null => return Ok(None),
        AvroCodec::Deflate => {
            let mut out = Vec::new();
            DeflateEncoder::new(block, flate2::Compression::default())
                .read_to_end(&mut out)
                .map_err(cannot)?;
            out
        }
        AvroCodec::Zstandard => zstd::bulk::compress(block, 0).map_err(cannot)?,
        AvroCodec::Snappy => {
            let compressed = snap::raw::Encoder::new().compress_vec(block);
            let mut out = compressed.map_err(|error| cannot(error.into()))?;
            out.extend_from_slice(&crc32(block));
            out
        }
    }))
}

pub(super) fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

/// Makes what stands in files of one schema.
///
/// The marker between blocks is made from the schema and the codec, so that a file can be gone on
/// with after a restart without reading it.
#[derive(Debug)]
pub(crate) struct AvroWriter {
    records: AvroRecords,
    codec: AvroCodec,
    /// What a file begins with: the magic, the schema and codec, the marker.
    head: Vec<u8>,
}

/// Makes Avro's binary form of JSON.
#[derive(Debug)]
pub(crate) struct AvroRecords {
    schema: AvroSchema,
    /// Whether fields that the schema does not have are left out; otherwise they are a fault.
    leaves_out: bool,
    documents: Documents,
}

impl AvroRecords {
    pub(crate) fn new(schema: AvroSchema, leaves_out: bool) -> Self {
        Self {
            schema,
            leaves_out,
            documents: Documents::default(),
        }
    }

    /// Appends `value`, JSON text.
    ///
    /// # Errors
    /// Says why it is no JSON or does not fit the schema; nothing is appended then.
    pub(crate) fn record(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let before = out.len();
        self.documents.reset(Bytes::new());
        let span = self.documents.make(|made| made.extend_from_slice(value));
        let root = self.documents.parse(span);
        let root = root.map_err(|fault| fault.to_string())?;
        let encoded = encode(&self.schema, self.leaves_out, &self.documents, root, out);
        encoded.map_err(|Misfit { path, what }| {
            out.truncate(before);
            match path {
                Some(path) => format!("{what}, at `{path}`"),
                None => what.to_owned(),
            }
        })
    }
}

/// Bytes of a marker.
const MARKER_BYTES: usize = 16;

impl AvroWriter {
    pub(crate) fn new(schema: AvroSchema, codec: AvroCodec) -> Self {
        let mut head = MAGIC.to_vec();
        put_long(2, &mut head);
        for (name, value) in [
            ("avro.schema", schema.text()),
            ("avro.codec", codec.as_str()),
        ] {
            put_bytes(name.as_bytes(), &mut head);
            put_bytes(value.as_bytes(), &mut head);
        }
        put_long(0, &mut head);
        let low = rabin(&head, EMPTY);
        let high = rabin(&head, low);
        head.extend_from_slice(&low.to_le_bytes());
        head.extend_from_slice(&high.to_le_bytes());
        Self {
            records: AvroRecords::new(schema, false),
            codec,
            head,
        }
    }

    /// What a file begins with.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Appends `value`, JSON text, as it stands in a block; see [`AvroRecords::record`].
    pub(crate) fn record(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        self.records.record(value, out)
    }

    /// Makes a block of `records`, which `block` holds.
    ///
    /// # Errors
    /// The compressor's; `block` is as it was then.
    pub(crate) fn block(&self, records: u64, block: &mut Vec<u8>) -> Result<()> {
        let compressed = compress(self.codec, block)?;
        let content = compressed.as_deref().unwrap_or(block);
        let mut made = Vec::with_capacity(content.len() + 2 * MARKER_BYTES);
        put_long(i64::try_from(records).unwrap_or(i64::MAX), &mut made);
        put_bytes(content, &mut made);
        made.extend_from_slice(&self.head[self.head.len() - MARKER_BYTES..]);
        *block = made;
        Ok(())
    }
}

/// The fingerprint of nothing, and the polynomial, of CRC-64-AVRO.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

/// CRC-64-AVRO, the specification's fingerprint of a schema.
fn rabin(bytes: &[u8], before: u64) -> u64 {
    bytes.iter().fold(before, |mut sum, byte| {
        sum ^= u64::from(*byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ (EMPTY & (sum & 1).wrapping_neg());
        }
        sum
    })
}
