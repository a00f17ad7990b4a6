//! What is read as text and becomes JSON.

use std::collections::HashMap;

use bytes::Bytes;
use towpath_formats::{Logfmt, Parser, Pattern, Syslog, UserAgent};
use towpath_sdk::config::{CsvOptions, CsvOutput, InputFormat, OutputFormat, TextType};
use towpath_sdk::json::{self, Documents, Kind, NodeId, Scanner};
use towpath_sdk::{Path, Step};

use super::records::{decoded, encoded};

/// A document in `documents`, made of `text`.
fn document(documents: &mut Documents, text: &[u8]) -> Result<NodeId, json::Fault> {
    documents.reset(Bytes::new());
    let span = documents.make(|made| made.extend_from_slice(text));
    documents.parse(span)
}

/// All ways to read a text agree, also with another reader, and what is read is the same after it
/// was written anew.
pub fn json(text: &[u8]) {
    let mut documents = Documents::default();
    let parsed = document(&mut documents, text);
    let valid = json::validate(text);
    assert_eq!(parsed.map(drop), valid);
    let other: Result<serde_json::Value, _> = serde_json::from_slice(text);
    if let Some(values) = decoded(InputFormat::JsonArray, text) {
        assert!(values.len() <= text.len());
    }
    let Ok(root) = parsed else {
        // Numbers too large for a double, and a level more, are for us alone.
        assert!(other.is_err(), "{valid:?}, but {other:?}");
        return;
    };
    if let Err(error) = other {
        let why = error.to_string();
        let known = ["number out of range", "recursion limit exceeded"];
        assert!(known.iter().any(|known| why.starts_with(known)), "{why}");
    }
    check_fields(&documents, root, text);
    let mut line = Vec::new();
    json::put_on_one_line(text, &mut line).unwrap();
    let written = touched(&mut documents, root);
    let mut again = Documents::default();
    let again_root = document(&mut again, &written).unwrap();
    assert_eq!(shape(&again, again_root), shape(&documents, root));
    let line_root = document(&mut again, &line).unwrap();
    assert_eq!(shape(&again, line_root), shape(&documents, root));
}

/// The scanner finds the fields that the document has.
fn check_fields(documents: &Documents, root: NodeId, text: &[u8]) {
    if documents.kind(root) != Kind::Object {
        return;
    }
    for child in documents.children(root).take(20) {
        let name = documents.name(child);
        let first = documents.field(root, &name).unwrap();
        let mut scanner = Scanner::new(text);
        assert_eq!(scanner.enter_field(&name), Ok(true));
        assert_eq!(scanner.value().unwrap(), documents.text(first).as_bytes());
    }
}

/// The text of a document of which every part is written anew.
fn touched(documents: &mut Documents, root: NodeId) -> Vec<u8> {
    let mut waiting = vec![root];
    while let Some(node) = waiting.pop() {
        if let Some(text) = documents.string(node).map(std::borrow::Cow::into_owned) {
            documents.set_scalar(node, |out| json::put_string(&text, out));
        } else if matches!(documents.kind(node), Kind::Object | Kind::Array) {
            waiting.extend(documents.children(node));
            documents.touch(node);
        }
    }
    let mut out = Vec::new();
    documents.write(root, &mut out);
    out
}

/// What a document says, whatever its white space and escapes.
fn shape(documents: &Documents, root: NodeId) -> String {
    let mut out = String::new();
    put_shape(documents, root, &mut out);
    out
}

fn put_shape(documents: &Documents, node: NodeId, out: &mut String) {
    match documents.kind(node) {
        kind @ (Kind::Object | Kind::Array) => {
            *out += if kind == Kind::Object { "{" } else { "[" };
            for child in documents.children(node) {
                if kind == Kind::Object {
                    *out += &format!("{:?}:", documents.name(child));
                }
                put_shape(documents, child, out);
                *out += ",";
            }
            *out += "}";
        }
        Kind::String => *out += &format!("{:?}", documents.string(node)),
        _ => *out += documents.text(node),
    }
}

/// With several options. What is read is the same after it was written.
pub fn csv(text: &[u8]) {
    // Every record has the names of its columns, so much comes of a long header and many records.
    if text.len() > 16 << 10 {
        return;
    }
    let named = |name: &str, value| (name.to_owned(), value);
    let typed = vec![
        named("a", TextType::String),
        named("b", TextType::Integer),
        named("c", TextType::Float),
        named("d", TextType::Boolean),
        named("e", TextType::Timestamp { format: None }),
    ];
    let plain = CsvOptions::default();
    let lenient = CsvOptions {
        lenient: true,
        header: false,
        columns: typed.clone(),
        ..plain.clone()
    };
    let escaped = CsvOptions {
        header: false,
        columns: typed,
        delimiter: b';',
        quote: b'\'',
        escape: b'\\',
        empty_is_null: true,
        ..plain.clone()
    };
    for options in [lenient, escaped] {
        decoded(InputFormat::Csv(options), text);
    }
    let Some(values) = decoded(InputFormat::Csv(plain.clone()), text) else {
        return;
    };
    let Some(first) = values.first() else {
        return;
    };
    let mut documents = Documents::default();
    let root = document(&mut documents, first).unwrap();
    let children = documents.children(root);
    let names: Vec<_> = children
        .map(|child| documents.name(child).into_owned())
        .collect();
    let column = |name: &String| Path::of(vec![Step::Field(name.clone())]).expect("a step");
    let output = CsvOutput {
        columns: names.iter().map(column).collect(),
        header: false,
        delimiter: b',',
        quote: b'"',
    };
    let written = encoded(OutputFormat::Csv(output), &values).expect("objects have columns");
    let options = CsvOptions {
        header: false,
        columns: names
            .into_iter()
            .map(|name| (name, TextType::String))
            .collect(),
        ..plain
    };
    assert_eq!(decoded(InputFormat::Csv(options), &written), Some(values));
}

/// A parser appends one object or nothing, the same every time.
fn check_parser(mut parser: impl Parser, text: &[u8]) {
    let mut parse = || {
        let mut out = b"before".to_vec();
        parser.set_reference_ms(1_767_225_600_123);
        let parsed = parser.parse(text, &mut out);
        (parsed, out.split_off(b"before".len()))
    };
    let (parsed, made) = parse();
    match parsed {
        Ok(()) => {
            json::validate(&made).unwrap();
            assert_eq!(made.first(), Some(&b'{'));
        }
        Err(fault) => {
            assert!(fault.at <= text.len(), "{fault}");
            assert!(made.is_empty(), "a part of what was refused");
        }
    }
    assert_eq!(parse(), (parsed, made));
}

pub fn logfmt(text: &[u8]) {
    check_parser(Logfmt::new(false), text);
    check_parser(Logfmt::new(true), text);
}

pub fn syslog(text: &[u8]) {
    check_parser(Syslog::new(false), text);
    check_parser(Syslog::new(true), text);
}

pub fn user_agent(text: &[u8]) {
    check_parser(UserAgent, text);
}

/// The first line as UTF-8, and the rest.
pub fn first_line(input: &[u8]) -> Option<(&str, &[u8])> {
    let end = input
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(input.len());
    let rest = input.get(end + 1..).unwrap_or_default();
    Some((std::str::from_utf8(&input[..end]).ok()?, rest))
}

/// A line of a regular expression, and the text for it.
pub fn regex(input: &[u8]) {
    let parts = first_line(input);
    if let Some((expression, text)) = parts
        && let Ok(pattern) = Pattern::new(expression)
    {
        check_parser(pattern, text);
    }
}

/// A line of a pattern, a line of the definition of `A`, which may use itself or `B`, and the text.
pub fn grok(input: &[u8]) {
    let Some((pattern, rest)) = first_line(input) else {
        return;
    };
    let Some((definition, text)) = first_line(rest) else {
        return;
    };
    let definitions = HashMap::from([
        ("A".to_owned(), definition.to_owned()),
        ("B".to_owned(), "%{A}%{A}".to_owned()),
    ]);
    if let Ok(pattern) = towpath_formats::grok(pattern, &definitions) {
        check_parser(pattern, text);
    }
}
