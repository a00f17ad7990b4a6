//! Tables that are sound and tables that are not.

use std::fs;

use towpath_sdk::config::Format::Json;

use super::*;
use crate::tests::table::{check, check_problems, loaded, transform};

const COUNTRIES: &str =
    r#"{"file": "lookup/countries.csv", "column": "code", "by": "value.c", "into": "d.e"}"#;

#[test]
fn a_row_is_found_by_text_or_number() {
    check(
        &TYPE,
        COUNTRIES,
        Json,
        &[
            (
                r#"{"c":"FR"}"#,
                r#"{"c":"FR","d":{"e":{"code":"FR","name":"France","eu":"true"}}}"#,
            ),
            (r#"{"c":"fr"}"#, r#"{"c":"fr"}"#),
            (r#"{"c":null}"#, r#"{"c":null}"#),
            (r#"{"c":"FR","d":1}"#, "!cannot set `d.e`: `d` is a number"),
        ],
    );
    check(
        &TYPE,
        &COUNTRIES.replace("\"into\"", "\"missing\": \"refuse\", \"into\""),
        Json,
        &[(
            r#"{"c":"XX"}"#,
            "!cannot look up a record's `by`: lookup/countries.csv has no such row",
        )],
    );
}

#[test]
fn a_table_that_cannot_be_used_stops_the_task() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("table.csv");
    let file = file.to_str().expect("a path");
    let cases = [
        (None, "No such file"),
        (Some(&b""[..]), "it has no rows"),
        (Some(b"id,name\n"), "it has no rows"),
        (Some(b"name\nx\n"), "no column `id`"),
        (
            Some(b"id,name\n1,x\n\n2,y\n1,z\n"),
            "line 5: another row with the key `1`",
        ),
        (
            Some(b"id,name\n1,x\n2\n"),
            "line 3: fewer fields than columns",
        ),
        (Some(b"id,name\n1,\xff\n"), "line 2: invalid UTF-8"),
        (
            Some(b"id,id\n1,2\n"),
            "line 1: a header that names a column twice",
        ),
    ];
    for (bytes, expected) in cases {
        if let Some(bytes) = bytes {
            fs::write(file, bytes).expect("a file");
        }
        let options =
            format!(r#"{{"file": {file:?}, "column": "id", "by": "value.id", "into": "row"}}"#);
        let mut lookup = transform(&TYPE, &options);
        let mut batch = loaded(&[br#"{"id":1}"#], Json);
        let context = TransformContext { now_ms: 0 };
        let error = lookup
            .apply(&mut batch, &context)
            .expect_err("no such table");
        let error = error.to_string();
        assert!(error.starts_with("cannot read the table"), "{error}");
        assert!(error.contains(expected), "{expected}: {error}");
    }
    // The last line needs no end, and quotes hold line breaks.
    fs::write(file, "id;\"a\nb\"\r\n7;\"x\ny\"\r\n8;").expect("a file");
    let options = format!(
        r#"{{"file": {file:?}, "column": "id", "by": "value", "into": "x", "delimiter": ";"}}"#
    );
    check(&TYPE, &options, Json, &[("9", "9")]);
    let options = options.replace("\"value\"", "\"value.k\"");
    check(
        &TYPE,
        &options,
        Json,
        &[
            (r#"{"k":7}"#, r#"{"k":7,"x":{"id":"7","a\nb":"x\ny"}}"#),
            (r#"{"k":"8"}"#, r#"{"k":"8","x":{"id":"8","a\nb":""}}"#),
        ],
    );
}

#[test]
fn wrong_options_are_told() {
    check_problems(
        &TYPE,
        &[
            ("{}", "missing option `file`"),
            (&COUNTRIES.replace("d.e", "d."), "not a path"),
            (&COUNTRIES.replace("value.c", "valu.c"), "valu"),
            (
                &COUNTRIES.replace("\"into\"", "\"delimiter\": \"\", \"into\""),
                "one ASCII character",
            ),
        ],
    );
}
