//! The golden cases of Kafka Connect's own classes (`tests/golden/connect`, whose README says how
//! they are made and compared): ours gives the same.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value};
use towpath_sdk::config::Format;

use super::record::{TestRecord, configure, run};
use super::yaml;

/// Cases in all, and those of them where ours differs on purpose. A new file of cases changes both.
const CASES: usize = 793;
const DIFFERENT: usize = 107;

/// The headers by which a record refers to its schema.
const SCHEMA_HEADERS: &str = "towpath.";

#[test]
fn what_kafka_connect_makes_of_records() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/connect");
    let (mut cases, mut different, mut wrong) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(folder).expect("the golden files") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file");
        let file: Vec<Value> = serde_json::from_str(&text).expect("cases");
        for case in &file {
            cases += 1;
            if case["towpath"].is_null() {
                assert!(case["why"].is_string(), "{}: no reason", case["name"]);
                different += 1;
                continue;
            }
            if let Err(why) = check(case) {
                let file = path.file_stem().unwrap_or_default().display();
                wrong.push(format!("{file}: {}: {why}", case["name"]));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(
        (cases, different),
        (CASES, DIFFERENT),
        "cases, and different ones"
    );
}

/// What is different, if anything.
fn check(case: &Value) -> Result<(), String> {
    let expected = &case["expected"];
    let mut options = case["towpath"].as_object().expect("options").clone();
    let name = options.remove("type").expect("a type");
    let when = options.remove("when");
    let kinds = crate::types();
    let kind = kinds
        .iter()
        .find(|kind| kind.name == name)
        .expect("a type of ours");
    let when = match when
        .as_ref()
        .map(|when| when.as_str().expect("an expression"))
    {
        None => None,
        Some(when) => Some(towpath_expression::compile(when).map_err(|error| error.message)?),
    };
    let options = yaml::from_json(&Value::Object(options));
    let config = match (configure(kind, &options), expected.get("config_error")) {
        (Err(_), Some(_)) => return Ok(()),
        (Ok(_), Some(error)) => return Err(format!("accepted, where Connect says {error}")),
        (Err(why), None) => return Err(format!("not accepted: {why}")),
        (Ok(config), None) => config,
    };
    let of_schema = name == "set_schema_metadata";
    let record = record(&case["input"], of_schema);
    let outcome = run(&*config, when.as_deref(), Format::Json, &record);
    match (outcome, expected) {
        (Err(_), expected) if expected.get("error").is_some() => Ok(()),
        (Err(why), _) => Err(format!("refused: {why}")),
        (Ok(records), expected) if expected.get("error").is_some() => Err(format!(
            "{records:?}, where Connect says {}",
            expected["error"]
        )),
        (Ok(records), expected) if expected.get("dropped").is_some() => match records.is_empty() {
            true => Ok(()),
            false => Err("not dropped".to_owned()),
        },
        (Ok(records), expected) => match &records[..] {
            [made] => compare(made, expected, of_schema),
            records => Err(format!("{} records", records.len())),
        },
    }
}

fn record(form: &Value, of_schema: bool) -> TestRecord {
    let usual = TestRecord::default();
    let number = |name: &str, usual: i64| match form.get(name) {
        None => Some(usual),
        Some(number) => number.as_i64(),
    };
    let text = |value: Option<&Value>| {
        let value = value.filter(|value| !value.is_null());
        value.map(Value::to_string)
    };
    let mut headers = headers(form);
    if of_schema {
        headers.extend(schema_headers(form));
    }
    let partition = number("partition", 0).map(|partition| partition as u32);
    TestRecord {
        topic: form["topic"].as_str().map_or(usual.topic, str::to_owned),
        place: partition.zip(number("offset", 42)),
        timestamp_ms: number("timestamp", usual.timestamp_ms).unwrap_or(-1),
        key: text(form.get("key")),
        value: text(form.get("value")),
        headers,
    }
}

fn headers(form: &Value) -> Vec<(String, Option<String>)> {
    let headers = form["headers"].as_array().map_or(&[][..], Vec::as_slice);
    let header = |header: &Value| {
        let name = header[0].as_str().expect("a name").to_owned();
        (name, header[1].as_str().map(str::to_owned))
    };
    headers.iter().map(header).collect()
}

/// A schema as our records refer to it.
fn schema_headers(form: &Value) -> Vec<(String, Option<String>)> {
    let mut headers = Vec::new();
    for (schema, prefix) in [("value_schema", "schema"), ("key_schema", "key_schema")] {
        if let Some(schema) = form[schema].as_object() {
            let mut add = |name: &str, text: String| {
                headers.push((format!("{SCHEMA_HEADERS}{prefix}.{name}"), Some(text)));
            };
            add("id", "1".to_owned());
            for name in ["name", "version"] {
                match schema.get(name) {
                    Some(Value::String(text)) => add(name, text.clone()),
                    Some(other) => add(name, other.to_string()),
                    None => {}
                }
            }
        }
    }
    headers
}

fn compare(made: &TestRecord, form: &Value, of_schema: bool) -> Result<(), String> {
    let mut expected = record(form, of_schema);
    let mut made = made.clone();
    if of_schema {
        // Their order is nobody's business.
        expected.headers.sort();
        made.headers.sort();
    }
    if !same_text(&made.value, form.get("value"), false) {
        return Err(format!(
            "value {:?}, expected {:?}",
            made.value, expected.value
        ));
    }
    if !same_text(&made.key, form.get("key"), true) {
        return Err(format!("key {:?}, expected {:?}", made.key, expected.key));
    }
    (made.key, made.value) = (expected.key.clone(), expected.value.clone());
    match made == expected {
        true => Ok(()),
        false => Err(format!("{made:?}, expected {expected:?}")),
    }
}

/// A key that a transform has made a string is its text, without quotes.
fn same_text(made: &Option<String>, expected: Option<&Value>, is_key: bool) -> bool {
    let expected = expected.filter(|value| !value.is_null());
    match (made, expected) {
        (None, None) => true,
        (Some(made), Some(Value::String(text))) if is_key && made == text => true,
        (Some(made), Some(expected)) => {
            serde_json::from_str(made).is_ok_and(|made| same(&made, expected))
        }
        _ => false,
    }
}

/// Numbers are compared by value, times as moments, objects in any order.
fn same(made: &Value, expected: &Value) -> bool {
    match (made, expected) {
        (Value::Number(made), Value::Number(expected)) => {
            made == expected || made.as_f64() == expected.as_f64()
        }
        (Value::String(made), Value::String(expected)) => {
            let moment = |text: &str| text.parse::<Timestamp>().ok();
            made == expected || moment(made).is_some_and(|made| Some(made) == moment(expected))
        }
        (Value::Array(made), Value::Array(expected)) => {
            made.len() == expected.len()
                && made
                    .iter()
                    .zip(expected)
                    .all(|(made, expected)| same(made, expected))
        }
        (Value::Object(made), Value::Object(expected)) => {
            let find = |fields: &Map<String, Value>, name: &str| fields.get(name).cloned();
            made.len() == expected.len()
                && made.iter().all(|(name, made)| {
                    find(expected, name).is_some_and(|expected| same(made, &expected))
                })
        }
        (made, expected) => made == expected,
    }
}
