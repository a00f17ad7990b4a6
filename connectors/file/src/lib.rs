//! Connector for files: a source that follows files through rotation, and a sink that writes each
//! record exactly once. `README.md` says what both promise.

#![warn(missing_docs)]

mod config;
mod sink;
mod source;

use towpath_sdk::{ConnectorType, SourceType};

/// The type `file`.
pub fn connector_type() -> ConnectorType {
    ConnectorType {
        name: "file",
        summary: "Reads and follows files; writes files, exactly once.",
        source: Some(SourceType {
            spec: config::FileSourceConfig::spec,
            parse: config::FileSourceConfig::parse,
            template_names: &[("path", "the file's path when it was first seen")],
        }),
        sink: Some(sink::sink_type()),
    }
}
