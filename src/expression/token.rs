//! From text to words and signs.

use crate::CompileError;

/// A word or sign.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A name, or a keyword.
    Name(String),
    /// A name in backticks: of a field only.
    Quoted(String),
    /// A whole number, as written; too large for 64 bits perhaps.
    Whole(String),
    /// A number with a fraction or an exponent.
    Fraction(f64),
    String(String),
    /// An operator or bracket.
    Sign(&'static str),
    End,
}

/// Longer ones before those they begin with.
const SIGNS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}", "=",
];

impl Token {
    /// For messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Name(name) | Self::Whole(name) => format!("`{name}`"),
            Self::Quoted(_) => "a name in backticks".to_owned(),
            Self::Fraction(_) => "a number".to_owned(),
            Self::String(_) => "a string".to_owned(),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// The tokens of `source`, each with its first byte and the byte behind it.
pub(crate) fn tokens(source: &str) -> Result<Vec<(Token, usize, usize)>, CompileError> {
    let mut tokens: Vec<(Token, usize, usize)> = Vec::new();
    let mut at = 0;
    loop {
        at = skip_space(source, at);
        let after_dot = matches!(tokens.last(), Some((Token::Sign("."), ..)));
        let (token, end) = token(source, at, after_dot)?;
        let last = token == Token::End;
        tokens.push((token, at, end));
        if last {
            return Ok(tokens);
        }
        at = end;
    }
}

/// White space, and comments from `//` to the end of the line.
fn skip_space(source: &str, mut at: usize) -> usize {
    loop {
        let rest = source[at..].trim_start();
        at = source.len() - rest.len();
        if !rest.starts_with("//") {
            return at;
        }
        at += rest.find('\n').unwrap_or(rest.len());
    }
}

fn token(source: &str, at: usize, after_dot: bool) -> Result<(Token, usize), CompileError> {
    let rest = &source[at..];
    let Some(first) = rest.chars().next() else {
        return Ok((Token::End, at));
    };
    match first {
        '"' | '\'' => return string(source, at, at + 1, first),
        'r' | 'R' if rest[1..].starts_with(['"', '\'']) => return raw_string(source, at),
        '`' => return quoted(source, at),
        '0'..='9' if !after_dot => return number(source, at),
        _ if is_of_name(first) => {
            let end = at + rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
            return Ok((Token::Name(source[at..end].to_owned()), end));
        }
        _ => {}
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
    match sign {
        Some(&"=") => Err(CompileError::new(at, "a single `=`").help("equality is `==`")),
        Some(sign) => Ok((Token::Sign(sign), at + sign.len())),
        None => Err(CompileError::new(
            at,
            format!(
                "`{}` means nothing here",
                towpath_sdk::printable(first.encode_utf8(&mut [0; 4]))
            ),
        )),
    }
}

/// Names are those of paths, without `-`, which is an operator here.
fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '@')
}

fn quoted(source: &str, at: usize) -> Result<(Token, usize), CompileError> {
    let mut name = String::new();
    let mut characters = source[at + 1..].char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        match character {
            '`' if characters.next_if(|(_, next)| *next == '`').is_some() => name.push('`'),
            '`' => return Ok((Token::Quoted(name), at + offset + 2)),
            _ => name.push(character),
        }
    }
    Err(CompileError::new(at, "this backtick has no counterpart"))
}

fn number(source: &str, at: usize) -> Result<(Token, usize), CompileError> {
    let bytes = source.as_bytes();
    let digits = |from: usize| {
        let more = bytes[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        from + more.count()
    };
    let mut end = digits(at);
    let mut fraction = false;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        fraction = true;
        end = digits(end + 1);
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        let exponent = end + 1 + usize::from(signed);
        if bytes.get(exponent).is_some_and(u8::is_ascii_digit) {
            fraction = true;
            end = digits(exponent);
        }
    }
    let text = &source[at..end];
    if let Some(next) = source[end..].chars().next().filter(|c| is_of_name(*c)) {
        return Err(CompileError::new(
            end,
            format!("`{next}` behind the number {text}"),
        ));
    }
    if !fraction {
        return Ok((Token::Whole(text.to_owned()), end));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((Token::Fraction(number), end)),
        _ => Err(CompileError::new(at, "the number is too large")),
    }
}

fn raw_string(source: &str, at: usize) -> Result<(Token, usize), CompileError> {
    let quote = source.as_bytes()[at + 1];
    let inside = &source[at + 2..];
    match inside.bytes().position(|byte| byte == quote) {
        Some(length) => Ok((Token::String(inside[..length].to_owned()), at + length + 3)),
        None => Err(no_counterpart(at)),
    }
}

fn no_counterpart(at: usize) -> CompileError {
    CompileError::new(at, "this quote has no counterpart")
}

/// The string whose text begins at `start`.
fn string(
    source: &str,
    at: usize,
    start: usize,
    quote: char,
) -> Result<(Token, usize), CompileError> {
    let mut text = String::new();
    let mut from = start;
    loop {
        let rest = &source[from..];
        let stop = rest.find([quote, '\\']).ok_or_else(|| no_counterpart(at))?;
        text.push_str(&rest[..stop]);
        from += stop;
        if rest[stop..].starts_with(quote) {
            return Ok((Token::String(text), from + 1));
        }
        let (character, after) = escape(source, from)?;
        text.push(character);
        from = after;
    }
}

/// What the escape at `at` means, and where it ends.
fn escape(source: &str, at: usize) -> Result<(char, usize), CompileError> {
    let unknown = || {
        CompileError::new(at, "an unknown escape in a string")
            .help("a backslash is `\\\\`; in r\"...\" there are no escapes")
    };
    let coded = |start: usize, digits: usize, radix: u32| {
        let digits = source.get(start..start + digits).ok_or_else(unknown)?;
        let plain = digits.bytes().all(|digit| digit.is_ascii_alphanumeric());
        let code = u32::from_str_radix(digits, radix).ok().filter(|_| plain);
        let character = code.and_then(char::from_u32).ok_or_else(unknown)?;
        Ok((character, start + digits.len()))
    };
    let letter = source[at + 1..].chars().next().ok_or_else(unknown)?;
    let plain = match letter {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '\\' | '"' | '\'' | '`' | '?' => letter,
        'x' | 'X' => return coded(at + 2, 2, 16),
        'u' => return coded(at + 2, 4, 16),
        'U' => return coded(at + 2, 8, 16),
        '0'..='3' => return coded(at + 1, 3, 8),
        _ => return Err(unknown()),
    };
    Ok((plain, at + 2))
}
