//! Avro's logical types as text, and back.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const EPOCH: Date = Date::constant(1970, 1, 1);
/// Bytes of a decimal at most: some 300 digits.
const DECIMAL_BYTES_MAX: usize = 128;

fn nanos(number: i64, units: u32) -> i128 {
    i128::from(number) * i128::from(1_000_000_000 / units)
}

fn units(nanos: i128, units: u32) -> Option<i64> {
    i64::try_from(nanos.div_euclid(i128::from(1_000_000_000 / units))).ok()
}

pub(crate) fn date(days: i32) -> Option<String> {
    let date = EPOCH.checked_add(SignedDuration::from_hours(24 * i64::from(days)));
    Some(date.ok()?.to_string())
}

pub(crate) fn date_days(text: &str) -> Option<i32> {
    let date: Date = text.parse().ok()?;
    let hours = date.duration_since(EPOCH).as_hours();
    i32::try_from(hours / 24).ok()
}

pub(crate) fn time(number: i64, units: u32) -> Option<String> {
    let nanos = i64::try_from(nanos(number, units)).ok()?;
    let time = Time::midnight().checked_add(SignedDuration::from_nanos(nanos));
    Some(time.ok().filter(|_| nanos >= 0)?.to_string())
}

pub(crate) fn time_units(text: &str, per_second: u32) -> Option<i64> {
    let time: Time = text.parse().ok()?;
    units(time.duration_since(Time::midnight()).as_nanos(), per_second)
}

pub(crate) fn timestamp(number: i64, units: u32) -> Option<String> {
    let timestamp = Timestamp::from_nanosecond(nanos(number, units)).ok()?;
    Some(timestamp.to_string())
}

pub(crate) fn timestamp_units(text: &str, per_second: u32) -> Option<i64> {
    units(text.parse::<Timestamp>().ok()?.as_nanosecond(), per_second)
}

pub(crate) fn local_timestamp(number: i64, units: u32) -> Option<String> {
    let timestamp = Timestamp::from_nanosecond(nanos(number, units)).ok()?;
    Some(TimeZone::UTC.to_datetime(timestamp).to_string())
}

pub(crate) fn local_timestamp_units(text: &str, per_second: u32) -> Option<i64> {
    let time: DateTime = text.parse().ok()?;
    let timestamp = TimeZone::UTC.to_timestamp(time).ok()?;
    units(timestamp.as_nanosecond(), per_second)
}

pub(crate) fn uuid(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

pub(crate) fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let dashes = text.bytes().enumerate().filter(|(_, byte)| *byte == b'-');
    if text.len() != 36 || !dashes.map(|(at, _)| at).eq([8, 13, 18, 23]) {
        return None;
    }
    let digits = text.chars().filter(|character| *character != '-');
    let bits = digits.map(|digit| digit.to_digit(16).map(u128::from));
    let bits = bits.reduce(|bits, digit| Some(bits? << 4 | digit?))??;
    Some(bits.to_be_bytes())
}

/// Months, days and milliseconds, none of which converts into another.
pub(crate) fn duration([months, days, millis]: [u32; 3]) -> String {
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    format!("P{months}M{days}DT{seconds}.{millis:03}S")
}

pub(crate) fn duration_parts(text: &str) -> Option<[u32; 3]> {
    let (months, rest) = text.strip_prefix('P')?.split_once('M')?;
    let (days, rest) = rest.split_once("DT")?;
    let (seconds, millis) = rest.strip_suffix('S')?.split_once('.')?;
    let number = |digits: &str| digits.parse::<u32>().ok();
    if millis.len() != 3 {
        return None;
    }
    let seconds = number(seconds)?.checked_mul(1_000)?;
    let millis = seconds.checked_add(number(millis)?)?;
    Some([number(months)?, number(days)?, millis])
}

/// The number in two's complement, highest byte first, with `scale` digits behind the point.
pub(crate) fn decimal(bytes: &[u8], scale: u32) -> Option<String> {
    if bytes.len() > DECIMAL_BYTES_MAX {
        return None;
    }
    let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    let mut magnitude = bytes.to_vec();
    if negative {
        negate(&mut magnitude);
    }
    // Digits, the lowest first, by dividing by ten again and again.
    let mut digits = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) {
        let mut rest = 0u16;
        for byte in &mut magnitude {
            let value = rest << 8 | u16::from(*byte);
            *byte = (value / 10) as u8;
            rest = value % 10;
        }
        digits.push(b'0' + rest as u8);
    }
    let scale = scale as usize;
    digits.resize(digits.len().max(scale + 1), b'0');
    let mut text = String::from(if negative { "-" } else { "" });
    for (index, digit) in digits.iter().enumerate().rev() {
        text.push(char::from(*digit));
        if index == scale && scale > 0 {
            text.push('.');
        }
    }
    Some(text)
}

/// How many digits a decimal has without zeros in front, when it is written with `scale` of them
/// behind the point.
pub(crate) fn digits(text: &str, scale: u32) -> usize {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let scale = scale as usize;
    match whole.trim_start_matches(['-', '0']).len() {
        0 if decimals.bytes().all(|digit| digit == b'0') => 0,
        0 => scale.saturating_sub(decimals.bytes().take_while(|digit| *digit == b'0').count()),
        whole => whole + scale,
    }
}

/// The shortest two's complement of a decimal that has no digits beyond `scale`.
pub(crate) fn decimal_bytes(text: &str, scale: u32) -> Option<Vec<u8>> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let missing = (scale as usize).checked_sub(decimals.len())?;
    if whole.is_empty() {
        return None;
    }
    let zeros = std::iter::repeat_n(b'0', missing);
    // Lowest byte first; a zero on top keeps room for the sign.
    let mut bytes = vec![0u8; 1];
    for digit in whole.bytes().chain(decimals.bytes()).chain(zeros) {
        let mut carry = u16::from(digit.is_ascii_digit().then_some(digit - b'0')?);
        for byte in &mut bytes {
            let value = u16::from(*byte) * 10 + carry;
            *byte = value as u8;
            carry = value >> 8;
        }
        if carry > 0 {
            bytes.push(carry as u8);
        }
        if bytes.len() > DECIMAL_BYTES_MAX {
            return None;
        }
    }
    bytes.push(0);
    bytes.reverse();
    if text.starts_with('-') {
        negate(&mut bytes);
    }
    let redundant =
        |pair: &[u8]| (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80);
    let extra = bytes.windows(2).take_while(|pair| redundant(pair)).count();
    Some(bytes.split_off(extra))
}

/// Two's complement, highest byte first.
fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
    }
}
