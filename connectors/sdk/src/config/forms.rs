//! Option types whose text has a syntax of its own: patterns and templates.

use super::types::expect_text;
use super::{Form, Kind, Node, OptionType, Problems};
use crate::Template;

/// A regular expression over bytes. Its `Debug` does not show it: it may be secret.
#[derive(Clone)]
pub struct Pattern(regex::bytes::Regex);

impl Pattern {
    /// Compiles `text`; the error says in one line what is wrong.
    pub fn new(text: &str) -> Result<Self, String> {
        regex::bytes::Regex::new(text).map(Self).map_err(|error| {
            // The last line of several says what is wrong; those above draw the pattern.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_owned()
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it matches anywhere in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pattern(..)")
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl OptionType for Pattern {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "regular expression",
            pattern: None,
            example: "^\\d{4}-",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = expect_text(node, "a regular expression", problems)?;
        match Self::new(text) {
            Ok(pattern) => Some(pattern),
            Err(_) if node.reference.is_some() => {
                // The reason may quote the pattern, which may be secret.
                let message = format!("{} is no regular expression", node.found());
                problems.add(node.span, message);
                None
            }
            Err(why) => {
                problems.add(node.span, format!("not a regular expression: {why}"));
                None
            }
        }
    }
}

impl OptionType for Template {
    fn kind() -> Kind {
        Kind::Template(Form {
            name: "template",
            pattern: None,
            example: "{topic}-{partition}",
        })
    }

    /// With every general name allowed; a connector that knows better checks
    /// [`Template::names`].
    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        Template::from_node(node, Template::NAMES, problems)
    }
}

/// The template of the path of what a sink writes, for files and objects alike.
#[derive(Debug, Clone, PartialEq)]
pub struct PathTemplate(pub Template);

impl OptionType for PathTemplate {
    fn kind() -> Kind {
        let example = "out/{topic}-{partition}-{start_offset:020}.jsonl";
        Kind::Template(Form {
            name: "path template",
            pattern: None,
            example,
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let template = Template::from_node(node, Template::PATH_NAMES, problems)?;
        let text = node.text().unwrap_or_default();
        if text.is_empty() || text.ends_with('/') || text.contains('\0') {
            problems.add(
                node.span,
                format!("expected the path of a file, found {}", node.found()),
            );
            return None;
        }
        Some(Self(template))
    }
}
