//! gzip, zstd and Snappy, written member by member (frame by frame, stream by stream) and read as one
//! stream. Snappy is in its framing format, whose chunks have checksums; bare blocks and those of Hadoop
//! and Kafka are not it.

use std::io::{BufReader, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use snap::read::FrameDecoder;
use snap::write::FrameEncoder;
use towpath_sdk::config::Compression;
use towpath_sdk::{Codecs, Compressor, Error, Result};
use zstd::stream::raw::{Encoder as ZstdEncoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::CParameter;

/// Frames that need a larger window are refused: 2^27 bytes is what the `zstd` tool allows too.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// Room made for compressed bytes at a time.
const STEP_BYTES: usize = 128 << 10;

/// The codecs of this build.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandardCodecs;

impl Codecs for StandardCodecs {
    fn compressor(&self, compression: &Compression) -> Result<Option<Box<dyn Compressor>>> {
        Ok(match *compression {
            Compression::None => None,
            Compression::Gzip { level } => {
                let level = flate2::Compression::new(level);
                Some(Box::new(Gzip {
                    level,
                    member: None,
                }))
            }
            Compression::Zstd { level } => Some(Box::new(Zstd::new(level)?)),
            Compression::Snappy => Some(Box::new(Snappy { stream: None })),
        })
    }

    fn decompressor(
        &self,
        compression: &Compression,
        input: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>> {
        Ok(match compression {
            Compression::None => input,
            Compression::Gzip { .. } => Box::new(MultiGzDecoder::new(input)),
            Compression::Zstd { .. } => {
                let cannot = |error| Error::transient("decompress", "zstd").because(error);
                let mut decoder =
                    zstd::Decoder::with_buffer(BufReader::new(input)).map_err(cannot)?;
                decoder
                    .window_log_max(ZSTD_WINDOW_LOG_MAX)
                    .map_err(cannot)?;
                Box::new(decoder)
            }
            Compression::Snappy => Box::new(FrameDecoder::new(input)),
        })
    }
}

struct Gzip {
    level: flate2::Compression,
    /// The member that was begun.
    member: Option<GzEncoder<Vec<u8>>>,
}

impl Compressor for Gzip {
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let level = self.level;
        let member = self
            .member
            .get_or_insert_with(|| GzEncoder::new(Vec::new(), level));
        for piece in input.chunks(STEP_BYTES) {
            member
                .write_all(piece)
                .map_err(|error| cannot_compress("gzip", error))?;
            out.append(member.get_mut());
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if let Some(member) = self.member.take() {
            let mut rest = member
                .finish()
                .map_err(|error| cannot_compress("gzip", error))?;
            out.append(&mut rest);
        }
        Ok(())
    }
}

struct Snappy {
    /// The stream that was begun.
    stream: Option<FrameEncoder<Vec<u8>>>,
}

impl Compressor for Snappy {
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let stream = self
            .stream
            .get_or_insert_with(|| FrameEncoder::new(Vec::new()));
        stream
            .write_all(input)
            .map_err(|error| cannot_compress("snappy", error))?;
        out.append(stream.get_mut());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if let Some(stream) = self.stream.take() {
            let ended = stream.into_inner();
            out.append(&mut ended.map_err(|error| cannot_compress("snappy", error.into_error()))?);
        }
        Ok(())
    }
}

/// Keeps its context, which is large, from frame to frame.
struct Zstd {
    context: ZstdEncoder<'static>,
    begun: bool,
}

impl Zstd {
    fn new(level: u32) -> Result<Self> {
        let cannot = |error| cannot_compress("zstd", error);
        let level = i32::try_from(level).unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
        let mut context = ZstdEncoder::new(level).map_err(cannot)?;
        context
            .set_parameter(CParameter::ChecksumFlag(true))
            .map_err(cannot)?;
        Ok(Self {
            context,
            begun: false,
        })
    }
}

impl Compressor for Zstd {
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut input = InBuffer::around(input);
        self.begun = true;
        while input.pos() < input.src.len() {
            out.reserve(STEP_BYTES);
            let end = out.len();
            let mut output = OutBuffer::around_pos(out, end);
            self.context
                .run(&mut input, &mut output)
                .map_err(|error| cannot_compress("zstd", error))?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if !self.begun {
            return Ok(());
        }
        loop {
            out.reserve(STEP_BYTES);
            let end = out.len();
            let mut output = OutBuffer::around_pos(out, end);
            let left = self
                .context
                .finish(&mut output, true)
                .map_err(|error| cannot_compress("zstd", error))?;
            if left == 0 {
                break;
            }
        }
        self.begun = false;
        self.context
            .reinit()
            .map_err(|error| cannot_compress("zstd", error))
    }
}

fn cannot_compress(codec: &str, error: std::io::Error) -> Error {
    Error::transient("compress", format!("with {codec}")).because(error)
}
