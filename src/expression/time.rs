//! Times and durations as text.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

const NANOS: i128 = 1_000_000_000;

/// Nanoseconds of each unit; longer names before those they begin with.
const UNITS: [(&str, i128); 8] = [
    ("ms", 1_000_000),
    ("us", 1000),
    ("µs", 1000),
    ("ns", 1),
    ("d", 86_400 * NANOS),
    ("h", 3600 * NANOS),
    ("m", 60 * NANOS),
    ("s", NANOS),
];

/// A duration such as `1h30m`, `1.5s`, `-10ms` or `7d`.
pub(crate) fn duration(text: &str) -> Option<SignedDuration> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut nanos = 0i128;
    loop {
        let (number, after) = split_at_non_digit(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_at_non_digit(after),
            None => ("", after),
        };
        let (name, unit) = UNITS.iter().find(|(name, _)| after.starts_with(name))?;
        // Eighteen digits are enough, and cannot overflow below.
        if number.len() > 18 || number.is_empty() && fraction.is_empty() {
            return None;
        }
        nanos = nanos.checked_add(parse_digits(number) * unit)?;
        let fraction = &fraction[..fraction.len().min(18)];
        let part = parse_digits(fraction) * unit / 10i128.pow(fraction.len() as u32);
        nanos = nanos.checked_add(part)?;
        rest = &after[name.len()..];
        if rest.is_empty() {
            break;
        }
    }
    let nanos = sign * nanos;
    let seconds = i64::try_from(nanos / NANOS).ok()?;
    Some(SignedDuration::new(seconds, (nanos % NANOS) as i32))
}

fn split_at_non_digit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// The number that `digits`, at most 18, say; none say 0.
fn parse_digits(digits: &str) -> i128 {
    digits.parse().unwrap_or(0)
}

/// A duration as CEL writes it: in seconds, `5400s` or `1.5s`.
pub(crate) fn duration_text(duration: SignedDuration) -> String {
    let nanos = duration.as_nanos();
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let mut text = format!("{sign}{}", nanos / NANOS as u128);
    let fraction = nanos % NANOS as u128;
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    text.push('s');
    text
}

/// A time as it is written everywhere: ISO 8601 in UTC, with milliseconds, or more if it has more.
pub(crate) fn timestamp_text(time: Timestamp) -> String {
    let mut text = String::new();
    let written = match time.subsec_nanosecond() % 1_000_000 {
        0 => write!(text, "{time:.3}"),
        _ => write!(text, "{time}"),
    };
    debug_assert!(written.is_ok(), "a string takes any text");
    text
}
