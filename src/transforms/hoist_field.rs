//! `hoist_field`: wraps the whole in an object, as Kafka Connect's `HoistField` does.

use std::sync::Arc;

use towpath_sdk::config::{Format, Node, Problems, options};
use towpath_sdk::json::Kind;
use towpath_sdk::{
    Cell, Path, Result, Step, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::target::Target;

options! {
    struct Options {
        /// The field that the whole becomes. Null becomes a field that is null, so that a tombstone
        /// is none any more; text becomes a string, bytes become base64. A key is taken for JSON
        /// where it is JSON, else for text.
        field: Path,
        /// The half of the record that is changed.
        target: Target = "value",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "hoist_field",
    summary: "Wraps the whole value in an object.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "a list under a name",
        options: "field: batch.items",
        input: "[1,2]",
        output: r#"{"batch":{"items":[1,2]}}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let Options { field, target } = Options::parse(node, problems)?;
    if field
        .steps()
        .iter()
        .any(|step| matches!(step, Step::Index(_)))
    {
        problems.add(node.span_of("field"), "expected names of fields, no index");
        return None;
    }
    Some(Arc::new(HoistField { field, target }))
}

#[derive(Debug, Clone)]
struct HoistField {
    field: Path,
    target: Target,
}

impl TransformConfig for HoistField {
    fn output(&self, format: Format) -> Format {
        self.target.output(format)
    }

    fn makes_keys(&self) -> bool {
        self.target == Target::Key
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for HoistField {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let side = self.target.side();
        batch.each(|batch, row| {
            let whole = batch.whole(row, side)?;
            let object = batch.documents_mut().new_tree(Kind::Object);
            batch.documents_mut().put(object, &self.field, whole)?;
            batch.set_cell(row, side, Cell::Document(object));
            Ok(())
        })
    }
}
