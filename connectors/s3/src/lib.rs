//! Connector for object storage that speaks S3. `README.md` says what it promises.

#![warn(missing_docs)]

pub mod bucket;
pub mod client;
mod sink;
pub mod uploads;

use towpath_sdk::ConnectorType;

/// The type `s3`.
pub fn connector_type() -> ConnectorType {
    ConnectorType {
        name: "s3",
        summary: "Writes the objects of a bucket, exactly once.",
        source: None,
        sink: Some(sink::sink_type()),
    }
}
