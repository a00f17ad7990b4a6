//! Formats as they are written, and what is said about those that are wrong.

use super::*;
use crate::config::{Span, TextType};

fn map(entries: &[(&str, Node)]) -> Node {
    let entry = |(at, (name, node)): (u32, &(&str, Node))| {
        let span = Span::new(0, at, at);
        let name = (*name).to_owned();
        (Key { name, span }, node.clone())
    };
    let entries = (1..).zip(entries).map(entry).collect();
    Node::new(Span::new(0, 0, 0), NodeValue::Map(entries))
}

fn node(value: impl Into<NodeValue>) -> Node {
    Node::new(Span::new(0, 7, 8), value)
}

fn read(node: &Node) -> (Option<InputFormat>, Problems) {
    let mut problems = Problems::new();
    let format = InputFormat::parse(node, &mut problems);
    (format, problems)
}

#[track_caller]
fn check(node: &Node, expected: InputFormat) {
    let (format, problems) = read(node);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(format, Some(expected));
}

/// `expected`: where, what, and what to do.
#[track_caller]
fn refuse(node: &Node, expected: (u32, &str, &str)) {
    let problems = read(node).1.into_vec();
    let [problem] = &problems[..] else {
        panic!("{problems:?}");
    };
    let help = problem.help.as_deref().unwrap_or_default();
    assert_eq!((problem.span.start, &*problem.message, help), expected);
}

#[test]
fn a_word_is_a_map_of_its_type_alone() {
    for (word, format) in [
        ("text", InputFormat::Text),
        ("bytes", InputFormat::Bytes),
        ("json", InputFormat::Json),
        ("csv", InputFormat::Csv(CsvOptions::default())),
        ("logfmt", InputFormat::Logfmt { lenient: false }),
        ("syslog", InputFormat::Syslog { lenient: false }),
        ("avro", InputFormat::Avro),
        ("parquet", InputFormat::Parquet),
    ] {
        check(&node(word), format.clone());
        check(&map(&[("type", node(word))]), format);
    }
    let lenient = |word| map(&[("type", node(word)), ("mode", node("lenient"))]);
    check(&lenient("logfmt"), InputFormat::Logfmt { lenient: true });
    check(&lenient("syslog"), InputFormat::Syslog { lenient: true });
    let list = map(&[("type", node("json")), ("array", node(true))]);
    check(&list, InputFormat::JsonArray);
}

#[test]
fn csv_with_all_its_options() {
    let columns = map(&[("id", node("int")), ("name", node("string"))]);
    let options = map(&[
        ("type", node("csv")),
        ("header", node(false)),
        ("columns", columns),
        ("delimiter", node("\t")),
        ("quote", node("'")),
        ("escape", node("\\")),
        ("empty_is_null", node(true)),
        ("mode", node("lenient")),
    ]);
    let columns = [("id", TextType::Integer), ("name", TextType::String)];
    let expected = CsvOptions {
        header: false,
        columns: columns.map(|(name, value)| (name.to_owned(), value)).into(),
        delimiter: b'\t',
        quote: b'\'',
        escape: b'\\',
        empty_is_null: true,
        lenient: true,
    };
    check(&options, InputFormat::Csv(expected));
    let quote = map(&[("type", node("csv")), ("quote", node("'"))]);
    let expected = CsvOptions {
        quote: b'\'',
        escape: b'\'',
        ..CsvOptions::default()
    };
    check(&quote, InputFormat::Csv(expected));
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let words = "expected one of `text`, `bytes`, `json`, `csv`, `logfmt`, `syslog`, `avro`, \
                 `parquet`, found";
    let near = "did you mean `csv`?";
    refuse(&node("cvs"), (7, &format!("{words} the text `cvs`"), near));
    let csv = |name: &str, value: Node| map(&[("type", node("csv")), (name, value)]);
    let delimiter = |text: &str| csv("delimiter", node(text));
    let near = "did you mean `delimiter`?";
    refuse(
        &csv("delimeter", node(";")),
        (2, "unknown option `delimeter`", near),
    );
    let foreign = "`array` is no option of the format `csv`";
    let own = "its options are: header, columns, delimiter, quote, escape, empty_is_null, mode";
    refuse(&csv("array", node(true)), (2, foreign, own));
    let foreign = "`mode` is no option of the format `avro`";
    let avro = map(&[("type", node("avro")), ("mode", node("strict"))]);
    refuse(&avro, (2, foreign, "it has none"));
    let one = "expected one ASCII character, and no line break; found the text";
    refuse(&delimiter("é"), (7, &format!("{one} `é`"), ""));
    let quoted = "write \"\\t\" in double quotes";
    refuse(&delimiter("\\t"), (7, &format!("{one} `\\t`"), quoted));
    let same = "`delimiter` must differ from `quote` and `escape`";
    refuse(&delimiter("\""), (0, same, ""));
    let headless = "`columns` must be given when there is no header";
    refuse(&csv("header", node(false)), (0, headless, ""));
}

#[test]
fn what_must_be_whole_is_refused_in_lines() {
    let whole = |format: InputFormat| {
        let mut problems = Problems::new();
        let options = map(&[("format", node("avro"))]);
        format.refuse_in_lines(&options, &mut problems);
        problems.into_vec()
    };
    for format in [
        InputFormat::Avro,
        InputFormat::Parquet,
        InputFormat::JsonArray,
    ] {
        let [problem] = &whole(format)[..] else {
            panic!("not refused");
        };
        assert_eq!(problem.span.start, 7);
        let help = problem.help.as_deref().unwrap_or_default();
        assert!(help.contains("`framing: whole`"), "{help}");
    }
    let lines = [
        InputFormat::Json,
        InputFormat::Csv(CsvOptions::default()),
        InputFormat::Syslog { lenient: false },
    ];
    for format in lines {
        assert_eq!(whole(format), []);
    }
}
