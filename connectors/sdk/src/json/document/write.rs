//! From nodes to JSON text.

use super::*;

impl Node {
    /// A member of an object as one piece of text, from its name to the end of its value.
    fn member(&self) -> Option<Span> {
        self.joined.then(|| Span {
            start: self.name.start,
            bytes: self.text.end() - self.name.start,
        })
    }
}

impl Documents {
    /// The JSON text of a node where it stands, when nobody has changed it.
    pub fn unchanged(&self, node: NodeId) -> Option<&[u8]> {
        let node = self.node(node);
        (!node.changed).then(|| self.bytes(node.text))
    }

    /// Appends the JSON text of a node.
    pub fn write(&self, node: NodeId, out: &mut Vec<u8>) {
        let Node {
            kind,
            changed,
            text,
            ..
        } = *self.node(node);
        if !changed {
            return out.extend_from_slice(self.bytes(text));
        }
        out.push(if kind == Kind::Object { b'{' } else { b'[' });
        // Neighbours in the text, with all between them, are copied together.
        let mut run: Option<Span> = None;
        for (index, child) in self.children(node).enumerate() {
            let child_node = self.node(child);
            let piece = match kind {
                _ if child_node.changed => None,
                Kind::Object => child_node.member(),
                _ => Some(child_node.text),
            };
            if let (Some(so_far), Some(piece)) = (run, piece)
                && so_far.end() + 1 == piece.start
                && self.bytes(Span {
                    start: so_far.end(),
                    bytes: 1,
                }) == b","
            {
                run = Some(Span {
                    start: so_far.start,
                    bytes: piece.end() - so_far.start,
                });
                continue;
            }
            if let Some(run) = run.take() {
                out.extend_from_slice(self.bytes(run));
            }
            if index > 0 {
                out.push(b',');
            }
            if piece.is_some() {
                run = piece;
                continue;
            }
            if kind == Kind::Object {
                out.extend_from_slice(self.bytes(child_node.name));
                out.push(b':');
            }
            self.write(child, out);
        }
        if let Some(run) = run {
            out.extend_from_slice(self.bytes(run));
        }
        out.push(if kind == Kind::Object { b'}' } else { b']' });
    }
}
