//! Texts that are no expressions: what is wrong, where, and what to do.

use super::mistake;
use crate::{DEPTH_MAX, SOURCE_BYTES_MAX, compile, compile_condition};

/// Each text with a `^` where the mistake is, and what is said.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (marked, expected) in cases {
        let at = marked.find('^').expect("a mark");
        let source = marked.replacen('^', "", 1);
        let error = mistake(&source);
        let help = error
            .help
            .map(|help| format!("; {help}"))
            .unwrap_or_default();
        assert_eq!(format!("{}{help}", error.message), *expected, "{source}");
        assert_eq!(error.at, at, "{source}");
    }
}

#[test]
fn of_syntax() {
    check(&[
        ("^", "expected a value, found the end"),
        ("value.status >= ^", "expected a value, found the end"),
        ("value.status ^= 500", "a single `=`; equality is `==`"),
        (
            "value.a ^value.b",
            "expected an operator or the end, found `value`",
        ),
        ("(1 + 2^", "expected `)`, found the end"),
        ("[1, 2^", "expected `]`, found the end"),
        ("[1 ^2]", "expected `]`, found `2`"),
        ("value.^", "expected a field or function, found the end"),
        ("value.^'a'", "expected a field or function, found a string"),
        ("true ? 1^", "expected `:`, found the end"),
        ("1 + ^in", "expected a value, found `in`"),
        ("value.^`a", "this backtick has no counterpart"),
        ("^'abc", "this quote has no counterpart"),
        ("^r'abc", "this quote has no counterpart"),
        (
            "'^\\d'",
            "an unknown escape in a string; a backslash is `\\\\`; in r\"...\" there are no escapes",
        ),
        (
            "'^\\u12'",
            "an unknown escape in a string; a backslash is `\\\\`; in r\"...\" there are no escapes",
        ),
        (
            "'^\\x+1'",
            "an unknown escape in a string; a backslash is `\\\\`; in r\"...\" there are no escapes",
        ),
        (
            "'^\\ud800'",
            "an unknown escape in a string; a backslash is `\\\\`; in r\"...\" there are no escapes",
        ),
        ("12^ab", "`a` behind the number 12"),
        ("^99999999999999999999", "the number does not fit 64 bits"),
        ("^1e999", "the number is too large"),
        ("value ^# 1", "`#` means nothing here"),
    ]);
}

#[test]
fn of_names() {
    check(&[
        (
            "^valeu.status",
            "unknown name `valeu`; did you mean `value`?",
        ),
        (
            "^status >= 500",
            "unknown name `status`; a field of the value is `value.status`; a string stands in quotes; names are key, value, headers, topic, partition, offset, timestamp",
        ),
        (
            "value.user-^agent == ''",
            "unknown name `agent`; `-` subtracts; a field with `-` in its name is written value.`like-this`",
        ),
        (
            "value.tags.exists(tag, ^tga == '')",
            "unknown name `tga`; did you mean `tag`?",
        ),
        (
            "^value.path.startswith('a')",
            "unknown function `startswith`; did you mean `startsWith`?",
        ),
        (
            "^startsWith(value.path, 'a')",
            "unknown function `startsWith`; it stands behind a value: `value.x.startsWith(...)`",
        ),
        (
            "^value.path.int()",
            "unknown function `int`; it takes the value in brackets: `int(value.x)`",
        ),
        (
            "^frobnicate(1)",
            "unknown function `frobnicate`; possible: size, int, double, string, timestamp, duration, has, default",
        ),
    ]);
}

#[test]
fn of_types_and_counts() {
    check(&[
        (
            "^topic + 1",
            "`+` cannot stand between null or a string and a number",
        ),
        (
            "^'a' - 'b'",
            "`-` cannot stand between a string and a string",
        ),
        (
            "^timestamp > '2026-01-01'",
            "`>` cannot stand between a timestamp and a string; make a time of the string: `timestamp(\"...\")`",
        ),
        (
            "^topic == 5",
            "`==` cannot stand between null or a string and a number",
        ),
        (
            "^1 in topic",
            "`in` cannot stand between a number and null or a string",
        ),
        ("!^offset", "`offset` is null or a number, not a boolean"),
        ("-^'a'", "`'a'` is a string, not a number or a duration"),
        ("^1 && true", "`1` is a number, not a boolean"),
        (
            "size(^5)",
            "`5` is a number, not a string, bytes, a list or an object",
        ),
        ("value.path.contains(^5)", "`5` is a number, not a string"),
        ("^topic.name", "`topic` is null or a string, not an object"),
        (
            "^topic.exists(x, x)",
            "`topic` is null or a string, not a list",
        ),
        ("value.tags[^-1]", "an index is a whole number from 0"),
        (
            "value[^true]",
            "`true` is a boolean, not a number or a string",
        ),
        (
            "^value.path.contains()",
            "`contains` takes one argument, not 0",
        ),
        ("^value.path.trim(1)", "`trim` takes no argument, not 1"),
        (
            "^value.path.replace('a')",
            "`replace` takes 2 arguments, not 1",
        ),
        (
            "^value.path.substring()",
            "`substring` takes 1 or 2 arguments, not 0",
        ),
        ("^has()", "`has` takes a field"),
        (
            "has(^1)",
            "`has` asks for a field, such as `has(value.name)`",
        ),
        (
            "^default(value.a)",
            "`default` takes a field and what stands in for it",
        ),
        (
            "^value.a.exists(x.y, true)",
            "a name and an expression are expected; such as `value.items.exists(item, item.price > 10)`",
        ),
        ("{^value.a: 1}", "a key in `{...}` is a string in quotes"),
        ("{'a': 1, ^'a': 2}", "`a` comes twice"),
        (
            "value.path.matches(^value.re)",
            "the regular expression of `matches` is a string in quotes; it is compiled once, not per record",
        ),
        (
            "value.path.matches(^'(')",
            "the regular expression is wrong: unclosed group",
        ),
        (
            "value.path.matches(^'(a{1000}){1000}')",
            "the regular expression is wrong: Compiled regex exceeds size limit of 1048576 bytes.",
        ),
        ("^1 / 0", "`1 / 0`: division by zero"),
        (
            "duration(^'1 hour')",
            "`'1 hour'`: it is no duration such as 1h30m, 1.5s or 7d",
        ),
        (
            "timestamp(^'yesterday')",
            "`'yesterday'`: it is no time such as 2026-01-01T00:00:00Z",
        ),
        (
            "^'abc'.substring(9)",
            "`'abc'.substring(9)`: the string does not reach so far",
        ),
    ]);
}

#[test]
fn a_condition_is_true_or_false() {
    let error = compile_condition("topic").expect_err("it is a string");
    assert_eq!(
        error.to_string(),
        "the expression is null or a string, not a boolean at byte 0"
    );
    assert!(compile_condition("value.ok").is_ok());
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    let deep = "the expression is nested more than 100 deep";
    let many = 20_000;
    let cases = [
        format!("{}1{}", "(".repeat(many), ")".repeat(many)),
        "[".repeat(many),
        "!".repeat(many),
        "-".repeat(many),
        format!("value{}", ".a".repeat(many)),
        format!("value{}", "[0]".repeat(many)),
        format!("1{}", "+1".repeat(many)),
        "true?1:".repeat(many / 4),
        "size(".repeat(many / 4),
        "{'a':".repeat(many / 4),
    ];
    for source in cases {
        assert_eq!(mistake(&source).message, deep, "{}", &source[..40]);
    }
    let long = " ".repeat(SOURCE_BYTES_MAX + 1);
    assert_eq!(
        mistake(&long).message,
        "the expression is longer than 64 KiB"
    );
    let levels = DEPTH_MAX - 1;
    assert!(compile(&format!("{}1{}", "(".repeat(levels), ")".repeat(levels))).is_ok());
    // Side by side is not deep.
    assert!(compile(&format!("true{}", " || value.a == 1".repeat(2000))).is_ok());
}
