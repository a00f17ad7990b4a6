//! JSON in the one form in which equal values are equal text: fields by name, no white space that
//! says nothing, strings with the same escapes. Numbers stay as written: `1.0` is not `1`.

use bytes::Bytes;
use towpath_sdk::json::{Documents, Kind, NodeId, put_string};

/// JSON text in that form, with a field or item on each line when `lines`; `None` when `text` is no
/// JSON.
pub fn normal(text: &[u8], lines: bool) -> Option<String> {
    let mut documents = Documents::default();
    documents.reset(Bytes::copy_from_slice(text));
    let whole = documents.make(|out| out.extend_from_slice(text));
    let root = documents.parse(whole).ok()?;
    let mut writer = Writer {
        documents: &documents,
        lines,
        out: Vec::new(),
    };
    writer.node(root, 0);
    String::from_utf8(writer.out).ok()
}

struct Writer<'a> {
    documents: &'a Documents,
    lines: bool,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn node(&mut self, node: NodeId, depth: usize) {
        let documents = self.documents;
        let mut children: Vec<NodeId> = documents.children(node).collect();
        match documents.kind(node) {
            Kind::Object => {
                // Of fields with one name the first counts; all are shown, in their order.
                children.sort_by(|one, other| documents.name(*one).cmp(&documents.name(*other)));
                self.tree(b"{}", &children, depth);
            }
            Kind::Array => self.tree(b"[]", &children, depth),
            Kind::String => {
                let text = documents.string(node).unwrap_or_default();
                put_string(&text, &mut self.out);
            }
            Kind::Null => self.out.extend_from_slice(b"null"),
            Kind::Boolean | Kind::Number => {
                self.out.extend_from_slice(documents.text(node).as_bytes());
            }
        }
    }

    fn tree(&mut self, brackets: &[u8; 2], children: &[NodeId], depth: usize) {
        self.out.push(brackets[0]);
        for (index, child) in children.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.line(depth + 1);
            if brackets[0] == b'{' {
                put_string(&self.documents.name(*child), &mut self.out);
                self.out
                    .extend_from_slice(if self.lines { b": " } else { b":" });
            }
            self.node(*child, depth + 1);
        }
        if !children.is_empty() {
            self.line(depth);
        }
        self.out.push(brackets[1]);
    }

    fn line(&mut self, depth: usize) {
        if self.lines {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', 2 * depth));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_the_same_text() {
        let cases = [
            (r#"{"b":1,"a":[1.50,{}]}"#, r#"{"a":[1.50,{}],"b":1}"#),
            ("{ \"a\" :\n null }", r#"{"a":null}"#),
            (r#""\u0041\/""#, r#""A/""#),
            (r#"{"\u0062":1,"a":2}"#, r#"{"a":2,"b":1}"#),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            (" true ", "true"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                normal(text.as_bytes(), false).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        assert_ne!(normal(b"1.0", false), normal(b"1", false));
        for text in ["", "{", "nul", "1 2"] {
            assert_eq!(normal(text.as_bytes(), false), None, "{text}");
        }
    }

    #[test]
    fn every_field_and_item_has_a_line() {
        let shown = normal(br#"{"b":[],"a":[1,{"c":2}]}"#, true).expect("JSON");
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"c\": 2\n    }\n  ],\n  \"b\": []\n}";
        assert_eq!(shown, expected);
    }
}
