//! One turn of one file: reads on from its position, and makes records of what it finds.
//!
//! **What is read is what was meant to be read.** A file can be truncated and written again at any
//! moment, also between two reads. So the fingerprint of what was consumed before is compared
//! *after* the reads, and before anything of them is given out: when it still holds then, it held
//! during each of them, as a content that was replaced never comes back. When it does not, nothing
//! of the turn is used.
//!
//! A turn keeps nothing of what it did not consume: the next one reads the unfinished line again,
//! so ten thousand followed files need one buffer.

use std::io;
use std::sync::Arc;

use towpath_record::{BatchBuilder, Header};
use towpath_sdk::config::{Framing, FramingRules};
use towpath_sdk::framing::{End, LineState, RecordHeader, Records, take};
use towpath_sdk::{Decoder, Error, OnError, Refused, Tolerance};

use super::content::Content;
use super::cursor::{Cursor, Handle};
use super::fingerprint::Fingerprint;
use crate::config::{FileHeader, FileSourceOptions};

/// Read at a time: what fits into the cache beside the batch that is built from it.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Of a file's beginning so much is read first, for a decoder that wants to know it.
const BEGINNING_BYTES: usize = 4096;
/// Reading less than this is not worth a call.
const WORTH_READING_BYTES: usize = 16 << 10;

/// What all turns have in common.
pub struct Reader {
    buffer: Vec<u8>,
    options: Arc<FileSourceOptions>,
    rules: FramingRules,
    host: String,
    on_error: Tolerance,
    draining: bool,
}

/// What a turn gave.
pub struct Turn {
    /// Where it came to.
    pub position: u64,
    pub line: LineState,
    pub fingerprint: Fingerprint,
    /// Nothing more is there for now; otherwise it wants another turn.
    pub caught_up: bool,
    /// Bytes that are there but belong to an unfinished record.
    pub unfinished_bytes: usize,
    /// Reading failed behind `position`.
    pub failed: Option<io::Error>,
    /// A bad record stands at `position`, and the task must fail.
    pub refused: Option<Error>,
}

/// Why a turn gave nothing.
pub enum NoTurn {
    /// The content is another one than the one that was read so far.
    Replaced,
    Failed(io::Error),
}

impl From<io::Error> for NoTurn {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Reader {
    pub fn new(options: Arc<FileSourceOptions>, on_error: Tolerance, draining: bool) -> Self {
        let name = rustix::system::uname();
        let host = name.nodename().to_string_lossy().into_owned();
        Self {
            buffer: Vec::new(),
            rules: options.rules(),
            options,
            host,
            on_error,
            draining,
        }
    }

    /// What the buffer takes.
    #[cfg(test)]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// So many records that were refused in a turn that gave nothing were none.
    pub fn take_back(&self, refused: usize) {
        self.on_error.take_back(refused);
    }

    /// Reads `cursor` on until nothing is left or `builder` has about `full_bytes`; `positions` are
    /// those of its records.
    pub fn turn(
        &mut self,
        cursor: &Cursor,
        handle: &mut Handle,
        (builder, positions): (&mut BatchBuilder, &mut Vec<u64>),
        refused: &mut Vec<Refused>,
        full_bytes: usize,
        now_ms: i64,
    ) -> Result<Turn, NoTurn> {
        let end = self.end_of(cursor);
        let Handle {
            content, decoder, ..
        } = handle;
        if self.is_another_whole(cursor, content)? {
            return Err(NoTurn::Replaced);
        }
        if decoder.wants_beginning() && self.options.framing == Framing::Lines {
            self.show_beginning(cursor, content, &mut **decoder)?;
        }
        let headers = headers(&self.options, cursor, &self.host);
        let mut records = Records {
            builder,
            positions,
            decoder: &mut **decoder,
            refused,
            on_error: &self.on_error,
            rules: &self.rules,
            origin: &cursor.origin,
            place: &cursor.saved.origin.display(),
            headers: &headers,
            timestamp_ms: now_ms,
            full_bytes,
            refused_bytes: 0,
        };
        let mut turn = Turn {
            position: cursor.saved.position,
            line: cursor.saved.line,
            fingerprint: cursor.saved.fingerprint,
            caught_up: false,
            unfinished_bytes: 0,
            failed: None,
            refused: None,
        };
        let mut known = cursor.saved.fingerprint;
        if known == Fingerprint::default() {
            // It could not be looked at when it was found. Its first bytes are what the rest must
            // belong to.
            known = content.fingerprint(0)?;
        }
        while read_on(&mut self.buffer, content, &mut turn, end, &mut records) {}
        if self.buffer.len() > 4 * CHUNK_BYTES {
            self.buffer = Vec::new();
        }
        turn.fingerprint = content.fingerprint(turn.position)?;
        // A stream cannot go back, and its checksums tell when it was replaced.
        if !content.is_compressed() && !content.is_the_one(&known, cursor.saved.position)? {
            return Err(NoTurn::Replaced);
        }
        Ok(turn)
    }

    /// Gives a new decoder of a file that was read before what it has to know of its beginning: the
    /// same records as then, and none behind the position.
    fn show_beginning(
        &self,
        cursor: &Cursor,
        content: &mut Content,
        decoder: &mut dyn Decoder,
    ) -> io::Result<()> {
        let end = cursor.saved.position;
        let (mut at, mut line, mut wanted) = (0, LineState::Start, BEGINNING_BYTES);
        while decoder.wants_beginning() && at < end {
            let data = content.read_range(at, (end - at).min(wanted as u64) as usize)?;
            let last = at + data.len() as u64 == end;
            let mut thrown_away = Records {
                builder: &mut BatchBuilder::default(),
                positions: &mut Vec::new(),
                decoder: &mut *decoder,
                refused: &mut Vec::new(),
                on_error: &OnError::Skip.into(),
                rules: &self.rules,
                origin: &cursor.origin,
                place: &cursor.saved.origin.display(),
                headers: &[],
                timestamp_ms: 0,
                full_bytes: usize::MAX,
                refused_bytes: 0,
            };
            let until = if last { End::Final } else { End::Open };
            let step = take(&data, 0, at, &mut line, until, &mut thrown_away);
            at += step.consumed as u64;
            if step.failed.is_some() || (step.consumed == 0 && (last || data.len() < wanted)) {
                // Cut off meanwhile, if it is not the decoder that is broken: both show later.
                break;
            }
            if step.consumed == 0 {
                wanted *= 4;
            }
        }
        Ok(())
    }

    /// What the end of `cursor`'s file means now.
    fn end_of(&self, cursor: &Cursor) -> End {
        match (
            self.draining || cursor.last_turn,
            cursor.paused,
            self.options.framing,
        ) {
            (true, _, _) | (_, true, Framing::Whole) => End::Final,
            (false, true, Framing::Lines) => End::Pause,
            (false, false, _) => End::Open,
        }
    }

    /// A file that was delivered as one record and has grown since is a new record.
    fn is_another_whole(&self, cursor: &Cursor, content: &mut Content) -> io::Result<bool> {
        let delivered = cursor.saved.position > 0 && cursor.saved.line == LineState::Start;
        Ok(self.options.framing == Framing::Whole
            && delivered
            && content.read_at(cursor.saved.position, &mut [0])? > 0)
    }
}

/// What each record of `cursor`'s file gets.
fn headers<'a>(
    options: &FileSourceOptions,
    cursor: &'a Cursor,
    host: &'a str,
) -> Vec<RecordHeader<'a>> {
    use std::os::unix::ffi::OsStrExt;
    let header = |wanted: &FileHeader| {
        let key = wanted.as_str().as_bytes();
        let value = match wanted {
            FileHeader::Path => cursor.saved.origin.as_os_str().as_bytes(),
            FileHeader::Position => return RecordHeader::Position(key),
            FileHeader::Host => host.as_bytes(),
        };
        let value = Some(value);
        RecordHeader::Same(Header { key, value })
    };
    options.headers.iter().map(header).collect()
}

/// Reads one chunk more behind what is unfinished at the front of `buffer`, and takes records of
/// it. `false` ends the turn.
fn read_on(
    buffer: &mut Vec<u8>,
    content: &mut Content,
    turn: &mut Turn,
    end: End,
    records: &mut Records<'_>,
) -> bool {
    let filled = turn.unfinished_bytes;
    let room = records
        .full_bytes
        .saturating_sub(records.builder.size_bytes());
    // Records take a little more than their bytes.
    let wanted = (room * 7 / 8).clamp(WORTH_READING_BYTES, CHUNK_BYTES);
    make_room(buffer, filled + wanted, records.rules.max_line);
    let into = &mut buffer[filled..filled + wanted];
    let read = match content.read_at(turn.position + filled as u64, into) {
        Ok(read) => read,
        Err(error) => {
            turn.failed = Some(error);
            return false;
        }
    };
    let data = &buffer[..filled + read];
    let end = if read == 0 { end } else { End::Open };
    let step = take(data, filled, turn.position, &mut turn.line, end, records);
    buffer.copy_within(step.consumed..filled + read, 0);
    turn.unfinished_bytes = filled + read - step.consumed;
    turn.position += step.consumed as u64;
    content.release(turn.position);
    turn.caught_up = read == 0 && (turn.unfinished_bytes == 0 || step.consumed == 0);
    turn.refused = step.failed;
    let room = records
        .full_bytes
        .saturating_sub(records.builder.size_bytes());
    let filled = room < WORTH_READING_BYTES && !records.builder.is_empty();
    let full = filled || records.is_full();
    !(full || turn.caught_up || turn.refused.is_some())
}

/// Grows `buffer` to hold `bytes`; at most to twice that, and not much beyond what is ever held.
fn make_room(buffer: &mut Vec<u8>, bytes: usize, max_line: usize) {
    if buffer.len() < bytes {
        let ahead = (2 * buffer.len())
            .min(max_line.saturating_add(2 * CHUNK_BYTES))
            .max(bytes);
        buffer.reserve_exact(ahead - buffer.len());
        buffer.resize(ahead, 0);
    }
}
