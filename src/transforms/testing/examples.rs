//! The worked examples of every transform type are true.

use towpath_sdk::config::Format;
use towpath_sdk::{TransformExample, TransformType};

use super::record::{TestRecord, configure, run};
use super::yaml;

/// Runs the examples of `types`; each type has some.
pub fn check_all(types: &[TransformType]) {
    for kind in types {
        assert!(!kind.examples.is_empty(), "{} has no example", kind.name);
        for example in kind.examples {
            let name = format!("{}, {}", kind.name, example.title);
            let config = configure(kind, &yaml::options(example.options))
                .unwrap_or_else(|why| panic!("{name}: {why}"));
            let (input, format) = read(example);
            let output = run(&*config, None, format, &input);
            let output = output.unwrap_or_else(|why| panic!("{name}: {why}"));
            let lines: Vec<_> = output.iter().map(|record| line(&input, record)).collect();
            assert_eq!(lines.join("\n"), example.output, "{name}");
        }
    }
}

/// The record of an example; a value that is no JSON is text, and one behind which
/// `value: text` stands.
pub fn read(example: &TransformExample) -> (TestRecord, Format) {
    let (value, rest) = example
        .input
        .split_once("  # ")
        .unwrap_or((example.input, ""));
    let mut is_text = false;
    let mut record = TestRecord {
        value: Some(value.to_owned()),
        ..TestRecord::default()
    };
    for part in rest.split("; ").filter(|part| !part.is_empty()) {
        let (name, text) = part.split_once(": ").expect("a name and a text");
        match name.split_once(' ') {
            Some(("header", name)) => {
                let header = (name.to_owned(), Some(text.to_owned()));
                record.headers.push(header);
            }
            _ if name == "value" => is_text = text == "text",
            _ if name == "topic" => record.topic = text.to_owned(),
            _ if name == "key" => record.key = Some(text.to_owned()),
            _ if name == "timestamp" => record.timestamp_ms = text.parse().expect("a number"),
            _ => panic!("`{name}` of an example"),
        }
    }
    let is_json = !is_text && towpath_sdk::json::validate(value.as_bytes()).is_ok();
    (record, if is_json { Format::Json } else { Format::Text })
}

/// The value, and whatever else differs from `input`.
pub fn line(input: &TestRecord, record: &TestRecord) -> String {
    let mut parts = Vec::new();
    if record.topic != input.topic {
        parts.push(format!("topic: {}", record.topic));
    }
    if record.key != input.key {
        parts.push(format!("key: {}", record.key.as_deref().unwrap_or("null")));
    }
    if record.timestamp_ms != input.timestamp_ms {
        parts.push(format!("timestamp: {}", record.timestamp_ms));
    }
    if record.headers != input.headers {
        let text = |(name, value): &(String, Option<String>)| {
            format!("header {name}: {}", value.as_deref().unwrap_or("null"))
        };
        parts.extend(record.headers.iter().map(text));
    }
    let value = record.value.as_deref().unwrap_or("null");
    match parts.is_empty() {
        true => value.to_owned(),
        false => format!("{value}  # {}", parts.join("; ")),
    }
}
