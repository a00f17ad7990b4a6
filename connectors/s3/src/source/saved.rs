//! What is committed, and how it is written.
//!
//! | key | is |
//! |---|---|
//! | `selection` | which keys are read, in words (`selection.rs`) |
//! | `shard/NN` | a shard's floor, and its swept region |
//! | `object/NN/HASH` | how an object of shard `NN` stands, by the hash of its key and ETag |
//!
//! A value is one byte of version and then fixed fields, little endian, a text last. A value that
//! does not decode is an error: starting over would double every record.

use bytes::Bytes;
use towpath_sdk::framing::LineState;
use towpath_sdk::{Error, Result};

use super::done::Id;

const VERSION: u8 = 1;
/// Where the words of the selection are kept.
pub const SELECTION_KEY: &[u8] = b"selection";

/// What is done of one shard's keys, besides what has entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// All that was modified before is done.
    pub floor_ms: i64,
    /// Of a sweep in progress.
    pub swept: Option<Swept>,
}

/// What a sweep has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// The last key of it.
    pub key: String,
    /// All of it that was modified before is done.
    pub floor_ms: i64,
}

/// How an object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// It was read so far.
    Reading(Reading),
    /// It is read, and something is to be done with it now.
    Read,
    /// Nothing is left to do.
    Done {
        /// The object's time of modification, milliseconds since 1970.
        modified_ms: i64,
    },
}

/// How far an object was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// Bytes consumed of the decompressed content.
    pub position: u64,
    /// What stands there.
    pub line: LineState,
}

impl Shard {
    /// Whether a floor says that an object is done.
    pub fn covers(&self, key: &str, modified_ms: i64) -> bool {
        let swept = self.swept.as_ref();
        let is_swept = |swept: &Swept| key <= &*swept.key && modified_ms < swept.floor_ms;
        modified_ms < self.floor_ms || swept.is_some_and(is_swept)
    }

    pub fn encode(&self) -> Bytes {
        let mut out = vec![VERSION, u8::from(self.swept.is_some())];
        out.extend_from_slice(&self.floor_ms.to_le_bytes());
        if let Some(swept) = &self.swept {
            out.extend_from_slice(&swept.floor_ms.to_le_bytes());
            out.extend_from_slice(swept.key.as_bytes());
        }
        Bytes::from(out)
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let (&[VERSION, has_swept], rest) = value.split_first_chunk()? else {
            return None;
        };
        let (floor_ms, rest) = number(rest)?;
        let swept = match has_swept {
            0 if rest.is_empty() => None,
            1 => {
                let (floor_ms, key) = number(rest)?;
                let key = String::from_utf8(key.to_vec()).ok()?;
                Some(Swept { key, floor_ms })
            }
            _ => return None,
        };
        Some(Self { floor_ms, swept })
    }
}

impl Entry {
    pub fn encode(&self) -> Bytes {
        let (kind, line, field) = match self {
            Self::Reading(reading) => (0, reading.line as u8, reading.position),
            Self::Read => (1, 0, 0),
            Self::Done { modified_ms } => (2, 0, *modified_ms as u64),
        };
        let mut out = vec![VERSION, kind, line];
        out.extend_from_slice(&field.to_le_bytes());
        Bytes::from(out)
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let (&[VERSION, kind, line], rest) = value.split_first_chunk()? else {
            return None;
        };
        let (field, &[]) = number(rest)? else {
            return None;
        };
        Some(match kind {
            0 => Self::Reading(Reading {
                position: field as u64,
                line: LineState::from_byte(line)?,
            }),
            1 => Self::Read,
            2 => Self::Done { modified_ms: field },
            _ => return None,
        })
    }
}

fn number(value: &[u8]) -> Option<(i64, &[u8])> {
    let (number, rest) = value.split_first_chunk()?;
    Some((i64::from_le_bytes(*number), rest))
}

/// Where a shard is kept.
pub fn shard_key(shard: u8) -> Bytes {
    Bytes::from(format!("shard/{shard:02}"))
}

/// What the keys of a shard's entries begin with.
pub fn entries_of(shard: u8) -> Bytes {
    Bytes::from(format!("object/{shard:02}/"))
}

/// Where an object's entry is kept.
pub fn entry_key((shard, hash): Id) -> Bytes {
    Bytes::from(format!("object/{shard:02}/{hash:032x}"))
}

/// Reads the shard that stands under `key`.
pub fn decode_shard(key: &[u8], value: &[u8]) -> Result<Shard> {
    Shard::decode(value).ok_or_else(|| unknown(key))
}

/// Reads the entry of shard `shard` that stands under `key`.
pub fn decode_entry(shard: u8, key: &[u8], value: &[u8]) -> Result<(Id, Entry)> {
    let hash = || {
        let hash = key.strip_prefix(&*entries_of(shard))?;
        u128::from_str_radix(std::str::from_utf8(hash).ok()?, 16).ok()
    };
    let entry = hash().zip(Entry::decode(value));
    let (hash, entry) = entry.ok_or_else(|| unknown(key))?;
    Ok(((shard, hash), entry))
}

fn unknown(key: &[u8]) -> Error {
    let key = String::from_utf8_lossy(key).into_owned();
    Error::fatal(
        "understand the committed state of a bucket",
        format!("({key})"),
    )
    .because("it was written by another version, or is damaged")
    .remedy("run the version that wrote it, or forget it with `towpath offsets reset`")
}
