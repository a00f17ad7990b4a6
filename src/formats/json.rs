//! JSON as bytes: checking it, looking up one value in it, putting it on one line, writing strings.
//! No tree is ever built.

mod scan;

use std::borrow::Cow;

use towpath_sdk::{Error, Path, Result, Step};

pub(crate) use scan::Fault;
use scan::{Scanner, string_text};

/// Checks that `bytes` is one JSON text (RFC 8259) in UTF-8, at most 128 deep, whose strings are
/// Unicode (no half surrogate pairs).
pub(crate) fn validate(bytes: &[u8]) -> Result<(), Fault> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(Fault {
            at: error.valid_up_to(),
            what: "invalid UTF-8",
        });
    }
    let mut scanner = Scanner::new(bytes);
    scanner.value()?;
    scanner.end()
}

/// The text of the scalar at `path` in the JSON text `value`: a string unescaped, a number, `true`
/// or `false` as written. `None` when it is null or missing. Of fields with one name the first
/// counts. Reads no further than it must, so what follows is not checked.
///
/// # Errors
/// A record error when `value` is no JSON up to there, or an object or array stands at `path`.
pub fn lookup<'a>(value: &'a [u8], path: &Path) -> Result<Option<Cow<'a, str>>> {
    find(value, path.steps())
        .map_err(|fault| Error::record("look up", format!("`{path}`")).because(fault))
}

fn find<'a>(value: &'a [u8], steps: &[Step]) -> Result<Option<Cow<'a, str>>, Fault> {
    let mut scanner = Scanner::new(value);
    for step in steps {
        let found = match step {
            Step::Field(name) => scanner.enter_field(name)?,
            Step::Index(index) => scanner.enter_item(*index)?,
        };
        if !found {
            return Ok(None);
        }
    }
    let at = scanner.at();
    let text = scanner.value()?;
    match text.first() {
        Some(b'"') => Ok(Some(string_text(text, at)?)),
        Some(b'{' | b'[') => Err(Fault {
            at,
            what: "an object or array, where one value is needed",
        }),
        Some(b'n') => Ok(None),
        _ => match std::str::from_utf8(text) {
            Ok(text) => Ok(Some(Cow::Borrowed(text))),
            Err(_) => Err(Fault {
                at,
                what: "invalid UTF-8",
            }),
        },
    }
}

/// Appends the JSON text `value` on one line: as it is if it has no line break, else without the
/// white space between its parts.
pub(crate) fn put_on_one_line(value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    if memchr::memchr2(b'\n', b'\r', value).is_none() {
        out.extend_from_slice(value);
        return Ok(());
    }
    let before = out.len();
    let mut in_string = false;
    let mut escaped = false;
    for (at, &byte) in value.iter().enumerate() {
        if in_string && matches!(byte, b'\n' | b'\r') {
            out.truncate(before);
            return Err(Fault {
                at,
                what: "a line break inside a string",
            });
        }
        if in_string || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            out.push(byte);
        }
        in_string = match byte {
            b'"' if !escaped => !in_string,
            _ => in_string,
        };
        escaped = in_string && byte == b'\\' && !escaped;
    }
    Ok(())
}

/// Appends `text` as a JSON string.
pub(crate) fn put_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Appends `bytes` as a JSON string in base64 (RFC 4648, with padding).
pub(crate) fn put_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.reserve(bytes.len().div_ceil(3) * 4 + 2);
    out.push(b'"');
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * index)) as usize & 63];
            out.push(if index <= group.len() { digit } else { b'=' });
        }
    }
    out.push(b'"');
}
