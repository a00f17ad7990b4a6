//! Looking up one value in JSON text, without a tree.

use std::borrow::Cow;

use towpath_sdk::json::{Fault, Scanner, string_text, validate};
use towpath_sdk::{Error, Path, Result, Step};

/// The text of the scalar at `path` in the JSON text `value`: a string unescaped, a number, `true`
/// or `false` as written. `None` when it is null or missing. Of fields with one name the first
/// counts. Reads no further than it must: what follows the scalar is not checked.
///
/// # Errors
/// A record error when `value` is no JSON, or an object or array stands at `path`.
pub fn lookup<'a>(value: &'a [u8], path: &Path) -> Result<Option<Cow<'a, str>>> {
    let cannot = |why: String| Error::record("look up", format!("`{path}`")).because(why);
    match find(value, path.steps()) {
        Ok(Found::Scalar(text)) => Ok(Some(text)),
        Ok(Found::Nothing) => Ok(None),
        Ok(Found::Tree) => Err(cannot(
            "an object or array stands there, where one value is needed".to_owned(),
        )),
        Err(fault) => Err(cannot(format!("the value is not JSON: {fault}"))),
    }
}

/// What stands at a path.
enum Found<'a> {
    Nothing,
    Scalar(Cow<'a, str>),
    Tree,
}

fn find<'a>(value: &'a [u8], steps: &[Step]) -> Result<Found<'a>, Fault> {
    let mut scanner = Scanner::new(value);
    for step in steps {
        let found = match step {
            Step::Field(name) => scanner.enter_field(name)?,
            Step::Index(index) => scanner.enter_item(*index)?,
        };
        if !found {
            // Only a JSON text can lack a field.
            return validate(value).map(|()| Found::Nothing);
        }
    }
    let at = scanner.at();
    let text = std::str::from_utf8(scanner.value()?).map_err(|_| Fault {
        at,
        what: "invalid UTF-8",
    })?;
    Ok(match text.as_bytes().first() {
        Some(b'"') => Found::Scalar(string_text(text)),
        Some(b'{' | b'[') => Found::Tree,
        Some(b'n') => Found::Nothing,
        _ => Found::Scalar(Cow::Borrowed(text)),
    })
}
