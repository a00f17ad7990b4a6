//! Strings of JSON: where they end, what they say, how they are written.

use std::borrow::Cow;

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
            let same = word ^ (ONES * u64::from(byte));
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
    at + text[at..]
        .iter()
        .position(special)
        .unwrap_or(text.len() - at)
}

/// The text of `string`, a checked JSON string with its quotes.
pub fn string_text(string: &str) -> Cow<'_, str> {
    let inside = string
        .get(1..string.len().saturating_sub(1))
        .unwrap_or_default();
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut text = String::with_capacity(inside.len());
    put_text(inside, &mut text);
    Cow::Owned(text)
}

/// Appends the text of what stands inside the quotes of a checked string.
pub(super) fn put_text(inside: &str, text: &mut String) {
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = unescape(&rest[at + 1..], text);
    }
    text.push_str(rest);
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

/// Appends `text` as a JSON string.
pub fn put_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_bytes(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else {
            break;
        };
        rest = after;
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
    out.push(b'"');
}
