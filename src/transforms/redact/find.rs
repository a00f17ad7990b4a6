//! Finding what has a known shape: e-mail addresses, card numbers, IP addresses.
//!
//! Each finder passes a text once, from one character that such a thing must have to the next, and
//! looks around that one only.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use memchr::{memchr, memchr2};
use towpath_sdk::config::choice;

choice! {
    /// What is looked for.
    pub(super) enum Finding {
        /// An e-mail address.
        Email = "email",
        /// The number of a payment card: 13 to 19 digits from 2 to 6 on, in groups or not, whose
        /// check digit (Luhn) is right.
        Card = "card",
        /// An IP address of either version.
        Ip = "ip",
        /// An IPv4 address.
        Ipv4 = "ipv4",
        /// An IPv6 address.
        Ipv6 = "ipv6",
    }
}

impl Finding {
    /// The first one at or behind byte `from`.
    pub fn find(self, text: &[u8], from: usize) -> Option<Range<usize>> {
        match self {
            Self::Email => email(text, from),
            Self::Card => card(text, from),
            Self::Ip => address(text, from, true, true),
            Self::Ipv4 => address(text, from, true, false),
            Self::Ipv6 => address(text, from, false, true),
        }
    }
}

/// Whether the byte is part of a word; of a character beyond ASCII every byte is.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// From where on all bytes before `at` are `part`; not before `from`.
fn back(text: &[u8], from: usize, at: usize, part: impl Fn(u8) -> bool) -> usize {
    let run = text[from..at].iter().rev().take_while(|byte| part(**byte));
    at - run.count()
}

/// Behind the last of the bytes from `at` on that are `part`.
fn ahead(text: &[u8], at: usize, part: impl Fn(u8) -> bool) -> usize {
    let run = text[at..].iter().take_while(|byte| part(**byte));
    at + run.count()
}

fn email(text: &[u8], from: usize) -> Option<Range<usize>> {
    let local = |byte| is_word(byte) || b".!#$%&'*+/=?^`{|}~-".contains(&byte);
    let domain = |byte: u8| byte != b'_' && is_word(byte) || byte == b'.' || byte == b'-';
    let mut passed = from;
    let mut at = from;
    while let Some(found) = memchr(b'@', &text[at..]) {
        let sign = at + found;
        at = sign + 1;
        let start = back(text, passed, sign, local);
        let mut end = ahead(text, sign + 1, domain);
        passed = sign + 1;
        while end > sign && matches!(text[end - 1], b'.' | b'-') {
            end -= 1;
        }
        let host = &text[(sign + 1).min(end)..end];
        let dotted = host.iter().skip(1).any(|byte| *byte == b'.');
        if start < sign && dotted && !host.starts_with(b".") {
            return Some(start..end);
        }
    }
    None
}

fn card(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    loop {
        let start = at + text[at..].iter().position(u8::is_ascii_digit)?;
        at = ahead(text, start, |byte| byte.is_ascii_digit());
        let first = matches!(text[start], b'2'..=b'6');
        let apart = start == 0 || !is_word(text[start - 1]);
        if first
            && apart
            && let Some(end) = card_end(text, start)
        {
            return Some(start..end);
        }
    }
}

/// Where the longest card number that begins at `start` ends.
fn card_end(text: &[u8], start: usize) -> Option<usize> {
    let mut longest = None;
    let (mut digits, mut sum) = (0, LuhnSum::default());
    let mut at = start;
    loop {
        let end = ahead(text, at, |byte| byte.is_ascii_digit());
        digits += end - at;
        if digits > 19 {
            return longest;
        }
        text[at..end].iter().for_each(|digit| sum.add(digit - b'0'));
        let next = text.get(end).copied();
        let apart = !next.is_some_and(is_word);
        if digits >= 13 && apart && sum.is_right() {
            longest = Some(end);
        }
        let more = text.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !matches!(next, Some(b' ' | b'-')) || !more {
            return longest;
        }
        at = end + 1;
    }
}

/// The check sum of Luhn over digits that come from the left: which of them count twice is known
/// only at the end, so both sums are kept.
#[derive(Default)]
struct LuhnSum {
    /// With the last digit as it is.
    last_plain: u32,
    /// With the last digit counted twice.
    last_twice: u32,
}

impl LuhnSum {
    fn add(&mut self, digit: u8) {
        let digit = u32::from(digit);
        let twice = if digit > 4 { digit * 2 - 9 } else { digit * 2 };
        *self = Self {
            last_plain: self.last_twice + digit,
            last_twice: self.last_plain + twice,
        };
    }

    fn is_right(&self) -> bool {
        self.last_plain.is_multiple_of(10)
    }
}

fn address(text: &[u8], from: usize, v4: bool, v6: bool) -> Option<Range<usize>> {
    let part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    let mut passed = from;
    let mut at = from;
    while let Some(found) = memchr2(b'.', b':', &text[at..]) {
        let sign = at + found;
        let start = back(text, passed, sign, part);
        let end = ahead(text, sign, part);
        (passed, at) = (end, end);
        let before = start.checked_sub(1).map(|before| text[before]);
        if before.is_some_and(is_word) || text.get(end).copied().is_some_and(is_word) {
            continue;
        }
        if let Some(found) = address_in(text, start..end, v4, v6) {
            return Some(found);
        }
    }
    None
}

/// The address in a run of what addresses are made of, which may have a sentence's marks behind it.
fn address_in(text: &[u8], run: Range<usize>, v4: bool, v6: bool) -> Option<Range<usize>> {
    let written = std::str::from_utf8(&text[run.clone()]).ok()?;
    let bare = written.trim_end_matches(['.', ':']);
    // An IPv4 address may have a port.
    let host = bare.split_once(':').map_or(bare, |(host, _)| host);
    if v4 && host.parse::<Ipv4Addr>().is_ok() {
        return Some(run.start..run.start + host.len());
    }
    let whole = written.trim_end_matches('.');
    let one_less = whole.strip_suffix(':').unwrap_or(whole);
    // `::` alone is an operator in many a text, and nobody's address.
    let is_v6 = |text: &&str| *text != "::" && text.parse::<Ipv6Addr>().is_ok();
    let v6_text = [whole, one_less].into_iter().find(is_v6);
    v6_text
        .filter(|_| v6)
        .map(|text| run.start..run.start + text.len())
}
