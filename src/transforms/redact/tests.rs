//! What is found and what is not, and where.

use proptest::prelude::*;
use towpath_sdk::config::Format::{Bytes, Json, Text};

use super::find::Finding;
use super::*;
use crate::tests::table::{check, check_problems, outcomes};

/// `text` with what is found in brackets.
fn marked(finding: Finding, text: &str) -> String {
    let mut out = String::new();
    let mut copied = 0;
    while let Some(found) = finding.find(text.as_bytes(), copied) {
        out.push_str(&text[copied..found.start]);
        out.push_str(&format!("[{}]", &text[found.clone()]));
        copied = found.end;
    }
    out + &text[copied..]
}

/// Each text has brackets around what is to be found.
fn finds(finding: Finding, texts: &[&str]) {
    for expected in texts {
        let text = expected.replace(['[', ']'], "");
        assert_eq!(marked(finding, &text), *expected, "{finding:?}");
    }
}

#[test]
fn email_addresses() {
    finds(
        Finding::Email,
        &[
            "[ada@example.com]",
            "<[ada.l+x@mail.example.co.uk]>, [b@c.de].",
            "mailto:[ada@example.com]?subject=x",
            "[größe@exämple.de] ok",
            "[a@b.c]@[d@e.f]",
            "ada@localhost, @example.com, a@, a@.de, a@b., @",
            "",
        ],
    );
}

#[test]
fn card_numbers() {
    finds(
        Finding::Card,
        &[
            "[4111111111111111]",
            "paid [4111 1111 1111 1111].",
            "[3782-822463-10005],[6011000990139424]",
            "order 17 [5500 0055 5555 5559] 2026",
            // Thirteen to nineteen digits.
            "[4222222222222] [6304000000000000018] 63040000000000000018",
            "422222222222 41111111 11111111111111111111",
            // Wrong check digit, milliseconds since 1970, part of something longer.
            "4111111111111116 1767323045677 x4111111111111111 4111111111111111x",
            "4111  1111  1111  1111",
        ],
    );
}

#[test]
fn ip_addresses() {
    finds(
        Finding::Ip,
        &[
            "[192.0.2.7] [2001:db8::1] [::1] [::ffff:192.0.2.7]",
            "[192.0.2.7]:8080 [192.0.2.8], [192.0.2.9].",
            "([2001:DB8::8:800:200c:417a]): no route; [fe80::]: [fe80::]: [fe80::1]%eth0",
            "1.2.3 1.2.3.4.5 256.1.1.1 v1.2.3.4 1.2.3.4a 12:34:56 std::io a :: b 00:1a:2b:3c:4d:5e",
        ],
    );
    finds(Finding::Ipv4, &["[192.0.2.7] 2001:db8::1"]);
    finds(Finding::Ipv6, &["192.0.2.7 [2001:db8::1]"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn findings_lie_in_the_text_and_go_forward(text in r"[0-9a-f:. @é-]{0,60}", from in 0..60usize) {
        for finding in Finding::WORDS.iter().filter_map(|word| Finding::from_word(word)) {
            let mut from = text.floor_char_boundary(from);
            while let Some(found) = finding.find(text.as_bytes(), from) {
                prop_assert!(found.start >= from && found.end > found.start && found.end <= text.len());
                prop_assert!(text.get(found.clone()).is_some(), "whole characters");
                from = found.end;
            }
        }
    }
}

#[test]
fn the_whole_value_or_some_fields() {
    let everywhere = r#"{"find": ["email", "card"]}"#;
    check(
        &TYPE,
        everywhere,
        Json,
        &[
            (
                r#"{"a":[{"b":"x ada@example.com y"},4111111111111111,1.50],"ada@example.com":true}"#,
                r#"{"a":[{"b":"x *** y"},"***",1.50],"ada@example.com":true}"#,
            ),
            (r#""ada\u0040example.com""#, r#""***""#),
            (r#"{ "nothing" : 1.0 }"#, r#"{ "nothing" : 1.0 }"#),
            (
                "{",
                "!cannot read the value as JSON: expected a field's name in quotes at byte 1",
            ),
        ],
    );
    check(
        &TYPE,
        r#"{"find": "email", "fields": ["a.b", "c"], "mask": ""}"#,
        Json,
        &[
            (
                r#"{"x":"a@b.cd","a":{"b":{"d":["a@b.cd!"]}},"c":"<a@b.cd>"}"#,
                r#"{"x":"a@b.cd","a":{"b":{"d":["!"]}},"c":"<>"}"#,
            ),
            (r#"{"a":7}"#, r#"{"a":7}"#),
        ],
    );
    check(
        &TYPE,
        everywhere,
        Text,
        &[("from ada@example.com", "from ***"), ("", "")],
    );
    let lines: &[&[u8]] = &[b"\xff ada@example.com \xfe"];
    let found = outcomes(&TYPE, everywhere, Bytes, lines);
    assert_eq!(
        found,
        ["\u{fffd} *** \u{fffd}"],
        "text that is not UTF-8, too"
    );
}

#[test]
fn patterns_of_ones_own() {
    check(
        &TYPE,
        r#"{"patterns": ["(?i)secret=\\S+", "x*"], "find": "ipv4", "mask": "?"}"#,
        Text,
        &[("SECRET=1 xx 192.0.2.7", "? ? ?"), ("none", "none")],
    );
    // Half a character is no reason to fail.
    let options = r#"{"patterns": "(?-u)\\xc3", "mask": ""}"#;
    check(&TYPE, options, Json, &[(r#""é""#, "\"\u{fffd}\"")]);
}

#[test]
fn a_hash_is_the_same_for_the_same_finding_and_key() {
    let options = r#"{"find": "ip", "hash_key": "not-this-one"}"#;
    let found = outcomes(&TYPE, options, Text, &[b"192.0.2.7 192.0.2.7 192.0.2.8"]);
    let words: Vec<&str> = found[0].split(' ').collect();
    // printf 192.0.2.7 | openssl dgst -sha256 -hmac not-this-one
    assert_eq!(words[0], "013e5bd6042fbf1634ea8fa1f84d73b0");
    assert_eq!(words[0], words[1]);
    assert_ne!(words[0], words[2]);
    let other = outcomes(
        &TYPE,
        r#"{"find": "ip", "hash_key": "k"}"#,
        Text,
        &[b"192.0.2.7"],
    );
    assert_ne!(words[0], other[0]);
    let shown = format!("{:?}", crate::tests::table::config(&TYPE, options));
    assert!(!shown.contains("not-this-one"), "{shown}");
}

#[test]
fn a_huge_text_takes_time_in_proportion() {
    for unit in ["@", "1.", ":", "a@a", "4 ", "4111", "1:"] {
        let text = unit.repeat((1 << 20) / unit.len());
        let all = r#"{"find": ["email", "card", "ip"]}"#;
        let found = outcomes(&TYPE, all, Text, &[text.as_bytes()]);
        assert!(found[0].len() <= text.len());
    }
}

#[test]
fn wrong_options_are_told() {
    check_problems(
        &TYPE,
        &[
            ("{}", "takes `find` or `patterns`"),
            (r#"{"find": "phone"}"#, "expected one of `email`"),
            (r#"{"patterns": "("}"#, "not a regular expression"),
            (r#"{"find": "ip", "hash_key": ""}"#, "the key is empty"),
            (
                r#"{"find": "ip", "hash_key": "k", "mask": "x"}"#,
                "only one of `mask` and `hash_key`",
            ),
        ],
    );
}
