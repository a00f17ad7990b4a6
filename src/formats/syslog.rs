//! syslog messages: RFC 5424 with structured data, and what RFC 3164 found in the wild.
//!
//! Fields, where the message has them: `facility`, `severity` (names), `version` (RFC 5424 only),
//! `timestamp` (ISO 8601), `hostname`, `appname`, `procid`, `msgid`, `structured_data` (an object
//! of objects), `message`. The older form lacks a year: it is the one that puts the message nearest
//! before the reference time (at most a day after it, for clocks that differ). Its times are UTC.

mod bsd;
mod ietf;

use towpath_sdk::json;

use crate::parse::{Fault, Parser, utf8, whole_or_nothing};

/// RFC 5424, table 1.
const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];
/// RFC 5424, table 2.
const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

/// A parser of syslog messages.
#[derive(Debug, Clone, Default)]
pub struct Syslog {
    /// Whether a text that is no syslog message becomes one with nothing but its `message`.
    pub lenient: bool,
    /// For years.
    reference_ms: i64,
    /// A parameter's value, where it is not as written.
    unescaped: String,
}

impl Syslog {
    /// A parser, whose reference time is 1970 until it is set.
    pub fn new(lenient: bool) -> Self {
        Self {
            lenient,
            ..Self::default()
        }
    }

    fn put(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut message = Message {
            text,
            at: 0,
            out,
            first: true,
        };
        message.out.push(b'{');
        let priority = message.priority()?;
        if priority && message.rest().starts_with("1 ") {
            ietf::put(&mut message, &mut self.unescaped)?;
        } else {
            bsd::put(&mut message, self.reference_ms)?;
        }
        message.out.push(b'}');
        Ok(())
    }
}

impl Parser for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn parse(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let text = utf8(text)?;
        let text = text.trim_end_matches(['\r', '\n']);
        let parsed = whole_or_nothing(out, |out| self.put(text, out));
        if parsed.is_err() && self.lenient {
            out.extend_from_slice(b"{\"message\":");
            json::put_string(text, out);
            out.push(b'}');
            return Ok(());
        }
        parsed
    }

    fn set_reference_ms(&mut self, reference_ms: i64) {
        self.reference_ms = reference_ms;
    }
}

/// A message that is read on one side and written on the other.
struct Message<'a> {
    text: &'a str,
    at: usize,
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Message<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }

    /// Passes `<PRI>` if it is there, and writes its two halves.
    fn priority(&mut self) -> Result<bool, Fault> {
        let Some(inside) = self.rest().strip_prefix('<') else {
            return Ok(false);
        };
        const WRONG: &str = "expected a priority from <0> to <191>";
        let digits = inside.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=3).contains(&digits) || inside.as_bytes().get(digits) != Some(&b'>') {
            return Err(self.fault(WRONG));
        }
        let number: usize = inside[..digits].parse().unwrap_or(usize::MAX);
        let Some(facility) = FACILITIES.get(number >> 3) else {
            return Err(self.fault(WRONG));
        };
        self.field("facility", facility);
        self.field("severity", SEVERITIES[number & 7]);
        self.at += digits + 2;
        Ok(true)
    }

    /// Passes what stands before the next space, and that space.
    fn word(&mut self) -> Result<&'a str, Fault> {
        let rest = self.rest();
        let end = memchr::memchr(b' ', rest.as_bytes()).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.fault("the header ends too early"));
        }
        self.at += (end + 1).min(rest.len());
        Ok(&rest[..end])
    }

    fn name(&mut self, name: &'static str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn field(&mut self, name: &'static str, text: &str) {
        self.name(name);
        json::put_string(text, self.out);
    }
}
