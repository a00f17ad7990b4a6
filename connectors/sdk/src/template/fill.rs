//! Filling the places of a template.

use std::borrow::Cow;
use std::io::Write;

use jiff::tz::TimeZone;

use super::{FillFormat, Place, TemplateName};
use crate::{Error, Result, printable};

/// What templates are filled from.
pub trait Scope {
    /// The field for `name`; `None` when it is missing or null.
    fn lookup(&self, name: &TemplateName) -> Option<Fill<'_>>;
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill<'a> {
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Integer(i64),
    /// Milliseconds since 1970.
    Timestamp(i64),
}

/// The longest file name of common file systems.
const FILE_NAME_BYTES_MAX: usize = 255;
/// The longest filled part of a path; a longer one is cut, and a hash keeps it apart from others.
const PART_BYTES_MAX: usize = 150;
const HASH_MARK: &[u8] = b"%~";
const HASH_DIGITS: usize = 16;

impl Place {
    /// Appends the field's text; nothing on an error.
    pub(super) fn fill(
        &self,
        scope: &dyn Scope,
        timezone: &TimeZone,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let Some(field) = scope.lookup(&self.name) else {
            return match &self.default {
                Some(default) => {
                    out.extend_from_slice(default.as_bytes());
                    Ok(())
                }
                None => Err(self.error("the record has no such field").remedy(format!(
                    "give the template a default: {{{}|...}}",
                    self.name
                ))),
            };
        };
        match (&self.format, field) {
            (None, Fill::Text(text)) => out.extend_from_slice(text.as_bytes()),
            (None, Fill::Bytes(bytes)) => out.extend_from_slice(&bytes),
            (None, Fill::Integer(number)) => append(out, format_args!("{number}")),
            (None, Fill::Timestamp(millis)) => {
                append(
                    out,
                    format_args!("{:.3}", self.zoned(millis, timezone)?.timestamp()),
                );
            }
            (Some(FillFormat::Pad(width)), Fill::Integer(number)) => {
                append(out, format_args!("{number:0width$}", width = *width));
            }
            (Some(FillFormat::Time(format)), Fill::Timestamp(millis)) => {
                let time = self.zoned(millis, timezone)?;
                let text = jiff::fmt::strtime::format(format, &time)
                    .map_err(|error| self.error(error.to_string()))?;
                out.extend_from_slice(text.as_bytes());
            }
            (Some(FillFormat::Pad(_)), _) => return Err(self.error("it is not a whole number")),
            (Some(FillFormat::Time(_)), _) => return Err(self.error("it is not a time")),
        }
        Ok(())
    }

    fn zoned(&self, millis: i64, timezone: &TimeZone) -> Result<jiff::Zoned> {
        let time = jiff::Timestamp::from_millisecond(millis);
        Ok(time
            .map_err(|_| self.error("the time is out of range"))?
            .to_zoned(timezone.clone()))
    }

    fn error(&self, why: impl Into<String>) -> Error {
        Error::record("fill the template's", format!("{{{}}}", self.name)).because(why.into())
    }
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

/// Appends a filled part of a path, so that it stays within one file name.
pub(super) fn append_encoded(filled: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if filled.is_empty() {
        out.extend_from_slice(b"%-");
    }
    for chunk in filled.utf8_chunks() {
        for character in chunk.valid().chars() {
            let leading_dot = character == '.' && out.len() == start;
            if leading_dot || character.is_control() || matches!(character, '/' | '\\' | '%') {
                percent(character.encode_utf8(&mut [0; 4]).as_bytes(), out);
            } else {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        percent(chunk.invalid(), out);
    }
    if out.len() - start > PART_BYTES_MAX {
        cut(start, out);
    }
}

fn percent(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        append(out, format_args!("%{byte:02X}"));
    }
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

/// Whether every name of the path can be one.
pub(super) fn check_names(path: &[u8]) -> Result<()> {
    match path
        .split(|byte| *byte == b'/')
        .find(|name| name.len() > FILE_NAME_BYTES_MAX)
    {
        None => Ok(()),
        Some(name) => {
            let shown = printable(&String::from_utf8_lossy(&name[..40]));
            Err(
                Error::record("fill the path, where the name", format!("{shown}..."))
                    .because(format!("it has {} bytes", name.len()))
                    .remedy(format!("file names have at most {FILE_NAME_BYTES_MAX}")),
            )
        }
    }
}
