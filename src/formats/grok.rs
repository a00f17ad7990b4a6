//! Grok: expressions made of named patterns, `%{IPORHOST:client} %{NUMBER:bytes:int}`.
//!
//! `%{NAME}` stands for a pattern, `%{NAME:field}` keeps what it matched as a string,
//! `%{NAME:field:type}` as `int`, `float` or `boolean`. A field is a path (`http.method`), or
//! Logstash's `[http][method]`. The whole is compiled into one expression of linear time, so what
//! only a backtracking engine can do (lookaround, atomic groups, backreferences) is refused.
//!
//! The patterns are those that Logstash made well known, written anew from what they mean, without
//! lookaround. Each stands in `grok/*.txt` with a text it matches and one it does not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use towpath_sdk::config::{TextType, nearest};
use towpath_sdk::{Path, printable};

use crate::pattern::Pattern;

/// Patterns within patterns beyond this are taken for a circle.
const DEPTH_MAX: usize = 32;
/// Bytes an expanded expression may have.
const EXPANDED_BYTES_MAX: usize = 256 << 10;
/// Begins the names of groups that stand for fields.
const GROUP: &str = "__field_";

/// The patterns with their examples; `core.txt` says how they are written.
pub(crate) const FILES: [&str; 6] = [
    include_str!("grok/core.txt"),
    include_str!("grok/web.txt"),
    include_str!("grok/services.txt"),
    include_str!("grok/network.txt"),
    include_str!("grok/monitoring.txt"),
    include_str!("grok/bacula.txt"),
];

static PATTERNS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = FILES.iter().flat_map(|file| file.lines());
    let defined = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    defined.filter_map(|line| line.split_once(' ')).collect()
});

/// Compiles a grok expression. `definitions` are patterns of one's own, which come before the
/// standard ones of the same name.
///
/// # Errors
/// Says in one line what is wrong: an unknown pattern or type, a circle, no field, or an expression
/// that the `regex` crate refuses.
pub fn grok(expression: &str, definitions: &HashMap<String, String>) -> Result<Pattern, String> {
    let mut expansion = Expansion {
        definitions,
        text: String::new(),
        fields: Vec::new(),
    };
    expansion.expand(expression, 0)?;
    let fields = expansion.fields;
    Pattern::typed(&expansion.text, |group| {
        let index = group.strip_prefix(GROUP);
        let index = index.and_then(|index| index.parse::<usize>().ok());
        match index.and_then(|index| fields.get(index)) {
            Some(field) => Ok(field.clone()),
            None => Ok((field_path(group)?, TextType::String)),
        }
    })
}

/// The names of the standard patterns, in no order.
pub fn grok_names() -> impl Iterator<Item = &'static str> {
    PATTERNS.keys().copied()
}

struct Expansion<'a> {
    definitions: &'a HashMap<String, String>,
    text: String,
    fields: Vec<(Path, TextType)>,
}

impl Expansion<'_> {
    /// Appends `expression` with every `%{...}` replaced.
    fn expand(&mut self, expression: &str, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err("a pattern that contains itself".to_owned());
        }
        let mut rest = expression;
        while let Some(at) = rest.find("%{") {
            self.text.push_str(&rest[..at]);
            let Some((reference, after)) = rest[at + 2..].split_once('}') else {
                return Err(format!("`{}` lacks its `}}`", printable(&rest[at..])));
            };
            self.reference(reference, depth)?;
            rest = after;
        }
        self.text.push_str(rest);
        if self.text.len() > EXPANDED_BYTES_MAX {
            return Err("expanded, it has more than 256 KiB".to_owned());
        }
        Ok(())
    }

    /// Appends what `NAME`, `NAME:field` or `NAME:field:type` stands for.
    fn reference(&mut self, reference: &str, depth: usize) -> Result<(), String> {
        let mut parts = reference.splitn(3, ':');
        let definition = self.definition(parts.next().unwrap_or_default())?;
        match parts.next() {
            None => self.text.push_str("(?:"),
            Some(field) => {
                let value = match parts.next() {
                    None => TextType::String,
                    Some(word) => TextType::from_word(word).ok_or_else(|| {
                        let word = printable(word);
                        format!("unknown type `{word}`; expected int, float, boolean or string")
                    })?,
                };
                let index = self.fields.len();
                self.fields.push((field_path(field)?, value));
                self.text.push_str(&format!("(?<{GROUP}{index}>"));
            }
        }
        self.expand(&definition, depth + 1)?;
        self.text.push(')');
        Ok(())
    }

    fn definition(&self, name: &str) -> Result<Cow<'static, str>, String> {
        if let Some(own) = self.definitions.get(name) {
            return Ok(own.clone().into());
        }
        if let Some(standard) = PATTERNS.get(name) {
            return Ok((*standard).into());
        }
        let standard = PATTERNS.keys().copied();
        let own = self.definitions.keys().map(String::as_str);
        let near = nearest(name, standard.chain(own));
        let near = near.map(|near| format!("; did you mean `{near}`?"));
        let name = printable(name);
        Err(format!(
            "unknown pattern `{name}`{}",
            near.unwrap_or_default()
        ))
    }
}

/// The path that is written `a.b` or `[a][b]`.
fn field_path(field: &str) -> Result<Path, String> {
    let inside = field
        .strip_prefix('[')
        .and_then(|field| field.strip_suffix(']'));
    let text: Cow<'_, str> = match inside {
        Some(inside) => {
            let name = |name: &str| format!("`{}`", name.replace('`', "``"));
            let names: Vec<String> = inside.split("][").map(name).collect();
            names.join(".").into()
        }
        None => field.into(),
    };
    Path::parse(&text)
        .map_err(|error| format!("`{}` is no field: {}", printable(field), error.message))
}
