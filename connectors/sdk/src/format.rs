//! Decoders, encoders and compression as connectors see them; `src/formats` implements them.

use std::io::{Read, Seek};
use std::sync::Arc;

use towpath_record::{BatchBuilder, Header, Record};

use crate::config::Compression;
use crate::{Result, Schema, SinkBatch};

/// Makes a decoder; each place that is read gets its own.
pub type NewDecoder = Arc<dyn Fn() -> Box<dyn Decoder> + Send + Sync>;

/// Turns what a source has framed (a line, a body, a whole file) into records.
pub trait Decoder: Send {
    /// Appends the records of `payload` to `out`. A record error means that `payload` is bad and
    /// nothing of it was appended.
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()>;

    /// Whether it must be given the beginning of the place that it reads before it can decode what
    /// follows, as of CSV with a header. A source that goes on in the middle of a place gives a new
    /// decoder the payloads from the first one on until this is false, or it is where it goes on;
    /// what comes of them it throws away, refusals too.
    fn wants_beginning(&self) -> bool {
        false
    }

    /// The beginning that it wants cannot be had: the payload that held it was refused for its size.
    /// It refuses all that follows then.
    fn lose_beginning(&mut self) {}

    /// What it was given before a payload and must be given again to decode it alone, as the header
    /// of CSV. Dead letters carry it ([`crate::HEAD_HEADER`]).
    fn head(&self) -> Option<&[u8]> {
        None
    }

    /// For a format that itself finds the records of a file, as Avro and Parquet do: opens `content`,
    /// to be read on from a [`RecordFile::position`], of which 0 is the beginning. `None` for a
    /// format whose payloads a source frames. A record error means that it is no such file.
    fn open(
        &self,
        content: Box<dyn Content>,
        position: u64,
    ) -> Option<Result<Box<dyn RecordFile>>> {
        let _ = (content, position);
        None
    }
}

/// A file from any position on. What is compressed as a whole knows no end to seek from.
pub trait Content: Read + Seek + Send {}

impl<T: Read + Seek + Send> Content for T {}

/// A file of a format that itself finds its records, being read; in the memory that a part of it
/// takes, whatever its size: a block of Avro, a row group of Parquet.
pub trait RecordFile: Send {
    /// Appends records to `out` until that has `full_bytes` or more; false at the end. A record
    /// error means that the file is damaged here, so that nothing behind can be read; any other is
    /// of the content, and passes. What was appended before is sound.
    fn read(
        &mut self,
        envelope: &Envelope<'_>,
        full_bytes: usize,
        out: &mut BatchBuilder,
    ) -> Result<bool>;

    /// Where it goes on: behind all that was appended.
    fn position(&self) -> u64;
}

/// What a source knows about a record besides its payload.
#[derive(Debug, Clone, Copy, Default)]
pub struct Envelope<'a> {
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The source's own key, if it has one.
    pub key: Option<&'a [u8]>,
    /// In their order.
    pub headers: &'a [Header<'a>],
}

/// Makes the encoder of the records of a schema.
///
/// # Errors
/// A record error when the format cannot hold what the schema says.
pub type NewEncoder = Arc<dyn Fn(&Schema) -> Result<Box<dyn Encoder>> + Send + Sync>;

/// Turns records into what stands in a file, object or body.
///
/// What stands there is [`Encoder::head`] once, and behind it stretches of records: the sink has
/// each encoded into a buffer of that place, and [`Encoder::block`] makes of a buffer what is
/// written. No encoder keeps anything of a record beyond the buffer. So a sink may have many places
/// at once, may cut one back to the end of any stretch, and may go on there without reading it.
/// A format with an [`Encoder::end`] is for places that are finished once, as objects are.
pub trait Encoder: Send {
    /// Appends one record of `batch`, with what separates it from the next. A record error means
    /// that the record cannot be written in this format, and nothing was appended.
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()>;

    /// For a format whose places hold records of one schema each ([`crate::SchemaHeaders::VALUE`]):
    /// what makes the encoders, of which each has places of its own. This one refuses all records
    /// then. Only for sinks that ask their format of [`crate::config::ObjectFormat`].
    fn by_schema(&self) -> Option<NewEncoder> {
        None
    }

    /// What a file, object or body begins with, before its first record; always the same.
    fn head(&self) -> &[u8] {
        &[]
    }

    /// The bytes of a buffer from which a good block is made, if records stand in blocks. Otherwise
    /// each is a line.
    fn block_bytes(&self) -> Option<usize> {
        None
    }

    /// Makes one block of `buffer`, which holds what `encode` appended of `records` records, one at
    /// least. Lines stay as they are. Returns what the end must know of it.
    fn block(&mut self, records: u64, buffer: &mut Vec<u8>) -> Result<Vec<u8>> {
        let _ = (records, buffer);
        Ok(Vec::new())
    }

    /// What stands behind the last of `blocks`, which are all of the place, in their order.
    fn end(&self, blocks: &[Block]) -> Result<Vec<u8>> {
        let _ = blocks;
        Ok(Vec::new())
    }
}

/// A block that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where it begins in its place, the head counted, before any compression of the whole.
    pub position: u64,
    /// What [`Encoder::block`] returned.
    pub note: Vec<u8>,
}

/// Compresses a stream; the result may be cut into members (gzip) or frames (zstd).
pub trait Compressor: Send {
    /// Takes `input` and appends to `out` what is ready.
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// Ends the member or frame: what was appended since the last end decompresses by itself. The
    /// next `write` begins a new one. Appends nothing when nothing was written.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()>;
}

/// Compression by its name.
pub trait Codecs: Send + Sync {
    /// A compressor, or `None` for no compression.
    fn compressor(&self, compression: &Compression) -> Result<Option<Box<dyn Compressor>>>;

    /// Reads `input` decompressed, member after member; `input` itself for no compression.
    /// Memory is bounded whatever the input.
    fn decompressor(
        &self,
        compression: &Compression,
        input: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>>;
}
