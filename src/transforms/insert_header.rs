//! `insert_header`: a header for every record, as Kafka Connect's `InsertHeader` does.

use std::sync::Arc;

use towpath_sdk::config::{Node, Problems, options};
use towpath_sdk::{
    Result, Transform, TransformConfig, TransformContext, TransformExample, TransformType,
    WorkingBatch,
};

options! {
    struct Options {
        /// The header's name. Headers of the same name stay; the new one stands last.
        header: String,
        /// Its text.
        value: String,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "insert_header",
    summary: "Adds a header.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "where records are from",
        options: "{ header: origin, value: eu-1 }",
        input: r#"{"id":7}"#,
        output: r#"{"id":7}  # header origin: eu-1"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let Options { header, value } = Options::parse(node, problems)?;
    Some(Arc::new(InsertHeader { header, value }))
}

#[derive(Debug, Clone)]
struct InsertHeader {
    header: String,
    value: String,
}

impl TransformConfig for InsertHeader {
    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for InsertHeader {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            batch.add_header(row, &self.header, Some(self.value.as_bytes()));
            Ok(())
        })
    }
}
