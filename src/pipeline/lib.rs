//! YAML to a checked pipeline, with diagnostics.
//!
//! [`load`] reads every file, and gives either pipelines in which all is known to be right that
//! can be known before anything starts, or [`Diagnostics`] with everything that is wrong. Nothing
//! is created or connected here.
//!
//! The way of a file: text, YAML tree with places (`yaml`), references resolved (`reference`),
//! options parsed as their declarations say (`document`,
//! `connector`), then what only all files together show
//! (`check`).

#![warn(missing_docs)]

mod case;
mod check;
mod connector;
mod diagnostic;
mod document;
mod environment;
mod fields;
mod load;
mod manual;
mod name;
mod on_error;
mod options;
mod picture;
mod pipeline;
mod print;
mod reference;
mod schema;
mod transform;
mod worker;
mod yaml;

#[cfg(test)]
mod tests;

pub use case::{Brief, Case, Content, Expected, ExpectedRecord, InputRecord, Moment};
pub use diagnostic::Diagnostics;
pub use environment::{Environment, ProcessEnvironment};
pub use load::{ExistingTopic, Loaded, Surroundings, load, load_with_cases};
pub use manual::{ManualTable, NameInTemplates, manual_tables, template_names};
pub use on_error::BadRecords;
pub use options::{
    Cleanup, OnSchemaChange, PartitionBy, Partitions, Retention, Retry, TopicSelector,
    sink_options, source_options, stream_options,
};
pub use picture::picture;
pub use pipeline::{Connector, Input, Output, Pipeline, STREAM, Sink, Source, Stream, Topic};
pub use print::print;
pub use schema::{json_schema, worker_schema};
pub use transform::{ConfiguredTransform, output};
pub use worker::{
    AdminConfig, Durability, Listen, LogFormat, LogLevel, LoggingConfig, SETTINGS_FILE,
    TopicDefaults, WorkerConfig, load_worker_config,
};
