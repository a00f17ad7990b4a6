//! Decoders: from what a source has framed to records.

use std::sync::Arc;

use bytes::Bytes;
use towpath_record::BatchBuilder;
use towpath_sdk::config::InputFormat;
use towpath_sdk::json::{self, Documents, Fault, Kind};
use towpath_sdk::{Decoder, Envelope, Error, NewDecoder, Result, Schemas};

use crate::avro::AvroDecoder;
use crate::csv::{Csv, CsvDecoder};
use crate::logfmt::Logfmt;
use crate::parquet::ParquetDecoder;
use crate::parse::{Parsing, push};
use crate::syslog::Syslog;

/// Makes decoders of `format`. Those that know the types of what they read tell `schemas` of them,
/// and their records have the schema's id in a header.
///
/// # Errors
/// A configuration error when the options of CSV do not go together, which
/// [`CsvOptions::check`](towpath_sdk::config::CsvOptions::check) has found before.
pub fn decoder(format: impl Into<InputFormat>, schemas: &Arc<dyn Schemas>) -> Result<NewDecoder> {
    let schemas = schemas.clone();
    Ok(match format.into() {
        InputFormat::Text | InputFormat::Bytes => Arc::new(|| Box::new(Raw)),
        InputFormat::Json => Arc::new(|| Box::new(Json)),
        InputFormat::JsonArray => Arc::new(|| Box::new(JsonArray::default())),
        InputFormat::Csv(options) => {
            let csv = Csv::new(options)
                .map_err(|why| Error::configuration("read", "CSV").because(why))?;
            Arc::new(move || Box::new(CsvDecoder::new(csv.clone(), schemas.clone())))
        }
        InputFormat::Logfmt { lenient } => {
            Arc::new(move || Box::new(Parsing::new(Logfmt::new(lenient))))
        }
        InputFormat::Syslog { lenient } => {
            Arc::new(move || Box::new(Parsing::new(Syslog::new(lenient))))
        }
        InputFormat::Avro => Arc::new(move || Box::new(AvroDecoder::new(schemas.clone()))),
        InputFormat::Parquet => Arc::new(move || Box::new(ParquetDecoder::new(schemas.clone()))),
    })
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
        push(payload, envelope, out)
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

/// A JSON list a payload, each item a record, as it is written.
#[derive(Default)]
struct JsonArray {
    documents: Documents,
}

impl Decoder for JsonArray {
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        let cannot = |fault| Error::record("read", "a JSON list").because(fault);
        self.documents.reset(Bytes::new());
        let span = self.documents.make(|made| made.extend_from_slice(payload));
        let root = self.documents.parse(span).map_err(cannot)?;
        if self.documents.kind(root) != Kind::Array {
            let what = "it is no list";
            return Err(cannot(Fault { at: 0, what }));
        }
        for item in self.documents.children(root) {
            push(self.documents.text(item).as_bytes(), envelope, out)?;
        }
        Ok(())
    }
}
