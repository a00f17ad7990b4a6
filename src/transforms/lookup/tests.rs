//! Tables that are sound and tables that are not.

use std::fs;

use towpath_sdk::config::Format::Json;

use super::*;
use crate::tests::table::{check, check_problems, config, emitted, loaded, transform};

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
fn rows_of_a_topic_come_and_go() {
    let options = r#"{"topic": "users", "by": "value.id", "into": "user", "memory": "1KiB"}"#;
    let config = config(&TYPE, options).expect("sound options");
    assert_eq!(config.table_topic(), Some("users"));
    let mut lookup = config.transform();
    let mut found = |rows: &[(&str, Option<&str>, Format)]| {
        for (key, value, format) in rows {
            let value = value.map(str::as_bytes);
            lookup.table_row(key.as_bytes(), value, *format)?;
        }
        let mut batch = loaded(&[br#"{"id":7}"#, br#"{"id":"x"}"#], Json);
        lookup.apply(&mut batch, &TransformContext { now_ms: 0 })?;
        let refused = batch.refused().iter().map(|row| row.error.to_string());
        let refused: Vec<_> = refused.collect();
        Ok::<_, Error>([emitted(&mut batch, Json), refused].concat().join(" "))
    };
    let row = |value: &str| format!("\"user\":{value}");
    assert_eq!(found(&[]).unwrap(), r#"{"id":7} {"id":"x"}"#);
    let rows = [
        ("7", Some("1"), Json),
        ("7", Some("[2]"), Json),
        ("x", Some("a\"b"), Format::Text),
    ];
    assert_eq!(
        found(&rows).unwrap(),
        format!(
            r#"{{"id":7,{}}} {{"id":"x",{}}}"#,
            row("[2]"),
            row(r#""a\"b""#)
        )
    );
    let rows = [("7", None, Json), ("x", Some("a"), Format::Bytes)];
    assert_eq!(
        found(&rows).unwrap(),
        format!(r#"{{"id":7}} {{"id":"x",{}}}"#, row(r#""YQ==""#))
    );
    let bad = found(&[("x", Some("{"), Json)]).unwrap();
    assert!(bad.contains("cannot read its row of users"), "{bad}");
    // Rows that are replaced count once.
    for _ in 0..100 {
        found(&[("x", Some("1"), Json)]).unwrap();
    }
    let large = "1".repeat(1024);
    let error = found(&[("y", Some(&large), Json)]).unwrap_err().to_string();
    assert!(error.contains("its rows take more than 1KiB"), "{error}");
}

#[test]
fn wrong_options_are_told() {
    check_problems(
        &TYPE,
        &[
            ("{}", "missing option `by`"),
            (
                r#"{"by": "key", "into": "x"}"#,
                "neither `file` nor `topic` is given",
            ),
            (
                &COUNTRIES.replace("\"column\": \"code\",", ""),
                "missing option `column`",
            ),
            (
                &COUNTRIES.replace("\"column\"", "\"topic\""),
                "a table has one origin",
            ),
            (
                &COUNTRIES.replace("\"file\"", "\"topic\""),
                "`column` is about a file",
            ),
            (&COUNTRIES.replace("d.e", "d."), "not a path"),
            (&COUNTRIES.replace("value.c", "valu.c"), "valu"),
            (
                &COUNTRIES.replace("\"into\"", "\"delimiter\": \"\", \"into\""),
                "one ASCII character",
            ),
        ],
    );
}
