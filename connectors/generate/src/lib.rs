//! Source of generated records, for tests and trials.
//!
//! Record N is a function of the options and N alone. The next number is state, committed with the
//! records, so each number comes exactly once over any restarts.

#![warn(missing_docs)]

mod config;
mod source;
#[cfg(test)]
mod tests;
mod value;

use towpath_sdk::{ConnectorType, SourceType};

/// The connector type `generate`.
pub fn connector_type() -> ConnectorType {
    ConnectorType {
        name: "generate",
        summary: "Makes up records, as many and as fast as wanted.",
        source: Some(SourceType {
            spec: config::GenerateOptions::spec,
            parse: config::parse,
            template_names: &[],
        }),
        sink: None,
    }
}
