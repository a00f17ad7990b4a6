//! What is a record: lines, joined lines, whole files, and what is too long.

use towpath_sdk::config::Node;

use super::{Rig, map, text};

/// What following gives once, and what a drain of the same file gives: records between bars.
fn check(options: &[(&str, Node)], content: impl AsRef<[u8]>, followed: &str, drained: &str) {
    for (drain, expected) in [(false, followed), (true, drained)] {
        let mut rig = Rig::new("*.log", options);
        rig.drain = drain;
        rig.write("a.log", &content);
        let values = rig.values().join("|");
        assert_eq!(values, expected, "drain: {drain}");
        // What was delivered is not delivered again.
        let before = rig.records.len();
        rig.kill();
        rig.catch_up();
        rig.commit_all();
        assert_eq!(rig.records.len(), before, "again, drain: {drain}");
    }
}

fn short(oversize: &str) -> Vec<(&'static str, Node)> {
    vec![("max_line", text("8B")), ("oversize", text(oversize))]
}

fn joined(kind: &'static str, pattern: &str) -> Vec<(&'static str, Node)> {
    vec![("multiline", map(&[(kind, text(pattern))]))]
}

#[test]
fn a_line_is_the_bytes_before_a_newline() {
    check(&[], "", "", "");
    check(&[], "one\ntwo\n", "one|two", "one|two");
    check(&[], "one\ntwo", "one", "one|two");
    check(&[], "\n\none\n\n", "||one|", "||one|");
    check(&[], "one\r\ntwo\r\n", "one\r|two\r", "one\r|two\r");
    check(&[], "a\0b\n\0\n", "a\0b|\0", "a\0b|\0");
    check(
        &[],
        b"\xff\xfe\n\x80",
        "\u{fffd}\u{fffd}",
        "\u{fffd}\u{fffd}|\u{fffd}",
    );
}

#[test]
fn a_line_that_is_too_long() {
    let content = "12345678\n123456789\nok\n1234567890123";
    check(
        &short("truncate"),
        content,
        "12345678|12345678|ok|12345678",
        "12345678|12345678|ok|12345678",
    );
    check(&short("skip"), content, "12345678|ok", "12345678|ok");
    let mut rig = Rig::new("*.log", &short("skip"));
    rig.write("a.log", content);
    rig.values();
    assert_eq!(rig.refused.len(), 2);
    assert!(
        rig.refused[0].contains(
            "a.log at byte 9: cannot take a record: it is longer than `max_line`, 8 bytes"
        ),
        "{}",
        rig.refused[0]
    );

    let mut rig = Rig::new("*.log", &short("fail"));
    rig.write("a.log", content);
    rig.scan();
    assert!(rig.read().unwrap());
    let error = rig.read().unwrap_err();
    assert!(error.to_string().contains("raise `max_line`"), "{error}");
    rig.commit_all();
    assert_eq!(rig.records.len(), 1, "what came before it was delivered");
}

#[test]
fn the_rest_of_a_long_line_is_left_out_whenever_it_comes() {
    let mut rig = Rig::new("*.log", &short("truncate"));
    rig.write("a.log", "123456789");
    assert_eq!(rig.values(), ["12345678"]);
    for more in ["abc", "def", "g\nnext\n"] {
        rig.append("a.log", more);
        rig.kill();
        rig.values();
    }
    assert_eq!(rig.values(), ["12345678", "next"]);
}

#[test]
fn a_line_of_100_mb_costs_no_memory() {
    for drain in [false, true] {
        let mut rig = Rig::new("*.log", &[]);
        rig.drain = drain;
        let step = vec![b'x'; 1 << 20];
        rig.write("a.log", "before\n");
        for _ in 0..100 {
            rig.append("a.log", &step);
        }
        rig.append("a.log", "\nafter\n");
        let values = rig.values();
        assert_eq!(
            values.iter().map(String::len).collect::<Vec<_>>(),
            [6, 1 << 20, 5]
        );
        let most = rig.follower().buffer_bytes();
        assert!(
            most <= (1 << 20) + 2 * super::super::turn::CHUNK_BYTES,
            "{most}"
        );
    }
}

#[test]
fn a_line_that_a_drain_took_as_it_was() {
    let mut rig = Rig::new("*.log", &[]);
    rig.drain = true;
    rig.write("a.log", "one\ntwo");
    assert_eq!(rig.values(), ["one", "two"]);
    for (more, expected) in [
        ("\n", &[][..]),
        ("three\nfo", &["three", "fo"]),
        ("ur\n", &["ur"]),
    ] {
        rig.records.clear();
        rig.kill();
        rig.append("a.log", more);
        assert_eq!(rig.values(), expected, "{more:?}");
    }
}

#[test]
fn lines_that_begin_a_record() {
    let stamps = joined("start", "^[0-9]");
    check(
        &stamps,
        "1 a\n b\n c\n2 d\n3 e\n",
        "1 a\n b\n c|2 d",
        "1 a\n b\n c|2 d|3 e",
    );
    check(&stamps, "x\ny\n1 a\n b", "x\ny", "x\ny|1 a\n b");
    check(&stamps, "1 a\n2 b", "", "1 a|2 b");
    check(&stamps, "", "", "");
}

#[test]
fn lines_that_continue_a_record() {
    let indented = joined("continue", "^\\s");
    check(&indented, "a\n b\n\tc\nd\n", "a\n b\n\tc", "a\n b\n\tc|d");
    check(&indented, "a\nb\nc\n e\n", "a|b", "a|b|c\n e");
}

#[test]
fn joined_lines_that_are_too_long() {
    let mut options = joined("start", "^[0-9]");
    options.extend(short("truncate"));
    let content = "1 a\n bcd\n efg\n h\n2 b\n c\n3 abcdefghij\n k\n4\n";
    let drained = "1 a\n bcd|2 b\n c|3 abcdef|4";
    check(&options, content, "1 a\n bcd|2 b\n c|3 abcdef", drained);
    // A long line that begins a record ends the one before, although its own end is not there.
    check(
        &options,
        "1 a\n2 abcdefghij",
        "1 a|2 abcdef",
        "1 a|2 abcdef",
    );
}

#[test]
fn a_joined_record_is_complete_when_nothing_comes_for_a_while() {
    let mut rig = Rig::new("*.log", &joined("start", "^[0-9]"));
    rig.write("a.log", "1 a\n b\n c");
    assert!(rig.values().is_empty());
    let due = rig.follower().deadline_ms().unwrap();
    assert!(
        (1..=1000).contains(&(due - rig.now_ms())),
        "the default timeout is 1 s"
    );
    rig.later_ms = 1500;
    assert_eq!(rig.values(), ["1 a\n b"], "the unfinished line waits");
    rig.append("a.log", "\n2 d\n");
    assert_eq!(rig.values(), ["1 a\n b", " c"]);
    rig.later_ms = 3000;
    assert_eq!(rig.values(), ["1 a\n b", " c", "2 d"]);
    rig.kill();
    assert_eq!(rig.values().len(), 3);
}

#[test]
fn whole_files() {
    let whole = [("framing", text("whole"))];
    check(&whole, "", "", "");
    check(&whole, "one\ntwo\n", "", "one\ntwo\n");
    let long = [("framing", text("whole")), ("max_line", text("4B"))];
    check(&long, "123456789", "1234", "1234");

    let mut rig = Rig::new("*.log", &whole);
    rig.write("a.log", "one\ntwo");
    assert!(rig.values().is_empty(), "it may still be written");
    rig.later_ms = 2500;
    assert_eq!(rig.values(), ["one\ntwo"]);
    rig.append("a.log", "\nthree");
    rig.values();
    rig.later_ms = 5000;
    assert_eq!(
        rig.values(),
        ["one\ntwo", "one\ntwo\nthree"],
        "a changed file is a new record"
    );
    rig.kill();
    rig.later_ms = 9000;
    assert_eq!(rig.values().len(), 2);
}
