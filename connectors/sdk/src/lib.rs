//! What a connector is: the traits it implements, the values and configuration it is given, and
//! the one error it returns.
//!
//! A connector crate depends on this crate and on `towpath-record`, on nothing else of ours. It
//! knows neither the log nor the runtime nor YAML: `open` hands it everything it needs. This crate
//! in turn does no I/O, has no runtime and no codec.
//!
//! Start reading at [`Source`] or [`Sink`]; `README.md` shows how the pieces meet.

pub mod config;
mod error;
mod expression;
mod format;
mod path;
mod registry;
mod schema;
mod secret;
mod sink;
mod source;
mod state;
mod template;
#[cfg(feature = "testing")]
pub mod testing;
mod transform;
mod value;

pub use async_trait::async_trait;

pub use error::{Error, ErrorKind, Result, printable};
pub use expression::Expression;
pub use format::{Codecs, Compressor, Decoder, Encoder, Envelope, NewDecoder};
pub use path::*;
pub use registry::{ConnectorType, Registry, SinkConfig, SinkType, SourceConfig, SourceType};
pub use schema::{Field, FieldType, Schema};
pub use secret::{hide_secrets, keep_secret};
pub use sink::{Flushed, Sink, SinkBatch, SinkContext, SinkOffset, SinkPartition, SinkTopic};
pub use source::{Origin, Part, Source, SourceBatch, SourceContext};
pub use state::{Health, OnError, Refused, State, StateChange};
pub use template::*;
pub use transform::{Edited, Transform, TransformContext, WorkingBatch};
pub use value::Value;
