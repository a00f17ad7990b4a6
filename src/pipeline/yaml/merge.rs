//! `<<`: the entries of other maps, where the map itself has none of that name.

use towpath_sdk::config::{Node, NodeValue, Problem, Problems};

use super::tree::Entries;

/// Adds to `entries` what `sources`, the values of `<<`, have; earlier ones win.
pub(super) fn apply(entries: &mut Entries, sources: Vec<Node>, problems: &mut Problems) {
    for source in sources {
        match source.value {
            NodeValue::List(maps) => {
                for map in maps {
                    add(entries, map, problems);
                }
            }
            _ => add(entries, source, problems),
        }
    }
}

fn add(entries: &mut Entries, source: Node, problems: &mut Problems) {
    match source.value {
        NodeValue::Map(added) => {
            for (key, node) in added {
                entries.add_if_absent(key, node);
            }
        }
        _ => {
            let message = format!(
                "`<<` takes a map or a list of maps, found {}",
                source.found()
            );
            problems.push(Problem::new(source.span, message).help("such as `<<: *defaults`"));
        }
    }
}
