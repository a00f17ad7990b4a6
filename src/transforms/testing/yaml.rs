//! The options of examples, as they stand in a pipeline: plain YAML without anchors.

use granit_parser::{Event, Parser, ScalarStyle};
use towpath_sdk::config::{Key, Node, NodeValue, Span};

/// Reads a map of options; no text is no options.
pub fn options(text: &str) -> Node {
    if text.is_empty() {
        return node(NodeValue::Map(Vec::new()));
    }
    let events: Vec<_> = Parser::new_from_str(text)
        .map(|event| event.unwrap_or_else(|error| panic!("{text}: {error}")).0)
        .collect();
    let mut events = events.iter().filter(|event| {
        let begins = matches!(event, Event::StreamStart | Event::DocumentStart(..));
        !begins && !matches!(event, Event::StreamEnd | Event::DocumentEnd)
    });
    let root = events.next().expect("a value");
    value(root, &mut events)
}

fn value<'e>(event: &Event<'_>, events: &mut impl Iterator<Item = &'e Event<'e>>) -> Node {
    match event {
        Event::Scalar(text, style, ..) => scalar(text, *style),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next().expect("an end") {
                    Event::SequenceEnd => return node(NodeValue::List(items)),
                    item => items.push(value(item, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut entries = Vec::new();
            loop {
                match events.next().expect("an end") {
                    Event::MappingEnd => return node(NodeValue::Map(entries)),
                    Event::Scalar(name, ..) => {
                        let next = events.next().expect("a value");
                        entries.push((key(name), value(next, events)));
                    }
                    other => panic!("a name that is {other:?}"),
                }
            }
        }
        other => panic!("{other:?} in an example"),
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Node {
    let is_plain = style == ScalarStyle::Plain;
    node(match text {
        "" | "null" if is_plain => NodeValue::Null,
        "true" | "false" if is_plain => NodeValue::Bool(text == "true"),
        _ if is_plain && text.parse::<serde_json::Number>().is_ok() => {
            NodeValue::Number(text.to_owned())
        }
        _ => NodeValue::String(text.to_owned()),
    })
}

/// A configuration value that is JSON.
pub fn from_json(value: &serde_json::Value) -> Node {
    use serde_json::Value;
    node(match value {
        Value::Null => NodeValue::Null,
        Value::Bool(value) => NodeValue::Bool(*value),
        Value::Number(number) => NodeValue::Number(number.to_string()),
        Value::String(text) => NodeValue::String(text.clone()),
        Value::Array(items) => NodeValue::List(items.iter().map(from_json).collect()),
        Value::Object(entries) => NodeValue::Map(
            entries
                .iter()
                .map(|(name, value)| (key(name), from_json(value)))
                .collect(),
        ),
    })
}

fn node(value: NodeValue) -> Node {
    Node::new(Span::NONE, value)
}

fn key(name: &str) -> Key {
    Key {
        name: name.to_owned(),
        span: Span::NONE,
    }
}
