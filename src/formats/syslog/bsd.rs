//! RFC 3164 and its relatives: `Mmm dd hh:mm:ss HOST TAG[PID]: MESSAGE`, also with a year, with
//! fractions of a second, or with a time in ISO 8601 as rsyslog writes it.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Message;
use crate::parse::Fault;
use crate::typed::put_time;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The message behind its priority.
pub(super) fn put(message: &mut Message<'_>, reference_ms: i64) -> Result<(), Fault> {
    if message
        .rest()
        .starts_with(|first: char| first.is_ascii_digit())
    {
        let at = message.at;
        let word = message.word()?;
        if word.parse::<Timestamp>().is_err() {
            message.at = at;
            return Err(message.fault("expected a time such as `Oct 11 22:14:15`"));
        }
        message.field("timestamp", word);
    } else {
        let time = time(message, reference_ms)?;
        message.name("timestamp");
        put_time(time, message.out);
    }
    // A local message has no host: its first word is the tag.
    let rest = message.rest();
    let first = &rest[..memchr::memchr(b' ', rest.as_bytes()).unwrap_or(rest.len())];
    if !first.is_empty() && !first.ends_with(':') {
        message.at += (first.len() + 1).min(rest.len());
        message.field("hostname", first);
    }
    tag(message);
    let text = message.rest();
    message.field("message", text);
    Ok(())
}

/// Passes `TAG:`, `TAG[PID]:` and the space behind it, if they are there.
fn tag(message: &mut Message<'_>) {
    let rest = message.rest();
    let is_name = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'[' | b':');
    let end = rest.bytes().take_while(|byte| is_name(byte)).count();
    let (name, behind) = rest.split_at(end);
    let inside = behind
        .strip_prefix('[')
        .and_then(|behind| behind.split_once(']'));
    let (process, behind) = match inside {
        Some((process, behind)) => (Some(process), behind),
        None => (None, behind),
    };
    let Some(text) = behind.strip_prefix(':').filter(|_| !name.is_empty()) else {
        return;
    };
    message.field("appname", name);
    if let Some(process) = process {
        message.field("procid", process);
    }
    let text = text.strip_prefix(' ').unwrap_or(text);
    message.at = message.text.len() - text.len();
}

/// Passes `Mmm dd [yyyy] hh:mm:ss[.fraction]` and the space or `: ` behind it.
fn time(message: &mut Message<'_>, reference_ms: i64) -> Result<Timestamp, Fault> {
    let fault = message.fault("expected a time such as `Oct 11 22:14:15`");
    parse_time(message, reference_ms).ok_or(fault)
}

fn parse_time(message: &mut Message<'_>, reference_ms: i64) -> Option<Timestamp> {
    let rest = message.rest();
    let name = rest.get(..3)?;
    let month = 1 + MONTHS.iter().position(|month| *month == name)?;
    let mut words = Words(rest.get(3..)?);
    let day: i8 = words.next()?.parse().ok()?;
    let mut word = words.next()?;
    let mut year = None;
    if word.len() == 4 {
        year = Some(word.parse::<i16>().ok()?);
        word = words.next()?;
    }
    // Cisco's devices put a colon behind the time.
    let clock: Time = word.strip_suffix(':').unwrap_or(word).parse().ok()?;
    message.at = message.text.len() - words.0.len();
    let month = i8::try_from(month).ok()?;
    let in_year = |year: i16| {
        let time = DateTime::from_parts(Date::new(year, month, day).ok()?, clock);
        TimeZone::UTC.to_timestamp(time).ok()
    };
    if let Some(year) = year {
        return in_year(year);
    }
    let latest = Timestamp::from_millisecond(reference_ms)
        .ok()?
        .checked_add(SignedDuration::from_hours(24))
        .ok()?;
    let this = latest.to_zoned(TimeZone::UTC).year();
    // Eight years back is enough for every 29 February.
    (0..=8)
        .filter_map(|back| in_year(this.checked_sub(back)?))
        .find(|time| *time <= latest)
}

/// Words with any number of spaces before each.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// The next word; the space behind it is passed.
    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches(' ');
        let end = memchr::memchr(b' ', text.as_bytes()).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest.strip_prefix(' ').unwrap_or(rest);
        (!word.is_empty()).then_some(word)
    }
}
