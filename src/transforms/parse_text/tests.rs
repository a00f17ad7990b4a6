//! Every parser of text: where it reads, where it writes, and what it says of bad records.

use towpath_sdk::config::Format::{Bytes, Json, Text};

use crate::tests::table::{check, check_problems, emitted, loaded, outcomes, transform};
use crate::{parse_csv, parse_grok, parse_logfmt, parse_regex, parse_syslog, parse_user_agent};

const WORD: &str = r#"{"pattern": "^(?<word>[a-z]+)$"}"#;
const FIELD: &str = r#"{"pattern": "^(?<word>[a-z]+)$", "field": "a.text"}"#;
const INTO: &str = r#"{"pattern": "^(?<word>[a-z]+)$", "field": "a.text", "into": "b.c"}"#;

#[test]
fn the_value_is_replaced() {
    for format in [Text, Bytes] {
        check(
            &parse_regex::TYPE,
            WORD,
            format,
            &[
                ("abc", r#"{"word":"abc"}"#),
                (
                    "ab1",
                    "!cannot read the value by the pattern: the pattern does not match at byte 0",
                ),
                (
                    "",
                    "!cannot read the value by the pattern: the pattern does not match at byte 0",
                ),
            ],
        );
    }
    check(
        &parse_regex::TYPE,
        WORD,
        Json,
        &[
            (r#""abc""#, r#"{"word":"abc"}"#),
            (r#""\u0061bc""#, r#"{"word":"abc"}"#),
            (
                "7",
                "!cannot read the value as text: it is JSON, and no string",
            ),
            (
                r#"{"a":1}"#,
                "!cannot read the value as text: it is JSON, and no string",
            ),
        ],
    );
}

#[test]
fn a_field_is_replaced_or_kept() {
    check(
        &parse_regex::TYPE,
        FIELD,
        Json,
        &[
            (
                r#"{"a":{"text":"abc","n":1.50},"z":[]}"#,
                r#"{"a":{"text":{"word":"abc"},"n":1.50},"z":[]}"#,
            ),
            (r#"{"a":{"text":null}}"#, r#"{"a":{"text":null}}"#),
            (
                "{}",
                "!cannot read `a.text` by the pattern: the record has no such field",
            ),
            (
                r#"{"a":"x"}"#,
                "!cannot read `a.text` by the pattern: the record has no such field",
            ),
            (
                r#"{"a":{"text":7}}"#,
                "!cannot read `a.text` by the pattern: it is a number, and no text",
            ),
            (
                r#"{"a":{"text":"7"}}"#,
                "!cannot read `a.text` by the pattern: the pattern does not match at byte 0",
            ),
            (
                "{",
                "!cannot read the value as JSON: expected a field's name in quotes at byte 1",
            ),
        ],
    );
    check(
        &parse_regex::TYPE,
        INTO,
        Json,
        &[
            (
                r#"{"a":{"text":"abc"}}"#,
                r#"{"a":{"text":"abc"},"b":{"c":{"word":"abc"}}}"#,
            ),
            (
                r#"{"a":{"text":"abc"},"b":7}"#,
                "!cannot set `b.c`: `b` is a number",
            ),
        ],
    );
    check(
        &parse_regex::TYPE,
        FIELD,
        Text,
        &[(
            "abc",
            "!cannot look into the value: it is no JSON, and has no fields; put `parse_json` or another parser before this transform",
        )],
    );
}

#[test]
fn tombstones_pass_and_bad_utf8_does_not() {
    let mut batch = loaded(&[b"abc", b"a\xffc"], Text);
    let null = towpath_sdk::Cell::Null;
    batch.set_cell(0, towpath_sdk::Side::Value, null);
    let context = towpath_sdk::TransformContext { now_ms: 0 };
    transform(&parse_regex::TYPE, WORD)
        .apply(&mut batch, &context)
        .expect("records only");
    assert_eq!(emitted(&mut batch, Json), ["-"]);
    let refused = batch.refused();
    assert_eq!(refused[0].index, 1);
    assert_eq!(
        refused[0].error.to_string(),
        "cannot read the value by the pattern: invalid UTF-8 at byte 1"
    );
}

#[test]
fn the_parsers_know_their_formats() {
    check(
        &parse_grok::TYPE,
        r#"{"pattern": "^%{COMBINEDAPACHELOG}$"}"#,
        Text,
        &[(
            "no such line",
            "!cannot read the value by the grok pattern: the pattern does not match at byte 0",
        )],
    );
    check(
        &parse_csv::TYPE,
        r#"{"columns": {"id": "int", "name": "string"}, "delimiter": "|"}"#,
        Text,
        &[
            (
                "0012345678901234567890123|\"a \"\"b\"\r\n",
                r#"{"id":12345678901234567890123,"name":"a \"b"}"#,
            ),
            (
                "1|a \"b",
                "!cannot read the value as CSV: a quote inside a field without quotes at byte 4, in column `name`",
            ),
            (
                "x|a",
                "!cannot read the value as CSV: expected a whole number at byte 0, in column `id`",
            ),
            (
                "1",
                "!cannot read the value as CSV: fewer fields than columns at byte 1, in column `name`",
            ),
        ],
    );
    check(
        &parse_csv::TYPE,
        r#"{"columns": ["a", "b"], "mode": "lenient", "empty_is_null": true}"#,
        Text,
        &[("x,,z", r#"{"a":"x","b":null,"column_3":"z"}"#)],
    );
    check(
        &parse_logfmt::TYPE,
        r#"{"field": "m"}"#,
        Json,
        &[
            (r#"{"m":"a=1 b=\"c d\""}"#, r#"{"m":{"a":"1","b":"c d"}}"#),
            (
                r#"{"m":"a=\"1"}"#,
                "!cannot read `m` as logfmt: a quote that is never closed at byte 2",
            ),
        ],
    );
    check(
        &parse_syslog::TYPE,
        "{}",
        Text,
        &[
            // The record's timestamp is 1970, and the message from the evening before.
            (
                "<34>Dec 31 22:14:15 web1 su: failed",
                r#"{"facility":"auth","severity":"crit","timestamp":"1969-12-31T22:14:15Z","hostname":"web1","appname":"su","message":"failed"}"#,
            ),
            (
                "<999>x",
                "!cannot read the value as syslog: expected a priority from <0> to <191> at byte 0",
            ),
        ],
    );
    check(
        &parse_syslog::TYPE,
        r#"{"mode": "lenient"}"#,
        Text,
        &[("<999>x", r#"{"message":"<999>x"}"#)],
    );
    check(
        &parse_user_agent::TYPE,
        r#"{"field": "ua"}"#,
        Json,
        &[(
            r#"{"ua":"curl/8.5.0"}"#,
            r#"{"ua":{"browser":{"family":"curl","version":"8.5.0"},"device":{"category":"tool"}}}"#,
        )],
    );
}

#[test]
fn the_timestamp_of_the_record_gives_the_year() {
    let mut batch = loaded(&[b"<34>Dec 31 22:14:15 web1 su: failed"], Text);
    // 2026-01-01T00:00:00Z.
    batch.set_timestamp_ms(0, 1_767_225_600_000);
    let context = towpath_sdk::TransformContext { now_ms: 0 };
    let mut parsing = transform(&parse_syslog::TYPE, "");
    parsing.apply(&mut batch, &context).expect("records only");
    let left = emitted(&mut batch, Json);
    assert!(left[0].contains("\"2025-12-31T22:14:15Z\""), "{left:?}");
}

#[test]
fn a_huge_text_is_read_like_a_small_one() {
    let huge = "a".repeat(20 << 20);
    let found = outcomes(&parse_regex::TYPE, WORD, Text, &[huge.as_bytes()]);
    assert_eq!(found[0].len(), huge.len() + r#"{"word":""}"#.len());
    // What a backtracking engine would never finish.
    let evil = r#"{"pattern": "^(?<x>(a+)+)$"}"#;
    let text = format!("{}b", "a".repeat(1 << 16));
    let found = outcomes(&parse_regex::TYPE, evil, Text, &[text.as_bytes()]);
    assert!(found[0].contains("does not match"), "{}", &found[0][..80]);
}

#[test]
fn wrong_options_are_told() {
    check_problems(
        &parse_regex::TYPE,
        &[
            (r#"{"pattern": "(?<a>x"}"#, "not a pattern: unclosed group"),
            (r#"{"pattern": "x"}"#, "no named group"),
            (
                r#"{"pattern": "(?<a>x)(?=y)"}"#,
                "not a pattern: look-around",
            ),
            (
                r#"{"pattern": "(?<a>x)", "into": "b"}"#,
                "`into` needs `field`",
            ),
            ("{}", "missing option `pattern`"),
        ],
    );
    check_problems(
        &parse_grok::TYPE,
        &[
            (r#"{"pattern": "%{IPV5:a}"}"#, "unknown pattern `IPV5`"),
            (r#"{"pattern": "%{IP:a:date}"}"#, "unknown type `date`"),
            (
                r#"{"pattern": "%{A:a}", "definitions": {"A": "%{A}"}}"#,
                "contains itself",
            ),
        ],
    );
    check_problems(
        &parse_csv::TYPE,
        &[
            (r#"{"columns": ["a", "a"]}"#, "column `a` is given twice"),
            (r#"{"columns": []}"#, "`columns` must be given"),
            (
                r#"{"columns": {"a": "date"}}"#,
                "expected one of `string`, `int`",
            ),
            (
                r#"{"columns": ["a"], "delimiter": "ab"}"#,
                "expected one ASCII character",
            ),
            (
                r#"{"columns": ["a"], "quote": ","}"#,
                "`delimiter` must differ",
            ),
        ],
    );
}
