//! Option types for what transforms work on: paths into values, expressions, literals, and maps
//! whose names the user chooses.

use super::types::expect_text;
use super::{Form, Kind, Node, NodeValue, OptionType, Problem, Problems, Span};
use crate::json::{self, Documents, NodeId};
use crate::{Error, Path, Result, printable};

impl OptionType for Path {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "path",
            pattern: None,
            example: "order.items[0].price",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = expect_text(node, "a path into the value", problems)?;
        parse_path(text, node, problems)
    }
}

/// Reads a path that stands at `node`.
fn parse_path(text: &str, node: &Node, problems: &mut Problems) -> Option<Path> {
    match Path::parse(text) {
        Ok(_) if text.starts_with("value.") => {
            let inside = &text["value.".len()..];
            let message = format!("`{}`: a path is already inside the value", printable(text));
            let help = format!(
                "write `{inside}`; a field that is called value stands in backticks: `` `value`.{inside} ``"
            );
            problems.push(Problem::new(node.span, message).help(printable(&help)));
            None
        }
        Ok(path) => Some(path),
        Err(error) => {
            let place = node.span_within(error.at, error.at + 1);
            problems.add(place, format!("not a path: {error}"));
            None
        }
    }
}

/// The text of an expression, and where it stands. Who can compile it does so.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpressionText {
    /// As written.
    pub text: String,
    node: Node,
}

impl ExpressionText {
    /// Where byte `at` of the text stands.
    pub fn place(&self, at: usize) -> Span {
        self.node.span_within(at, at + 1)
    }
}

impl OptionType for ExpressionText {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "expression",
            pattern: None,
            example: "value.status >= 500",
        })
    }

    /// `true`, `false` and numbers are expressions, too.
    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = match &node.value {
            NodeValue::Bool(value) => value.to_string(),
            NodeValue::Number(text) => text.clone(),
            _ => expect_text(node, "an expression", problems)?.to_owned(),
        };
        Some(Self {
            text,
            node: node.clone(),
        })
    }
}

/// A plain value: whatever YAML can write, as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal(pub String);

impl Literal {
    /// A new node of it.
    ///
    /// # Errors
    /// A record error when the batch has too many nodes.
    pub fn node(&self, documents: &mut Documents) -> Result<NodeId> {
        if !self.0.starts_with(['[', '{']) {
            return Ok(documents.scalar(|out| out.extend_from_slice(self.0.as_bytes())));
        }
        let text = documents.make(|out| out.extend_from_slice(self.0.as_bytes()));
        documents
            .parse(text)
            .map_err(|fault| Error::record("make", "a value").because(fault))
    }
}

impl OptionType for Literal {
    fn kind() -> Kind {
        Kind::Either(Vec::new())
    }

    fn parse(node: &Node, _: &mut Problems) -> Option<Self> {
        let mut out = Vec::new();
        put(node, &mut out);
        String::from_utf8(out).ok().map(Self)
    }
}

fn put(node: &Node, out: &mut Vec<u8>) {
    match &node.value {
        NodeValue::Null => out.extend_from_slice(b"null"),
        NodeValue::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
        // A number of YAML that JSON writes otherwise (`.5`, `+1`) is text there.
        NodeValue::Number(text) if json::validate(text.as_bytes()).is_ok() => {
            out.extend_from_slice(text.as_bytes());
        }
        NodeValue::Number(text) | NodeValue::String(text) => json::put_string(text, out),
        NodeValue::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                put(item, out);
            }
            out.push(b']');
        }
        NodeValue::Map(entries) => {
            out.push(b'{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json::put_string(&key.name, out);
                out.push(b':');
                put(value, out);
            }
            out.push(b'}');
        }
    }
}

/// A map from names that the user chooses to values of one kind, in the order written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<T>(pub Vec<(String, T)>);

impl<T: OptionType> OptionType for Named<T> {
    fn kind() -> Kind {
        Kind::Map(Box::new(T::kind()))
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let read = |name: &str, _: &Node, _: &mut Problems| Some(name.to_owned());
        entries(node, problems, read).map(Self)
    }
}

/// A map from paths into the value to values of one kind, in the order written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByPath<T>(pub Vec<(Path, T)>);

impl<T: OptionType> OptionType for ByPath<T> {
    fn kind() -> Kind {
        Kind::Map(Box::new(T::kind()))
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        entries(node, problems, parse_path).map(Self)
    }
}

/// The entries of a map, each name read by `read`.
fn entries<N, T: OptionType>(
    node: &Node,
    problems: &mut Problems,
    read: impl Fn(&str, &Node, &mut Problems) -> Option<N>,
) -> Option<Vec<(N, T)>> {
    let NodeValue::Map(entries) = &node.value else {
        let problem = Problem::new(node.span, format!("expected a map, found {}", node.found()));
        problems.push(problem.help("write { NAME: VALUE }"));
        return None;
    };
    let mut parsed = Vec::new();
    for (key, value) in entries {
        let name = read(&key.name, &Node::new(key.span, &*key.name), problems);
        parsed.push(name.zip(T::parse(value, problems)));
    }
    parsed.into_iter().collect()
}
