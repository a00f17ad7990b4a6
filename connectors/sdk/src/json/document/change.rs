//! Making and changing nodes.

use super::*;
use crate::json::put_string;
use crate::{Error, Result};

impl Documents {
    fn add(&mut self, kind: Kind, text: Span) -> NodeId {
        self.nodes.push(Node {
            kind,
            changed: false,
            escaped: false,
            joined: false,
            name: Span::default(),
            text,
            first: NONE,
            last: NONE,
            next: NONE,
        });
        NodeId((self.nodes.len() - 1) as u32)
    }

    /// A scalar from its JSON text, which `write` appends: `null`, a boolean, a number or a string.
    pub fn scalar(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> NodeId {
        let text = self.make(write);
        let kind = Kind::of(self.bytes(text).first().copied());
        self.add(kind, text)
    }

    /// A string.
    pub fn new_string(&mut self, text: &str) -> NodeId {
        self.scalar(|out| put_string(text, out))
    }

    /// Makes the scalar `node` another one, whose JSON text `write` appends. What is above it is for
    /// the caller to [`Documents::touch`].
    pub fn set_scalar(&mut self, node: NodeId, write: impl FnOnce(&mut Vec<u8>)) {
        let text = self.make(write);
        let kind = Kind::of(self.bytes(text).first().copied());
        let node = self.node_mut(node);
        (node.kind, node.text, node.joined) = (kind, text, false);
    }

    /// A string of the text of a boolean or number.
    pub fn quote(&mut self, scalar: NodeId) -> NodeId {
        let text = self.node(scalar).text;
        let quote = self.make(|out| out.push(b'"'));
        let rest = self.extend(text, |out| out.push(b'"'));
        let text = Span {
            bytes: quote.bytes + rest.bytes,
            ..quote
        };
        self.add(Kind::String, text)
    }

    /// `null`.
    pub fn new_null(&mut self) -> NodeId {
        self.scalar(|out| out.extend_from_slice(b"null"))
    }

    /// An object or array without children.
    pub fn new_tree(&mut self, kind: Kind) -> NodeId {
        let node = self.add(kind, Span::default());
        self.node_mut(node).changed = true;
        node
    }

    /// A node of its own that is equal to `node`.
    ///
    /// # Errors
    /// A record error when the batch has too many nodes.
    pub fn copy(&mut self, node: NodeId) -> Result<NodeId> {
        if self.nodes.len() >= NODES_MAX {
            return Err(Error::record("copy", "a value").because(TOO_MANY.what));
        }
        let original = *self.node(node);
        let text = match original.first {
            NONE => original.text.bytes,
            _ => 0,
        };
        self.count_copied(original.name.bytes as usize + text as usize);
        let copy = self.add(original.kind, original.text);
        let made = self.node_mut(copy);
        made.changed = original.changed;
        (made.name, made.escaped) = (original.name, original.escaped);
        made.joined = original.joined;
        let mut next = original.first;
        while next != NONE {
            let child = self.copy(NodeId(next))?;
            next = self.nodes[next as usize].next;
            self.push_child(copy, child);
        }
        Ok(copy)
    }

    /// Appends `child`, which is in no tree, to an object (with its name) or array.
    pub fn append(&mut self, tree: NodeId, name: &str, child: NodeId) {
        self.name_child(tree, child, name);
        self.push_child(tree, child);
        self.touch(tree);
    }

    /// [`Documents::append`] to an object, with a name that stands in quotes at `name`.
    pub fn append_quoted(&mut self, object: NodeId, name: Span, child: NodeId) {
        let escaped = self.bytes(name).contains(&b'\\');
        self.set_name(child, name, escaped);
        self.push_child(object, child);
        self.touch(object);
    }

    /// Makes `child` the last one of `tree`.
    fn push_child(&mut self, tree: NodeId, child: NodeId) {
        self.node_mut(child).next = NONE;
        match self.node(tree).last {
            NONE => self.node_mut(tree).first = child.0,
            last => self.nodes[last as usize].next = child.0,
        }
        self.node_mut(tree).last = child.0;
    }

    fn name_child(&mut self, tree: NodeId, child: NodeId, name: &str) {
        if self.kind(tree) == Kind::Object {
            let quoted = self.make(|out| put_string(name, out));
            self.set_name(child, quoted, quoted.bytes as usize != name.len() + 2);
        }
    }

    fn set_name(&mut self, child: NodeId, name: Span, escaped: bool) {
        let node = self.node_mut(child);
        (node.name, node.escaped, node.joined) = (name, escaped, false);
    }

    /// Puts `child`, which is in no tree, at `path` below `root`: in the place of what stands
    /// there, else behind the last field. Objects on the way are made; `null` counts as missing.
    ///
    /// # Errors
    /// A record error when something on the way is no object, or a list has no such item.
    pub fn put(&mut self, root: NodeId, path: &Path, child: NodeId) -> Result<()> {
        let Some((last, way)) = path.steps().split_last() else {
            return Ok(());
        };
        let mut at = root;
        for (depth, step) in way.iter().enumerate() {
            self.check_step(at, step, path, depth)?;
            self.touch(at);
            at = match self.step(at, step) {
                Some(next) if self.kind(next) != Kind::Null => next,
                _ => {
                    let made = self.new_tree(Kind::Object);
                    self.put_step(at, step, made);
                    made
                }
            };
        }
        self.check_step(at, last, path, way.len())?;
        self.put_step(at, last, child);
        Ok(())
    }

    /// Whether `step` can lead on from `at`.
    fn check_step(&self, at: NodeId, step: &Step, path: &Path, depth: usize) -> Result<()> {
        let fits = match step {
            Step::Field(_) => self.kind(at) == Kind::Object,
            Step::Index(_) => self.step(at, step).is_some(),
        };
        if fits {
            return Ok(());
        }
        let place = match depth {
            0 => "the value".to_owned(),
            _ => format!("`{}`", path.prefix(depth)),
        };
        let why = match step {
            Step::Index(index) if self.kind(at) == Kind::Array => {
                format!("{place} has no item {index}")
            }
            _ => format!("{place} is {}", self.kind(at).as_str()),
        };
        Err(Error::record("set", format!("`{path}`")).because(why))
    }

    /// Puts `child` in the place of what `step` leads to, or behind the last child.
    fn put_step(&mut self, at: NodeId, step: &Step, child: NodeId) {
        match self.find_link(at, step) {
            (before, Some(old)) => {
                // The name stays as it was written.
                let old = *self.node(old);
                let next = old.next;
                self.set_name(child, old.name, old.escaped);
                self.node_mut(child).next = next;
                self.link(at, before, child.0);
                if next == NONE {
                    self.node_mut(at).last = child.0;
                }
            }
            (_, None) => {
                if let Step::Field(name) = step {
                    self.name_child(at, child, name);
                }
                self.push_child(at, child);
            }
        }
        self.touch(at);
    }

    /// Takes out what stands at `path` below `root`; `None` when nothing does.
    pub fn take(&mut self, root: NodeId, path: &Path) -> Option<NodeId> {
        let (last, way) = path.steps().split_last()?;
        let tree = way
            .iter()
            .try_fold(root, |node, step| self.step(node, step))?;
        let (before, found) = self.find_link(tree, last);
        let found = found?;
        self.unlink(tree, before, found);
        let mut at = root;
        for step in way {
            self.touch(at);
            at = self.step(at, step)?;
        }
        Some(found)
    }

    /// Keeps the children of `tree` for which `keep` holds; they are given with their index. What
    /// is above `tree` is for the caller to [`Documents::touch`].
    pub fn retain(&mut self, tree: NodeId, mut keep: impl FnMut(&mut Self, u32, NodeId) -> bool) {
        let mut before = None;
        let mut next = self.node(tree).first;
        let mut index = 0;
        while next != NONE {
            let child = NodeId(next);
            next = self.node(child).next;
            if keep(self, index, child) {
                before = Some(child);
            } else {
                self.unlink(tree, before, child);
            }
            index += 1;
        }
    }

    /// Takes `child`, which stands behind `before`, out of `tree`.
    fn unlink(&mut self, tree: NodeId, before: Option<NodeId>, child: NodeId) {
        let next = self.node(child).next;
        self.link(tree, before, next);
        if next == NONE {
            self.node_mut(tree).last = before.map_or(NONE, |before| before.0);
        }
        self.node_mut(child).next = NONE;
        self.touch(tree);
    }

    /// Makes `next` what follows `before` in `tree`.
    fn link(&mut self, tree: NodeId, before: Option<NodeId>, next: u32) {
        match before {
            None => self.node_mut(tree).first = next,
            Some(before) => self.node_mut(before).next = next,
        }
    }

    /// Says that `tree` is no longer what its text says, as something below it was changed.
    pub fn touch(&mut self, tree: NodeId) {
        self.node_mut(tree).changed = true;
    }

    /// Gives `child` of the object `tree` another name. What is above `tree` is for the caller to
    /// [`Documents::touch`].
    pub fn rename(&mut self, tree: NodeId, child: NodeId, name: &str) {
        self.name_child(tree, child, name);
        self.touch(tree);
    }

    /// The child that `step` leads to, and the one before it.
    fn find_link(&self, tree: NodeId, step: &Step) -> (Option<NodeId>, Option<NodeId>) {
        let kind = self.kind(tree);
        let mut before = None;
        for (index, child) in (0..).zip(self.children(tree)) {
            let found = match step {
                Step::Field(name) => kind == Kind::Object && self.is_named(self.node(child), name),
                Step::Index(wanted) => kind == Kind::Array && index == *wanted,
            };
            if found {
                return (before, Some(child));
            }
            before = Some(child);
        }
        (None, None)
    }
}
