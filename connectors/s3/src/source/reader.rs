//! One object being read: its content, what of it is not framed yet, and its decoder.
//!
//! Between two batches a reader keeps what it has read and not delivered: a chunk, and the beginning
//! of a record that is not complete, `max_line` at most; or, where the format itself finds the
//! records, what that holds.

use std::sync::Arc;

use bytes::Bytes;
use towpath_record::BatchBuilder;
use towpath_sdk::config::{Framing, FramingRules, InputCompression};
use towpath_sdk::framing::{End, LineState, Records, take};
use towpath_sdk::{
    Codecs, Decoder, Envelope, Error, NewDecoder, OnError, Origin, Part, RecordFile, Refused,
    SourceBatch, Tolerance, now_ms,
};

use super::content::{Content, Trouble};
use super::remote::Remote;
use super::saved::Reading;
use super::seekable::{Left, Seekable};
use crate::client::Listed;

/// Read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// What the readers of one task have in common.
pub struct Kit {
    pub remote: Remote,
    pub rules: FramingRules,
    pub compression: InputCompression,
    pub codecs: Arc<dyn Codecs>,
    pub new_decoder: NewDecoder,
    pub on_error: Tolerance,
}

/// An object being read.
pub struct Reader {
    way: Way,
    origin: Arc<Origin>,
    reading: Reading,
}

/// How records are found.
enum Way {
    /// As the options say.
    Framed(Frames, Box<dyn Decoder>),
    /// By the format itself.
    File(Box<dyn RecordFile>, Left, Listed),
}

/// How far a turn came.
#[derive(Debug)]
pub enum Turn {
    /// The batch is full.
    Full,
    /// The object was read to its end.
    Ended,
    /// A bad record stands there, and the task must fail.
    Refused(Error),
}

impl Reader {
    /// Opens `object`, to be read on where `reading` says.
    pub fn open(kit: &Kit, object: &Listed, reading: Reading) -> Result<Self, Trouble> {
        let origin = Arc::new(Origin {
            name: object.key.clone(),
            fields: vec![("path".into(), Bytes::copy_from_slice(object.key.as_bytes()))],
        });
        let mut decoder = (kit.new_decoder)();
        let (seekable, left) = Seekable::new(kit, object);
        let way = match decoder.open(Box::new(seekable), reading.position) {
            Some(Ok(file)) => Way::File(file, left, object.clone()),
            Some(Err(error)) => return Err(left.trouble(object, error)),
            None => {
                let frames = Frames::open(kit, object, &origin, &reading, &mut *decoder)?;
                Way::Framed(frames, decoder)
            }
        };
        Ok(Self {
            way,
            origin,
            reading,
        })
    }

    /// How far it was read.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Reads on into `batch`, until that has about `full_bytes` more; gives what was added, too.
    pub fn turn(
        &mut self,
        kit: &Kit,
        batch: &mut SourceBatch,
        full_bytes: usize,
    ) -> (usize, Result<Turn, Trouble>) {
        let mut builder = BatchBuilder::with_capacity(full_bytes.min(CHUNK_BYTES));
        let mut positions = Vec::new();
        let mut refused_bytes = 0;
        let turn = match &mut self.way {
            Way::Framed(frames, decoder) => {
                let mut records = Records {
                    builder: &mut builder,
                    positions: &mut positions,
                    decoder: &mut **decoder,
                    refused: &mut batch.refused,
                    on_error: &kit.on_error,
                    rules: &kit.rules,
                    origin: &self.origin,
                    place: &self.origin.name,
                    headers: &[],
                    timestamp_ms: now_ms(),
                    full_bytes,
                    refused_bytes: 0,
                };
                let turn = frames.turn(&mut self.reading, &mut records);
                refused_bytes = records.refused_bytes;
                turn
            }
            Way::File(file, left, object) => {
                let envelope = Envelope {
                    timestamp_ms: now_ms(),
                    ..Envelope::default()
                };
                let read = file.read(&envelope, full_bytes, &mut builder);
                self.reading.position = file.position();
                match read {
                    Ok(true) => Ok(Turn::Full),
                    Ok(false) => Ok(Turn::Ended),
                    Err(error) => Err(left.trouble(object, error)),
                }
            }
        };
        let added_bytes = refused_bytes + builder.size_bytes();
        batch.parts.extend(builder.finish().map(|batch| Part {
            origin: self.origin.clone(),
            keyed: false,
            batch,
            positions,
        }));
        (added_bytes, turn)
    }
}

/// An object that is cut into records.
struct Frames {
    content: Content,
    /// What is read and not delivered, behind which there is room.
    buffer: Vec<u8>,
    filled: usize,
    /// So much of it is known to hold no record's end.
    searched: usize,
    ended: bool,
}

impl Frames {
    /// Shows `decoder` what it has to know of the beginning.
    fn open(
        kit: &Kit,
        object: &Listed,
        origin: &Arc<Origin>,
        reading: &Reading,
        decoder: &mut dyn Decoder,
    ) -> Result<Self, Trouble> {
        let content =
            |position| Content::open(&kit.remote, object, position, kit.compression, &*kit.codecs);
        let is_in_lines = kit.rules.framing == Framing::Lines;
        if reading.position > 0 && is_in_lines && decoder.wants_beginning() {
            show_beginning(kit, origin, content(0)?, reading.position, decoder)?;
        }
        Ok(Self {
            content: content(reading.position)?,
            buffer: Vec::new(),
            filled: 0,
            searched: 0,
            ended: false,
        })
    }

    /// Cuts on, until `records` is full.
    fn turn(&mut self, reading: &mut Reading, records: &mut Records<'_>) -> Result<Turn, Trouble> {
        loop {
            if self.searched == self.filled && !self.ended {
                let read = read_chunk(&mut self.content, &mut self.buffer, self.filled)?;
                self.filled += read;
                self.ended = read == 0;
            }
            let end = if self.ended { End::Final } else { End::Open };
            let data = &self.buffer[..self.filled];
            let position = reading.position;
            let step = take(
                data,
                self.searched,
                position,
                &mut reading.line,
                end,
                records,
            );
            reading.position += step.consumed as u64;
            self.buffer.copy_within(step.consumed..self.filled, 0);
            self.filled -= step.consumed;
            self.searched = 0;
            if let Some(error) = step.failed {
                return Ok(Turn::Refused(error));
            }
            let full = records.is_full();
            if self.ended && (self.filled == 0 || (step.consumed == 0 && !full)) {
                return Ok(Turn::Ended);
            }
            if full {
                return Ok(Turn::Full);
            }
            self.searched = self.filled;
        }
    }
}

/// Reads a chunk behind the first `filled` bytes of `buffer`.
fn read_chunk(
    content: &mut Content,
    buffer: &mut Vec<u8>,
    filled: usize,
) -> Result<usize, Trouble> {
    if buffer.len() < filled + CHUNK_BYTES {
        buffer.resize((2 * filled).max(filled + CHUNK_BYTES), 0);
    }
    let end = filled + CHUNK_BYTES;
    let mut at = filled;
    while at < end {
        match content.read(&mut buffer[at..end])? {
            0 => break,
            read => at += read,
        }
    }
    Ok(at - filled)
}

/// Gives a new decoder of an object that was read before what it has to know of its beginning: the
/// same records as then, and none behind the position `until`.
fn show_beginning(
    kit: &Kit,
    origin: &Arc<Origin>,
    mut content: Content,
    until: u64,
    decoder: &mut dyn Decoder,
) -> Result<(), Trouble> {
    let (mut buffer, mut filled) = (Vec::new(), 0);
    let (mut position, mut line) = (0, LineState::Start);
    let (mut wanting, mut ended) = (true, false);
    while decoder.wants_beginning() && position < until {
        if wanting {
            let read = read_chunk(&mut content, &mut buffer, filled)?;
            filled += read;
            ended = read == 0;
        }
        // Those behind `until` are read later.
        let known = filled.min(usize::try_from(until - position).unwrap_or(usize::MAX));
        let end = if known < filled || ended {
            End::Final
        } else {
            End::Open
        };
        let mut thrown_away = Records {
            builder: &mut BatchBuilder::default(),
            positions: &mut Vec::new(),
            decoder: &mut *decoder,
            refused: &mut Vec::<Refused>::new(),
            on_error: &OnError::Skip.into(),
            rules: &kit.rules,
            origin,
            place: &origin.name,
            headers: &[],
            timestamp_ms: 0,
            // One record after the other.
            full_bytes: 1,
            refused_bytes: 0,
        };
        let step = take(
            &buffer[..known],
            0,
            position,
            &mut line,
            end,
            &mut thrown_away,
        );
        position += step.consumed as u64;
        buffer.copy_within(step.consumed..filled, 0);
        filled -= step.consumed;
        wanting = step.consumed == 0;
        if step.failed.is_some() || (wanting && end == End::Final) {
            break;
        }
    }
    Ok(())
}
