//! Formats as they are written, and what is said about those that are wrong.

use super::*;
use crate::config::{Key, NodeValue, Reference, Span};

pub(in crate::config) fn map(entries: &[(&str, Node)]) -> Node {
    let entry = |(at, (name, node)): (u32, &(&str, Node))| {
        let span = Span::new(0, at, at);
        let name = (*name).to_owned();
        (Key { name, span }, node.clone())
    };
    let entries = (1..).zip(entries).map(entry).collect();
    Node::new(Span::new(0, 0, 0), NodeValue::Map(entries))
}

pub(in crate::config) fn node(value: impl Into<NodeValue>) -> Node {
    Node::new(Span::new(0, 7, 8), value)
}

fn list(items: &[&str]) -> Node {
    node(NodeValue::List(
        items.iter().map(|item| node(*item)).collect(),
    ))
}

#[track_caller]
fn check(node: &Node, expected: OutputFormat) {
    let mut problems = Problems::new();
    let format = OutputFormat::parse(node, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(format, Some(expected));
}

/// `expected`: where, and parts of what is said.
#[track_caller]
fn refuse(node: &Node, at: u32, expected: &str) {
    let mut problems = Problems::new();
    OutputFormat::parse(node, &mut problems);
    let problems = problems.into_vec();
    let [problem] = &problems[..] else {
        panic!("{problems:?}");
    };
    let help = problem.help.as_deref().unwrap_or_default();
    let said = format!("{}; {help}", problem.message);
    assert!(said.contains(expected), "{said}");
    assert_eq!(problem.span.start, at);
}

#[test]
fn csv_has_columns() {
    let columns = || ("columns", list(&["id", "order.items[0].price"]));
    let csv = CsvOutput {
        columns: ["id", "order.items[0].price"]
            .map(|path| Path::parse(path).unwrap())
            .into(),
        header: true,
        delimiter: b',',
        quote: b'"',
    };
    let of = |entries: &[(&str, Node)]| map(&[&[("type", node("csv"))], entries].concat());
    check(&of(&[columns()]), OutputFormat::Csv(csv.clone()));
    let other = CsvOutput {
        header: false,
        delimiter: b'\t',
        quote: b'\'',
        ..csv
    };
    let all = [
        columns(),
        ("header", node(false)),
        ("delimiter", node("\t")),
        ("quote", node("'")),
    ];
    check(&of(&all), OutputFormat::Csv(other));
    refuse(
        &node("csv"),
        7,
        "CSV needs its `columns`; add `columns: [id",
    );
    refuse(&of(&[]), 0, "CSV needs its `columns`");
    refuse(&of(&[("columns", list(&[]))]), 7, "CSV needs its `columns`");
    let twice = of(&[("columns", list(&["a", "a"]))]);
    refuse(&twice, 7, "the column `a` is given twice");
    refuse(&of(&[("columns", list(&["a..b"]))]), 7, "not a path");
    let same = of(&[columns(), ("quote", node(","))]);
    refuse(&same, 0, "`delimiter` must differ from `quote`");
    let schema = of(&[columns(), ("schema", node("\"int\""))]);
    refuse(
        &schema,
        3,
        "`schema` is no option of the format `csv`; its options are: columns",
    );
}

#[test]
fn avro_has_a_schema() {
    let avro = |text: &str, codec| {
        let schema = AvroSchema::parse(text).unwrap();
        OutputFormat::Avro(AvroOutput {
            schema: Some(schema),
            codec,
        })
    };
    let of = |entries: &[(&str, Node)]| map(&[&[("type", node("avro"))], entries].concat());
    let record = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    let text = of(&[("schema", node(record))]);
    check(&text, avro(record, AvroCodec::Null));
    let yaml = map(&[
        ("type", node("record")),
        ("name", node("R")),
        ("fields", {
            let field = map(&[("name", node("a")), ("type", node("int"))]);
            node(NodeValue::List(vec![field]))
        }),
    ]);
    let packed = of(&[("schema", yaml), ("codec", node("zstandard"))]);
    check(&packed, avro(record, AvroCodec::Zstandard));
    let plain = of(&[("schema", node(record)), ("codec", node(()))]);
    check(&plain, avro(record, AvroCodec::Null));
    let word = of(&[("schema", node("long"))]);
    check(&word, avro("\"long\"", AvroCodec::Null));
    refuse(
        &node("avro"),
        7,
        "Avro needs a `schema`; add `schema: { type: record",
    );
    let wrong = of(&[("schema", node(r#"{"type":"strnig"}"#))]);
    refuse(
        &wrong,
        7,
        "not an Avro schema: unknown type `strnig`; write it as",
    );
    let null = NodeValue::List(vec![node(NodeValue::Null)]);
    refuse(&of(&[("schema", node(null))]), 7, "the type is \"null\"");
    // What stands in a file may be a secret.
    let mut secret = node("\"hunter2\"");
    secret.reference = Some(Reference {
        written: "${file:key}".to_owned(),
        whole: true,
    });
    let mut problems = Problems::new();
    OutputFormat::parse(&of(&[("schema", secret)]), &mut problems);
    let problems = problems.into_vec();
    assert_eq!(problems[0].message, "not an Avro schema: unknown type");
}

#[test]
fn a_list_is_refused() {
    let list = map(&[("type", node("json")), ("array", node(true))]);
    refuse(
        &list,
        2,
        "a list of JSON cannot be written to what grows; leave it out",
    );
    refuse(
        &node("parquet"),
        7,
        "Parquet has an end, so it cannot be written to what grows",
    );
    refuse(
        &node("logfmt"),
        7,
        "expected one of `text`, `bytes`, `json`, `csv`, `avro`",
    );
}
