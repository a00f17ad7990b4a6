//! `flatten`: nested objects become one, as Kafka Connect's `Flatten` does.

use std::sync::Arc;

use towpath_sdk::config::{Node, Problems, options};
use towpath_sdk::json::{Documents, Kind, NodeId, put_string};
use towpath_sdk::{
    Cell, Error, Result, Side, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::target::{Target, object};

options! {
    struct Options {
        /// What stands between the names of a field and of those inside it.
        delimiter: String = ".",
        /// The half of the record that is changed.
        target: Target = "value",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "flatten",
    summary: "Makes one object of nested ones. Lists are left as they are; empty objects vanish.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "column names",
        options: "delimiter: _",
        input: r#"{"id":7,"user":{"name":"Ada","tags":["a"]}}"#,
        output: r#"{"id":7,"user_name":"Ada","user_tags":["a"]}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let Options { delimiter, target } = Options::parse(node, problems)?;
    let mut quoted = Vec::new();
    put_string(&delimiter, &mut quoted);
    Some(Arc::new(Flatten {
        delimiter: quoted[1..quoted.len() - 1].to_vec(),
        side: target.side(),
        name: Vec::new(),
        leaves: Vec::new(),
    }))
}

#[derive(Debug, Clone)]
struct Flatten {
    /// As it stands within quotes.
    delimiter: Vec<u8>,
    side: Side,
    /// The name so far, as it stands within quotes.
    name: Vec<u8>,
    /// The fields of the new object.
    leaves: Vec<NodeId>,
}

impl TransformConfig for Flatten {
    fn needs_fields(&self) -> bool {
        self.side == Side::Value
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Flatten {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let Some(root) = object(batch, row, self.side, "flatten")? else {
                return Ok(());
            };
            let documents = batch.documents_mut();
            let is_flat = |node| documents.kind(node) != Kind::Object;
            if documents.children(root).all(is_flat) {
                return Ok(());
            }
            let flat = documents.new_tree(Kind::Object);
            self.name.clear();
            self.leaves.clear();
            self.gather(documents, root, flat)?;
            self.check_names(documents)?;
            batch.set_cell(row, self.side, Cell::Document(flat));
            Ok(())
        })
    }
}

impl Flatten {
    /// Appends what is in `tree` to `flat`. As deep as the value is nested: 128 at most, and what
    /// transforms before this one have added.
    fn gather(&mut self, documents: &mut Documents, tree: NodeId, flat: NodeId) -> Result<()> {
        let above = self.name.len();
        let mut next = documents.children(tree).next();
        while let Some(child) = next {
            // The child leaves the list that it stands in.
            next = documents.sibling(child);
            if above > 0 {
                self.name.extend_from_slice(&self.delimiter);
            }
            self.name
                .extend_from_slice(documents.name_text(child).as_bytes());
            if documents.kind(child) == Kind::Object {
                self.gather(documents, child, flat)?;
            } else {
                let name = documents.make(|out| {
                    out.push(b'"');
                    out.extend_from_slice(&self.name);
                    out.push(b'"');
                });
                documents.append_quoted(flat, name, child);
                self.leaves.push(child);
            }
            self.name.truncate(above);
        }
        Ok(())
    }

    /// Two fields must not get one name: which of them is meant nobody could tell.
    fn check_names(&mut self, documents: &Documents) -> Result<()> {
        self.leaves
            .sort_unstable_by(|left, right| documents.name(*left).cmp(&documents.name(*right)));
        let twice = self
            .leaves
            .windows(2)
            .find(|pair| documents.name(pair[0]) == documents.name(pair[1]));
        match twice {
            None => Ok(()),
            Some(pair) => {
                let name = documents.name(pair[0]);
                Err(Error::record("flatten", "the record")
                    .because(format!("two of its fields would be `{name}`"))
                    .remedy("choose another `delimiter`"))
            }
        }
    }
}
