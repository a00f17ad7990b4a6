//! Reading JSON text from front to back, strictly, with every place known.

use super::string::{plain_bytes, string_text};

/// Nesting beyond this is refused: every reader behind us may recurse.
const DEPTH_MAX: usize = 128;

/// What is wrong with a JSON text, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The byte.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for Fault {}

/// A fault on its way out: results with it fit registers, which is what scanning short values comes
/// down to.
pub(super) type Found = Box<Fault>;

impl From<Found> for Fault {
    fn from(found: Found) -> Self {
        *found
    }
}

/// A place in a JSON text. Whether the bytes are UTF-8 is for the caller to know.
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    /// At the first byte that is not white space.
    pub fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: space(text, 0),
            depth: 0,
        }
    }

    /// The byte it stands at.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Passes one value, and gives its text.
    pub fn value(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.at;
        self.at = value(self.text, start, self.depth)?;
        Ok(&self.text[start..self.at])
    }

    /// Checks that nothing but white space is left.
    pub fn end(&mut self) -> Result<(), Fault> {
        Ok(end(self.text, self.at)?)
    }

    /// Goes to the value of field `name` of the object it stands at; false when there is none.
    pub fn enter_field(&mut self, name: &str) -> Result<bool, Fault> {
        if byte(self.text, self.at) != Some(b'{') {
            return Ok(false);
        }
        let (mut at, mut more) = begin(self.text, self.at, b'}', self.depth)?;
        self.depth += 1;
        while more {
            let key = key(self.text, at)?;
            let quoted = std::str::from_utf8(&self.text[at..key.end]).map_err(|_| Fault {
                at,
                what: "invalid UTF-8",
            })?;
            self.at = key.value;
            if string_text(quoted) == name {
                return Ok(true);
            }
            at = value(self.text, key.value, self.depth)?;
            (at, more) = next(self.text, at, b'}')?;
        }
        Ok(false)
    }

    /// Goes to item `index` of the array it stands at; false when there is none.
    pub fn enter_item(&mut self, index: u32) -> Result<bool, Fault> {
        if byte(self.text, self.at) != Some(b'[') {
            return Ok(false);
        }
        let mut more;
        (self.at, more) = begin(self.text, self.at, b']', self.depth)?;
        self.depth += 1;
        for _ in 0..index {
            if !more {
                return Ok(false);
            }
            self.at = value(self.text, self.at, self.depth)?;
            (self.at, more) = next(self.text, self.at, b']')?;
        }
        Ok(more)
    }
}

// Each of the following passes something that stands at a place of a text, and gives the place
// behind it. Places are values, not fields of a scanner: they stay in registers.

#[inline]
pub(super) fn byte(text: &[u8], at: usize) -> Option<u8> {
    text.get(at).copied()
}

#[cold]
pub(super) fn fault(at: usize, what: &'static str) -> Found {
    Box::new(Fault { at, what })
}

#[inline]
pub(super) fn space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = byte(text, at) {
        at += 1;
    }
    at
}

/// Nothing but white space.
pub(super) fn end(text: &[u8], at: usize) -> Result<(), Found> {
    let at = space(text, at);
    match byte(text, at) {
        None => Ok(()),
        Some(_) => Err(fault(at, "text behind the value")),
    }
}

/// Any value, `depth` deep.
fn value(text: &[u8], at: usize, depth: usize) -> Result<usize, Found> {
    let close = match byte(text, at) {
        Some(b'{') => b'}',
        Some(b'[') => b']',
        _ => return scalar(text, at),
    };
    let (mut at, mut more) = begin(text, at, close, depth)?;
    while more {
        if close == b'}' {
            at = key(text, at)?.value;
        }
        at = value(text, at, depth + 1)?;
        (at, more) = next(text, at, close)?;
    }
    Ok(at)
}

/// Any value that holds no others.
#[inline]
pub(super) fn scalar(text: &[u8], at: usize) -> Result<usize, Found> {
    match byte(text, at) {
        Some(b'"') => Ok(string(text, at)?.0),
        Some(b'-' | b'0'..=b'9') => number(text, at),
        Some(b't') => word(text, at, b"true"),
        Some(b'f') => word(text, at, b"false"),
        Some(b'n') => word(text, at, b"null"),
        Some(_) => Err(fault(at, "expected a value")),
        None => Err(fault(at, "the text ends where a value is expected")),
    }
}

/// The opening bracket of what is `depth` deep, up to the first element; false behind `close`.
#[inline]
pub(super) fn begin(
    text: &[u8],
    at: usize,
    close: u8,
    depth: usize,
) -> Result<(usize, bool), Found> {
    if depth == DEPTH_MAX {
        return Err(fault(at, "nested more than 128 deep"));
    }
    let at = space(text, at + 1);
    match byte(text, at) == Some(close) {
        true => Ok((at + 1, false)),
        false => Ok((at, true)),
    }
}

/// What follows an element, up to the next one; false behind `close`.
#[inline]
pub(super) fn next(text: &[u8], at: usize, close: u8) -> Result<(usize, bool), Found> {
    let at = space(text, at);
    match byte(text, at) {
        Some(b',') => Ok((space(text, at + 1), true)),
        Some(byte) if byte == close => Ok((at + 1, false)),
        _ if close == b'}' => Err(fault(at, "expected `,` or `}`")),
        _ => Err(fault(at, "expected `,` or `]`")),
    }
}

/// Where a key ends, and what follows it.
pub(super) struct Key {
    /// Behind its closing quote.
    pub end: usize,
    /// Whether it has escapes.
    pub escaped: bool,
    /// The value's first byte.
    pub value: usize,
}

/// A key and its colon.
#[inline]
pub(super) fn key(text: &[u8], at: usize) -> Result<Key, Found> {
    if byte(text, at) != Some(b'"') {
        return Err(fault(at, "expected a field's name in quotes"));
    }
    let (end, escaped) = string(text, at)?;
    let colon = space(text, end);
    if byte(text, colon) != Some(b':') {
        return Err(fault(colon, "expected `:`"));
    }
    let value = space(text, colon + 1);
    Ok(Key {
        end,
        escaped,
        value,
    })
}

/// A string; true when it has escapes.
#[inline]
fn string(text: &[u8], at: usize) -> Result<(usize, bool), Found> {
    let end = plain_end(text, at + 1);
    match byte(text, end) {
        Some(b'"') => Ok((end + 1, false)),
        _ => odd_string(text, end),
    }
}

/// The rest of a string from its first byte that is not plain, and no end, on.
#[cold]
fn odd_string(text: &[u8], mut at: usize) -> Result<(usize, bool), Found> {
    loop {
        match byte(text, at) {
            Some(b'"') => return Ok((at + 1, true)),
            Some(b'\\') => at = plain_end(text, escape(text, at)?),
            Some(_) => return Err(fault(at, "a control character inside a string")),
            None => return Err(fault(at, "the text ends inside a string")),
        }
    }
}

#[inline]
fn plain_end(text: &[u8], at: usize) -> usize {
    at + plain_bytes(&text[at..])
}

fn escape(text: &[u8], at: usize) -> Result<usize, Found> {
    const HALF: &str = "half of a surrogate pair";
    let at = at + 1;
    match byte(text, at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => match hex(text, at)? {
            (at, 0xdc00..=0xdfff) => Err(fault(at, HALF)),
            (at, 0xd800..=0xdbff) => {
                if !text[at..].starts_with(b"\\u") {
                    return Err(fault(at, HALF));
                }
                match hex(text, at + 1)? {
                    (at, 0xdc00..=0xdfff) => Ok(at),
                    (at, _) => Err(fault(at, HALF)),
                }
            }
            (at, _) => Ok(at),
        },
        _ => Err(fault(at, "an unknown escape in a string")),
    }
}

/// `uXXXX`, and its code.
fn hex(text: &[u8], at: usize) -> Result<(usize, u32), Found> {
    let digits = text.get(at + 1..at + 5).unwrap_or_default();
    let code = digits.iter().try_fold(0, |code, &digit| {
        Some(code << 4 | char::from(digit).to_digit(16)?)
    });
    match code {
        Some(code) if digits.len() == 4 => Ok((at + 5, code)),
        _ => Err(fault(at, "expected four hexadecimal digits")),
    }
}

#[inline]
fn number(text: &[u8], mut at: usize) -> Result<usize, Found> {
    if byte(text, at) == Some(b'-') {
        at += 1;
    }
    at = match byte(text, at) {
        Some(b'0') => at + 1,
        _ => digits(text, at)?,
    };
    if byte(text, at) == Some(b'.') {
        at = digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = byte(text, at) {
        at += 1;
        if let Some(b'+' | b'-') = byte(text, at) {
            at += 1;
        }
        at = digits(text, at)?;
    }
    match byte(text, at) {
        Some(b'0'..=b'9') => Err(fault(at, "a number with a leading zero")),
        _ => Ok(at),
    }
}

#[inline]
fn digits(text: &[u8], start: usize) -> Result<usize, Found> {
    let mut at = start;
    while byte(text, at).is_some_and(|byte| byte.is_ascii_digit()) {
        at += 1;
    }
    match at == start {
        true => Err(fault(at, "expected a digit")),
        false => Ok(at),
    }
}

fn word(text: &[u8], at: usize, word: &'static [u8]) -> Result<usize, Found> {
    match text[at..].starts_with(word) {
        true => Ok(at + word.len()),
        false => Err(fault(at, "expected a value")),
    }
}
