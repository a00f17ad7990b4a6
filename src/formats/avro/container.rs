//! The object container file: a header with the schema, then blocks, each with a marker behind it.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use towpath_record::BatchBuilder;
use towpath_sdk::config::{AvroCodec, AvroSchema};
use towpath_sdk::json::{Documents, Fault};
use towpath_sdk::{Decoder, Envelope, Error, Result, Schemas};

use super::binary::{Input, put_bytes, put_long};
use super::decode::decode;
use super::description::description;
use super::encode::{Misfit, encode};
use crate::described::Description;

const MAGIC: &[u8] = b"Obj\x01";
/// Bytes of a block, decompressed, at most.
const BLOCK_BYTES_MAX: u64 = 64 << 20;
/// Bytes of the records of one file, as JSON, at most.
const FILE_JSON_BYTES_MAX: usize = 1 << 30;
/// What a block decompresses to; `None` for one that is damaged or too large.
fn decompress(codec: AvroCodec, block: &[u8]) -> Option<Vec<u8>> {
    let bounded = |reader: &mut dyn Read| {
        let mut plain = Vec::new();
        reader
            .take(BLOCK_BYTES_MAX + 1)
            .read_to_end(&mut plain)
            .ok()?;
        (plain.len() as u64 <= BLOCK_BYTES_MAX).then_some(plain)
    };
    match codec {
        AvroCodec::Null => Some(block.to_vec()),
        AvroCodec::Deflate => bounded(&mut DeflateDecoder::new(block)),
        AvroCodec::Zstandard => bounded(&mut zstd::Decoder::with_buffer(block).ok()?),
        AvroCodec::Snappy => {
            let (block, sum) = block.split_last_chunk::<4>()?;
            let size = snap::raw::decompress_len(block).ok()?;
            if size as u64 > BLOCK_BYTES_MAX {
                return None;
            }
            let plain = snap::raw::Decoder::new().decompress_vec(block).ok()?;
            (crc32(&plain) == *sum).then_some(plain)
        }
    }
}

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

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

/// Reads whole files: each payload is one.
pub(crate) struct AvroDecoder {
    schemas: Arc<dyn Schemas>,
    made: Vec<u8>,
    ends: Vec<usize>,
}

impl AvroDecoder {
    pub(crate) fn new(schemas: Arc<dyn Schemas>) -> Self {
        let (made, ends) = (Vec::new(), Vec::new());
        Self {
            schemas,
            made,
            ends,
        }
    }

    /// Makes the records of a file, and gives what describes them.
    fn parse(&mut self, payload: &[u8]) -> Result<Description> {
        let fault = |fault: Fault| Error::record("read", "Avro").because(fault);
        let mut input = Input::new(payload);
        let (schema, codec, marker) = header(&mut input)?;
        while !input.is_empty() {
            let count = input.size().map_err(fault)?;
            let at = input.at();
            let block = input.bytes().map_err(fault)?;
            let plain = decompress(codec, block).ok_or(Fault {
                at,
                what: "a damaged block, or one of more than 64 MiB",
            });
            self.block(&schema, count, &plain.map_err(fault)?)
                // Of what was compressed, only the block's place is known.
                .map_err(|inside| fault(Fault { at, ..inside }))?;
            if input.take(16).map_err(fault)? != marker {
                return Err(fault(input.fault("a block without its marker")));
            }
        }
        match description(&schema) {
            Some(described) => Ok(Description::new(self.schemas.id_of(described)?)),
            None => Ok(Description::default()),
        }
    }

    fn block(&mut self, schema: &AvroSchema, count: usize, block: &[u8]) -> Result<(), Fault> {
        let mut input = Input::new(block);
        for _ in 0..count {
            decode(schema, &mut input, &mut self.made)?;
            self.ends.push(self.made.len());
            if self.made.len() > FILE_JSON_BYTES_MAX {
                return Err(input.fault("a file of more than 1 GiB of JSON"));
            }
        }
        match input.is_empty() {
            true => Ok(()),
            false => Err(input.fault("a block with bytes behind its records")),
        }
    }
}

/// The schema, the codec and the marker.
fn header<'a>(input: &mut Input<'a>) -> Result<(AvroSchema, AvroCodec, &'a [u8])> {
    let fault = |fault: Fault| Error::record("read", "Avro").because(fault);
    if input.take(4).map_err(fault)? != MAGIC {
        return Err(fault(Fault {
            at: 0,
            what: "no Avro object container file",
        }));
    }
    let mut schema = None;
    let mut codec = AvroCodec::Null;
    loop {
        let count = input.block().map_err(fault)?;
        if count == 0 {
            break;
        }
        for _ in 0..count {
            let name = input.str().map_err(fault)?;
            let at = input.at();
            let value = input.bytes().map_err(fault)?;
            match name {
                "avro.schema" => {
                    let text = String::from_utf8_lossy(value);
                    let parsed = AvroSchema::parse(&text);
                    schema =
                        Some(parsed.map_err(|why| Error::record("read", "Avro").because(why))?);
                }
                "avro.codec" => {
                    let word = std::str::from_utf8(value).ok();
                    let named = word.and_then(AvroCodec::from_word);
                    codec = named.ok_or_else(|| {
                        let what = "a codec other than null, deflate, snappy and zstandard";
                        fault(Fault { at, what })
                    })?;
                }
                _ => {}
            }
        }
    }
    let schema = schema.ok_or_else(|| fault(input.fault("a header without a schema")))?;
    Ok((schema, codec, input.take(16).map_err(fault)?))
}

impl Decoder for AvroDecoder {
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        self.made.clear();
        self.ends.clear();
        let mut description = self.parse(payload)?;
        let mut start = 0;
        for &end in &self.ends {
            description.push(&self.made[start..end], envelope, out)?;
            start = end;
        }
        Ok(())
    }
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
