//! Connector for the worker's own stdin and stdout.
//!
//! Neither can be asked for anything twice: what came from stdin and was not yet durable when the
//! worker was killed is lost, what was printed and not yet committed is printed again.

#![warn(missing_docs)]

mod stdin;
mod stdout;
#[cfg(test)]
mod tests;

use towpath_sdk::{ConnectorType, SinkType, SourceType};

/// The connector types `stdin` and `stdout`.
pub fn connector_types() -> Vec<ConnectorType> {
    vec![
        ConnectorType {
            name: "stdin",
            summary: "Reads the worker's standard input to its end.",
            source: Some(SourceType {
                spec: stdin::StdinOptions::spec,
                parse: stdin::parse,
                template_names: &[],
            }),
            sink: None,
        },
        ConnectorType {
            name: "stdout",
            summary: "Prints records on the worker's standard output, one a line.",
            source: None,
            sink: Some(SinkType {
                spec: stdout::StdoutOptions::spec,
                parse: stdout::parse,
            }),
        },
    ]
}
