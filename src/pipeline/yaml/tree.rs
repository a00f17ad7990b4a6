//! Building the tree from events.

use std::collections::HashMap;

use granit_parser::{ScalarStyle, StructureStyle, Tag};
use towpath_sdk::config::{Key, Node, NodeValue, Problem, Problems, Span};
use towpath_sdk::printable;

use super::{DEPTH_MAX, NODES_MAX, Stop, TEXT_MAX, merge};

pub(super) struct Builder<'t> {
    source: u32,
    text: &'t str,
    root: Option<Node>,
    documents: usize,
    open: Vec<Frame>,
    anchors: HashMap<usize, Anchor>,
    cost: Cost,
}

/// How much was built.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    nodes: usize,
    text: usize,
}

enum Anchor {
    /// Still being built: an alias to it would contain itself.
    Open,
    Done(Node, Cost),
}

/// A list or map that is being built.
struct Frame {
    container: Container,
    style: StructureStyle,
    anchor: usize,
    span: Span,
    /// What was built before.
    cost_before: Cost,
}

pub(super) enum Container {
    List(Vec<Node>),
    Map {
        entries: Entries,
        merges: Vec<Node>,
        key: PendingKey,
    },
}

/// What came where a map's key stands.
pub(super) enum PendingKey {
    None,
    Key(Key),
    /// `<<`.
    Merge,
    /// A problem was reported; its value is left out.
    Bad,
}

/// The entries of a map, in order, with the names in an index.
#[derive(Default)]
pub(super) struct Entries {
    list: Vec<(Key, Node)>,
    index: HashMap<String, Span>,
}

impl Entries {
    pub fn add_if_absent(&mut self, key: Key, node: Node) {
        if !self.index.contains_key(&key.name) {
            self.index.insert(key.name.clone(), key.span);
            self.list.push((key, node));
        }
    }
}

impl Container {
    pub fn list() -> Self {
        Self::List(Vec::new())
    }

    pub fn map() -> Self {
        Self::Map {
            entries: Entries::default(),
            merges: Vec::new(),
            key: PendingKey::None,
        }
    }
}

impl<'t> Builder<'t> {
    pub fn new(source: u32, text: &'t str) -> Self {
        Self {
            source,
            text,
            root: None,
            documents: 0,
            open: Vec::new(),
            anchors: HashMap::new(),
            cost: Cost::default(),
        }
    }

    pub fn text(&self) -> &'t str {
        self.text
    }

    pub fn begin_document(&mut self, span: Span, problems: &mut Problems) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents == 1 {
            return Ok(());
        }
        let problem = Problem::new(span, "a second document in one file");
        problems.push(problem.help("put it into a file of its own"));
        Err(Stop)
    }

    pub fn scalar(
        &mut self,
        node: Node,
        style: ScalarStyle,
        anchor: usize,
        problems: &mut Problems,
    ) -> Result<(), Stop> {
        let text = match &node.value {
            NodeValue::Number(text) | NodeValue::String(text) => text.len(),
            _ => 0,
        };
        let cost = Cost { nodes: 1, text };
        self.spend(cost, node.span, problems)?;
        if anchor != 0 {
            self.anchors
                .insert(anchor, Anchor::Done(node.clone(), cost));
        }
        self.place(node, style == ScalarStyle::Plain, problems);
        Ok(())
    }

    pub fn open(
        &mut self,
        container: Container,
        style: StructureStyle,
        anchor: usize,
        span: Span,
        problems: &mut Problems,
    ) -> Result<(), Stop> {
        let cost_before = self.cost;
        self.spend(Cost { nodes: 1, text: 0 }, span, problems)?;
        if self.open.len() >= DEPTH_MAX {
            problems.add(span, format!("nested more than {DEPTH_MAX} deep"));
            return Err(Stop);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Anchor::Open);
        }
        self.open.push(Frame {
            container,
            style,
            anchor,
            span,
            cost_before,
        });
        Ok(())
    }

    /// Ends the innermost list or map; `end` is where its bracket stands.
    pub fn close(&mut self, end: Option<Span>, problems: &mut Problems) -> Result<(), Stop> {
        let Some(frame) = self.open.pop() else {
            return Ok(());
        };
        let cost = Cost {
            nodes: self.cost.nodes - frame.cost_before.nodes,
            text: self.cost.text - frame.cost_before.text,
        };
        let span = self.span_of(&frame, end);
        let value = match frame.container {
            Container::List(items) => NodeValue::List(items),
            Container::Map {
                mut entries,
                merges,
                ..
            } => {
                merge::apply(&mut entries, merges, problems);
                NodeValue::Map(entries.list)
            }
        };
        let node = Node::new(span, value);
        if frame.anchor != 0 {
            self.anchors
                .insert(frame.anchor, Anchor::Done(node.clone(), cost));
        }
        self.place(node, false, problems);
        Ok(())
    }

    /// Ends all that is open; the root.
    pub fn close_all(mut self, problems: &mut Problems) -> Option<Node> {
        while !self.open.is_empty() {
            // Closing reports no `Stop`.
            let _ = self.close(None, problems);
        }
        self.root
    }

    pub fn alias(
        &mut self,
        anchor: usize,
        span: Span,
        problems: &mut Problems,
    ) -> Result<(), Stop> {
        let (node, cost) = match self.anchors.get(&anchor) {
            Some(Anchor::Done(node, cost)) => (node, *cost),
            Some(Anchor::Open) | None => {
                problems.add(span, "this alias stands within what it refers to");
                return self.unknown(span, problems);
            }
        };
        if self.open.len() + depth(node) > DEPTH_MAX {
            problems.add(span, format!("nested more than {DEPTH_MAX} deep"));
            return Err(Stop);
        }
        // The cost is checked before the copy is made.
        self.cost.check(cost, span, problems)?;
        let node = node.clone();
        self.spend(cost, span, problems)?;
        self.place(node, false, problems);
        Ok(())
    }

    /// Stands for something about which a problem was reported.
    pub fn unknown(&mut self, span: Span, problems: &mut Problems) -> Result<(), Stop> {
        self.spend(Cost { nodes: 1, text: 0 }, span, problems)?;
        problems.settle(span);
        self.place(Node::new(span, NodeValue::Null), false, problems);
        Ok(())
    }

    /// Where to point for a list or map: its extent in flow style, else the key above it, else
    /// where its first entry stands.
    fn span_of(&self, frame: &Frame, end: Option<Span>) -> Span {
        if frame.style == StructureStyle::Flow {
            let end = end.map_or(frame.span.end, |end| end.end);
            return Span::new(self.source, frame.span.start, end.max(frame.span.start));
        }
        if let Some(Frame {
            container:
                Container::Map {
                    key: PendingKey::Key(key),
                    ..
                },
            ..
        }) = self.open.last()
        {
            return key.span;
        }
        let first = match &frame.container {
            Container::List(items) => items.first().map(|item| item.span),
            Container::Map { entries, .. } => entries.list.first().map(|(key, _)| key.span),
        };
        first.unwrap_or(Span::new(self.source, frame.span.start, frame.span.start))
    }

    /// Takes a finished node as the key or value that comes next.
    fn place(&mut self, node: Node, may_merge: bool, problems: &mut Problems) {
        match self.open.last().map(|frame| &frame.container) {
            Some(Container::Map {
                key: PendingKey::None,
                ..
            }) => {
                self.take_key(node, may_merge, problems);
            }
            _ => self.insert(node),
        }
    }

    fn take_key(&mut self, node: Node, may_merge: bool, problems: &mut Problems) {
        let Some(Frame {
            container: Container::Map { entries, key, .. },
            ..
        }) = self.open.last_mut()
        else {
            return;
        };
        let name = match node.value {
            NodeValue::String(text) | NodeValue::Number(text) => text,
            NodeValue::Bool(value) => value.to_string(),
            NodeValue::Null | NodeValue::List(_) | NodeValue::Map(_) => {
                problems.add(
                    node.span,
                    format!("a key is a name, found {}", node.found()),
                );
                *key = PendingKey::Bad;
                return;
            }
        };
        if may_merge && name == "<<" {
            *key = PendingKey::Merge;
        } else if let Some(first) = entries.index.get(&name) {
            let message = format!("`{}` stands here twice", printable(&name));
            let problem = Problem::new(node.span, message).related(*first, "first here");
            problems.push(problem.help("remove one of them"));
            *key = PendingKey::Bad;
        } else {
            *key = PendingKey::Key(Key {
                name,
                span: node.span,
            });
        }
    }

    /// Puts a value where it belongs.
    fn insert(&mut self, node: Node) {
        match self.open.last_mut().map(|frame| &mut frame.container) {
            None => self.root = Some(node),
            Some(Container::List(items)) => items.push(node),
            Some(Container::Map {
                entries,
                merges,
                key,
            }) => match std::mem::replace(key, PendingKey::None) {
                PendingKey::Key(key) => entries.add_if_absent(key, node),
                PendingKey::Merge => merges.push(node),
                PendingKey::Bad | PendingKey::None => {}
            },
        }
    }

    fn spend(&mut self, cost: Cost, span: Span, problems: &mut Problems) -> Result<(), Stop> {
        self.cost.check(cost, span, problems)?;
        self.cost.nodes += cost.nodes;
        self.cost.text += cost.text;
        Ok(())
    }
}

impl Cost {
    /// Whether `more` can be afforded.
    fn check(self, more: Cost, span: Span, problems: &mut Problems) -> Result<(), Stop> {
        if self.nodes + more.nodes > NODES_MAX {
            let problem = Problem::new(span, format!("more than {NODES_MAX} values"));
            problems.push(problem.help("aliases count as often as they are used"));
            return Err(Stop);
        }
        if self.text + more.text > TEXT_MAX {
            problems.add(
                span,
                format!("with aliases, more than {TEXT_MAX} bytes of text"),
            );
            return Err(Stop);
        }
        Ok(())
    }
}

/// How many lists and maps lie within each other.
fn depth(node: &Node) -> usize {
    match &node.value {
        NodeValue::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        NodeValue::Map(entries) => {
            1 + entries
                .iter()
                .map(|(_, node)| depth(node))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}

/// Only the tag that says what is so anyway, `expected` of YAML's own, may stand.
pub(super) fn check_tag(tag: Option<&Tag>, expected: &str, span: Span, problems: &mut Problems) {
    if let Some(tag) = tag
        && tag.core_suffix() != Some(expected)
    {
        let problem = Problem::new(
            span,
            format!(
                "the tag `{}` means nothing here",
                printable(&tag.original())
            ),
        );
        let help = "remove it; an expression that begins with `!` stands in quotes: '!(...)'";
        problems.push(problem.help(help));
    }
}
