//! What a connector is: the traits it implements, the values and configuration it is given, and
//! the one error it returns.
//!
//! A connector crate depends on this crate and on `towpath-record`, on nothing else of ours. It
//! knows neither the log nor the runtime nor YAML: `open` hands it everything it needs. This crate
//! in turn does no I/O, has no runtime and no codec.
//!
//! Start reading at [`Source`] or [`Sink`]; `README.md` shows how the pieces meet.

#![warn(missing_docs)]

mod clock;
pub mod config;
mod error;
mod expression;
mod format;
pub mod framing;
pub mod json;
mod path;
mod refused;
mod registry;
mod schema;
mod secret;
#[allow(missing_docs)]
mod sink;
mod sink_progress;
mod source;
mod state;
mod template;
#[cfg(feature = "testing")]
pub mod testing;
mod transform;
mod value;
mod working;

pub use async_trait::async_trait;

pub use clock::now_ms;
pub use error::{Error, ErrorKind, Result, printable};
pub use expression::Expression;
pub use format::{
    Block, Codecs, Compressor, Content, Decoder, Encoder, Envelope, NewDecoder, NewEncoder,
    RecordFile,
};
pub use path::*;
pub use refused::{
    HEAD_HEADER, Limits, OnError, Original, Place, RATE_RECORDS_MIN, REFUSED_BYTES, REFUSED_MAX,
    Reached, Refused, Stage, Tolerance,
};
pub use registry::{ConnectorType, Registry, SinkConfig, SinkType, SourceConfig, SourceType};
pub use schema::{Field, FieldType, Schema, SchemaHeaders, SchemaId, Schemas};
pub use secret::{hide_secrets, keep_secret};
pub use sink::{Flushed, Sink, SinkBatch, SinkContext, SinkOffset, SinkPartition, SinkTopic};
pub use sink_progress::SinkProgress;
pub use source::{Origin, Part, RECORD_BYTES_MAX, Source, SourceBatch, SourceContext};
pub use state::{Health, State, StateChange};
pub use template::*;
pub use transform::{
    Transform, TransformChanges, TransformConfig, TransformContext, TransformExample, TransformType,
};
pub use value::Value;
pub use working::{
    Cell, Outgoing, RefusedRow, Side, WorkingBatch, in_topic_name, is_internal_topic,
};
