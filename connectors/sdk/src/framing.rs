//! From bytes to records: lines, joined lines, whole files.
//!
//! [`take`] is given what lies in a buffer from a position on and takes as much of it as is
//! decided, record by record, straight from the buffer. What it leaves is given again, with more
//! behind it. It leaves at most `max_line` bytes: a longer record is decided by being longer, and
//! its rest is dropped as it comes ([`LineState::Skip`]). So memory is bounded whatever the input.

use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;

use memchr::memchr;
use towpath_record::{BatchBuilder, Header};

use crate::config::{Framing, FramingRules, Multiline, Oversize};
use crate::{
    Decoder, Envelope, Error, ErrorKind, Origin, Original, REFUSED_MAX, Refused, Result, Stage,
    Tolerance,
};

/// Of a refused record that is too long only the beginning is shown.
const SHOWN_BYTES: usize = 4096;

/// The most headers that a source can give each record.
const HEADERS_MAX: usize = 4;
/// Of the largest position.
const DIGITS_MAX: usize = 20;

/// What the end of the given bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// More may come.
    Open,
    /// Nothing came for a while: complete lines of a multi-line record are all there is of it.
    Pause,
    /// The end: what is unfinished is delivered.
    Final,
}

/// How far framing came: all of `consumed` is delivered (or left out), what follows is not.
#[derive(Debug)]
pub struct Step {
    /// Bytes of what was given.
    pub consumed: usize,
    /// Why it stopped: a bad record that nobody allows to leave out.
    pub failed: Option<Error>,
}

/// What the bytes at a position are; a source keeps it with the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineState {
    /// The beginning of a line.
    #[default]
    Start,
    /// What a line goes on with whose beginning was delivered, as it was the end then.
    Rest,
    /// The rest of a line that is left out because it was too long.
    Skip,
    /// Lines of a multi-line record that is left out because it was too long.
    SkipRecord,
}

impl LineState {
    /// The state that is kept as `byte`, which is `state as u8`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Start, Self::Rest, Self::Skip, Self::SkipRecord]
            .get(usize::from(byte))
            .copied()
    }
}

/// A header that each record gets.
#[derive(Debug, Clone, Copy)]
pub enum RecordHeader<'a> {
    /// The same for all.
    Same(Header<'a>),
    /// One of this name, with the record's position in digits.
    Position(&'a [u8]),
}

/// Where records go.
pub struct Records<'a> {
    /// They are appended to it.
    pub builder: &'a mut BatchBuilder,
    /// Where each record of `builder` begins at its place.
    pub positions: &'a mut Vec<u64>,
    /// Makes records of what is framed.
    pub decoder: &'a mut dyn Decoder,
    /// Those that are left out.
    pub refused: &'a mut Vec<Refused>,
    /// Whether they may be.
    pub on_error: &'a Tolerance,
    /// What a record is.
    pub rules: &'a FramingRules,
    /// Where they come from.
    pub origin: &'a Arc<Origin>,
    /// The same, for messages.
    pub place: &'a dyn Display,
    /// Four at most.
    pub headers: &'a [RecordHeader<'a>],
    /// Of each record; milliseconds since 1970.
    pub timestamp_ms: i64,
    /// No record is begun when the batch and what was refused have this size.
    pub full_bytes: usize,
    /// What `refused` takes of it.
    pub refused_bytes: usize,
}

impl Records<'_> {
    /// Whether no record is begun any more.
    pub fn is_full(&self) -> bool {
        self.builder.size_bytes() + self.refused_bytes >= self.full_bytes
            || self.refused.len() >= REFUSED_MAX
    }

    /// Adds the record that begins at `position` of the file.
    #[inline]
    fn add(&mut self, payload: &[u8], position: u64) -> Result<()> {
        let added = self.enveloped(position, |records, envelope| {
            records.decoder.decode(payload, envelope, records.builder)
        });
        self.positions.resize(self.builder.len(), position);
        added.or_else(|error| self.refuse(error, payload, position))
    }

    /// Calls `take` with what is known of the record at `position` besides its payload.
    #[inline]
    fn enveloped<T>(
        &mut self,
        position: u64,
        take: impl FnOnce(&mut Self, &Envelope<'_>) -> T,
    ) -> T {
        let mut envelope = Envelope {
            timestamp_ms: self.timestamp_ms,
            key: None,
            headers: &[],
        };
        if self.headers.is_empty() {
            return take(self, &envelope);
        }
        let mut digits = [0; DIGITS_MAX];
        let mut room = &mut digits[..];
        // There is room for every number.
        let _ = write!(room, "{position}");
        let length = DIGITS_MAX - room.len();
        let mut headers = [Header {
            key: b"",
            value: None,
        }; HEADERS_MAX];
        for (header, wanted) in headers.iter_mut().zip(self.headers) {
            *header = match *wanted {
                RecordHeader::Same(header) => header,
                RecordHeader::Position(key) => Header {
                    key,
                    value: Some(&digits[..length]),
                },
            };
        }
        envelope.headers = &headers[..self.headers.len().min(HEADERS_MAX)];
        take(self, &envelope)
    }

    /// Deals with a record of which `payload` is the beginning, longer than allowed.
    fn add_oversized(&mut self, payload: &[u8], position: u64) -> Result<()> {
        let limit = self.rules.max_line;
        let shown = &payload[..payload.len().min(SHOWN_BYTES)];
        let whole = self.rules.whole_format;
        let error = || {
            Error::record("take", "a record")
                .because(format!("it is longer than `max_line`, {limit} bytes"))
                .remedy(match whole {
                    true => "raise `max_line`, or set `oversize` to skip",
                    false => "raise `max_line`, or set `oversize` to truncate or skip",
                })
        };
        // No part of a header is one, and no other line may be taken for it.
        let beginning = self.decoder.wants_beginning();
        if beginning {
            self.decoder.lose_beginning();
        }
        match self.rules.oversize {
            Oversize::Truncate if !whole && !beginning => {
                self.add(&payload[..limit.min(payload.len())], position)
            }
            oversize => {
                let mut refusal = self.refusal(error(), shown, position);
                // Of what is not whole nothing can become a record.
                refusal.record.reached = None;
                self.refused_bytes += refusal.bytes();
                match oversize {
                    Oversize::Skip => {
                        self.refused.push(refusal);
                        Ok(())
                    }
                    _ => self.on_error.refuse(self.refused, refusal),
                }
            }
        }
    }

    #[cold]
    fn refuse(&mut self, error: Error, payload: &[u8], position: u64) -> Result<()> {
        if error.kind() != ErrorKind::Record {
            return Err(error);
        }
        let refusal = self.refusal(error, payload, position);
        self.refused_bytes += refusal.bytes();
        self.on_error.refuse(self.refused, refusal)
    }

    fn refusal(&mut self, error: Error, payload: &[u8], position: u64) -> Refused {
        let place = format!("{} at byte {position}", self.place);
        let error = Error::record("read", place).because(error);
        let record = self.enveloped(position, |records, envelope| {
            Original::undecoded(records.origin, payload, envelope, records.decoder.head())
        });
        Refused {
            stage: Stage::Decode,
            error,
            record,
        }
    }
}

/// Takes records from `data`, which stands at `position` of the file; of its first `searched`
/// bytes it is known that no line ends there.
pub fn take(
    data: &[u8],
    searched: usize,
    position: u64,
    line: &mut LineState,
    end: End,
    records: &mut Records<'_>,
) -> Step {
    let rules = records.rules;
    let mut frame = Frame {
        data,
        position,
        line,
        consumed: 0,
        records,
    };
    let failed = match (rules.framing, &rules.multiline) {
        (Framing::Whole, _) => frame.whole(end),
        (Framing::Lines, None) => frame.lines(searched, end),
        (Framing::Lines, Some(multiline)) => frame.joined_lines(multiline, end),
    };
    Step {
        consumed: frame.consumed,
        failed: failed.err(),
    }
}

struct Frame<'a, 'b> {
    data: &'a [u8],
    position: u64,
    line: &'a mut LineState,
    consumed: usize,
    records: &'a mut Records<'b>,
}

impl Frame<'_, '_> {
    fn max_line(&self) -> usize {
        self.records.rules.max_line
    }

    /// Delivers the next `bytes`, and passes over `separator` more.
    #[inline]
    fn deliver(&mut self, bytes: usize, separator: usize) -> Result<()> {
        let payload = &self.data[self.consumed..self.consumed + bytes];
        let position = self.position + self.consumed as u64;
        if bytes > self.max_line() {
            self.records.add_oversized(payload, position)?;
        } else {
            self.records.add(payload, position)?;
        }
        self.consumed += bytes + separator;
        Ok(())
    }

    /// Passes over what is left of a line whose beginning was dealt with before; `false` when its
    /// end is not there yet.
    fn finish_line(&mut self) -> bool {
        match *self.line {
            LineState::Start | LineState::SkipRecord => return true,
            LineState::Rest => match self.data.first() {
                None => return false,
                // The newline completes the line that was delivered without it.
                Some(b'\n') => self.consumed = 1,
                Some(_) => {}
            },
            LineState::Skip => match memchr(b'\n', self.data) {
                None => {
                    self.consumed = self.data.len();
                    return false;
                }
                Some(newline) => self.consumed = newline + 1,
            },
        }
        let joined = self.records.rules.multiline.is_some();
        let skipped = *self.line == LineState::Skip;
        *self.line = if joined && skipped {
            LineState::SkipRecord
        } else {
            LineState::Start
        };
        true
    }

    fn lines(&mut self, searched: usize, end: End) -> Result<()> {
        let fresh = *self.line == LineState::Start;
        if !self.finish_line() {
            return Ok(());
        }
        let data = self.data;
        let from = if fresh { searched } else { self.consumed };
        for newline in memchr::memchr_iter(b'\n', &data[from..]) {
            self.deliver(from + newline - self.consumed, 1)?;
            if self.records.is_full() {
                return Ok(());
            }
        }
        self.unfinished(end)
    }

    /// Deals with the last line, which has no newline.
    fn unfinished(&mut self, end: End) -> Result<()> {
        let left = self.data.len() - self.consumed;
        if left > self.max_line() {
            self.deliver(left, 0)?;
            *self.line = LineState::Skip;
        } else if left > 0 && end == End::Final {
            self.deliver(left, 0)?;
            *self.line = LineState::Rest;
        }
        Ok(())
    }

    fn joined_lines(&mut self, multiline: &Multiline, end: End) -> Result<()> {
        if !self.finish_line() {
            return Ok(());
        }
        // From `consumed` to `next` stand the complete lines of a record that may go on.
        let mut next = self.consumed;
        while let Some(newline) = memchr(b'\n', &self.data[next..]) {
            let begins = multiline.begins_record(&self.data[next..next + newline]);
            if begins && *self.line == LineState::SkipRecord {
                *self.line = LineState::Start;
            } else if begins && next > self.consumed {
                self.deliver(next - 1 - self.consumed, 1)?;
                if self.records.is_full() {
                    return Ok(());
                }
            }
            next += newline + 1;
            if *self.line == LineState::SkipRecord {
                self.consumed = next;
            } else if next - 1 - self.consumed > self.max_line() {
                self.deliver(next - 1 - self.consumed, 1)?;
                *self.line = LineState::SkipRecord;
            }
        }
        let left = self.data.len() - self.consumed;
        if next < self.data.len() && (end == End::Final || left > self.max_line().saturating_add(1))
        {
            return self.unfinished_line(multiline, next, end);
        }
        if end != End::Open {
            if next > self.consumed {
                self.deliver(next - 1 - self.consumed, 1)?;
            }
            *self.line = LineState::Start;
        }
        Ok(())
    }

    /// Decides about a line without newline that stands at `next`, behind complete lines of a
    /// record that it may go on with.
    fn unfinished_line(&mut self, multiline: &Multiline, next: usize, end: End) -> Result<()> {
        let begins = multiline.begins_record(&self.data[next..]);
        if *self.line == LineState::SkipRecord {
            if !begins {
                self.consumed = self.data.len();
                *self.line = LineState::Skip;
                return Ok(());
            }
            *self.line = LineState::Start;
        } else if begins && next > self.consumed {
            self.deliver(next - 1 - self.consumed, 1)?;
        }
        self.unfinished(end)
    }

    fn whole(&mut self, end: End) -> Result<()> {
        let left = self.data.len();
        if *self.line == LineState::Skip {
            self.consumed = left;
            if end == End::Final {
                *self.line = LineState::Start;
            }
        } else if left > self.max_line() {
            self.deliver(left, 0)?;
            *self.line = if end == End::Final {
                LineState::Start
            } else {
                LineState::Skip
            };
        } else if left > 0 && end == End::Final {
            self.deliver(left, 0)?;
        }
        Ok(())
    }
}
