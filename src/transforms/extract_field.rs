//! `extract_field`: a field in the place of the whole, as Kafka Connect's `ExtractField` does.

use std::sync::Arc;

use towpath_sdk::config::{Node, Problems, options};
use towpath_sdk::json::Kind;
use towpath_sdk::{
    Cell, Path, Result, Side, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::field::{Place, look};
use crate::target::Target;

options! {
    struct Options {
        /// The field that becomes the whole. Where it is missing or null, so is the whole: a record
        /// without a value is a tombstone.
        field: Path,
        /// The half of the record that is changed.
        target: Target = "value",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "extract_field",
    summary: "Puts a field in the place of the whole value.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "the state behind a change",
        options: "field: change.after",
        input: r#"{"change":{"before":null,"after":{"id":7}}}"#,
        output: r#"{"id":7}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let Options { field, target } = Options::parse(node, problems)?;
    let side = target.side();
    Some(Arc::new(ExtractField { field, side }))
}

#[derive(Debug, Clone)]
struct ExtractField {
    field: Path,
    side: Side,
}

impl TransformConfig for ExtractField {
    fn needs_fields(&self) -> bool {
        self.side == Side::Value
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for ExtractField {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let Some(root) = batch.root(row, self.side)? else {
                return Ok(());
            };
            let documents = batch.documents();
            let cell = match look(documents, root, &self.field)? {
                Place::Value(node) if documents.kind(node) != Kind::Null => Cell::Document(node),
                _ => Cell::Null,
            };
            batch.set_cell(row, self.side, cell);
            Ok(())
        })
    }
}
