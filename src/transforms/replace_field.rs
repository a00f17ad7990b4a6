//! `replace_field`: keeps, leaves out and renames fields, as Kafka Connect's `ReplaceField` does.

use std::sync::Arc;

use towpath_sdk::config::{Named, Node, OneOrMany, Problems, options};
use towpath_sdk::json::{Documents, Kind, NodeId};
use towpath_sdk::{
    Path, Result, Side, Step, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::target::{Target, object};

options! {
    /// At least one of `include`, `exclude` and `rename` is given.
    struct Options {
        /// Only these fields are kept.
        include: Option<OneOrMany<Path>>,
        /// These fields are left out, of those that `include` keeps.
        exclude: Option<OneOrMany<Path>>,
        /// New names, by the old ones, of fields of the value itself. All are given at once; a
        /// field that had such a name before goes, unless it gets another.
        rename: Option<Named<String>>,
        /// The half of the record that is changed.
        target: Target = "value",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "replace_field",
    summary: "Keeps, leaves out or renames fields.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "leave out and rename",
            options: "{ exclude: [user.password], rename: { ip: client } }",
            input: r#"{"ip":"10.0.0.1","user":{"name":"ada","password":"x"}}"#,
            output: r#"{"client":"10.0.0.1","user":{"name":"ada"}}"#,
        },
        TransformExample {
            title: "keep some",
            options: "include: [id, user.name]",
            input: r#"{"id":7,"ip":"10.0.0.1","user":{"name":"ada","password":"x"}}"#,
            output: r#"{"id":7,"user":{"name":"ada"}}"#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    if options.include.is_none() && options.exclude.is_none() && options.rename.is_none() {
        let message = "`replace_field` takes `include`, `exclude` or `rename`";
        problems.add(node.span, message);
        return None;
    }
    let rename = options.rename.map(|names| names.0).unwrap_or_default();
    for (index, (from, to)) in rename.iter().enumerate() {
        if let Some((other, _)) = rename[..index].iter().find(|(_, other)| other == to) {
            let message = format!("`{other}` and `{from}` cannot both become `{to}`");
            problems.add(node.span_of("rename"), message);
            return None;
        }
    }
    Some(Arc::new(ReplaceField {
        include: options.include.map(|paths| Kept::tree(&paths)),
        exclude: options.exclude.map(|paths| paths.0).unwrap_or_default(),
        renamed: Vec::with_capacity(rename.len()),
        rename,
        side: options.target.side(),
    }))
}

#[derive(Debug, Clone)]
struct ReplaceField {
    include: Option<Vec<Kept>>,
    exclude: Vec<Path>,
    rename: Vec<(String, String)>,
    /// The fields at hand that `rename` names.
    renamed: Vec<Option<NodeId>>,
    side: Side,
}

/// A step that paths of `include` have in common, and how they go on; where one ends, nowhere: all
/// below it is kept.
#[derive(Debug, Clone)]
struct Kept {
    step: Step,
    below: Vec<Kept>,
}

impl Kept {
    /// The steps of `paths` as a tree.
    fn tree(paths: &[Path]) -> Vec<Self> {
        let mut tree = Vec::new();
        for path in paths {
            Self::add(&mut tree, path.steps());
        }
        tree
    }

    fn add(tree: &mut Vec<Self>, steps: &[Step]) {
        let Some((first, rest)) = steps.split_first() else {
            // What was to be kept of this place is more now: all of it.
            return tree.clear();
        };
        if let Some(known) = tree.iter_mut().find(|kept| kept.step == *first) {
            if !known.below.is_empty() {
                Self::add(&mut known.below, rest);
            }
            return;
        }
        let mut below = Vec::new();
        if !rest.is_empty() {
            Self::add(&mut below, rest);
        }
        let step = first.clone();
        tree.push(Self { step, below });
    }
}

impl TransformConfig for ReplaceField {
    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for ReplaceField {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let Some(root) = object(batch, row, self.side, "replace")? else {
                return Ok(());
            };
            let documents = batch.documents_mut();
            if let Some(include) = &self.include {
                keep(documents, root, include);
            }
            for path in &self.exclude {
                documents.take(root, path);
            }
            self.rename(documents, root);
            Ok(())
        })
    }
}

impl ReplaceField {
    fn rename(&mut self, documents: &mut Documents, root: NodeId) {
        let Self {
            rename, renamed, ..
        } = self;
        renamed.clear();
        renamed.extend(rename.iter().map(|(from, _)| documents.field(root, from)));
        if renamed.iter().all(Option::is_none) {
            return;
        }
        documents.retain(root, |documents, _, child| {
            let is_replaced = |((_, to), new): (&(String, String), &Option<NodeId>)| {
                new.is_some() && documents.is_field(root, child, to)
            };
            renamed.contains(&Some(child)) || !rename.iter().zip(&*renamed).any(is_replaced)
        });
        for ((_, to), child) in rename.iter().zip(&*renamed) {
            if let Some(child) = child {
                documents.rename(root, *child, to);
            }
        }
    }
}

/// Removes from `tree` what `kept` does not lead to. Nested no deeper than the paths.
fn keep(documents: &mut Documents, tree: NodeId, kept: &[Kept]) {
    let kind = documents.kind(tree);
    documents.retain(tree, |documents, index, child| {
        let leads_here = |kept: &&Kept| match &kept.step {
            Step::Field(name) => documents.is_field(tree, child, name),
            Step::Index(wanted) => kind == Kind::Array && *wanted == index,
        };
        let Some(found) = kept.iter().find(leads_here) else {
            return false;
        };
        if found.below.is_empty() {
            return true;
        }
        keep(documents, child, &found.below);
        documents.touch(tree);
        matches!(documents.kind(child), Kind::Array | Kind::Object)
    });
}
