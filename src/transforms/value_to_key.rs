//! `value_to_key`: fields of the value become the key, as Kafka Connect's `ValueToKey` does.

use std::sync::Arc;

use towpath_sdk::config::{Node, OneOrMany, Problems, options};
use towpath_sdk::json::Kind;
use towpath_sdk::{
    Cell, Path, Result, Side, Step, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::field::{Place, at_least_one, look};
use crate::target::object_there;

options! {
    struct Options {
        /// The fields, in the order in which the key has them, each under the last name of its
        /// path. A field that is missing is null.
        fields: OneOrMany<Path>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "value_to_key",
    summary: "Makes the key of fields of the value: an object. For one bare field, the connector's \
              `key` template is simpler.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "a key of two fields",
        options: "fields: [order.id, region]",
        input: r#"{"order":{"id":7},"region":"eu"}"#,
        output: r#"{"order":{"id":7},"region":"eu"}  # key: {"id":7,"region":"eu"}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let OneOrMany(paths) = Options::parse(node, problems)?.fields;
    let mut fields: Vec<(String, Path)> = Vec::new();
    for path in at_least_one(paths, "fields", node, problems)? {
        let place = node.span_of("fields");
        let Some(Step::Field(name)) = path.steps().last() else {
            problems.add(
                place,
                format!("`{path}` has no name that the key could have"),
            );
            return None;
        };
        match fields.iter().find(|(known, _)| known == name) {
            Some((_, known)) if *known == path => {}
            Some((_, known)) => {
                let message = format!("`{known}` and `{path}` would both be `{name}` in the key");
                problems.add(place, message);
                return None;
            }
            None => fields.push((name.clone(), path)),
        }
    }
    Some(Arc::new(ValueToKey { fields }))
}

#[derive(Debug, Clone)]
struct ValueToKey {
    /// With the names they have in the key.
    fields: Vec<(String, Path)>,
}

impl TransformConfig for ValueToKey {
    fn needs_fields(&self) -> bool {
        true
    }

    fn makes_keys(&self) -> bool {
        true
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for ValueToKey {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let root = object_there(batch, row, Side::Value, "copy")?;
            let documents = batch.documents_mut();
            let key = documents.new_tree(Kind::Object);
            for (name, path) in &self.fields {
                let copy = match look(documents, root, path)? {
                    Place::Value(node) => documents.copy(node)?,
                    Place::Free | Place::Nowhere => documents.new_null(),
                };
                documents.append(key, name, copy);
            }
            batch.set_cell(row, Side::Key, Cell::Document(key));
            Ok(())
        })
    }
}
