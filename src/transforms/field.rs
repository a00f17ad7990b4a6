//! Fields at paths, by the one rule of all transforms.
//!
//! Kafka Connect's rule, continued into nested values: null stays null, and a field that is missing
//! from an object becomes null. Where that object itself is missing or null, also as the whole value,
//! nothing changes; where something else stands in its place, the record is refused.

use towpath_sdk::config::{Node, Problems};
use towpath_sdk::json::{Documents, Kind, NodeId};
use towpath_sdk::{Error, Path, Result, Step};

/// What stands at a path.
pub(crate) enum Place {
    /// A value, perhaps null.
    Value(NodeId),
    /// Nothing, in an object that could have it.
    Free,
    /// Nothing, and nothing that could have it.
    Nowhere,
}

/// Looks for `path` below `root`.
///
/// # Errors
/// A record error when the path leads through something that has no fields or items.
pub(crate) fn look(documents: &Documents, root: NodeId, path: &Path) -> Result<Place> {
    let mut at = root;
    for (depth, step) in path.steps().iter().enumerate() {
        let next = match (step, documents.kind(at)) {
            (Step::Field(name), Kind::Object) => documents.field(at, name),
            (Step::Index(index), Kind::Array) => documents.item(at, *index),
            (_, Kind::Null) => return Ok(Place::Nowhere),
            (_, kind) => return Err(wrong_turn(path, depth, kind)),
        };
        match (next, step) {
            (Some(next), _) => at = next,
            (None, Step::Field(_)) if depth + 1 == path.steps().len() => return Ok(Place::Free),
            (None, _) => return Ok(Place::Nowhere),
        }
    }
    Ok(Place::Value(at))
}

#[cold]
fn wrong_turn(path: &Path, depth: usize, kind: Kind) -> Error {
    let place = match depth {
        0 => "the value".to_owned(),
        _ => format!("`{}`", path.prefix(depth)),
    };
    Error::record("find", format!("`{path}`")).because(format!(
        "{place} is {}, which has no such part",
        kind.as_str()
    ))
}

/// Replaces what stands at `path` by what `change` makes of it; it says why it cannot, and `doing`
/// says what it is about.
///
/// # Errors
/// A record error when it cannot, and those of [`look`].
pub(crate) fn change(
    documents: &mut Documents,
    root: NodeId,
    path: &Path,
    doing: &str,
    change: impl FnOnce(&mut Documents, NodeId) -> Result<NodeId, String>,
) -> Result<()> {
    let changed = match look(documents, root, path)? {
        Place::Nowhere => return Ok(()),
        Place::Free => documents.new_null(),
        Place::Value(node) if documents.kind(node) == Kind::Null => return Ok(()),
        Place::Value(node) => {
            let changed = change(documents, node)
                .map_err(|why| Error::record(doing, format!("`{path}`")).because(why))?;
            if changed == node {
                return Ok(());
            }
            changed
        }
    };
    documents.put(root, path, changed)
}

/// `items` of option `name`, of which there must be one.
pub(crate) fn at_least_one<T>(
    items: Vec<T>,
    name: &str,
    node: &Node,
    problems: &mut Problems,
) -> Option<Vec<T>> {
    if items.is_empty() {
        problems.add(node.span_of(name), format!("`{name}` is empty"));
        return None;
    }
    Some(items)
}
