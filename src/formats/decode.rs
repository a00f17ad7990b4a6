//! Decoders: from what a source has framed to records. None of them changes a byte.

use std::sync::Arc;

use towpath_record::BatchBuilder;
use towpath_sdk::config::Format;
use towpath_sdk::{Decoder, Envelope, Error, NewDecoder, Result};

use crate::json;

/// Makes decoders of `format`.
pub fn decoder(format: Format) -> NewDecoder {
    match format {
        Format::Text | Format::Bytes => Arc::new(|| Box::new(Raw)),
        Format::Json => Arc::new(|| Box::new(Json)),
    }
}

/// Text and bytes: the payload is the value, whatever it holds. Text is not checked to be UTF-8
/// here: a log with one bad byte must pass unchanged; who needs characters checks them.
struct Raw;

impl Decoder for Raw {
    #[inline]
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        out.push(
            envelope.timestamp_ms,
            envelope.key,
            Some(payload),
            envelope.headers,
        )
        .map_err(|error| Error::record("take", "a record").because(error))
    }
}

/// One JSON text a payload, checked strictly and passed on as it is written: no number loses a
/// digit, no field its place. A payload of nothing but white space is no record, as in JSON Lines.
struct Json;

impl Decoder for Json {
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        if payload.iter().all(|byte| byte.is_ascii_whitespace()) {
            return Ok(());
        }
        json::validate(payload).map_err(|fault| Error::record("read", "JSON").because(fault))?;
        Raw.decode(payload, envelope, out)
    }
}
