//! The object container file: a header with the schema, then blocks, each with a marker behind it.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use towpath_record::BatchBuilder;
use towpath_sdk::json::Documents;
use towpath_sdk::{Decoder, Envelope, Error, Result};

use super::AvroSchema;
use super::binary::{Input, put_bytes, put_long};
use crate::parse::{Fault, push};

const MAGIC: &[u8] = b"Obj\x01";
/// Bytes of a block, decompressed, at most.
const BLOCK_BYTES_MAX: u64 = 64 << 20;
/// Bytes of the records of one file, as JSON, at most.
const FILE_JSON_BYTES_MAX: usize = 1 << 30;
/// A block is written once it holds so many bytes: what the specification's own tools do.
const BLOCK_BYTES: usize = 64_000;

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AvroCodec {
    /// Not at all.
    #[default]
    Null,
    /// Deflate (RFC 1951).
    Deflate,
    /// Snappy, with a CRC-32.
    Snappy,
    /// Zstandard.
    Zstandard,
}

impl AvroCodec {
    const ALL: [Self; 4] = [Self::Null, Self::Deflate, Self::Snappy, Self::Zstandard];

    /// As a file's header names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::Zstandard => "zstandard",
        }
    }

    fn decompress(self, block: &[u8]) -> Option<Vec<u8>> {
        let bounded = |reader: &mut dyn Read| {
            let mut plain = Vec::new();
            reader
                .take(BLOCK_BYTES_MAX + 1)
                .read_to_end(&mut plain)
                .ok()?;
            (plain.len() as u64 <= BLOCK_BYTES_MAX).then_some(plain)
        };
        match self {
            Self::Null => Some(block.to_vec()),
            Self::Deflate => bounded(&mut DeflateDecoder::new(block)),
            Self::Zstandard => bounded(&mut zstd::Decoder::with_buffer(block).ok()?),
            Self::Snappy => {
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

    fn compress(self, block: &[u8]) -> Result<Vec<u8>> {
        let cannot =
            |error: std::io::Error| Error::transient("compress", "an Avro block").because(error);
        match self {
            Self::Null => Ok(block.to_vec()),
            Self::Deflate => {
                let mut out = Vec::new();
                DeflateEncoder::new(block, flate2::Compression::default())
                    .read_to_end(&mut out)
                    .map_err(cannot)?;
                Ok(out)
            }
            Self::Zstandard => zstd::bulk::compress(block, 0).map_err(cannot),
            Self::Snappy => {
                let compressed = snap::raw::Encoder::new().compress_vec(block);
                let mut out = compressed.map_err(|error| cannot(error.into()))?;
                out.extend_from_slice(&crc32(block));
                Ok(out)
            }
        }
    }
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

/// Reads whole files: each payload is one.
#[derive(Debug, Default)]
pub(crate) struct AvroDecoder {
    made: Vec<u8>,
    ends: Vec<usize>,
}

impl AvroDecoder {
    fn parse(&mut self, payload: &[u8]) -> Result<(), Error> {
        let fault = |fault: Fault| Error::record("read", "Avro").because(fault);
        let mut input = Input::new(payload);
        let (schema, codec, marker) = header(&mut input)?;
        while !input.is_empty() {
            let count = input.size().map_err(fault)?;
            let at = input.at();
            let block = input.bytes().map_err(fault)?;
            let plain = codec.decompress(block).ok_or(Fault {
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
        Ok(())
    }

    fn block(&mut self, schema: &AvroSchema, count: usize, block: &[u8]) -> Result<(), Fault> {
        let mut input = Input::new(block);
        for _ in 0..count {
            schema.decode(&mut input, &mut self.made)?;
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
                    let known = AvroCodec::ALL.into_iter();
                    let named = known
                        .into_iter()
                        .find(|codec| codec.as_str().as_bytes() == value);
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
        self.parse(payload)?;
        let mut start = 0;
        for &end in &self.ends {
            push(&self.made[start..end], envelope, out)?;
            start = end;
        }
        Ok(())
    }
}

/// Writes the records of one file after another.
///
/// The marker is made from the schema, so that a file can be gone on with after a restart without
/// reading it.
#[derive(Debug)]
pub struct AvroWriter {
    schema: AvroSchema,
    codec: AvroCodec,
    marker: [u8; 16],
    documents: Documents,
    /// The block at hand, and how many records it has.
    block: Vec<u8>,
    count: i64,
}

impl AvroWriter {
    /// A writer for records of `schema`.
    pub fn new(schema: AvroSchema, codec: AvroCodec) -> Self {
        let low = rabin(schema.text.as_bytes(), EMPTY);
        let high = rabin(schema.text.as_bytes(), low);
        let mut marker = [0; 16];
        marker[..8].copy_from_slice(&low.to_le_bytes());
        marker[8..].copy_from_slice(&high.to_le_bytes());
        Self {
            schema,
            codec,
            marker,
            documents: Documents::default(),
            block: Vec::new(),
            count: 0,
        }
    }

    /// Appends what a file begins with.
    pub fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        put_long(2, out);
        put_bytes(b"avro.schema", out);
        put_bytes(self.schema.text.as_bytes(), out);
        put_bytes(b"avro.codec", out);
        put_bytes(self.codec.as_str().as_bytes(), out);
        put_long(0, out);
        out.extend_from_slice(&self.marker);
    }

    /// Takes one record, JSON text, and appends the block when it has become full.
    ///
    /// # Errors
    /// A record error when the record is no JSON or does not fit the schema; it is not taken then.
    pub fn record(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let before = self.block.len();
        self.documents.reset(Bytes::new());
        let span = self.documents.make(|made| made.extend_from_slice(value));
        let root = self.documents.parse(span);
        root.and_then(|root| self.schema.encode(&self.documents, root, &mut self.block))
            .map_err(|fault| {
                self.block.truncate(before);
                Error::record("write", "as Avro").because(fault)
            })?;
        self.count += 1;
        if self.block.len() >= BLOCK_BYTES {
            self.end_block(out)?;
        }
        Ok(())
    }

    /// Appends the block at hand, so that the file holds every record taken; nothing when there is
    /// none.
    ///
    /// # Errors
    /// The compressor's; the records stay taken.
    pub fn end_block(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let block = self.codec.compress(&self.block)?;
        put_long(self.count, out);
        put_bytes(&block, out);
        out.extend_from_slice(&self.marker);
        self.block.clear();
        self.count = 0;
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
