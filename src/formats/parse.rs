//! What a parser of text is, and a decoder made of one.

use towpath_record::BatchBuilder;
pub use towpath_sdk::json::Fault;
use towpath_sdk::{Decoder, Envelope, Error, Result};

/// A format whose text says one object, which it writes as JSON.
///
/// A parser is a pure function of the text and of what it was told before (options, a header, a
/// reference time). It takes `&mut self` only to keep its memory from one text to the next.
pub trait Parser: Send {
    /// The format's name, for messages.
    fn name(&self) -> &'static str;

    /// Appends the object that `text` says as JSON text.
    ///
    /// # Errors
    /// The first fault in `text`; nothing is appended then.
    fn parse(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault>;

    /// What to say of the fault that [`Parser::parse`] has just given, with the part of the text
    /// that it is in where that has a name.
    fn explain(&self, fault: Fault) -> String {
        fault.to_string()
    }

    /// Tells the time of what is parsed next, in milliseconds since 1970: for formats whose times
    /// lack a part.
    fn set_reference_ms(&mut self, _reference_ms: i64) {}
}

/// `text` as characters.
pub(crate) fn utf8(text: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(text).map_err(|error| Fault {
        at: error.valid_up_to(),
        what: "invalid UTF-8",
    })
}

/// Appends with `write`, or nothing at all when that fails.
pub(crate) fn whole_or_nothing(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let before = out.len();
    write(out).inspect_err(|_| out.truncate(before))
}

/// A decoder that makes one JSON record of each payload; a blank payload is no record.
pub(crate) struct Parsing<P> {
    parser: P,
    /// Kept for its memory.
    made: Vec<u8>,
}

impl<P: Parser> Parsing<P> {
    pub(crate) fn new(parser: P) -> Self {
        let made = Vec::new();
        Self { parser, made }
    }
}

impl<P: Parser> Decoder for Parsing<P> {
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        if payload.trim_ascii().is_empty() {
            return Ok(());
        }
        self.made.clear();
        self.parser.set_reference_ms(envelope.timestamp_ms);
        self.parser
            .parse(payload, &mut self.made)
            .map_err(|fault| {
                Error::record("read", self.parser.name()).because(self.parser.explain(fault))
            })?;
        push(&self.made, envelope, out)
    }
}

/// Appends one record.
pub(crate) fn push(value: &[u8], envelope: &Envelope<'_>, out: &mut BatchBuilder) -> Result<()> {
    let Envelope {
        timestamp_ms,
        key,
        headers,
    } = *envelope;
    out.push(timestamp_ms, key, Some(value), headers)
        .map_err(|error| Error::record("take", "a record").because(error))
}
