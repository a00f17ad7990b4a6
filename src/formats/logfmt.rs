//! logfmt: `level=info msg="it is done" fast`, one object a line.
//!
//! Values are strings; a name alone is `true`. Inside quotes `\n \t \r \" \\ \uXXXX` are escapes,
//! and a backslash before anything else stands for itself. A name that comes twice stands twice in
//! the object; its first value counts, as everywhere.

use towpath_sdk::json;

use crate::parse::{Fault, Parser, utf8, whole_or_nothing};

/// A parser of logfmt.
#[derive(Debug, Clone, Default)]
pub struct Logfmt {
    /// Whether text that is not well formed is kept as it stands instead of refused.
    pub lenient: bool,
    /// The value at hand, where it is not as written.
    unescaped: String,
}

impl Logfmt {
    /// A parser; a lenient one takes an unclosed or stray quote as text, and a value without a name
    /// as one whose name is empty.
    pub fn new(lenient: bool) -> Self {
        Self {
            lenient,
            unescaped: String::new(),
        }
    }
}

impl Parser for Logfmt {
    fn name(&self) -> &'static str {
        "logfmt"
    }

    fn parse(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let text = utf8(text)?;
        whole_or_nothing(out, |out| {
            out.push(b'{');
            let mut at = skip(text, 0, |byte| byte <= b' ');
            let mut first = true;
            while at < text.len() {
                if !first {
                    out.push(b',');
                }
                first = false;
                at = self.pair(text, at, out)?;
                at = skip(text, at, |byte| byte <= b' ');
            }
            out.push(b'}');
            Ok(())
        })
    }
}

impl Logfmt {
    /// Appends the pair at byte `start`, and gives the byte behind it.
    fn pair(&mut self, text: &str, start: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
        let name_end = skip(text, start, |byte| {
            byte > b' ' && byte != b'=' && (self.lenient || byte != b'"')
        });
        let next = text.as_bytes().get(name_end);
        if !self.lenient {
            if next == Some(&b'"') {
                return Err(fault(name_end, "a quote in a name"));
            }
            if name_end == start {
                return Err(fault(start, "a value without a name"));
            }
        }
        json::put_string(&text[start..name_end], out);
        out.push(b':');
        if next != Some(&b'=') {
            out.extend_from_slice(b"true");
            return Ok(name_end);
        }
        let value = name_end + 1;
        if text.as_bytes().get(value) == Some(&b'"') {
            if let Some(end) = self.quoted(text, value, out)? {
                return Ok(end);
            }
            // Only a lenient parser comes here: what is not well quoted is text to the end.
            json::put_string(&text[value..], out);
            return Ok(text.len());
        }
        let end = skip(text, value, |byte| byte > b' ');
        if !self.lenient
            && let Some(quote) = memchr::memchr(b'"', &text.as_bytes()[value..end])
        {
            return Err(fault(
                value + quote,
                "a quote inside a value without quotes",
            ));
        }
        json::put_string(&text[value..end], out);
        Ok(end)
    }

    /// Appends the quoted value at byte `start`, and gives the byte behind it; `None` when it is
    /// not well quoted and that is let pass.
    fn quoted(
        &mut self,
        text: &str,
        start: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Fault> {
        let bytes = text.as_bytes();
        let mut at = start + 1;
        let mut copied = at;
        self.unescaped.clear();
        loop {
            let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) else {
                return self.stray(start, "a quote that is never closed");
            };
            at += found;
            if bytes[at] == b'"' {
                break;
            }
            let Some((character, length)) = escape(&text[at + 1..]) else {
                at += 1;
                continue;
            };
            self.unescaped.push_str(&text[copied..at]);
            self.unescaped.push(character);
            at += 1 + length;
            copied = at;
        }
        let end = at + 1;
        if bytes.get(end).is_some_and(|byte| *byte > b' ') {
            return self.stray(end, "text behind a closing quote");
        }
        let last = &text[copied..at];
        if self.unescaped.is_empty() {
            json::put_string(last, out);
        } else {
            self.unescaped.push_str(last);
            json::put_string(&self.unescaped, out);
        }
        Ok(Some(end))
    }

    fn stray(&self, at: usize, what: &'static str) -> Result<Option<usize>, Fault> {
        match self.lenient {
            true => Ok(None),
            false => Err(fault(at, what)),
        }
    }
}

/// What the escape whose backslash stands before `rest` means, and its bytes.
fn escape(rest: &str) -> Option<(char, usize)> {
    let plain = match rest.as_bytes().first()? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'"' => '"',
        b'\\' => '\\',
        b'u' => {
            let digits = rest.get(1..5)?;
            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            let code = u32::from_str_radix(digits, 16).ok()?;
            return Some((char::from_u32(code)?, 5));
        }
        _ => return None,
    };
    Some((plain, 1))
}

/// The first byte from `at` on for which `passes` does not hold.
fn skip(text: &str, at: usize, passes: impl Fn(u8) -> bool) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| passes(**byte)).count()
}

fn fault(at: usize, what: &'static str) -> Fault {
    Fault { at, what }
}
