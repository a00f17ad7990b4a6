//! From JSON text to nodes.

use super::*;
use crate::json::scan::{Found, Scanner};

/// Turns a text into nodes.
pub(super) struct Parser<'a> {
    scanner: Scanner<'a>,
    /// Where the text begins, as a span's start.
    start: u32,
    nodes: &'a mut Vec<Node>,
}

impl<'a> Parser<'a> {
    /// For `text`, which begins at `start` as spans count.
    pub(super) fn new(text: &'a [u8], start: u32, nodes: &'a mut Vec<Node>) -> Self {
        Self {
            scanner: Scanner::new(text),
            start,
            nodes,
        }
    }

    /// Reads the whole text; the index of its root.
    pub(super) fn text(mut self) -> Result<u32, Fault> {
        let root = self.value(Span::default(), false)?;
        self.scanner.end()?;
        Ok(root)
    }

    /// Reads one value; the index of its node.
    #[inline]
    fn value(&mut self, name: Span, escaped: bool) -> Result<u32, Found> {
        if self.nodes.len() >= NODES_MAX {
            return Err(Box::new(TOO_MANY));
        }
        let start = self.scanner.at();
        let kind = Kind::of(self.scanner.peek());
        if !matches!(kind, Kind::Object | Kind::Array) {
            self.scanner.pass()?;
        }
        let index = self.nodes.len() as u32;
        self.nodes.push(Node {
            kind,
            changed: false,
            escaped,
            joined: true,
            name,
            text: self.span(start),
            first: NONE,
            last: NONE,
            next: NONE,
        });
        match kind {
            Kind::Object => self.tree(index, start, b'}')?,
            Kind::Array => self.tree(index, start, b']')?,
            _ => {}
        }
        Ok(index)
    }

    /// Reads the object or array whose node is `parent`, from its opening bracket to `close`.
    fn tree(&mut self, parent: u32, start: usize, close: u8) -> Result<(), Found> {
        let mut last = NONE;
        let mut more = self.scanner.begin(close)?;
        while more {
            let (mut name, mut escaped) = (Span::default(), false);
            if close == b'}' {
                let start = self.scanner.at();
                let (length, has_escapes) = self.scanner.key()?;
                name = Span {
                    start: self.start + start as u32,
                    bytes: length as u32,
                };
                escaped = has_escapes;
            }
            let child = self.value(name, escaped)?;
            match last {
                NONE => self.nodes[parent as usize].first = child,
                last => self.nodes[last as usize].next = child,
            }
            last = child;
            more = self.scanner.next(close)?;
        }
        let text = self.span(start);
        let parent = &mut self.nodes[parent as usize];
        (parent.last, parent.text) = (last, text);
        Ok(())
    }

    /// From `start` to where the scanner stands.
    #[inline]
    fn span(&self, start: usize) -> Span {
        Span {
            start: self.start + start as u32,
            bytes: (self.scanner.at() - start) as u32,
        }
    }
}
