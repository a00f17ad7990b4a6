//! Paths into a value: `order.items[0].price`.

use std::fmt;

use crate::Value;

/// A place inside a value: field names and list indexes.
///
/// Written with dots and brackets; a name with characters other than letters, digits, `_`, `-` and
/// `@` stands in backticks, a backtick in it twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    steps: Vec<Step>,
}

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into an object's field.
    Field(String),
    /// To an element of a list, from 0.
    Index(u32),
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathError {
    /// The byte where it stops being one.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

impl Path {
    /// Reads a path, which has at least one field.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut steps = Vec::new();
        let mut at = 0;
        loop {
            let (name, after) = field(text, at)?;
            steps.push(Step::Field(name));
            at = after;
            while text[at..].starts_with('[') {
                let (index, after) = index(text, at)?;
                steps.push(Step::Index(index));
                at = after;
            }
            match text[at..].chars().next() {
                None => return Ok(Self { steps }),
                Some('.') => at += 1,
                Some(_) => return Err(error(at, "expected `.`, `[` or the end of the path")),
            }
        }
    }

    /// From the value inwards.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The path of `steps`; `None` when there are none.
    pub fn of(steps: Vec<Step>) -> Option<Self> {
        (!steps.is_empty()).then_some(Self { steps })
    }

    /// The first `steps` steps, of which there is at least one.
    pub fn prefix(&self, steps: usize) -> Self {
        Self {
            steps: self.steps[..steps.clamp(1, self.steps.len())].to_vec(),
        }
    }

    /// What stands there in `value`; `None` when nothing does.
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.steps
            .iter()
            .try_fold(value, |value, step| match (step, value) {
                (Step::Field(name), value) => value.get(name),
                (Step::Index(index), Value::Array(items)) => {
                    items.get(usize::try_from(*index).ok()?)
                }
                (Step::Index(_), _) => None,
            })
    }
}

fn is_bare(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '@')
}

/// The field name at `at`, and where it ends.
fn field(text: &str, at: usize) -> Result<(String, usize), PathError> {
    let rest = &text[at..];
    if let Some(quoted) = rest.strip_prefix('`') {
        let mut name = String::new();
        let mut characters = quoted.char_indices().peekable();
        while let Some((offset, character)) = characters.next() {
            match character {
                '`' if characters.next_if(|(_, next)| *next == '`').is_some() => name.push('`'),
                '`' => return Ok((name, at + 1 + offset + 1)),
                _ => name.push(character),
            }
        }
        return Err(error(at, "this backtick has no counterpart"));
    }
    let length = rest
        .find(|character| !is_bare(character))
        .unwrap_or(rest.len());
    if length == 0 {
        return Err(error(
            at,
            "expected a field name; other characters need backticks",
        ));
    }
    Ok((rest[..length].to_owned(), at + length))
}

/// The index in brackets at `at`, and where it ends.
fn index(text: &str, at: usize) -> Result<(u32, usize), PathError> {
    let inside = &text[at + 1..];
    let length = inside
        .find(']')
        .ok_or_else(|| error(at, "this `[` has no counterpart"))?;
    let digits = &inside[..length];
    let number = Some(digits)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| error(at + 1, "expected an index: a whole number from 0"))?;
    Ok((number, at + 1 + length + 1))
}

fn error(at: usize, message: &str) -> PathError {
    PathError {
        at,
        message: message.to_owned(),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.steps.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Field(name) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    if !name.is_empty() && name.chars().all(is_bare) {
                        f.write_str(name)?;
                    } else {
                        write!(f, "`{}`", name.replace('`', "``"))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// `shown` is the path as it prints itself, or the place and text of the error.
    fn check(text: &str, shown: Result<&str, (usize, &str)>) {
        let parsed = Path::parse(text).map(|path| path.to_string());
        let expected = match shown {
            Ok(shown) => Ok(shown.to_owned()),
            Err((at, message)) => Err(error(at, message)),
        };
        assert_eq!(parsed, expected, "{text}");
        if let Ok(shown) = parsed {
            assert_eq!(Path::parse(&shown).map(|path| path.to_string()), Ok(shown));
        }
    }

    #[test]
    fn paths_are_read_and_shown() {
        check("order.items[0].price", Ok("order.items[0].price"));
        check("a[1][2]", Ok("a[1][2]"));
        check("@timestamp", Ok("@timestamp"));
        check("`plain`", Ok("plain"));
        check("`a.b`.c", Ok("`a.b`.c"));
        check("`a``b`", Ok("`a``b`"));
        check("``", Ok("``"));
        check("größe", Ok("größe"));
    }

    #[test]
    fn wrong_paths_say_where() {
        check(
            "",
            Err((0, "expected a field name; other characters need backticks")),
        );
        check(
            "a.",
            Err((2, "expected a field name; other characters need backticks")),
        );
        check("a b", Err((1, "expected `.`, `[` or the end of the path")));
        check("a[", Err((1, "this `[` has no counterpart")));
        check("a[x]", Err((2, "expected an index: a whole number from 0")));
        check(
            "a[-1]",
            Err((2, "expected an index: a whole number from 0")),
        );
        check(
            "a[99999999999]",
            Err((2, "expected an index: a whole number from 0")),
        );
        check("`a", Err((0, "this backtick has no counterpart")));
    }

    #[test]
    fn a_path_finds_its_value() {
        let price = Value::Number("7".to_owned());
        let item = Value::Object(vec![("price".to_owned(), price.clone())]);
        let value = Value::Object(vec![("items".to_owned(), Value::Array(vec![item]))]);
        let get = |text: &str| {
            Path::parse(text)
                .ok()
                .and_then(|path| path.get(&value).cloned())
        };
        assert_eq!(get("items[0].price"), Some(price));
        assert_eq!(get("items[1].price"), None);
        assert_eq!(get("items.price"), None);
        assert_eq!(get("absent"), None);
    }
}
