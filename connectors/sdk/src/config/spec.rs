//! What options there are, for the schema, for tables and for `--print`.

use super::{Node, nearest};

/// The options of one struct that was declared with [`options!`](crate::options).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionsSpec {
    /// What they are for.
    pub doc: String,
    /// In the order declared.
    pub options: Vec<OptionSpec>,
}

/// One option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionSpec {
    /// The key in YAML.
    pub name: &'static str,
    /// What it is for.
    pub doc: String,
    /// What may be written.
    pub kind: Kind,
    /// What holds when the option is absent.
    pub default: Option<Node>,
    /// Whether it must be given.
    pub required: bool,
}

/// What may be written for an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number of the range.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: u64,
    },
    /// Any number.
    Number,
    /// Text of a certain form.
    Text(Form),
    /// Text with places that are filled from a record.
    Template(Form),
    /// Text that is never shown.
    Secret,
    /// One of some words.
    Word(Vec<Word>),
    /// Any number of one kind.
    List(Box<Kind>),
    /// Names that the user chooses, all with values of one kind.
    Map(Box<Kind>),
    /// A map of options.
    Options(OptionsSpec),
    /// One of several; of none, anything.
    Either(Vec<Kind>),
}

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// A noun for tables: `duration`.
    pub name: &'static str,
    /// A regular expression that every such text matches, for editors.
    pub pattern: Option<&'static str>,
    /// One such text.
    pub example: &'static str,
}

/// A word that an option may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is written.
    pub name: &'static str,
    /// What it means.
    pub doc: String,
}

impl OptionsSpec {
    /// The option `name`.
    pub fn get(&self, name: &str) -> Option<&OptionSpec> {
        self.options.iter().find(|option| option.name == name)
    }

    /// In the order declared.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.options.iter().map(|option| option.name)
    }

    /// The option that `key` of `map` evidently was meant to be: one that must be given, is not,
    /// and is the nearest.
    pub fn meant(&self, key: &str, map: &Node) -> Option<&'static str> {
        let near = self.get(nearest(key, self.names())?)?;
        (near.required && map.get(near.name).is_none()).then_some(near.name)
    }

    /// These options and then those of `other`.
    #[must_use]
    pub fn with(mut self, other: OptionsSpec) -> Self {
        self.options.extend(other.options);
        self
    }
}

impl OptionSpec {
    /// What it is for, and what each of its words means, on one line.
    pub fn description(&self) -> String {
        let words = self.kind.words().iter().filter(|word| !word.doc.is_empty());
        let words = words.map(|word| format!("`{}`: {}", word.name, word.doc));
        let parts: Vec<String> = std::iter::once(self.doc.clone()).chain(words).collect();
        parts.join(" ").trim().replace('\n', " ")
    }
}

impl Kind {
    /// The words, when it is or may be one of some.
    fn words(&self) -> &[Word] {
        match self {
            Self::Word(words) => words,
            Self::Either(kinds) => kinds.first().map_or(&[], Self::words),
            _ => &[],
        }
    }

    /// Any text.
    pub const TEXT: Self = Self::Text(Form {
        name: "text",
        pattern: None,
        example: "",
    });

    /// The options behind this kind, when it is or may be a map of options.
    pub fn options(&self) -> Option<&OptionsSpec> {
        match self {
            Self::Options(spec) => Some(spec),
            Self::Either(kinds) => kinds.iter().find_map(Self::options),
            _ => None,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool => f.write_str("`true` or `false`"),
            Self::Integer { .. } => f.write_str("whole number"),
            Self::Number => f.write_str("number"),
            Self::Text(form) | Self::Template(form) => f.write_str(form.name),
            Self::Secret => f.write_str("secret text"),
            Self::Word(words) => join(f, words.iter().map(|word| format!("`{}`", word.name))),
            Self::List(item) => write!(f, "list of {item}"),
            Self::Map(value) => write!(f, "map of names to {value}"),
            Self::Options(spec) => {
                let names: Vec<_> = spec.names().collect();
                write!(f, "`{{ {} }}`", names.join(", "))
            }
            Self::Either(kinds) if kinds.is_empty() => f.write_str("anything"),
            Self::Either(kinds) => join(f, kinds.iter().map(Kind::to_string)),
        }
    }
}

/// `a`, `b` or `c`.
fn join(f: &mut std::fmt::Formatter<'_>, parts: impl Iterator<Item = String>) -> std::fmt::Result {
    let mut parts: Vec<String> = parts.collect();
    let last = parts.pop().unwrap_or_default();
    if !parts.is_empty() {
        write!(f, "{} or ", parts.join(", "))?;
    }
    f.write_str(&last)
}

/// The options as a Markdown table: option, type, default, description; those of nested maps
/// follow with their path.
pub fn markdown_table(spec: &OptionsSpec) -> String {
    let mut out = String::from("| option | type | default | description |\n|---|---|---|---|\n");
    rows(spec, "", &mut out);
    out
}

fn rows(spec: &OptionsSpec, above: &str, out: &mut String) {
    for option in &spec.options {
        let default = match (&option.default, option.required) {
            (_, true) => "required".to_owned(),
            (None, false) => String::new(),
            (Some(node), false) => format!("`{}`", inline(node)),
        };
        let cell = |text: &str| text.replace('|', "\\|");
        let name = format!("{above}{}", option.name);
        let kind = cell(&option.kind.to_string());
        out.push_str(&format!(
            "| `{name}` | {kind} | {} | {} |\n",
            cell(&default),
            cell(&option.description())
        ));
        if let Some(nested) = option.kind.options() {
            rows(nested, &format!("{name}."), out);
        }
    }
}

/// A default on one line, as it would be in YAML.
fn inline(node: &Node) -> String {
    use super::NodeValue;
    match &node.value {
        NodeValue::Null => "null".to_owned(),
        NodeValue::Bool(value) => value.to_string(),
        NodeValue::Number(text) | NodeValue::String(text) => text.clone(),
        NodeValue::List(items) => {
            format!(
                "[{}]",
                items.iter().map(inline).collect::<Vec<_>>().join(", ")
            )
        }
        NodeValue::Map(_) => "{}".to_owned(),
    }
}
