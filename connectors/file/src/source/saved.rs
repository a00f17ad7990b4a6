//! What is committed for each file, and how it is written.
//!
//! A value is one byte of version and then fixed fields, little endian, as [`Saved::encode`] lists
//! them. A value that does not decode is an error: starting
//! over would double every record.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use bytes::Bytes;
use towpath_sdk::framing::LineState;
use towpath_sdk::{Error, Result};

use super::content::{FileId, Stamp};
use super::fingerprint::Fingerprint;

const VERSION: u8 = 1;
/// What every key of a file's state begins with.
pub const FILE_PREFIX: &str = "file/";

/// How far a file was read, and how to know it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Bytes consumed of the decompressed content.
    pub position: u64,
    pub line: LineState,
    pub id: FileId,
    /// At the position.
    pub fingerprint: Fingerprint,
    /// When the position was the content's end: what the file looked like then.
    pub end: Option<Stamp>,
    /// When it was first missed, milliseconds since 1970.
    pub gone_ms: Option<i64>,
    /// Its path when it was first seen; names its records' origin through every rotation.
    pub origin: PathBuf,
    /// Its path when this was saved.
    pub path: PathBuf,
}

impl Saved {
    pub fn encode(&self) -> Bytes {
        let origin = self.origin.as_os_str().as_bytes();
        let path = if self.path == self.origin {
            &[]
        } else {
            self.path.as_os_str().as_bytes()
        };
        let mut out = Vec::with_capacity(96 + origin.len() + path.len());
        out.push(VERSION);
        out.push(self.line as u8);
        out.extend_from_slice(&self.fingerprint.head_bytes.to_le_bytes());
        let end = self.end.unwrap_or(Stamp {
            size: u64::MAX,
            ..Stamp::default()
        });
        for field in [
            self.position,
            self.id.device,
            self.id.inode,
            self.fingerprint.head,
            self.fingerprint.begin,
            self.fingerprint.tail,
            end.size,
            end.modified_ns as u64,
            end.changed_ns as u64,
            self.gone_ms.unwrap_or(i64::MIN) as u64,
            origin.len() as u64,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(origin);
        out.extend_from_slice(path);
        Bytes::from(out)
    }

    /// Reads the value that stands under `key`.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        Self::fields(value).ok_or_else(|| {
            let key = String::from_utf8_lossy(key).into_owned();
            Error::fatal(
                "understand the committed state of a file",
                format!("({key})"),
            )
            .because("it was written by another version, or is damaged")
            .remedy("run the version that wrote it, or forget it with `towpath offsets reset`")
        })
    }

    fn fields(mut value: &[u8]) -> Option<Self> {
        let (&[version, line, head_low, head_high], rest) = value.split_first_chunk::<4>()?;
        value = rest;
        let mut next = || {
            let (field, rest) = value.split_first_chunk::<8>()?;
            value = rest;
            Some(u64::from_le_bytes(*field))
        };
        let position = next()?;
        let id = FileId {
            device: next()?,
            inode: next()?,
        };
        let head_bytes = u16::from_le_bytes([head_low, head_high]);
        let fingerprint = Fingerprint {
            head_bytes,
            head: next()?,
            begin: next()?,
            tail: next()?,
        };
        let end = Stamp {
            size: next()?,
            modified_ns: next()? as i64,
            changed_ns: next()? as i64,
        };
        let gone_ms = Some(next()? as i64).filter(|&moment| moment != i64::MIN);
        let origin_bytes = usize::try_from(next()?).ok()?;
        let (origin, path) = value.split_at_checked(origin_bytes)?;
        let path = if path.is_empty() { origin } else { path };
        let saved = Self {
            position,
            line: LineState::from_byte(line)?,
            id,
            fingerprint,
            end: Some(end).filter(|end| end.size != u64::MAX),
            gone_ms,
            origin: PathBuf::from(std::ffi::OsString::from_vec(origin.to_vec())),
            path: PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())),
        };
        (version == VERSION).then_some(saved)
    }
}

/// The key of the `number`th file that `task` has met.
pub fn file_key(task: u32, number: u64) -> Bytes {
    Bytes::from(format!("{FILE_PREFIX}{task}/{number:016x}"))
}

/// The number in a key that `task` has made.
pub fn number_of(task: u32, key: &[u8]) -> Option<u64> {
    let key = std::str::from_utf8(key).ok()?;
    let number = key
        .strip_prefix(FILE_PREFIX)?
        .strip_prefix(&format!("{task}/"))?;
    u64::from_str_radix(number, 16).ok()
}

/// The key that says since when `task` has run, so that `start` is looked at once only.
pub fn start_key(task: u32) -> Bytes {
    Bytes::from(format!("start/{task}"))
}
