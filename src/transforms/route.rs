//! `route`: topics by a regular expression, as Kafka Connect's `RegexRouter` does.

use std::sync::Arc;

use regex::{Captures, Regex};
use towpath_sdk::config::{Node, Pattern, Problem, Problems, options};
use towpath_sdk::{
    Error, Result, Transform, TransformConfig, TransformContext, TransformExample, TransformType,
    WorkingBatch,
};

options! {
    struct Options {
        /// What the whole topic must match; the topic stays otherwise.
        regex: Pattern,
        /// What stands in for the first match: `$1` or `${name}` is what a group has matched, `\`
        /// goes before a character that means itself.
        replacement: String,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "route",
    summary: "Sends records to a topic made from their topic's name.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "one topic for all regions",
        options: r"{ regex: '(\w+)-(eu|us)', replacement: $1 }",
        input: r#"{"id":7}  # topic: orders-eu"#,
        output: r#"{"id":7}  # topic: orders"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let Options { regex, replacement } = Options::parse(node, problems)?;
    let text = regex.as_str();
    let compiled = Regex::new(text).and_then(|first| {
        let whole = Regex::new(&format!(r"\A(?:{text})\z"))?;
        Ok((first, whole))
    });
    let (first, whole) = match compiled {
        Ok(compiled) => compiled,
        Err(_) => {
            let message =
                "this regular expression does not match text, or cannot stand in brackets";
            problems.add(node.span_of("regex"), message);
            return None;
        }
    };
    match pieces(&replacement, &first) {
        Ok(replacement) => Some(Arc::new(Route {
            first,
            whole,
            replacement,
            last: None,
            made: String::new(),
        })),
        Err(why) => {
            let problem = Problem::new(node.span_of("replacement"), why);
            problems.push(problem.help("`$1` is the first group, `${name}` a named one"));
            None
        }
    }
}

#[derive(Debug, Clone)]
struct Route {
    /// Finds what is replaced.
    first: Regex,
    /// Matches names that are changed.
    whole: Regex,
    replacement: Vec<Piece>,
    /// The topic of the record before and what became of it: nearly always that of the next.
    last: Option<(Arc<str>, Option<Arc<str>>)>,
    made: String,
}

/// A part of the replacement.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    /// What the group of this number has matched.
    Group(usize),
}

impl TransformConfig for Route {
    fn changes_places(&self) -> bool {
        true
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Route {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let topic = batch
                .topic(row)
                .ok_or_else(|| Error::record("route", "a record").because("it has no topic yet"))?;
            if self.last.as_ref().is_none_or(|(last, _)| last != topic) {
                self.last = Some((topic.clone(), self.new_name(topic)));
            }
            match &self.last {
                Some((_, Some(new))) => batch.set_topic(row, new),
                _ => Ok(()),
            }
        })
    }
}

impl Route {
    /// `None` when the topic stays.
    fn new_name(&mut self, topic: &str) -> Option<Arc<str>> {
        if !self.whole.is_match(topic) {
            return None;
        }
        let found = self.first.captures(topic)?;
        let range = found.get(0)?.range();
        self.made.clear();
        self.made.push_str(&topic[..range.start]);
        for piece in &self.replacement {
            self.made.push_str(piece.text(&found));
        }
        self.made.push_str(&topic[range.end..]);
        Some(self.made.as_str().into())
    }
}

impl Piece {
    fn text<'a>(&'a self, found: &Captures<'a>) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
        }
    }
}

/// Reads a replacement as Java's `Matcher.appendReplacement` does; says what is wrong.
fn pieces(replacement: &str, regex: &Regex) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = replacement.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => text.push(rest.next().ok_or("`\\` stands at its end")?),
            '$' => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                let (group, length) = group(rest.as_str(), regex)?;
                pieces.push(Piece::Group(group));
                rest = rest.as_str()[length..].chars();
            }
            _ => text.push(character),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    for piece in &pieces {
        if let Piece::Text(text) = piece
            && let Some(wrong) = text.chars().find(|c| !towpath_sdk::in_topic_name(*c))
        {
            return Err(format!("no topic has `{wrong}` in its name"));
        }
    }
    match pieces.is_empty() {
        true => Err("no topic has an empty name".to_owned()),
        false => Ok(pieces),
    }
}

/// The group that `text`, which follows a `$`, begins with, and how many bytes name it.
fn group(text: &str, regex: &Regex) -> Result<(usize, usize), String> {
    if let Some(inside) = text.strip_prefix('{') {
        let (name, _) = inside.split_once('}').ok_or("`${` has no `}`")?;
        let mut names = regex.capture_names();
        let group = names.position(|known| known == Some(name));
        return group
            .map(|group| (group, name.len() + 2))
            .ok_or_else(|| format!("the regular expression has no group `{name}`"));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    // As many digits as make the number of a group, but one at least.
    let numbers = (1..=digits).rev();
    let known = |length: usize| {
        let group = text[..length].parse().ok()?;
        (group < regex.captures_len()).then_some((group, length))
    };
    numbers
        .filter_map(known)
        .next()
        .ok_or_else(|| match digits {
            0 => "`$` names no group; write `\\$` for the character".to_owned(),
            _ => format!("the regular expression has no group {}", &text[..1]),
        })
}
