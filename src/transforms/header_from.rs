//! `header_from`: fields become headers, as Kafka Connect's `HeaderFrom` does.

use std::sync::Arc;

use towpath_sdk::config::{Named, Node, Problems, choice, options};
use towpath_sdk::json::{Documents, Kind, NodeId};
use towpath_sdk::{
    Path, Result, Transform, TransformConfig, TransformContext, TransformExample, TransformType,
    WorkingBatch,
};

use crate::field::{Place, at_least_one, look};
use crate::target::{Target, object_there};

choice! {
    /// What happens to the field.
    pub enum Operation {
        /// It stays.
        Copy = "copy",
        /// It goes.
        Move = "move",
    }
}

options! {
    struct Options {
        /// The field for each header, by the header's name. A text becomes the header as it is,
        /// all else as JSON text; a field that is missing or null makes a null header. Headers of
        /// the same name stay.
        headers: Named<Path>,
        /// What happens to the fields.
        operation: Operation = "copy",
        /// The half of the record whose fields they are.
        target: Target = "value",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "header_from",
    summary: "Copies or moves fields to headers.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "out of the value",
        options: "{ headers: { trace-id: meta.trace }, operation: move }",
        input: r#"{"id":7,"meta":{"trace":"4bf92f","host":"a"}}"#,
        output: r#"{"id":7,"meta":{"host":"a"}}  # header trace-id: 4bf92f"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let headers = at_least_one(options.headers.0, "headers", node, problems)?;
    Some(Arc::new(HeaderFrom {
        headers,
        operation: options.operation,
        target: options.target,
        text: Vec::new(),
    }))
}

#[derive(Debug, Clone)]
struct HeaderFrom {
    headers: Vec<(String, Path)>,
    operation: Operation,
    target: Target,
    /// The header at hand.
    text: Vec<u8>,
}

impl TransformConfig for HeaderFrom {
    fn needs_fields(&self) -> bool {
        self.target == Target::Value
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for HeaderFrom {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let root = object_there(batch, row, self.target.side(), "copy")?;
            for (name, path) in &self.headers {
                self.text.clear();
                let is_there = match look(batch.documents(), root, path)? {
                    Place::Value(node) => put_text(batch.documents(), node, &mut self.text),
                    Place::Free | Place::Nowhere => false,
                };
                batch.add_header(row, name, is_there.then_some(&self.text));
            }
            if self.operation == Operation::Move {
                for (_, path) in &self.headers {
                    batch.documents_mut().take(root, path);
                }
            }
            Ok(())
        })
    }
}

/// Appends a value as a header has it; false for null.
fn put_text(documents: &Documents, node: NodeId, out: &mut Vec<u8>) -> bool {
    match documents.string(node) {
        Some(text) => out.extend_from_slice(text.as_bytes()),
        None => documents.write(node, out),
    }
    documents.kind(node) != Kind::Null
}
