//! From JSON text to nodes.

use super::*;
use crate::json::scan::{self, Found};

/// Turns a text into nodes.
pub(super) struct Parser<'a> {
    text: &'a [u8],
    /// Where the text begins, as a span's start.
    start: u32,
    nodes: &'a mut Vec<Node>,
}

impl<'a> Parser<'a> {
    /// For `text`, which begins at `start` as spans count.
    pub(super) fn new(text: &'a [u8], start: u32, nodes: &'a mut Vec<Node>) -> Self {
        Self { text, start, nodes }
    }

    /// Reads the whole text; the index of its root.
    pub(super) fn text(mut self) -> Result<u32, Fault> {
        let root = self.nodes.len() as u32;
        let end = self.value(scan::space(self.text, 0), Span::default(), false, 0)?;
        scan::end(self.text, end)?;
        Ok(root)
    }

    /// Reads the value at `at`, which becomes the next node with all below it; where it ends.
    #[inline]
    fn value(
        &mut self,
        at: usize,
        name: Span,
        escaped: bool,
        depth: usize,
    ) -> Result<usize, Found> {
        if self.nodes.len() >= NODES_MAX {
            return Err(Box::new(TOO_MANY));
        }
        let kind = Kind::of(scan::byte(self.text, at));
        let is_tree = matches!(kind, Kind::Object | Kind::Array);
        let end = match is_tree {
            true => at,
            false => scan::scalar(self.text, at)?,
        };
        self.nodes.push(Node {
            kind,
            changed: false,
            escaped,
            joined: true,
            name,
            text: self.span(at, end),
            first: NONE,
            last: NONE,
            next: NONE,
        });
        match is_tree {
            true => self.tree(at, kind, depth),
            false => Ok(end),
        }
    }

    /// Reads what is in the object or array at `start`, which is the last node; where it ends.
    fn tree(&mut self, start: usize, kind: Kind, depth: usize) -> Result<usize, Found> {
        let parent = self.nodes.len() - 1;
        let close = if kind == Kind::Object { b'}' } else { b']' };
        let (mut at, mut more) = scan::begin(self.text, start, close, depth)?;
        let mut last = NONE;
        while more {
            let (mut name, mut escaped) = (Span::default(), false);
            if kind == Kind::Object {
                let key = scan::key(self.text, at)?;
                (name, escaped) = (self.span(at, key.end), key.escaped);
                at = key.value;
            }
            let child = self.nodes.len() as u32;
            at = self.value(at, name, escaped, depth + 1)?;
            match last {
                NONE => self.nodes[parent].first = child,
                last => self.nodes[last as usize].next = child,
            }
            last = child;
            (at, more) = scan::next(self.text, at, close)?;
        }
        let text = self.span(start, at);
        let parent = &mut self.nodes[parent];
        (parent.last, parent.text) = (last, text);
        Ok(at)
    }

    #[inline]
    fn span(&self, from: usize, to: usize) -> Span {
        Span {
            start: self.start + from as u32,
            bytes: (to - from) as u32,
        }
    }
}
