//! Connector for PostgreSQL. `README.md` says what it promises.

#![warn(missing_docs)]

mod source;
pub mod wire;

use towpath_sdk::{ConnectorType, SourceType};

/// The type `postgres`.
pub fn connector_type() -> ConnectorType {
    ConnectorType {
        name: "postgres",
        summary: "Captures the rows and changes of tables.",
        source: Some(SourceType {
            spec: source::config::PostgresSourceConfig::spec,
            parse: source::config::PostgresSourceConfig::parse,
            template_names: &[
                ("database", "the database"),
                ("schema", "the table's schema"),
                ("table", "the table"),
            ],
        }),
        sink: None,
    }
}
