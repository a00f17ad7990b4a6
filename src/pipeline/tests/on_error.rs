//! The forms of `on_error`, and which topics can take dead letters.

use towpath_sdk::{Limits, OnError};

use super::{RIGHT, check, load};
use crate::BadRecords;

/// `RIGHT` with `on_error: VALUE` in its source.
fn source(value: &str) -> String {
    with_line("    topic: lines", value)
}

/// `RIGHT` with `on_error: VALUE` in its sink.
fn sink(value: &str) -> String {
    with_line("    topics: lines", value)
}

fn with_line(line: &str, value: &str) -> String {
    assert!(RIGHT.contains(line), "{line}");
    RIGHT.replacen(line, &format!("{line}\n    on_error: {value}"), 1)
}

#[test]
fn a_word_or_a_map() {
    let parsed = |value: &str| {
        let loaded = load(&[&source(value)]).unwrap();
        loaded.pipelines[0].sources[0].connector.on_error.clone()
    };
    let expected = |action, topic: &str, count, rate| BadRecords {
        action,
        topic: topic.to_owned(),
        limits: Limits { count, rate },
    };
    let default = "a.in.dead-letters";
    for (value, action) in [
        ("fail", OnError::Fail),
        ("skip", OnError::Skip),
        ("dead_letter", OnError::DeadLetter),
        ("{ action: dead_letter }", OnError::DeadLetter),
    ] {
        assert_eq!(
            parsed(value),
            expected(action, default, None, None),
            "{value}"
        );
    }
    assert_eq!(
        parsed("{ action: dead_letter, topic: bad, max_count: 10, max_rate: 0.01 }"),
        expected(OnError::DeadLetter, "bad", Some(10), Some(0.01))
    );
    assert_eq!(
        parsed("{ action: skip, max_count: 0, max_rate: 1 }"),
        expected(OnError::Skip, default, Some(0), Some(1.0))
    );
}

#[test]
fn what_makes_no_sense_is_pointed_at() {
    for (value, expected) in [
        (
            "dead_letters",
            "a.yaml:6:15: expected one of `fail`, `skip`, `dead_letter`, found the text `dead_letters`",
        ),
        (
            "{ topic: bad }",
            "a.yaml:6:15: missing option `action` (`fail`, `skip` or `dead_letter`)",
        ),
        (
            "{ action: skip, topic: bad }",
            "a.yaml:6:38: `topic` goes with `action: dead_letter` only",
        ),
        (
            "{ action: fail, max_count: 3 }",
            "a.yaml:6:42: `max_count` goes with `skip` and `dead_letter` only",
        ),
        (
            "{ action: skip, max_rate: 1.5 }",
            "a.yaml:6:41: expected a share from 0 to 1, found the number 1.5",
        ),
        (
            "{ action: skip, max_count: -1 }",
            "a.yaml:6:42: expected a whole number of 0 or more, found the number -1",
        ),
        (
            "{ action: dead_letter, topic: a b }",
            "a.yaml:6:45: `a b` cannot be the name of a topic: it has a space",
        ),
    ] {
        check(&[&source(value)], &[expected]);
    }
}

#[test]
fn dead_letters_do_not_come_back() {
    check(
        &[&source("{ action: dead_letter, topic: lines }")],
        &["a.yaml:6:15: `in` writes its records to `lines`, where its dead letters would go"],
    );
    check(
        &[&sink("{ action: dead_letter, topic: lines }")],
        &["a.yaml:10:15: `out` reads `lines`, where its dead letters would go"],
    );
    let all = sink("dead_letter").replace("topics: lines", "topics: /.*/");
    check(
        &[&all],
        &["a.yaml:10:15: `out` reads `a.out.dead-letters`, where its dead letters would go"],
    );
    check(&[&source("{ action: skip }")], &[]);
}

#[test]
fn dead_letters_can_be_any_bytes() {
    let declared = |format: &str| {
        let topics = format!("\ntopics: {{ a.in.dead-letters: {{ {format} }} }}\n");
        source("dead_letter") + &topics
    };
    check(&[&declared("format: bytes")], &[]);
    check(&[&declared("format: text")], &[]);
    check(
        &[&declared("format: json")],
        &[
            "a.yaml:6:15: dead letters are any bytes, but the values of `a.in.dead-letters` are json",
        ],
    );
    check(
        &[&declared("cleanup: compact")],
        &[
            "a.yaml:6:15: compaction of `a.in.dead-letters` would drop dead letters with the same key",
        ],
    );
    let loaded = load(&[&declared("partitions: 2")]).unwrap();
    let format = loaded.topics["a.in.dead-letters"].format;
    assert_eq!(format.map(|format| format.as_str()), Some("bytes"));
}

#[test]
fn what_keeps_dead_letters_fills_its_topic() {
    let reading = |topic: &str, path: &str| {
        let more = format!("\n  letters: {{ type: file, topics: {topic}, path: '{path}' }}\n");
        source("dead_letter") + &more
    };
    check(&[&reading("a.in.dead-letters", "bad.txt")], &[]);
    check(
        &[&reading("a.out.dead-letters", "bad.txt")],
        &["a.yaml:13:34: nothing writes the topic `a.out.dead-letters`, and it is not declared"],
    );
    // A mistake elsewhere in the connector does not make a second one here.
    let broken = reading("a.in.dead-letters", "bad.txt").replacen(
        "    topic: lines",
        "    topic: lines\n    max_line: 1",
        1,
    );
    let problems = load(&[&broken]).expect_err("`max_line` is wrong");
    assert!(!problems.contains("nothing writes"), "{problems}");
}
