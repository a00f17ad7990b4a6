//! What the tests write, and how they read it back.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use towpath_record::Record;
use towpath_sdk::config::Compression;
use towpath_sdk::{
    Block, Codecs, Compressor, Encoder, Error, NewEncoder, Result, Schema, SinkBatch,
};

/// Value and newline; a value that begins with `bad` is a bad record.
pub(super) struct Lines;

impl Encoder for Lines {
    fn encode(&mut self, _: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        let value = record.value.unwrap_or(b"null");
        if value.starts_with(b"bad") {
            return Err(Error::record("write", format!("record {}", record.offset)));
        }
        out.extend_from_slice(value);
        out.push(b'\n');
        Ok(())
    }
}

/// A head, blocks that say how many lines they have, and an end that says where each begins.
pub(super) struct Blocks;

impl Encoder for Blocks {
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        Lines.encode(batch, record, out)
    }

    fn head(&self) -> &[u8] {
        b"the head\n"
    }

    fn block_bytes(&self) -> Option<usize> {
        Some(20)
    }

    fn block(&mut self, records: u64, buffer: &mut Vec<u8>) -> Result<Vec<u8>> {
        let head = format!("block of {records}\n").into_bytes();
        buffer.splice(..0, head.iter().copied());
        Ok(head)
    }

    fn end(&self, blocks: &[Block]) -> Result<Vec<u8>> {
        let of = |block: &Block| {
            let note = String::from_utf8_lossy(&block.note).into_owned();
            format!("{} {note}", block.position)
        };
        let blocks: String = blocks.iter().map(of).collect();
        Ok(format!("the end\n{blocks}").into_bytes())
    }
}

/// What one of the others writes, behind a head that names the schema of all records; one without a
/// schema is a bad record.
pub(super) struct BySchema {
    pub(super) blocks: bool,
    schema: Option<String>,
}

impl BySchema {
    pub(super) fn new(blocks: bool) -> Self {
        let schema = None;
        Self { blocks, schema }
    }

    fn inner(&self) -> Box<dyn Encoder> {
        match self.blocks {
            true => Box::new(Blocks),
            false => Box::new(Lines),
        }
    }
}

impl Encoder for BySchema {
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        match self.schema {
            Some(_) => self.inner().encode(batch, record, out),
            None => Err(Error::record("write", format!("record {}", record.offset))),
        }
    }

    fn by_schema(&self) -> Option<NewEncoder> {
        let blocks = self.blocks;
        Some(Arc::new(move |schema: &Schema| {
            let head = String::from_utf8_lossy(BySchema::new(blocks).inner().head()).into_owned();
            let schema = Some(format!("schema {}\n{head}", schema.name));
            Ok(Box::new(Self { blocks, schema }))
        }))
    }

    fn head(&self) -> &[u8] {
        self.schema.as_ref().map_or(&[], |head| head.as_bytes())
    }

    fn block_bytes(&self) -> Option<usize> {
        self.inner().block_bytes()
    }

    fn block(&mut self, records: u64, buffer: &mut Vec<u8>) -> Result<Vec<u8>> {
        self.inner().block(records, buffer)
    }

    fn end(&self, blocks: &[Block]) -> Result<Vec<u8>> {
        self.inner().end(blocks)
    }
}

/// The lines of an object that `Blocks` has written, behind `schema_bytes` of [`BySchema`].
pub(super) fn unblocked(text: &str, schema_bytes: usize) -> Vec<&str> {
    let (content, blocks) = text.split_once("the end\n").expect("an end");
    let mut lines = content.strip_prefix("the head\n").expect("a head");
    let mut records = Vec::new();
    for block in blocks.lines() {
        let (position, head) = block.split_once(' ').expect("a position");
        assert_eq!(
            schema_bytes + content.len() - lines.len(),
            position.parse::<usize>().unwrap()
        );
        lines = lines.strip_prefix(head).expect("a block").trim_start();
        for _ in 0..head["block of ".len()..].parse().unwrap() {
            let (record, rest) = lines.split_once('\n').expect("a record");
            records.push(record);
            lines = rest;
        }
    }
    assert_eq!(lines, "");
    records
}

/// gzip, a member each.
pub(super) struct GzipCodecs;

struct Member(Vec<u8>);

impl Compressor for Member {
    fn write(&mut self, input: &[u8], _: &mut Vec<u8>) -> Result<()> {
        self.0.extend_from_slice(input);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let mut encoder = flate2::read::GzEncoder::new(&*self.0, flate2::Compression::fast());
        encoder.read_to_end(out).unwrap();
        Ok(())
    }
}

impl Codecs for GzipCodecs {
    fn compressor(&self, _: &Compression) -> Result<Option<Box<dyn Compressor>>> {
        Ok(Some(Box::new(Member(Vec::new()))))
    }

    fn decompressor(
        &self,
        _: &Compression,
        input: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>> {
        Ok(input)
    }
}

/// The text of an object.
pub(super) fn text_of(content: Bytes, compression: &Compression) -> String {
    if *compression == Compression::None {
        return String::from_utf8(content.to_vec()).unwrap();
    }
    let mut text = String::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(&*content);
    decoder.read_to_string(&mut text).unwrap();
    text
}
