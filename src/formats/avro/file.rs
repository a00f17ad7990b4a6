//! Reads object container files, block by block: a file of any size is read in the memory that one
//! block takes. Where a block begins a reader can go on that has seen only the header.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use flate2::read::DeflateDecoder;
use towpath_record::BatchBuilder;
use towpath_sdk::config::{AvroCodec, AvroSchema};
use towpath_sdk::json::Fault;
use towpath_sdk::{Content, Decoder, Envelope, Error, RecordFile, Result, Schemas};

use super::binary::Input;
use super::container::{MAGIC, crc32};
use super::decode::decode;
use super::description::description;
use crate::described::{Description, Made};

/// Bytes of a block, as it stands and decompressed, at most; of what stands in a header, too.
const BLOCK_BYTES_MAX: u64 = 64 << 20;
/// Bytes of the records of one block, as JSON, at most.
const BLOCK_JSON_BYTES_MAX: usize = 256 << 20;
/// The same of a file that is a payload.
const PAYLOAD_JSON_BYTES_MAX: usize = 1 << 30;
/// The longest number.
const NUMBER_BYTES_MAX: usize = 10;

const TOO_SHORT: &str = "the bytes end inside a value";

fn bad(fault: Fault) -> Error {
    Error::record("read", "Avro").because(fault)
}

/// What is read from front to back, and how far that is.
struct Stream<R> {
    reader: R,
    at: u64,
}

impl<R: Read> Stream<R> {
    fn fault(&self, what: &'static str) -> Error {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        bad(Fault { at, what })
    }

    /// The next `count` bytes, or all there are.
    fn up_to(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut taken = Vec::new();
        let read = self.reader.by_ref().take(count).read_to_end(&mut taken);
        read.map_err(|error| Error::transient("read", "Avro").because(error))?;
        self.at += taken.len() as u64;
        Ok(taken)
    }

    fn take(&mut self, count: u64) -> Result<Vec<u8>> {
        let taken = self.up_to(count)?;
        match taken.len() as u64 == count {
            true => Ok(taken),
            false => Err(self.fault(TOO_SHORT)),
        }
    }

    /// The next number; `None` at the end.
    fn number_if_any(&mut self) -> Result<Option<i64>> {
        let mut bytes = Vec::new();
        while bytes.last().is_none_or(|byte| *byte >= 0x80) && bytes.len() < NUMBER_BYTES_MAX {
            match self.up_to(1)?[..] {
                [byte] => bytes.push(byte),
                _ if bytes.is_empty() => return Ok(None),
                _ => return Err(self.fault(TOO_SHORT)),
            }
        }
        let number = Input::new(&bytes).long();
        number.map(Some).map_err(|fault| self.fault(fault.what))
    }

    fn number(&mut self) -> Result<i64> {
        let number = self.number_if_any()?;
        number.ok_or_else(|| self.fault(TOO_SHORT))
    }

    /// A piece with its length before it.
    fn piece(&mut self) -> Result<Vec<u8>> {
        match u64::try_from(self.number()?) {
            Ok(length) if length <= BLOCK_BYTES_MAX => self.take(length),
            Ok(_) => Err(self.fault("a damaged block, or one of more than 64 MiB")),
            Err(_) => Err(self.fault("a length below zero")),
        }
    }
}

/// What a file begins with.
struct Header {
    schema: AvroSchema,
    codec: AvroCodec,
    /// What stands behind each block.
    marker: Vec<u8>,
}

impl Header {
    fn read(input: &mut Stream<impl Read>) -> Result<Self> {
        if input.up_to(MAGIC.len() as u64)? != MAGIC {
            let what = "no Avro object container file";
            return Err(bad(Fault { at: 0, what }));
        }
        let mut schema = None;
        let mut codec = AvroCodec::Null;
        loop {
            let count = input.number()?;
            if count == 0 {
                break;
            }
            if count < 0 {
                // The bytes of the list, for who wants to skip it.
                input.number()?;
            }
            for _ in 0..count.unsigned_abs() {
                let name = input.piece()?;
                let value = input.piece()?;
                match &name[..] {
                    b"avro.schema" => {
                        let parsed = AvroSchema::parse(&String::from_utf8_lossy(&value));
                        let why = |why| Error::record("read", "Avro").because(why);
                        schema = Some(parsed.map_err(why)?);
                    }
                    b"avro.codec" => {
                        let word = std::str::from_utf8(&value).ok();
                        let named = word.and_then(AvroCodec::from_word);
                        codec = named.ok_or_else(|| {
                            input.fault("a codec other than null, deflate, snappy and zstandard")
                        })?;
                    }
                    _ => {}
                }
            }
        }
        let schema = schema.ok_or_else(|| input.fault("a header without a schema"))?;
        let marker = input.take(16)?;
        Ok(Self {
            schema,
            codec,
            marker,
        })
    }

    fn description(&self, schemas: &dyn Schemas) -> Result<Description> {
        match description(&self.schema) {
            Some(described) => Ok(Description::new(schemas.id_of(described)?)),
            None => Ok(Description::default()),
        }
    }

    /// Makes the records of the block that stands next; false at the end.
    fn block(&self, input: &mut Stream<impl Read>, most: usize, made: &mut Made) -> Result<bool> {
        let Some(count) = input.number_if_any()? else {
            return Ok(false);
        };
        let count = u64::try_from(count).map_err(|_| input.fault("a length below zero"))?;
        let damaged = input.fault("a damaged block, or one of more than 64 MiB");
        let at = usize::try_from(input.at).unwrap_or(usize::MAX);
        let plain = decompress(self.codec, input.piece()?).ok_or(damaged)?;
        decode_block(&self.schema, count, &plain, most, made)
            // Of what was compressed, only the block's place is known.
            .map_err(|inside| bad(Fault { at, ..inside }))?;
        match input.up_to(16)? == self.marker {
            true => Ok(true),
            false => Err(input.fault("a block without its marker")),
        }
    }
}

/// What a block decompresses to; `None` for one that is damaged or too large.
fn decompress(codec: AvroCodec, block: Vec<u8>) -> Option<Vec<u8>> {
    let bounded = |reader: &mut dyn Read| {
        let mut plain = Vec::new();
        reader
            .take(BLOCK_BYTES_MAX + 1)
            .read_to_end(&mut plain)
            .ok()?;
        (plain.len() as u64 <= BLOCK_BYTES_MAX).then_some(plain)
    };
    match codec {
        AvroCodec::Null => Some(block),
        AvroCodec::Deflate => bounded(&mut DeflateDecoder::new(&block[..])),
        AvroCodec::Zstandard => bounded(&mut zstd::Decoder::with_buffer(&block[..]).ok()?),
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

/// Makes the `count` records of a block; with what was made before, `most` bytes of JSON at most.
fn decode_block(
    schema: &AvroSchema,
    count: u64,
    block: &[u8],
    most: usize,
    made: &mut Made,
) -> Result<(), Fault> {
    let mut input = Input::new(block);
    for _ in 0..count {
        decode(schema, &mut input, &mut made.text)?;
        made.ends.push(made.text.len());
        if made.text.len() > most {
            return Err(input.fault("more JSON than a block or file may be"));
        }
    }
    match input.is_empty() {
        true => Ok(()),
        false => Err(input.fault("a block with bytes behind its records")),
    }
}

/// Reads a payload that is a whole file, and opens files of any size.
pub(crate) struct AvroDecoder {
    schemas: Arc<dyn Schemas>,
}

impl AvroDecoder {
    pub(crate) fn new(schemas: Arc<dyn Schemas>) -> Self {
        Self { schemas }
    }
}

impl Decoder for AvroDecoder {
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        let (reader, at) = (payload, 0);
        let mut input = Stream { reader, at };
        let header = Header::read(&mut input)?;
        let mut made = Made::default();
        while header.block(&mut input, PAYLOAD_JSON_BYTES_MAX, &mut made)? {}
        made.push(&mut header.description(&*self.schemas)?, envelope, out)
    }

    fn open(
        &self,
        content: Box<dyn Content>,
        position: u64,
    ) -> Option<Result<Box<dyn RecordFile>>> {
        let opened = AvroFile::open(content, position, &*self.schemas);
        Some(opened.map(|file| Box::new(file) as _))
    }
}

/// A file that is being read. Its position is where a block begins.
struct AvroFile {
    input: Stream<BufReader<Box<dyn Content>>>,
    header: Header,
    description: Description,
    made: Made,
    /// Where the first block begins that was not handed over.
    position: u64,
}

impl AvroFile {
    fn open(content: Box<dyn Content>, position: u64, schemas: &dyn Schemas) -> Result<Self> {
        let reader = BufReader::with_capacity(64 << 10, content);
        let mut input = Stream { reader, at: 0 };
        let header = Header::read(&mut input)?;
        if position > input.at {
            let sought = input.reader.seek(SeekFrom::Start(position));
            sought.map_err(|error| Error::transient("read", "Avro").because(error))?;
            input.at = position;
        }
        Ok(Self {
            description: header.description(schemas)?,
            header,
            made: Made::default(),
            position: input.at,
            input,
        })
    }
}

impl RecordFile for AvroFile {
    fn read(
        &mut self,
        envelope: &Envelope<'_>,
        full_bytes: usize,
        out: &mut BatchBuilder,
    ) -> Result<bool> {
        while out.size_bytes() < full_bytes {
            let (header, made) = (&self.header, &mut self.made);
            if !header.block(&mut self.input, BLOCK_JSON_BYTES_MAX, made)? {
                return Ok(false);
            }
            made.push(&mut self.description, envelope, out)?;
            self.position = self.input.at;
        }
        Ok(true)
    }

    fn position(&self) -> u64 {
        self.position
    }
}
