//! How inputs are made of the corpus: a few changes each, of the kinds that have broken parsers
//! before. No coverage is measured: the corpus has to hold an input of every kind.

use crate::harness::Random;

/// Mutants are at most this long, but for the nested ones.
const BYTES_MAX: usize = 8 << 10;

/// Numbers at the edges of types and of what programs reserve.
const NUMBERS: &[i64] = &[
    0,
    1,
    -1,
    127,
    128,
    255,
    256,
    32_767,
    65_535,
    65_536,
    i32::MAX as i64,
    i32::MIN as i64,
    u32::MAX as i64,
    1 << 32,
    i64::MAX,
    i64::MIN,
];

/// What formats treat as special, and characters that are more than one byte.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"'",
    b"\\",
    b"`",
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b",",
    b";",
    b"=",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b"%",
    b"$",
    b"#",
    b"-",
    b".",
    b"0",
    b"9",
    b"1e999",
    b"null",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    "é".as_bytes(),
    "\u{2028}".as_bytes(),
    "😀".as_bytes(),
];

/// An input made of entries of `corpus` and words of `dictionary`.
pub fn mutant(corpus: &[Vec<u8>], dictionary: &[&str], random: &mut Random) -> Vec<u8> {
    let mut bytes = pick(corpus, random).clone();
    for _ in 0..random.between(1, 6) {
        match random.between(0, 99) {
            0..=24 => put_word(&mut bytes, dictionary, random),
            25..=39 => {
                let other: &Vec<u8> = pick(corpus, random);
                splice(&mut bytes, other, random);
            }
            _ => change(&mut bytes, random),
        }
        bytes.truncate(BYTES_MAX);
    }
    match random.chance(1) {
        true => nested(&bytes, dictionary, random),
        false => bytes,
    }
}

fn pick<'a, T>(from: &'a [T], random: &mut Random) -> &'a T {
    &from[random.between(0, from.len() as u64 - 1) as usize]
}

/// A place in `bytes`, the end included.
fn place(bytes: &[u8], random: &mut Random) -> usize {
    random.between(0, bytes.len() as u64) as usize
}

/// Some bytes from a place on, mostly a few.
fn range(bytes: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let start = place(bytes, random);
    let length_max = if random.chance(75) { 8 } else { bytes.len() };
    let length = random.between(0, length_max as u64) as usize;
    start..bytes.len().min(start + length)
}

/// A word of the dictionary, or a piece, put in or in the place of something.
fn put_word(bytes: &mut Vec<u8>, dictionary: &[&str], random: &mut Random) {
    let word = match random.chance(60) {
        true => pick(dictionary, random).as_bytes(),
        false => pick(PIECES, random),
    };
    let mut at = range(bytes, random);
    if random.chance(60) {
        at.end = at.start;
    }
    bytes.splice(at, word.iter().copied());
}

/// The beginning of `bytes`, and the end of `other` behind it.
fn splice(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    bytes.truncate(place(bytes, random));
    bytes.extend_from_slice(&other[place(other, random)..]);
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = range(bytes, random);
    match random.between(0, 6) {
        0 => bytes.truncate(at.start),
        1 => drop(bytes.drain(at)),
        2 => {
            let copied = bytes[at].repeat(random.between(1, 64) as usize);
            let to = place(bytes, random);
            bytes.splice(to..to, copied.into_iter().take(BYTES_MAX));
        }
        3 => {
            let number = pick(NUMBERS, random).to_string();
            bytes.splice(at, number.into_bytes());
        }
        4 => put_binary(bytes, at.start, random),
        _ => {
            if let Some(byte) = bytes.get_mut(at.start) {
                match random.chance(50) {
                    true => *byte ^= 1 << random.between(0, 7),
                    false => *byte = random.next() as u8,
                }
            }
        }
    }
}

/// An edge of a type, written over what stands at `at`, in one of the usual shapes.
fn put_binary(bytes: &mut [u8], at: usize, random: &mut Random) {
    let number = *pick(NUMBERS, random);
    let width = 1 << random.between(0, 3);
    let encoded = match random.chance(50) {
        true => number.to_le_bytes()[..width].to_vec(),
        false => number.to_be_bytes()[8 - width..].to_vec(),
    };
    for (byte, new) in bytes[at..].iter_mut().zip(encoded) {
        *byte = new;
    }
}

/// `bytes` below ten to ten thousand levels of two words.
fn nested(bytes: &[u8], dictionary: &[&str], random: &mut Random) -> Vec<u8> {
    let levels = 10_usize.pow(random.between(1, 4) as u32);
    let (open, close) = (pick(dictionary, random), pick(dictionary, random));
    [
        open.repeat(levels).as_bytes(),
        bytes,
        close.repeat(levels).as_bytes(),
    ]
    .concat()
}
