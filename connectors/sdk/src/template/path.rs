//! Filled parts of a path: whatever they hold, each stays within one file name.

use super::fill::append;
use super::{Part, TemplateName};
use crate::printable;

/// The longest file name of common file systems.
const FILE_NAME_BYTES_MAX: usize = 255;
/// The longest filled part of a path; a longer one is cut, and a hash keeps it apart from others.
const PART_BYTES_MAX: usize = 150;
const HASH_MARK: &[u8] = b"%~";
const HASH_DIGITS: usize = 16;

/// Encodes the filled part that stands in `out` from `start`. Most need nothing.
pub(super) fn encode(start: usize, out: &mut Vec<u8>) {
    let plain = |part: &str| !part.starts_with('.') && !part.chars().any(is_special);
    if !std::str::from_utf8(&out[start..]).is_ok_and(|part| !part.is_empty() && plain(part)) {
        encode_each(start, out);
    }
    if out.len() - start > PART_BYTES_MAX {
        cut(start, out);
    }
}

fn is_special(character: char) -> bool {
    character.is_control() || matches!(character, '/' | '\\' | '%')
}

/// Puts the encoded text behind the filled one, and then in its place: no other buffer is needed.
fn encode_each(start: usize, out: &mut Vec<u8>) {
    let end = out.len();
    if start == end {
        out.extend_from_slice(b"%-");
    }
    let mut at = start;
    while at < end {
        let chunk = out[at..end].utf8_chunks().next();
        let (valid, invalid) = chunk.map_or((end - at, 0), |chunk| {
            (chunk.valid().len(), chunk.invalid().len())
        });
        for index in at..at + valid {
            let byte = out[index];
            if is_special_byte(&out[start..end], index - start) {
                percent(byte, out);
            } else {
                out.push(byte);
            }
        }
        for index in at + valid..at + valid + invalid {
            percent(out[index], out);
        }
        at += valid + invalid;
    }
    out.drain(start..end);
}

/// Whether the byte at `index` of `part` is of a character that is encoded.
fn is_special_byte(part: &[u8], index: usize) -> bool {
    // The control characters beyond ASCII are U+0080 to U+009F: C2 80 to C2 9F.
    let is_high = |byte: Option<&u8>| byte.is_some_and(|byte| (0x80..=0x9f).contains(byte));
    match part[index] {
        b'.' => index == 0,
        0xc2 => is_high(part.get(index + 1)),
        byte if byte.is_ascii() => is_special(char::from(byte)),
        byte => is_high(Some(&byte)) && index > 0 && part[index - 1] == 0xc2,
    }
}

fn percent(byte: u8, out: &mut Vec<u8>) {
    append(out, format_args!("%{byte:02X}"));
}

/// Shortens the part of `out` from `start`, not within a character or an encoded byte.
fn cut(start: usize, out: &mut Vec<u8>) {
    let hash = fnv1a(&out[start..]);
    let mut end = start + PART_BYTES_MAX - HASH_MARK.len() - HASH_DIGITS;
    while out[end] & 0b1100_0000 == 0b1000_0000 || out[end - 1] == b'%' || out[end - 2] == b'%' {
        end -= 1;
    }
    out.truncate(end);
    out.extend_from_slice(HASH_MARK);
    append(out, format_args!("{hash:016x}"));
}

/// The 64-bit FNV-1a hash: stable for ever, unlike the standard library's.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Whether every name of the path can be one; says which cannot.
pub(super) fn check_names(path: &[u8]) -> Result<(), String> {
    let long = |name: &&[u8]| name.len() > FILE_NAME_BYTES_MAX;
    let Some(name) = path.split(|byte| *byte == b'/').find(long) else {
        return Ok(());
    };
    let shown = printable(&String::from_utf8_lossy(&name[..40]));
    Err(format!(
        "the name {shown}... has {} bytes, and file names have at most {FILE_NAME_BYTES_MAX}",
        name.len()
    ))
}

/// Whether the path itself tells what fills `name`: two paths of `parts` that differ in it are never
/// the same, whatever fills the other places.
///
/// No filled part has a `/`, so each name of a path tells of its own places only. There, from both
/// ends, what is literal is known, and a number ends where a literal goes on with no digit. A place
/// that is left alone between what is known is known too.
pub(super) fn tells(parts: &[Part], name: &TemplateName) -> bool {
    segments(parts).iter().any(|segment| {
        let (mut rest, mut told) = (&segment[..], false);
        while let Some((piece, others)) = rest.split_first() {
            if !piece.ends_before(others.first()) {
                break;
            }
            told |= piece.is(name);
            rest = others;
        }
        while let Some((piece, others)) = rest.split_last() {
            if !piece.begins_behind(others.last()) {
                break;
            }
            told |= piece.is(name);
            rest = others;
        }
        told || matches!(rest, [alone] if alone.is(name))
    })
}

/// A piece of one name of a path.
enum Piece<'a> {
    Literal(&'a str),
    Place(&'a TemplateName),
}

impl Piece<'_> {
    fn is(&self, wanted: &TemplateName) -> bool {
        matches!(self, Self::Place(name) if *name == wanted)
    }

    fn is_number(&self) -> bool {
        use TemplateName::{Offset, Partition, StartOffset};
        matches!(self, Self::Place(Partition | Offset | StartOffset))
    }

    /// Whether its end can be told when its beginning is.
    fn ends_before(&self, next: Option<&Self>) -> bool {
        let is_digit = |literal: &str| literal.starts_with(|first: char| first.is_ascii_digit());
        match (self, next) {
            (Self::Literal(_), _) => true,
            (_, Some(Self::Literal(literal))) => self.is_number() && !is_digit(literal),
            (_, next) => self.is_number() && next.is_none(),
        }
    }

    /// Whether its beginning can be told when its end is.
    fn begins_behind(&self, before: Option<&Self>) -> bool {
        let is_digit = |literal: &str| literal.ends_with(|last: char| last.is_ascii_digit());
        match (self, before) {
            (Self::Literal(_), _) => true,
            (_, Some(Self::Literal(literal))) => self.is_number() && !is_digit(literal),
            (_, before) => self.is_number() && before.is_none(),
        }
    }
}

/// The names of a path, in their pieces.
fn segments(parts: &[Part]) -> Vec<Vec<Piece<'_>>> {
    let mut segments = vec![Vec::new()];
    for part in parts {
        match part {
            Part::Place(place) => segments
                .last_mut()
                .map(|last| last.push(Piece::Place(&place.name))),
            Part::Literal(text) => {
                let mut texts = text.split('/');
                let of = |text: &'_ str| !text.is_empty();
                if let (Some(first), Some(last)) = (texts.next(), segments.last_mut())
                    && of(first)
                {
                    last.push(Piece::Literal(first));
                }
                for text in texts {
                    let literal = Some(text).filter(|text| of(text)).map(Piece::Literal);
                    segments.push(literal.into_iter().collect());
                }
                None
            }
        };
    }
    segments
}
