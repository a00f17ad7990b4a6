//! The decoded values of one batch.
//!
//! A value is a tree of nodes; each node is a piece of JSON text: of the batch's own bytes, or of
//! text that was made since. All nodes of a batch stand in one vector and all made text in another,
//! so that decoding and changing a record allocates nothing. A node that nobody has changed is
//! written by copying its text, and neighbours in one copy.

mod change;
mod made;
mod parse;
mod write;

use std::borrow::Cow;

use bytes::Bytes;

use self::parse::Parser;
use super::scan::Fault;
use super::string::{put_text, string_text};
use crate::{Path, Step};

/// Nodes of one batch at most: a bound on memory, not met by records anyone would read.
const NODES_MAX: usize = 4 << 20;
/// No node.
const NONE: u32 = u32::MAX;
/// Set in a span that lies in the made text.
const MADE: u32 = 1 << 31;

/// A piece of the batch's bytes, or of the text made since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    bytes: u32,
}

impl Span {
    /// Its length.
    pub(crate) fn bytes(self) -> usize {
        self.bytes as usize
    }

    /// `bytes` bytes of the batch from `start` on.
    fn end(self) -> u32 {
        self.start + self.bytes
    }
}

/// A node of [`Documents`]; it means nothing to those of another batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId(u32);

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number, as written.
    Number,
    /// A string.
    String,
    /// A list of items.
    Array,
    /// Fields in their order; of those with one name the first counts.
    Object,
}

impl Kind {
    /// By the first byte of a JSON text.
    fn of(first: Option<u8>) -> Self {
        match first {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }

    /// With its article, for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "a list",
            Self::Object => "an object",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// Of an object or array: its children say what it is, not its text.
    changed: bool,
    /// Whether the name has escapes.
    escaped: bool,
    /// Whether name and text stand together, as in the object they were read from.
    joined: bool,
    /// The quoted name of a field.
    name: Span,
    text: Span,
    /// Its children: the first and the last, which point at each other through `next`.
    first: u32,
    last: u32,
    next: u32,
}

/// The decoded values of one batch.
#[derive(Debug, Default)]
pub struct Documents {
    base: Bytes,
    made: Vec<u8>,
    /// Of text that was copied without being made anew, or that found no room in `made`.
    extra_bytes: usize,
    nodes: Vec<Node>,
    /// For text between `base` or `made` and `made`.
    scratch: String,
}

impl Documents {
    /// The span of `part`, which lies in the base.
    ///
    /// # Panics
    /// Never for a part of the base; `part` must be one.
    pub fn span_of(&self, part: &[u8]) -> Span {
        let start = (part.as_ptr() as usize).wrapping_sub(self.base.as_ptr() as usize);
        debug_assert!(start + part.len() <= self.base.len());
        Span {
            start: start as u32,
            bytes: part.len() as u32,
        }
    }

    /// The bytes of `span`.
    #[inline]
    pub fn bytes(&self, span: Span) -> &[u8] {
        let (from, start) = match span.start & MADE {
            0 => (&self.base[..], span.start),
            _ => (&self.made[..], span.start & !MADE),
        };
        &from[start as usize..][..span.bytes as usize]
    }

    /// The text of `span`, which is UTF-8 wherever it is JSON.
    fn str(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }

    /// Decodes the JSON text at `span`: all of it is checked.
    ///
    /// # Errors
    /// The first fault. Nothing is kept of a text with one.
    pub fn parse(&mut self, span: Span) -> Result<NodeId, Fault> {
        // The text is borrowed from what the nodes are not in.
        let Self {
            base, made, nodes, ..
        } = self;
        let (from, start) = match span.start & MADE {
            0 => (&base[..], span.start),
            _ => (&made[..], span.start & !MADE),
        };
        let text = &from[start as usize..][..span.bytes as usize];
        super::utf8(text)?;
        let before = nodes.len();
        let parsed = Parser::new(text, span.start, nodes).text();
        if parsed.is_err() {
            nodes.truncate(before);
        }
        parsed.map(NodeId)
    }

    fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.0 as usize]
    }

    fn node_mut(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node.0 as usize]
    }

    /// What the node is.
    #[inline]
    pub fn kind(&self, node: NodeId) -> Kind {
        self.node(node).kind
    }

    /// [`Documents::text`] as bytes.
    #[inline]
    pub fn text_bytes(&self, node: NodeId) -> &[u8] {
        self.bytes(self.node(node).text)
    }

    /// The text of a boolean, a number (as written), or a string with its quotes.
    pub fn text(&self, node: NodeId) -> &str {
        self.str(self.node(node).text)
    }

    /// A string's text.
    pub fn string(&self, node: NodeId) -> Option<Cow<'_, str>> {
        (self.kind(node) == Kind::String).then(|| string_text(self.text(node)))
    }

    /// The place of a string's text: where the string stands, when it has no escapes.
    pub fn string_span(&mut self, node: NodeId) -> Option<Span> {
        let Node { kind, text, .. } = *self.node(node);
        if kind != Kind::String {
            return None;
        }
        let inside = Span {
            start: text.start + 1,
            bytes: text.bytes.saturating_sub(2),
        };
        if !self.bytes(inside).contains(&b'\\') {
            return Some(inside);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        put_text(self.str(inside), &mut scratch);
        let made = self.make(|out| out.extend_from_slice(scratch.as_bytes()));
        self.scratch = scratch;
        Some(made)
    }

    /// The name of a field as it was written, without its quotes: for names made from it.
    pub fn name_text(&self, node: NodeId) -> &str {
        let quoted = self.str(self.node(node).name);
        quoted
            .get(1..quoted.len().saturating_sub(1))
            .unwrap_or_default()
    }

    /// The name of a field.
    pub fn name(&self, node: NodeId) -> Cow<'_, str> {
        string_text(self.str(self.node(node).name))
    }

    /// The fields or items of a node, in their order.
    pub fn children(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let first = self.node(node).first;
        let first = (first != NONE).then_some(NodeId(first));
        std::iter::successors(first, |child| self.sibling(*child))
    }

    /// The child that follows `child` in its tree.
    pub fn sibling(&self, child: NodeId) -> Option<NodeId> {
        let next = self.node(child).next;
        (next != NONE).then_some(NodeId(next))
    }

    /// The field `name` of an object.
    pub fn field(&self, node: NodeId, name: &str) -> Option<NodeId> {
        let node = self.node(node);
        let mut next = match node.kind {
            Kind::Object => node.first,
            _ => return None,
        };
        // There is no node `NONE`.
        while let Some(child) = self.nodes.get(next as usize) {
            if self.is_named(child, name) {
                return Some(NodeId(next));
            }
            next = child.next;
        }
        None
    }

    /// Item `index` of an array.
    pub fn item(&self, node: NodeId, index: u32) -> Option<NodeId> {
        if self.kind(node) != Kind::Array {
            return None;
        }
        self.children(node).nth(index as usize)
    }

    #[inline]
    fn is_named(&self, child: &Node, name: &str) -> bool {
        if child.escaped {
            return self.is_escaped_name(child, name);
        }
        child.name.bytes as usize == name.len() + 2
            && self.bytes(child.name)[1..=name.len()] == *name.as_bytes()
    }

    #[cold]
    fn is_escaped_name(&self, child: &Node, name: &str) -> bool {
        string_text(self.str(child.name)) == name
    }

    /// Whether `child` of `tree` is the field `name`.
    pub fn is_field(&self, tree: NodeId, child: NodeId, name: &str) -> bool {
        self.kind(tree) == Kind::Object && self.is_named(self.node(child), name)
    }

    /// What `step` leads to from `node`.
    #[inline]
    pub fn step(&self, node: NodeId, step: &Step) -> Option<NodeId> {
        match step {
            Step::Field(name) => self.field(node, name),
            Step::Index(index) => self.item(node, *index),
        }
    }

    /// What stands at `path` below `root`.
    pub fn find(&self, root: NodeId, path: &Path) -> Option<NodeId> {
        path.steps()
            .iter()
            .try_fold(root, |node, step| self.step(node, step))
    }
}

const TOO_MANY: Fault = Fault {
    at: 0,
    what: "more than 4,194,304 values in one batch",
};
