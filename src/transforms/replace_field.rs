//! `replace_field`: keeps, leaves out and renames fields, as Kafka Connect's `ReplaceField` does.

use std::sync::Arc;

use towpath_sdk::config::{ByPath, Node, OneOrMany, Problem, Problems, options};
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
        /// New names of fields, by their paths. A field stays in its object. All names are given at
        /// once; a field that had such a name before goes, unless it gets another.
        rename: Option<ByPath<String>>,
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
            options: "{ exclude: [user.password], rename: { ip: client, user.name: login } }",
            input: r#"{"ip":"10.0.0.1","user":{"name":"ada","password":"x"}}"#,
            output: r#"{"client":"10.0.0.1","user":{"login":"ada"}}"#,
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
    let rename = match options.rename {
        Some(ByPath(names)) => match Renames::of(&names) {
            Ok(rename) => rename,
            Err((message, help)) => {
                problems.push(Problem::new(node.span_of("rename"), message).help(help));
                return None;
            }
        },
        None => Vec::new(),
    };
    Some(Arc::new(ReplaceField {
        include: options.include.map(|paths| Kept::tree(&paths)),
        exclude: options.exclude.map(|paths| paths.0).unwrap_or_default(),
        rename,
        renamed: Vec::new(),
        side: options.target.side(),
    }))
}

#[derive(Debug, Clone)]
struct ReplaceField {
    include: Option<Vec<Kept>>,
    exclude: Vec<Path>,
    rename: Vec<Renames>,
    /// The fields at hand that one of `rename` names.
    renamed: Vec<Option<NodeId>>,
    side: Side,
}

/// New names in one object.
#[derive(Debug, Clone)]
struct Renames {
    /// The paths that lead to it, from the outside to itself; none to the whole value.
    way: Vec<Path>,
    /// Old and new.
    names: Vec<(String, String)>,
}

impl Renames {
    /// `names` by the objects they are in, the innermost first: all paths are of old names. An
    /// error is a message and what to do.
    fn of(names: &[(Path, String)]) -> Result<Vec<Self>, (String, String)> {
        let mut all: Vec<Self> = Vec::new();
        for (from, new) in names {
            let Some((Step::Field(old), parents)) = from.steps().split_last() else {
                let message = format!("`{from}` is an item of a list, which has no name");
                return Err((message, "name a field".to_owned()));
            };
            let way: Vec<_> = (1..=parents.len())
                .map(|steps| from.prefix(steps))
                .collect();
            let index = all.iter().position(|known| known.way == way);
            let index = index.unwrap_or_else(|| {
                let names = Vec::new();
                all.push(Self { way, names });
                all.len() - 1
            });
            let known = &mut all[index].names;
            if let Some((other, _)) = known.iter().find(|(_, other)| other == new) {
                let message = format!("`{other}` and `{old}` cannot both become `{new}`");
                return Err((message, "give one of them another name".to_owned()));
            }
            known.push((old.clone(), new.clone()));
        }
        all.sort_by_key(|renames| std::cmp::Reverse(renames.way.len()));
        Ok(all)
    }
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
    fn needs_fields(&self) -> bool {
        self.side == Side::Value
    }

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
            for renames in &self.rename {
                rename(documents, root, renames, &mut self.renamed);
            }
            Ok(())
        })
    }
}

/// Gives fields their new names; `renamed` is memory for the fields at hand.
fn rename(
    documents: &mut Documents,
    root: NodeId,
    Renames { way, names }: &Renames,
    renamed: &mut Vec<Option<NodeId>>,
) {
    let tree = way
        .last()
        .map_or(Some(root), |path| documents.find(root, path));
    let Some(tree) = tree else { return };
    renamed.clear();
    renamed.extend(names.iter().map(|(from, _)| documents.field(tree, from)));
    if renamed.iter().all(Option::is_none) {
        return;
    }
    documents.touch(root);
    for path in way {
        if let Some(above) = documents.find(root, path) {
            documents.touch(above);
        }
    }
    documents.retain(tree, |documents, _, child| {
        let is_replaced = |((_, to), new): (&(String, String), &Option<NodeId>)| {
            new.is_some() && documents.is_field(tree, child, to)
        };
        renamed.contains(&Some(child)) || !names.iter().zip(&*renamed).any(is_replaced)
    });
    for ((_, to), child) in names.iter().zip(&*renamed) {
        if let Some(child) = child {
            documents.rename(tree, *child, to);
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
