//! Reading JSON text from front to back: a strict scanner that knows where it is.

use std::borrow::Cow;

/// Nesting beyond this is refused: every reader behind us may recurse.
const DEPTH_MAX: usize = 128;

/// What is wrong with a JSON text, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// A fault on its way out of the scanner: results with it fit registers, which is what scanning
/// short values comes down to.
pub(super) type Found = Box<Fault>;

impl From<Found> for Fault {
    fn from(found: Found) -> Self {
        *found
    }
}

/// A place in a JSON text. Whether the bytes are UTF-8 is for the caller to know.
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    /// At the first byte that is not white space.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut scanner = Self {
            bytes,
            at: 0,
            depth: 0,
        };
        scanner.skip_space();
        scanner
    }

    /// The byte it stands at.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Passes one value, and gives its text.
    pub fn value(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.at;
        self.pass()?;
        Ok(&self.bytes[start..self.at])
    }

    /// Passes one value.
    pub(super) fn pass(&mut self) -> Result<(), Found> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(_) => Err(self.fault("expected a value")),
            None => Err(self.fault("the text ends where a value is expected")),
        }
    }

    /// Checks that nothing but white space is left.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.fault("text behind the value").into())
        }
    }

    /// Goes to the value of field `name` of the object it stands at; false when there is none.
    pub fn enter_field(&mut self, name: &str) -> Result<bool, Fault> {
        if self.peek() != Some(b'{') {
            return Ok(false);
        }
        let mut more = self.begin(b'}')?;
        while more {
            let at = self.at;
            let key = self.key()?.0;
            let key = std::str::from_utf8(&self.bytes[at..at + key]).map_err(|_| Fault {
                at,
                what: "invalid UTF-8",
            })?;
            if string_text(key) == name {
                return Ok(true);
            }
            self.value()?;
            more = self.next(b'}')?;
        }
        Ok(false)
    }

    /// Goes to item `index` of the array it stands at; false when there is none.
    pub fn enter_item(&mut self, index: u32) -> Result<bool, Fault> {
        if self.peek() != Some(b'[') {
            return Ok(false);
        }
        let mut more = self.begin(b']')?;
        for _ in 0..index {
            if !more {
                return Ok(false);
            }
            self.value()?;
            more = self.next(b']')?;
        }
        Ok(more)
    }

    fn object(&mut self) -> Result<(), Found> {
        let mut more = self.begin(b'}')?;
        while more {
            self.key()?;
            self.pass()?;
            more = self.next(b'}')?;
        }
        Ok(())
    }

    fn array(&mut self) -> Result<(), Found> {
        let mut more = self.begin(b']')?;
        while more {
            self.pass()?;
            more = self.next(b']')?;
        }
        Ok(())
    }

    /// Passes the opening bracket; true when a first element follows, false behind `close`.
    #[inline]
    pub(super) fn begin(&mut self, close: u8) -> Result<bool, Found> {
        if self.depth == DEPTH_MAX {
            return Err(self.fault("nested more than 128 deep"));
        }
        self.at += 1;
        self.depth += 1;
        self.skip_space();
        if self.peek() != Some(close) {
            return Ok(true);
        }
        self.at += 1;
        self.depth -= 1;
        Ok(false)
    }

    /// Passes what follows an element: true behind a comma, false behind `close`.
    #[inline]
    pub(super) fn next(&mut self, close: u8) -> Result<bool, Found> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ if close == b'}' => Err(self.fault("expected `,` or `}`")),
            _ => Err(self.fault("expected `,` or `]`")),
        }
    }

    /// Passes a key and its colon, and gives the length of the key with its quotes, and whether it
    /// has escapes.
    #[inline]
    pub(super) fn key(&mut self) -> Result<(usize, bool), Found> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("expected a field's name in quotes"));
        }
        let start = self.at;
        let escaped = self.string()?;
        let length = self.at - start;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.fault("expected `:`"));
        }
        self.at += 1;
        self.skip_space();
        Ok((length, escaped))
    }

    /// Passes a string, and says whether it has escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, Found> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += plain_bytes(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.fault("a control character inside a string")),
                None => return Err(self.fault("the text ends inside a string")),
            }
        }
    }

    #[cold]
    fn escape(&mut self) -> Result<(), Found> {
        const HALF: &str = "half of a surrogate pair";
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => match self.hex()? {
                0xdc00..=0xdfff => return Err(self.fault(HALF)),
                0xd800..=0xdbff => {
                    if !self.bytes[self.at..].starts_with(b"\\u") {
                        return Err(self.fault(HALF));
                    }
                    self.at += 1;
                    if !(0xdc00..=0xdfff).contains(&self.hex()?) {
                        return Err(self.fault(HALF));
                    }
                }
                _ => {}
            },
            _ => return Err(self.fault("an unknown escape in a string")),
        }
        Ok(())
    }

    /// Passes `uXXXX`.
    fn hex(&mut self) -> Result<u32, Found> {
        let digits = self.bytes.get(self.at + 1..self.at + 5).unwrap_or_default();
        let code = digits.iter().try_fold(0, |code, &digit| {
            Some(code << 4 | char::from(digit).to_digit(16)?)
        });
        match code {
            Some(code) if digits.len() == 4 => {
                self.at += 5;
                Ok(code)
            }
            _ => Err(self.fault("expected four hexadecimal digits")),
        }
    }

    #[inline]
    fn number(&mut self) -> Result<(), Found> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        match self.peek() {
            Some(b'0'..=b'9') => Err(self.fault("a number with a leading zero")),
            _ => Ok(()),
        }
    }

    fn digits(&mut self) -> Result<(), Found> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.fault("expected a digit"))
        } else {
            Ok(())
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), Found> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.fault("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[cold]
    fn fault(&self, what: &'static str) -> Found {
        Box::new(Fault { at: self.at, what })
    }
}

/// How many bytes of `text` come before the first that ends a string or cannot stand in one as it
/// is: a quote, a backslash or a control character.
#[inline]
pub(super) fn plain_bytes(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let mut at = 0;
    // Eight at a time: whichever byte of a word is the first to be special has its top bit set.
    while let Some(chunk) = text[at..].first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let is = |byte: u8| {
            let same = word ^ ONES * u64::from(byte);
            same.wrapping_sub(ONES) & !same
        };
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let special = (is(b'"') | is(b'\\') | control) & (ONES << 7);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += chunk.len();
    }
    let special = |byte: &u8| *byte < b' ' || matches!(*byte, b'"' | b'\\');
    at + text[at..].iter().position(special).unwrap_or(text.len() - at)
}

/// The text of `string`, a checked JSON string with its quotes.
pub fn string_text(string: &str) -> Cow<'_, str> {
    let inside = string
        .get(1..string.len().saturating_sub(1))
        .unwrap_or_default();
    let Some(first) = inside.find('\\') else {
        return Cow::Borrowed(inside);
    };
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    let mut next = Some(first);
    while let Some(at) = next {
        text.push_str(&rest[..at]);
        rest = unescape(&rest[at + 1..], &mut text);
        next = rest.find('\\');
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Appends what the escape whose backslash stands before `rest` means, and gives what follows it.
fn unescape<'a>(rest: &'a str, text: &mut String) -> &'a str {
    let unit = |rest: &str| {
        let digits = rest.strip_prefix('u')?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let plain = match rest.as_bytes().first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let high = unit(rest).unwrap_or_default();
            let after = rest.get(5..).unwrap_or_default();
            let low = after.strip_prefix('\\').and_then(unit);
            let (code, after) = match (high, low) {
                (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) => {
                    let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (code, after.get(6..).unwrap_or_default())
                }
                _ => (high, after),
            };
            text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            return after;
        }
        Some(byte) => char::from(*byte),
        None => return rest,
    };
    text.push(plain);
    rest.get(1..).unwrap_or_default()
}
