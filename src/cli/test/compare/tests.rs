//! Differences between what came and what was expected.

use towpath_sdk::config::{Named, OneOrMany};

use super::*;

fn content(value: &str) -> Content {
    match value.strip_prefix("json ") {
        Some(json) => Content::Json(json.to_owned()),
        None if value == "null" => Content::Null,
        None => Content::Text(value.to_owned()),
    }
}

/// A record of which only the value is looked at.
fn value(value: &str) -> ExpectedRecord {
    ExpectedRecord {
        value: Some(content(value)),
        key: None,
        headers: Named(Vec::new()),
        timestamp: None,
        partition: None,
    }
}

fn arrived(value: &str) -> Arrived {
    Arrived {
        value: content(value).bytes().map(<[u8]>::to_vec),
        ..Arrived::default()
    }
}

/// The difference as it is shown; nothing when all is as expected.
fn difference(expected: Vec<ExpectedRecord>, actual: &[Arrived]) -> Vec<String> {
    let expected: Vec<_> = expected.into_iter().map(Brief).collect();
    let lines = records(&expected, actual).unwrap_or_default();
    let shown = lines
        .iter()
        .map(|line| format!("{}{}", line.mark.sign(), line.text));
    shown.collect()
}

#[test]
fn text_is_compared_as_it_is_and_json_by_what_it_says() {
    for (expected, actual) in [
        ("a", "a"),
        (r#"json {"a":1.50,"b":[]}"#, "{ \"b\": [], \"a\": 1.50 }"),
        ("json 7", "7"),
        ("null", "null"),
    ] {
        let actual = arrived(actual);
        assert!(
            difference(vec![value(expected)], &[actual]).is_empty(),
            "{expected}"
        );
    }
    for (expected, actual, shown) in [
        ("a", "b", ["-a", "+b"]),
        (r#"{"a": 1}"#, r#"{"a":1}"#, [r#"-{"a": 1}"#, r#"+{"a":1}"#]),
        (
            r#"json {"a":1.5}"#,
            r#"{"a":1.50}"#,
            [r#"-{"a":1.5}"#, r#"+{"a":1.50}"#],
        ),
        ("json 7", "seven", ["-7", "+seven"]),
        ("null", "(null)", ["-(null)", "+(null)"]),
    ] {
        let actual = arrived(actual);
        assert_eq!(difference(vec![value(expected)], &[actual]), shown);
    }
}

#[test]
fn all_that_is_given_is_looked_at_and_nothing_else() {
    let actual = Arrived {
        partition: 2,
        timestamp_ms: 1_000,
        key: Some(b"k".to_vec()),
        value: Some(b"v".to_vec()),
        headers: vec![
            (b"h".to_vec(), Some(b"old".to_vec())),
            (b"h".to_vec(), Some(b"{\"x\":1}".to_vec())),
        ],
    };
    let all = |key, header, timestamp, partition| ExpectedRecord {
        value: None,
        key: Some(content(key)),
        headers: Named(vec![
            ("h".to_owned(), content(header)),
            ("gone".to_owned(), Content::Null),
        ]),
        timestamp: Some(towpath_pipeline::Moment(timestamp)),
        partition: Some(partition),
    };
    let right = all("k", r#"json {"x":1}"#, 1_000, 2);
    assert!(difference(vec![right], std::slice::from_ref(&actual)).is_empty());
    let wrong = all("null", "old", 0, 0);
    let expected = [
        " (any value)",
        "-  key: (null)",
        "-  header h: old",
        "+  key: k",
        "+  header h: {\"x\":1}",
        "   header gone: (null)",
        "-  timestamp: 1970-01-01T00:00:00.000Z",
        "-  partition: 0",
        "+  timestamp: 1970-01-01T00:00:01.000Z",
        "+  partition: 2",
    ];
    assert_eq!(difference(vec![wrong], &[actual]), expected);
}

#[test]
fn records_that_are_missing_or_too_many_do_not_upset_the_others() {
    let expected = || ["a", "b", "c"].map(value).to_vec();
    let actual = |values: &[&str]| values.iter().map(|one| arrived(one)).collect::<Vec<_>>();
    for (values, shown) in [
        (&["a", "c"][..], &[" a", "-b", " c"][..]),
        (&["a", "x", "b", "c"], &[" a", "+x", " b", " c"]),
        (&["a", "x", "c"], &[" a", "-b", "+x", " c"]),
        (&[], &["-a", "-b", "-c"]),
    ] {
        assert_eq!(difference(expected(), &actual(values)), shown);
    }
}

#[test]
fn long_json_differs_by_its_fields() {
    let object = |last: u32| {
        let text = "x".repeat(90);
        format!(r#"{{"long":"{text}","number":{last},"same":true}}"#)
    };
    let shown = difference(
        vec![value(&format!("json {}", object(1)))],
        &[arrived(&object(2))],
    );
    assert_eq!(shown.len(), 6, "{shown:?}");
    assert_eq!(
        &shown[2..5],
        [
            "-  \"number\": 1,",
            "+  \"number\": 2,",
            "   \"same\": true"
        ]
    );
}

#[test]
fn refusals_that_nobody_expects_are_differences() {
    let case = |refused: Vec<(String, OneOrMany<String>)>| Case {
        name: String::new(),
        file: "a.yaml".into(),
        line: 1,
        now_ms: 0,
        sources: Vec::new(),
        topics: Vec::new(),
        expected: towpath_pipeline::Expected {
            topics: Named(Vec::new()),
            sinks: Named(Vec::new()),
            refused: Named(refused),
        },
    };
    let parts = |parts: &[&str]| {
        let parts = parts.iter().map(|part| (*part).to_owned()).collect();
        vec![("in".to_owned(), OneOrMany(parts))]
    };
    let messages = vec!["cannot read JSON at byte 0".to_owned()];
    let outcome = Outcome {
        refused: [("in".to_owned(), messages)].into(),
        ..Outcome::default()
    };
    assert_eq!(compare(&case(parts(&["read JSON"])), &outcome), []);
    let unexpected = compare(&case(Vec::new()), &outcome);
    assert_eq!(unexpected.len(), 1);
    assert_eq!(unexpected[0].place, "refused by in");
    assert_eq!(unexpected[0].lines[0].mark, Mark::Actual);
    assert_eq!(
        compare(&case(parts(&["read XML"])), &outcome)[0]
            .lines
            .len(),
        2
    );
    let missing = compare(&case(parts(&["read"])), &Outcome::default());
    assert_eq!(missing[0].lines[0].mark, Mark::Expected);
}
