//! The tree of values that options are read from.

use crate::printable;

/// A place in a text that was read: bytes `start..end` of `source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Which text; the reader of the texts numbers them.
    pub source: u32,
    /// The first byte.
    pub start: u32,
    /// The byte behind the last.
    pub end: u32,
}

impl Span {
    /// The place of what was not written, such as a default.
    pub const NONE: Self = Self {
        source: u32::MAX,
        start: 0,
        end: 0,
    };

    /// Bytes `start..end` of text `source`.
    pub fn new(source: u32, start: u32, end: u32) -> Self {
        Self { source, start, end }
    }

    /// Whether it is [`Span::NONE`].
    pub fn is_none(self) -> bool {
        self.source == u32::MAX
    }
}

/// A configuration value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where to point for this value: a scalar or `{ }` itself, else the key above it.
    pub span: Span,
    /// What it is.
    pub value: NodeValue,
    /// Where each line of the text begins in the source, when it stands there letter by letter; else
    /// empty.
    pub text_lines: Vec<u32>,
    /// What was written, when the text came from a reference.
    pub reference: Option<Reference>,
}

/// What a value is. Numbers are as written: `7`, `1.5`, `-2e3`; `012` and `1_000` are text.
#[derive(Clone, PartialEq, Eq)]
pub enum NodeValue {
    /// Nothing, or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Its digits.
    Number(String),
    /// Text.
    String(String),
    /// In the order written.
    List(Vec<Node>),
    /// In the order written; no name stands twice.
    Map(Vec<(Key, Node)>),
}

/// The name of an entry of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What the user wrote.
    pub name: String,
    /// Where.
    pub span: Span,
}

/// A text that was put together from references.
#[derive(Clone, PartialEq, Eq)]
pub struct Reference {
    /// The text with its references, as in the file: what may be shown.
    pub written: String,
    /// Whether the text was one reference and nothing else: then it takes the option's type.
    pub whole: bool,
}

impl Node {
    /// A value that is not letter by letter in the text, and came from no reference.
    pub fn new(span: Span, value: impl Into<NodeValue>) -> Self {
        Self {
            span,
            value: value.into(),
            text_lines: Vec::new(),
            reference: None,
        }
    }

    /// The value under `name`, when this is a map that has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The entry `name`, when this is a map that has it.
    pub fn entry(&self, name: &str) -> Option<(&Key, &Node)> {
        let NodeValue::Map(entries) = &self.value else {
            return None;
        };
        entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(key, node)| (key, node))
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// Where to point for a problem of option `name` of this map: its value, else the map.
    pub fn span_of(&self, name: &str) -> Span {
        self.get(name).map_or(self.span, |node| node.span)
    }

    /// Where to point for byte `at` of the text, up to `end` or the end of its line.
    pub fn span_within(&self, at: usize, end: usize) -> Span {
        let Some(text) = self.text() else {
            return self.span;
        };
        let at = text.floor_char_boundary(at);
        let before = &text[..at];
        let Some(line_start) = self.text_lines.get(before.matches('\n').count()) else {
            return self.span;
        };
        let column = at - before.rfind('\n').map_or(0, |line_end| line_end + 1);
        let rest = text[at..].find('\n').unwrap_or(text.len() - at);
        let start = line_start.saturating_add(u32::try_from(column).unwrap_or(0));
        let length = end.saturating_sub(at).min(rest);
        Span {
            source: self.span.source,
            start,
            end: start.saturating_add(u32::try_from(length).unwrap_or(0)),
        }
    }

    /// Whether both say the same, wherever it stands; references count by what they stand for.
    pub fn same_value(&self, other: &Node) -> bool {
        match (&self.value, &other.value) {
            (NodeValue::List(left), NodeValue::List(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .zip(right)
                        .all(|(left, right)| left.same_value(right))
            }
            (NodeValue::Map(left), NodeValue::Map(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(key, node)| {
                        other
                            .get(&key.name)
                            .is_some_and(|other| node.same_value(other))
                    })
            }
            (left, right) => left == right,
        }
    }

    /// What was found, for a message; what a reference led to is never shown.
    pub fn found(&self) -> String {
        if let Some(reference) = &self.reference {
            return format!("what `{}` stands for", excerpt(&reference.written));
        }
        match &self.value {
            NodeValue::Null => "nothing".to_owned(),
            NodeValue::Bool(value) => format!("`{value}`"),
            NodeValue::Number(number) => format!("the number {}", excerpt(number)),
            NodeValue::String(text) => format!("the text `{}`", excerpt(text)),
            NodeValue::List(_) => "a list".to_owned(),
            NodeValue::Map(_) => "a map".to_owned(),
        }
    }

    /// A scalar as it was written, without quotes; `None` for what came from a reference.
    pub fn written(&self) -> Option<String> {
        if self.reference.is_some() {
            return None;
        }
        match &self.value {
            NodeValue::Null => Some("null".to_owned()),
            NodeValue::Bool(value) => Some(value.to_string()),
            NodeValue::Number(text) | NodeValue::String(text) => Some(excerpt(text)),
            NodeValue::List(_) | NodeValue::Map(_) => None,
        }
    }
}

/// The beginning of `text`, on one line, safe to print.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", printable(&text[..end])),
        None => printable(text),
    }
}

/// Shows the shape, not the texts: they may be secret.
impl std::fmt::Debug for NodeValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(value) => write!(f, "Bool({value})"),
            Self::Number(_) => f.write_str("Number(..)"),
            Self::String(_) => f.write_str("String(..)"),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Map(entries) => f
                .debug_map()
                .entries(entries.iter().map(|(key, node)| (&key.name, node)))
                .finish(),
        }
    }
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reference(..)")
    }
}

// Defaults in `options!` are written as literals: "1MiB", 4, true, [], ["value"], and () for `{}`.

impl From<&str> for NodeValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<bool> for NodeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for NodeValue {
    fn from(number: i32) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<f64> for NodeValue {
    fn from(number: f64) -> Self {
        Self::Number(number.to_string())
    }
}

impl<const N: usize> From<[&str; N]> for NodeValue {
    fn from(items: [&str; N]) -> Self {
        Self::List(
            items
                .into_iter()
                .map(|item| Node::new(Span::NONE, item))
                .collect(),
        )
    }
}

impl From<()> for NodeValue {
    fn from((): ()) -> Self {
        Self::Map(Vec::new())
    }
}
