//! Where captures stand in the object that is made of them.

use towpath_sdk::config::TextType;
use towpath_sdk::{Path, Step, json};

use crate::parse::Fault;
use crate::typed::put_typed;

/// An object whose leaves are groups of an expression.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldTree {
    fields: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    /// As JSON with its colon.
    quoted: Vec<u8>,
    node: Node,
}

#[derive(Debug, Clone)]
enum Node {
    /// The first of these groups that took part in the match.
    Leaf(Vec<(usize, TextType)>),
    Tree(FieldTree),
}

impl FieldTree {
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Lets `group` stand at `path`.
    pub fn add(&mut self, path: &Path, group: usize, value: TextType) -> Result<(), String> {
        self.add_at(path.steps(), group, value)
            .map_err(|why| format!("field `{path}` {why}"))
    }

    fn add_at(
        &mut self,
        steps: &[Step],
        group: usize,
        value: TextType,
    ) -> Result<(), &'static str> {
        const BOTH: &str = "is both a value and an object";
        let [Step::Field(name), below @ ..] = steps else {
            return Err("stands in a list, which cannot be made of captures");
        };
        let known = self.fields.iter().position(|entry| entry.name == *name);
        let index = known.unwrap_or(self.fields.len());
        if known.is_none() {
            let mut quoted = Vec::new();
            json::put_string(name, &mut quoted);
            quoted.push(b':');
            self.fields.push(Entry {
                name: name.clone(),
                quoted,
                node: match below {
                    [] => Node::Leaf(Vec::new()),
                    _ => Node::Tree(Self::default()),
                },
            });
        }
        match (&mut self.fields[index].node, below) {
            (Node::Leaf(groups), []) => {
                groups.push((group, value));
                Ok(())
            }
            (Node::Tree(tree), [_, ..]) => tree.add_at(below, group, value),
            _ => Err(BOTH),
        }
    }

    /// Appends the object; `capture` gives where a group begins, and its text.
    pub fn put<'t>(
        &self,
        capture: &impl Fn(usize) -> Option<(usize, &'t str)>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let start = out.len();
        out.push(b'{');
        for entry in &self.fields {
            let before = out.len();
            if before > start + 1 {
                out.push(b',');
            }
            out.extend_from_slice(&entry.quoted);
            if !entry.node.put(capture, out)? {
                out.truncate(before);
            }
        }
        out.push(b'}');
        Ok(())
    }
}

impl Node {
    /// Appends the value; false when there is none.
    fn put<'t>(
        &self,
        capture: &impl Fn(usize) -> Option<(usize, &'t str)>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        match self {
            Self::Leaf(groups) => {
                let found = groups
                    .iter()
                    .find_map(|(group, value)| Some((capture(*group)?, value)));
                let Some(((at, text), value)) = found else {
                    return Ok(false);
                };
                put_typed(value, text, out).map_err(|what| Fault { at, what })?;
                Ok(true)
            }
            Self::Tree(tree) => {
                let start = out.len();
                tree.put(capture, out)?;
                Ok(out.len() > start + 2)
            }
        }
    }
}
