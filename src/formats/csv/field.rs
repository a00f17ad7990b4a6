//! The fields of one CSV record, from front to back.

use super::CsvOptions;
use crate::parse::Fault;

/// Where a record's fields are read.
pub(super) struct Fields<'a> {
    text: &'a str,
    at: usize,
    /// Whether the record has ended.
    ended: bool,
    options: &'a CsvOptions,
    /// Lenient: a quote was never closed, so that from here on quotes are text.
    unclosed: bool,
}

/// One field, without its quotes.
pub(super) struct Field<'t> {
    /// The byte at which it begins.
    pub at: usize,
    pub text: &'t str,
    pub quoted: bool,
}

impl<'a> Fields<'a> {
    pub fn new(text: &'a str, from: usize, options: &'a CsvOptions) -> Self {
        Self {
            text,
            at: from,
            ended: false,
            options,
            unclosed: false,
        }
    }

    /// The byte behind the record and its line break, once `next` has given `None`.
    pub fn end(&self) -> usize {
        self.at
    }

    /// The next field of the record; `unescaped` is room for its text.
    pub fn next<'t>(&mut self, unescaped: &'t mut String) -> Result<Option<Field<'t>>, Fault>
    where
        'a: 't,
    {
        if self.ended {
            return Ok(None);
        }
        let at = self.at;
        if self.byte(at) == Some(self.options.quote) && !self.unclosed {
            if let Some(text) = self.quoted(unescaped)? {
                return Ok(Some(Field {
                    at,
                    text,
                    quoted: true,
                }));
            }
            self.at = at;
        }
        let text = self.bare()?;
        Ok(Some(Field {
            at,
            text,
            quoted: false,
        }))
    }

    /// A field without quotes.
    fn bare(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let end = memchr::memchr2(self.options.delimiter, b'\n', rest);
        let end = start + end.unwrap_or(rest.len());
        let field = &self.text[start..end];
        if !self.options.lenient
            && let Some(quote) = memchr::memchr(self.options.quote, field.as_bytes())
        {
            return Err(Fault {
                at: start + quote,
                what: "a quote inside a field without quotes",
            });
        }
        self.pass(end);
        Ok(match self.ended {
            true => field.strip_suffix('\r').unwrap_or(field),
            false => field,
        })
    }

    /// A field in quotes; `None` when its quotes are stray and that is let pass.
    fn quoted<'t>(&mut self, unescaped: &'t mut String) -> Result<Option<&'t str>, Fault>
    where
        'a: 't,
    {
        let CsvOptions { quote, escape, .. } = *self.options;
        let opened = self.at;
        let bytes = self.text.as_bytes();
        let mut copied = opened + 1;
        let mut at = copied;
        let mut plain = true;
        unescaped.clear();
        loop {
            let Some(found) = memchr::memchr2(quote, escape, &bytes[at..]) else {
                self.unclosed = true;
                return self.stray(opened, "a quote that is never closed");
            };
            at += found;
            let next = self.byte(at + 1);
            let escapes = bytes[at] == escape && (next == Some(quote) || next == Some(escape));
            if escapes {
                unescaped.push_str(&self.text[copied..at]);
                copied = at + 1;
                at += 2;
                plain = false;
            } else if bytes[at] == quote {
                break;
            } else {
                at += 1;
            }
        }
        let last = &self.text[copied..at];
        let behind = match &bytes[at + 1..] {
            [b'\r'] | [b'\r', b'\n', ..] => at + 2,
            _ => at + 1,
        };
        match self.byte(behind) {
            None | Some(b'\n') => self.pass(behind),
            Some(byte) if byte == self.options.delimiter => self.pass(behind),
            Some(_) => return self.stray(behind, "text behind a closing quote"),
        }
        if plain {
            return Ok(Some(last));
        }
        unescaped.push_str(last);
        Ok(Some(unescaped))
    }

    fn stray<T>(&self, at: usize, what: &'static str) -> Result<Option<T>, Fault> {
        match self.options.lenient {
            true => Ok(None),
            false => Err(Fault { at, what }),
        }
    }

    /// Passes what stands behind a field: a delimiter, a line break, or nothing.
    fn pass(&mut self, end: usize) {
        self.ended = self.byte(end) != Some(self.options.delimiter);
        self.at = (end + 1).min(self.text.len());
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }
}
