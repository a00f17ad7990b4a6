//! Programs, what they leave, and what is wrong with others.

use std::path::Path;

use towpath_sdk::TransformContext;
use towpath_sdk::config::Format;
use towpath_transforms::testing::table::{
    check, check_problems, config, loaded, outcomes, transform,
};
use towpath_transforms::testing::{examples, random, readme};

use super::TYPE;

#[test]
fn the_examples_are_true() {
    examples::check_all(&[TYPE]);
}

#[test]
fn odd_records_are_changed_or_refused() {
    random::check(&[TYPE]);
}

#[test]
fn the_readme_says_what_the_type_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    readme::check(&path, &[TYPE]);
}

const JSON: Format = Format::Json;

#[test]
fn only_what_differs_is_written() {
    check(
        &TYPE,
        "source: .a.b = 1",
        JSON,
        &[
            // Digits, order and white space of what the program did not touch.
            (
                r#"{"z": 1.50, "a": {"c": 2.500, "b": 0}, "n": 123456789012345678901234567890}"#,
                r#"{"z": 1.50,"a":{"c":2.500,"b":1},"n": 123456789012345678901234567890}"#,
            ),
            (r#"{"a": {"b": 1}}"#, r#"{"a": {"b": 1}}"#),
            (r#"{"a": "text"}"#, r#"{"a":{"b":1}}"#),
            ("{}", r#"{"a":{"b":1}}"#),
        ],
    );
    check(
        &TYPE,
        "source: '. = map_values(.) -> |v| { if is_string(v) { upcase!(v) } else { v } }'",
        JSON,
        &[(
            r#"{"z":1.50,"a":"x","n":1e400,"o":{"k":2.0}}"#,
            r#"{"z":1.50,"a":"X","n":1e400,"o":{"k":2.0}}"#,
        )],
    );
    check(
        &TYPE,
        "source: del(.a)",
        JSON,
        &[(r#"{"a":1,"b":[ ]}"#, r#"{"b":[ ]}"#)],
    );
}

#[test]
fn headers_of_other_names_stay() {
    let mut batch = loaded(&[b"{}"], JSON);
    for (name, value) in [
        ("a", Some("1")),
        ("b", None),
        ("a", Some("2")),
        ("c", Some("3")),
    ] {
        batch.add_header(0, name, value.map(str::as_bytes));
    }
    let program = "source: |\n  %headers.b = 7\n  del(%headers.c)\n  %key = {\"id\": 1}\n  %timestamp = t'2026-01-02T03:04:05Z'";
    let mut program = transform(&TYPE, program);
    let context = TransformContext { now_ms: 0 };
    program.apply(&mut batch, &context).expect("records only");
    let mut left = Vec::new();
    let emitted = batch.emit(JSON, |row| {
        for header in row.headers.iter().flatten() {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            left.push((text(header.key), header.value.map(text)));
        }
        assert_eq!(row.key, Some(&b"{\"id\":1}"[..]));
        assert_eq!(row.timestamp_ms, 1_767_323_045_000);
        Ok(())
    });
    emitted.expect("nothing fails");
    let expected = [("a", "1"), ("a", "2"), ("b", "7")];
    assert_eq!(
        left,
        expected.map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
    );
    for (program, why) in [
        (
            "%topic = 7",
            "cannot set %topic: the program made it integer, and it must be a string",
        ),
        (
            "%timestamp = 7",
            "cannot set %timestamp: the program made it integer, and it must be a timestamp",
        ),
        (
            "%headers = []",
            "cannot set %headers: the program made it array, and it must be an object",
        ),
        (
            "%topic = \"a/b\"",
            "cannot send a record to topic `a/b`: no topic has `/` in its name",
        ),
    ] {
        let found = outcomes(&TYPE, &format!("source: '{program}'"), JSON, &[b"{}"]);
        assert_eq!(found, [format!("!{why}")]);
    }
}

#[test]
fn names_of_fields_are_what_the_record_says() {
    check(
        &TYPE,
        "source: .\"a.b`c\" = .\"é\"",
        JSON,
        &[(
            r#"{"\u00e9":"\u0041","x":1}"#,
            r#"{"\u00e9":"\u0041","x":1,"a.b`c":"A"}"#,
        )],
    );
    // Of fields with one name the first counts.
    check(
        &TYPE,
        "source: .b = .a",
        JSON,
        &[(r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2,"b":1}"#)],
    );
}

#[test]
fn text_and_bytes_are_a_string() {
    check(
        &TYPE,
        r#"source: '. = {"words": split!(., " ")}'"#,
        Format::Text,
        &[("a b", r#"{"words":["a","b"]}"#), ("", r#"{"words":[""]}"#)],
    );
    check(
        &TYPE,
        r#"source: 'if . == "x" { abort }'"#,
        Format::Text,
        &[("x", ""), ("y", "y")],
    );
    check(
        &TYPE,
        "source: .a = 1",
        Format::Text,
        &[(
            "{}",
            "!cannot look into the value: it is no JSON, and has no fields; put `parse_json` or another parser before this transform",
        )],
    );
    let found = outcomes(
        &TYPE,
        "source: '. = upcase!(.)'",
        Format::Bytes,
        &[b"a\xff"],
    );
    assert_eq!(found, ["\"A\u{fffd}\""], "the function says so");
    let found = outcomes(&TYPE, "source: '. = [[.]]'", Format::Bytes, &[b"\xff"]);
    assert!(found[0].contains("a string is not UTF-8"), "{found:?}");
}

#[test]
fn a_value_without_fields_is_refused_where_the_program_names_fields() {
    check(
        &TYPE,
        "source: .a = 1",
        JSON,
        &[
            (
                "null",
                "!cannot run the program on fields of the value: it is null, and has none; choose the records with `when`, or have the program name the whole `.`",
            ),
            (
                "[1]",
                "!cannot run the program on fields of the value: it is a list, and has none; choose the records with `when`, or have the program name the whole `.`",
            ),
        ],
    );
    check(
        &TYPE,
        "source: '. = {\"was\": .}'",
        JSON,
        &[("null", r#"{"was":null}"#), ("[1]", r#"{"was":[1]}"#)],
    );
}

#[test]
fn an_error_that_is_not_handled_refuses_the_record() {
    check(
        &TYPE,
        "source: |\n  # first\n  .n = to_int!(.n)\n",
        JSON,
        &[
            (r#"{"n":"7"}"#, r#"{"n":7}"#),
            (
                r#"{"n":"x"}"#,
                "!cannot run the program: function call error for \"to_int\" at line 2, column 6: Invalid integer \"x\": invalid digit found in string",
            ),
        ],
    );
    check(
        &TYPE,
        "source: '.n = to_int(.n) ?? 0'",
        JSON,
        &[(r#"{"n":"x"}"#, r#"{"n":0}"#)],
    );
    let endless = "source: '. = map_values(array!(.)) -> |a| { map_values(array!(.)) -> |b| { map_values(array!(.)) -> |c| { c } } }'";
    let list = format!("[{}]", vec!["0"; 600].join(","));
    let found = outcomes(&TYPE, endless, JSON, &[list.as_bytes()]);
    assert_eq!(
        found,
        ["!cannot run the program: it has not ended after 10000000 steps"]
    );
}

#[test]
fn what_json_cannot_hold_refuses_the_record() {
    let found = outcomes(
        &TYPE,
        "source: .x = float!(.x) * 10.0",
        JSON,
        &[br#"{"x":1e308}"#],
    );
    assert_eq!(
        found,
        ["!cannot write what the program made: a number is infinite"]
    );
    let found = outcomes(
        &TYPE,
        "source: .at = from_unix_timestamp!(.at)",
        JSON,
        &[br#"{"at":0}"#],
    );
    assert_eq!(found, [r#"{"at":"1970-01-01T00:00:00Z"}"#]);
}

#[test]
fn mistakes_are_told_in_a_line_each() {
    check_problems(
        &TYPE,
        &[
            ("{}", "`vrl` takes either `source` or `file`"),
            (
                "{ source: .a = 1, timezone: Mars/North }",
                "unknown time zone `Mars/North`",
            ),
            ("source: .a = b", "call to undefined variable: `b`"),
            (
                "source: .a = pars_json(.b)",
                "call to undefined function: `pars_json`",
            ),
            (
                "source: .a = parse_json(.b)",
                "unhandled fallible assignment",
            ),
            ("source: .a = (", "syntax error: unexpected end of program"),
            (
                "source: '%offset = 1'",
                "mutation of read-only value: `%offset`",
            ),
            ("source: .a = %kye", "a record has no `%kye`"),
            ("source: log(.a)", "call to undefined function: `log`"),
            ("file: not-there.vrl", "cannot read not-there.vrl"),
        ],
    );
}

#[test]
fn what_a_program_does_to_places_is_known_before() {
    let does = |source: &str| {
        let config = config(&TYPE, source).expect("a sound program");
        (config.changes_places(), config.needs_offset())
    };
    assert_eq!(does("source: . = parse_json!(.)"), (false, false));
    assert_eq!(does("source: . = [1, 2]"), (true, false));
    assert_eq!(does("source: '%topic = \"a\"'"), (true, false));
    assert_eq!(does("source: .at = %offset"), (false, true));
    assert_eq!(does("source: .all = %"), (false, false));
}

#[test]
fn formats_follow_what_a_program_can_change() {
    let output = |source: &str| {
        let config = config(&TYPE, source).expect("a sound program");
        config.output(Format::Text)
    };
    assert_eq!(output("source: if . == \"x\" { abort }"), Format::Text);
    assert_eq!(output("source: '%key = .'"), Format::Text);
    assert_eq!(output("source: del(.a)"), Format::Json);
    assert_eq!(output("source: .a = 1"), Format::Json);
}
