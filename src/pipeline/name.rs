//! Names: what Kafka allows for a topic, for pipelines and connectors too.

use towpath_sdk::config::{Node, Problem, Problems};
use towpath_sdk::{is_internal_topic, printable};

/// The longest topic name of Kafka.
const NAME_BYTES_MAX: usize = 249;

/// Whether `name` can be the name of a `what`; otherwise reports it at `node`.
pub(crate) fn check(what: &str, name: &str, node: &Node, problems: &mut Problems) -> bool {
    let shown = match &node.reference {
        Some(reference) => printable(&reference.written),
        None => printable(name),
    };
    let Some(why) = wrong(name) else { return true };
    let problem = Problem::new(
        node.span,
        format!("`{shown}` cannot be the name of a {what}: {why}"),
    );
    problems.push(problem.help("letters, digits, `.`, `_` and `-`, at most 249"));
    false
}

/// Why `name` is no legal name.
pub(crate) fn wrong(name: &str) -> Option<String> {
    let legal =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    if name.is_empty() {
        return Some("it is empty".to_owned());
    }
    if name == "." || name == ".." {
        return Some("it is the name of a folder".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return Some(format!("it has {} bytes", name.len()));
    }
    if is_internal_topic(name) {
        return Some("names that begin with `__towpath.` are Towpath's own".to_owned());
    }
    name.chars()
        .find(|character| !legal(*character))
        .map(|character| match character {
            ' ' => "it has a space".to_owned(),
            character => format!("it has `{}`", printable(&character.to_string())),
        })
}
