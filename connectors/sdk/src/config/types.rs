//! The general option types: text, booleans, numbers, lists.

use std::num::{NonZeroU32, NonZeroU64};

use super::{Kind, Node, NodeValue, OptionType, Problem, Problems};

impl OptionType for String {
    fn kind() -> Kind {
        Kind::TEXT
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        expect_text(node, "text", problems).map(str::to_owned)
    }
}

/// The text of `node`; otherwise reports that `what` was expected, with the quoting where that
/// would make text of it.
pub(super) fn expect_text<'a>(
    node: &'a Node,
    what: &str,
    problems: &mut Problems,
) -> Option<&'a str> {
    if let Some(text) = node.text() {
        return Some(text);
    }
    let message = format!("expected {what}, found {}", node.found());
    let problem = Problem::new(node.span, message);
    problems.push(match &node.value {
        NodeValue::Number(_) | NodeValue::Bool(_) if what == "text" => {
            let written = node.written().unwrap_or_default();
            problem.help(format!("to make it text, quote it: \"{written}\""))
        }
        NodeValue::Null if what == "text" => {
            problem.help("remove the key, or write \"\" for the empty text, \"null\" for the word")
        }
        NodeValue::Null => problem.help("remove the key, or give it a value"),
        _ => problem,
    });
    None
}

/// Text that is never shown: its `Debug` is `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// From now on `text` is shown as `***` wherever it stands.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        crate::keep_secret(&text);
        Self(text)
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl OptionType for Secret {
    fn kind() -> Kind {
        Kind::Secret
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let Some(text) = node.text() {
            return Some(Self(text.to_owned()));
        }
        let what = match node.value {
            NodeValue::Null => "nothing",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a map",
            NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::String(_) => "something else",
        };
        let problem = Problem::new(node.span, format!("expected secret text, found {what}"));
        let problem = Problem {
            secret: true,
            ..problem
        };
        problems.push(problem.help("quote it, or better refer to it: ${env:NAME} or ${file:PATH}"));
        None
    }
}

impl OptionType for bool {
    fn kind() -> Kind {
        Kind::Bool
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        match (&node.value, &node.reference) {
            (NodeValue::Bool(value), _) => return Some(*value),
            (NodeValue::String(text), Some(reference)) if reference.whole => match text.as_str() {
                "true" => return Some(true),
                "false" => return Some(false),
                _ => {}
            },
            _ => {}
        }
        let message = format!("expected `true` or `false`, found {}", node.found());
        let mut problem = Problem::new(node.span, message);
        if let Some(word) = node.written() {
            match word.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => problem = problem.help("write true, without quotes"),
                "no" | "off" | "n" | "false" => {
                    problem = problem.help("write false, without quotes")
                }
                _ => {}
            }
        }
        problems.push(problem);
        None
    }
}

/// A type of whole numbers that options can have.
pub trait Integer: Sized {
    /// The smallest that may be written.
    const LOWEST: i64;
    /// The largest that may be written.
    const HIGHEST: u64;

    /// `None` outside the range.
    fn from_i128(number: i128) -> Option<Self>;
}

macro_rules! integers {
    ($($type:ty: $min:expr, $max:expr, |$number:ident| $convert:expr;)+) => {$(
        impl Integer for $type {
            const LOWEST: i64 = $min;
            const HIGHEST: u64 = $max;

            fn from_i128($number: i128) -> Option<Self> {
                $convert
            }
        }

        impl OptionType for $type {
            fn kind() -> Kind {
                Kind::Integer { min: Self::LOWEST, max: Self::HIGHEST }
            }

            fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
                whole_number(node, problems)
            }
        }
    )+};
}

integers! {
    u32: 0, u32::MAX as u64, |number| number.try_into().ok();
    u64: 0, u64::MAX, |number| number.try_into().ok();
    i64: i64::MIN, i64::MAX as u64, |number| number.try_into().ok();
    NonZeroU32: 1, u32::MAX as u64, |number| u32::try_from(number).ok().and_then(Self::new);
    NonZeroU64: 1, u64::MAX, |number| u64::try_from(number).ok().and_then(Self::new);
}

/// Reads a whole number of the type's range.
pub fn whole_number<T: Integer>(node: &Node, problems: &mut Problems) -> Option<T> {
    if let Some(text) = number_text(node) {
        if let Some(number) = text.parse::<i128>().ok().and_then(T::from_i128) {
            return Some(number);
        }
        let range = match T::HIGHEST {
            u64::MAX => format!("of {} or more", T::LOWEST),
            max => format!("from {} to {max}", T::LOWEST),
        };
        let found = node.found();
        problems.add(
            node.span,
            format!("expected a whole number {range}, found {found}"),
        );
        return None;
    }
    not_a_number(node, "a whole number", problems);
    None
}

impl OptionType for f64 {
    fn kind() -> Kind {
        Kind::Number
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let number = number_text(node).and_then(|text| text.parse::<f64>().ok());
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            not_a_number(node, "a number", problems);
        }
        number
    }
}

/// The digits of a number, or of a reference that may become one.
fn number_text(node: &Node) -> Option<&str> {
    match (&node.value, &node.reference) {
        (NodeValue::Number(text), _) => Some(text),
        (NodeValue::String(text), Some(reference)) if reference.whole => Some(text),
        _ => None,
    }
}

fn not_a_number(node: &Node, what: &str, problems: &mut Problems) {
    let mut problem = Problem::new(
        node.span,
        format!("expected {what}, found {}", node.found()),
    );
    if let Some(text) = node.written().filter(|_| node.text().is_some()) {
        let digits = text.replace(['_', ' '], "");
        let digits = digits.trim_start_matches('+');
        let bare = match digits.trim_start_matches('0') {
            "" if !digits.is_empty() => "0",
            rest if rest.starts_with('.') => digits,
            rest => rest,
        };
        if bare.starts_with(|first: char| first.is_ascii_digit()) && bare.parse::<f64>().is_ok() {
            problem = problem.help(format!("write {bare}, without quotes"));
        }
    }
    problems.push(problem);
}

impl<T: OptionType> OptionType for Option<T> {
    fn kind() -> Kind {
        T::kind()
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::parse(node, problems).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: OptionType> OptionType for Vec<T> {
    fn kind() -> Kind {
        Kind::List(Box::new(T::kind()))
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let NodeValue::List(items) = &node.value else {
            let problem = Problem::new(
                node.span,
                format!("expected a list, found {}", node.found()),
            );
            problems.push(match node.written() {
                Some(written) => problem.help(format!("write [{written}]")),
                None => problem,
            });
            return None;
        };
        let parsed: Vec<_> = items.iter().map(|item| T::parse(item, problems)).collect();
        parsed.into_iter().collect()
    }
}

/// A single value or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T: OptionType> OptionType for OneOrMany<T> {
    fn kind() -> Kind {
        let one = T::kind();
        Kind::Either(vec![one.clone(), Kind::List(Box::new(one))])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            NodeValue::List(_) => Vec::parse(node, problems).map(Self),
            _ => T::parse(node, problems).map(|one| Self(vec![one])),
        }
    }
}

impl<T> std::ops::Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a OneOrMany<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
