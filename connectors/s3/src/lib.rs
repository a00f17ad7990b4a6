//! Connector for object storage that speaks S3. `README.md` says what it promises.

#![warn(missing_docs)]

pub mod bucket;
pub mod client;
mod sink;
mod source;
pub mod uploads;

use towpath_sdk::{ConnectorType, SourceType};

/// The type `s3`.
pub fn connector_type() -> ConnectorType {
    ConnectorType {
        name: "s3",
        summary: "Reads the objects of a bucket; writes them, exactly once.",
        source: Some(SourceType {
            spec: source::config::S3SourceConfig::spec,
            parse: source::config::S3SourceConfig::parse,
            template_names: &[("path", "the object's key")],
        }),
        sink: Some(sink::sink_type()),
    }
}
