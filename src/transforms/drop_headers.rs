//! `drop_headers`: removes headers, as Kafka Connect's `DropHeaders` does.

use std::sync::Arc;

use towpath_sdk::config::{Node, OneOrMany, Problems, options};
use towpath_sdk::{
    Result, Transform, TransformConfig, TransformContext, TransformExample, TransformType,
    WorkingBatch,
};

use crate::field::at_least_one;

options! {
    struct Options {
        /// Names of headers; every header of such a name goes.
        headers: OneOrMany<String>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "drop_headers",
    summary: "Removes headers.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "every header of a name",
        options: "headers: [trace-id, debug]",
        input: r#"{"id":7}  # header debug: 1; header host: a; header debug: 2"#,
        output: r#"{"id":7}  # header host: a"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let OneOrMany(headers) = Options::parse(node, problems)?.headers;
    let names = at_least_one(headers, "headers", node, problems)?;
    Some(Arc::new(DropHeaders { names }))
}

#[derive(Debug, Clone)]
struct DropHeaders {
    names: Vec<String>,
}

impl TransformConfig for DropHeaders {
    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for DropHeaders {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let goes = |name: &[u8]| self.names.iter().any(|gone| gone.as_bytes() == name);
            batch.retain_headers(row, |header| !goes(header.key));
            Ok(())
        })
    }
}
