//! Reading JSON text from front to back: a strict scanner that knows where it is.

use std::borrow::Cow;

/// Nesting beyond this is refused: every reader behind us may recurse.
const DEPTH_MAX: usize = 128;

/// What is wrong with a JSON text, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for Fault {}

/// A place in a JSON text. Whether the bytes are UTF-8 is for the caller to know.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut scanner = Self {
            bytes,
            at: 0,
            depth: 0,
        };
        scanner.skip_space();
        scanner
    }

    /// The byte it stands at.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Passes one value, and gives its text.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.at;
        match self.peek() {
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b'"') => {
                self.string()?;
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            Some(_) => return Err(self.fault("expected a value")),
            None => return Err(self.fault("the text ends where a value is expected")),
        }
        Ok(&self.bytes[start..self.at])
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.fault("text behind the value"))
        }
    }

    /// Goes to the value of field `name` of the object it stands at; false when there is none.
    pub(crate) fn enter_field(&mut self, name: &str) -> Result<bool, Fault> {
        if self.peek() != Some(b'{') {
            return Ok(false);
        }
        let mut more = self.begin(b'}')?;
        while more {
            let at = self.at;
            let key = self.key()?;
            if string_text(key, at)? == name {
                return Ok(true);
            }
            self.value()?;
            more = self.next(b'}')?;
        }
        Ok(false)
    }

    /// Goes to item `index` of the array it stands at; false when there is none.
    pub(crate) fn enter_item(&mut self, index: u32) -> Result<bool, Fault> {
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

    fn object(&mut self) -> Result<(), Fault> {
        let mut more = self.begin(b'}')?;
        while more {
            self.key()?;
            self.value()?;
            more = self.next(b'}')?;
        }
        Ok(())
    }

    fn array(&mut self) -> Result<(), Fault> {
        let mut more = self.begin(b']')?;
        while more {
            self.value()?;
            more = self.next(b']')?;
        }
        Ok(())
    }

    /// Passes the opening bracket; true when a first element follows, false behind `close`.
    fn begin(&mut self, close: u8) -> Result<bool, Fault> {
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
    fn next(&mut self, close: u8) -> Result<bool, Fault> {
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

    /// Passes a key and its colon, and gives the key with its quotes.
    fn key(&mut self) -> Result<&'a [u8], Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("expected a field's name in quotes"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.fault("expected `:`"));
        }
        self.at += 1;
        self.skip_space();
        Ok(key)
    }

    /// Passes a string, and gives it with its quotes.
    fn string(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            while self
                .peek()
                .is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
            {
                self.at += 1;
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.bytes[start..self.at]);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fault("a control character inside a string")),
                None => return Err(self.fault("the text ends inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
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
    fn hex(&mut self) -> Result<u32, Fault> {
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

    fn number(&mut self) -> Result<(), Fault> {
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

    fn digits(&mut self) -> Result<(), Fault> {
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

    fn word(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.fault("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }
}

/// The text of `string`, a JSON string with its quotes that begins at byte `at`.
pub(crate) fn string_text(string: &[u8], at: usize) -> Result<Cow<'_, str>, Fault> {
    let inside = string
        .get(1..string.len().saturating_sub(1))
        .unwrap_or_default();
    let unescaped = if memchr::memchr(b'\\', inside).is_none() {
        std::str::from_utf8(inside).ok().map(Cow::Borrowed)
    } else {
        serde_json::from_slice::<String>(string)
            .ok()
            .map(Cow::Owned)
    };
    unescaped.ok_or(Fault {
        at,
        what: "a string that is not Unicode",
    })
}
