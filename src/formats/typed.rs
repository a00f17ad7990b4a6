//! Text that stands for a typed value: a CSV column, a capture of a pattern.

use std::io::Write;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use towpath_sdk::config::TextType;
use towpath_sdk::json;

/// Appends `text` as a JSON value of type `to`.
///
/// # Errors
/// Says what was expected; nothing is appended then.
pub(crate) fn put_typed(to: &TextType, text: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    match to {
        TextType::String => {
            json::put_string(text, out);
            Ok(())
        }
        TextType::Integer => match Digits::of(text) {
            Some(digits) if digits.rest.is_empty() && !digits.whole.is_empty() => {
                digits.put(out);
                Ok(())
            }
            _ => Err("expected a whole number"),
        },
        TextType::Float => put_float(text, out).ok_or("expected a number"),
        TextType::Boolean => {
            let word: &[u8] = match text {
                "1" => b"true",
                "0" => b"false",
                _ if text.eq_ignore_ascii_case("true") => b"true",
                _ if text.eq_ignore_ascii_case("false") => b"false",
                _ => return Err("expected `true` or `false`"),
            };
            out.extend_from_slice(word);
            Ok(())
        }
        TextType::Timestamp { format } => {
            let time = match format {
                None => iso_8601(text).ok_or("expected a time in ISO 8601")?,
                Some(format) => formatted(format, text).ok_or("expected a time in `format`")?,
            };
            put_time(time, out);
            Ok(())
        }
    }
}

/// A number's sign and leading digits, without the zeros JSON forbids.
struct Digits<'a> {
    negative: bool,
    whole: &'a str,
    rest: &'a str,
}

impl<'a> Digits<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let end = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, rest) = unsigned.split_at_checked(end)?;
        Some(Self {
            negative: text.starts_with('-'),
            whole,
            rest,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        match self.whole.trim_start_matches('0') {
            "" => out.push(b'0'),
            digits => out.extend_from_slice(digits.as_bytes()),
        }
    }
}

fn put_float(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let number = Digits::of(text)?;
    let behind = number.rest.strip_prefix('.').unwrap_or(number.rest);
    let decimals = match number.rest.starts_with('.') {
        true => behind.bytes().take_while(u8::is_ascii_digit).count(),
        false => 0,
    };
    let (decimals, exponent) = behind.split_at_checked(decimals)?;
    if number.whole.is_empty() && decimals.is_empty() {
        return None;
    }
    if let Some(digits) = exponent.strip_prefix(['e', 'E']) {
        let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    } else if !exponent.is_empty() {
        return None;
    }
    number.put(out);
    if !decimals.is_empty() {
        out.push(b'.');
        out.extend_from_slice(decimals.as_bytes());
    }
    out.extend_from_slice(exponent.as_bytes());
    Some(())
}

/// A time in ISO 8601, in UTC where it names no zone.
fn iso_8601(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| in_utc(text.parse().ok()?))
}

/// Appends a time as a JSON string: ISO 8601 in UTC.
pub(crate) fn put_time(time: Timestamp, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "\"{time}\"");
}

fn formatted(format: &str, text: &str) -> Option<Timestamp> {
    let time = BrokenDownTime::parse(format, text).ok()?;
    time.to_timestamp()
        .ok()
        .or_else(|| in_utc(time.to_datetime().ok()?))
}

fn in_utc(time: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(time).ok()
}
