//! What people write: times, paths, templates, expressions, programs, transforms, pipelines.

use std::collections::BTreeMap;
use std::env::VarError;
use std::{fs, io};

use towpath_pipeline::{Environment, Surroundings, TopicDefaults};
use towpath_record::BatchBuilder;
use towpath_sdk::config::{Format, Node, NodeValue, Problems, Span};
use towpath_sdk::{
    Error, ErrorKind, Path, RecordScope, Registry, Template, TransformContext, TransformType,
    WorkingBatch, json,
};
use towpath_transforms::testing::yaml;

use super::text::first_line;

/// A batch of one record, with a header.
pub fn loaded(value: &[u8], format: Format) -> WorkingBatch {
    let header = towpath_record::Header {
        key: b"h",
        value: Some(b"first"),
    };
    let mut builder = BatchBuilder::default();
    builder
        .push(
            1_767_225_600_123,
            Some(b"{\"k\":1}"),
            Some(value),
            &[header],
        )
        .unwrap();
    let mut batch = WorkingBatch::default();
    batch.load(&builder.finish().unwrap(), format, 0).unwrap();
    batch.set_place(Some("orders".into()), Some(2));
    batch
}

/// One transform on one record: what leaves is of the format that was announced.
fn check_transform(kind: &TransformType, options: &Node, value: &[u8], format: Format) {
    let mut problems = Problems::new();
    let config = (kind.parse)(options, &mut problems);
    if !problems.is_empty() {
        return;
    }
    let config = config.expect("without a problem there is a transform");
    let mut batch = loaded(value, format);
    let context = TransformContext {
        now_ms: 1_767_225_600_456,
    };
    let applied = config.transform().apply(&mut batch, &context);
    applied.expect("only records fail");
    let output = config.output(format);
    batch.check(output);
    let take = |row: towpath_sdk::Outgoing<'_>| {
        if let (Format::Json, Some(value)) = (output, row.value) {
            json::validate(value).unwrap();
        }
        Ok(())
    };
    // A value that nobody has looked into may be no JSON, and leaves as it came.
    if format != Format::Json || json::validate(value).is_ok() {
        batch.emit(output, take).expect("nothing fails");
    }
    for refused in batch.refused().drain(..) {
        check_error(&refused.error);
    }
}

/// An error about a record, on one line.
fn check_error(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Record, "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

pub fn transform_type(name: &str) -> Option<TransformType> {
    let types = towpath_transforms::types();
    types.into_iter().find(|kind| kind.name == name)
}

/// A line of a format, and a time.
pub fn timestamp(input: &[u8]) {
    let Some((format, text)) = first_line(input) else {
        return;
    };
    let kind = transform_type("parse_timestamp").expect("a transform");
    let mut value = b"{\"t\":".to_vec();
    json::put_string(&String::from_utf8_lossy(text), &mut value);
    value.push(b'}');
    for to in [None, Some("to")] {
        let mut options =
            serde_json::json!({"field": "t", "formats": format, "timezone": "Europe/Berlin"});
        if let Some(to) = to {
            options["to"] = to.into();
        }
        check_transform(&kind, &yaml::from_json(&options), &value, Format::Json);
    }
}

/// A line of options with `type` as JSON, and a value.
pub fn transform(input: &[u8]) {
    let Some((options, value)) = first_line(input) else {
        return;
    };
    let Ok(mut options) = serde_json::from_str::<serde_json::Value>(options) else {
        return;
    };
    let name = options.as_object_mut().and_then(|map| map.remove("type"));
    let Some(kind) = name
        .as_ref()
        .and_then(|name| transform_type(name.as_str()?))
    else {
        return;
    };
    // It opens files.
    if kind.name == "lookup" {
        return;
    }
    for format in [Format::Json, Format::Text] {
        check_transform(&kind, &yaml::from_json(&options), value, format);
    }
}

/// A line of a program, and a value.
pub fn vrl(input: &[u8]) {
    // The compiler takes more than twice as long for a program of twice the length.
    let Some((program, value)) = first_line(input).filter(|(program, _)| program.len() <= 2_000)
    else {
        return;
    };
    let options = yaml::from_json(&serde_json::json!({ "source": program }));
    for format in [Format::Json, Format::Text] {
        check_transform(&towpath_vrl::TYPE, &options, value, format);
    }
}

/// A path is the same after it was written.
pub fn path(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match Path::parse(&text) {
        Ok(path) => assert_eq!(Path::parse(&path.to_string()), Ok(path)),
        Err(error) => assert!(text.is_char_boundary(error.at), "{error:?}"),
    }
}

/// A line of a template, and the value that fills it.
pub fn template(input: &[u8]) {
    let Some((text, value)) = first_line(input) else {
        return;
    };
    let template = match Template::parse(text, Template::NAMES) {
        Ok(template) => template,
        Err(error) => return assert!(text.get(error.at.clone()).is_some(), "{error:?}"),
    };
    assert_eq!(template.as_str(), text);
    // Filling takes as long as there are places, and value for them.
    if template.names().count() > 100 {
        return;
    }
    let mut builder = BatchBuilder::default();
    builder
        .push(1_767_225_600_123, Some(value), Some(value), &[])
        .unwrap();
    let batch = builder.finish().unwrap();
    let record = batch.records().next().unwrap().unwrap();
    let scope = RecordScope {
        pipeline: "p",
        connector: "c",
        record: &record,
        value_at: towpath_formats::lookup,
        now_ms: 1_767_225_600_456,
    };
    let render =
        |render: fn(&Template, &RecordScope<'_>, &mut Vec<u8>) -> towpath_sdk::Result<()>| {
            let mut out = b"before".to_vec();
            if let Err(error) = render(&template, &scope, &mut out) {
                check_error(&error);
                assert_eq!(out, b"before");
            }
            out
        };
    let rendered: fn(&Template, &RecordScope<'_>, &mut Vec<u8>) -> _ =
        |template, scope, out| template.render(scope, out);
    let as_path: fn(&Template, &RecordScope<'_>, &mut Vec<u8>) -> _ =
        |template, scope, out| template.render_path(scope, out);
    assert_eq!(render(rendered), render(rendered));
    let file = render(as_path);
    assert_eq!(file, render(as_path));
    std::str::from_utf8(&file).unwrap();
    // What is filled in begins no folder.
    let slashes = |text: &[u8]| text.iter().filter(|byte| **byte == b'/').count();
    assert!(slashes(&file) <= slashes(text.as_bytes()));
}

/// A line of an expression, and the value of the record: the same every time, or an error about
/// the record.
pub fn expression(input: &[u8]) {
    let Some((source, value)) = first_line(input) else {
        return;
    };
    if let Ok(condition) = towpath_expression::compile_condition(source) {
        let test = || condition.test(&mut loaded(value, Format::Json), 0);
        let tested = test().map_err(|error| error.to_string());
        assert_eq!(test().map_err(|error| error.to_string()), tested);
    }
    let expression = match towpath_expression::compile(source) {
        Ok(expression) => expression,
        Err(error) => return assert!(source.is_char_boundary(error.at), "{error:?}"),
    };
    for format in [Format::Json, Format::Text] {
        let evaluate = || {
            let mut batch = loaded(value, format);
            let node = expression.value(&mut batch, 0).map_err(|error| {
                check_error(&error);
                error.to_string()
            })?;
            let mut out = Vec::new();
            batch.documents().write(node, &mut out);
            json::validate(&out).unwrap();
            Ok::<_, String>(out)
        };
        assert_eq!(evaluate(), evaluate());
    }
}

/// Variables and files that are all the same.
struct Fixed;

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        match name {
            "A" => Ok("a: ${env:A}".to_owned()),
            _ => Err(VarError::NotPresent),
        }
    }

    fn file(&self, _: &std::path::Path, _: usize) -> io::Result<Vec<u8>> {
        Ok(b"[a, {b: c}]".to_vec())
    }
}

/// A pipeline is loaded or told about; printed, it can be loaded, and prints the same.
pub fn pipeline(input: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.yaml");
    let registry = Registry::new(vec![
        connector_file::connector_type(),
        connector_generate::connector_type(),
    ])
    .with_transforms(towpath_transforms::types());
    let defaults = NodeValue::Map(Vec::new());
    let defaults = TopicDefaults::parse(&Node::new(Span::NONE, defaults), &mut Problems::new());
    let surroundings = Surroundings {
        registry: &registry,
        environment: &Fixed,
        existing_topics: &BTreeMap::new(),
        topic_defaults: &defaults.expect("everything has a default"),
    };
    let printed = |text: &[u8]| {
        fs::write(&file, text).unwrap();
        let loaded = towpath_pipeline::load(std::slice::from_ref(&file), &surroundings);
        loaded.map(|loaded| {
            loaded.warnings.render_warnings(false);
            let pipelines = loaded.pipelines.iter();
            pipelines
                .map(|pipeline| towpath_pipeline::print(pipeline, &registry))
                .collect::<String>()
        })
    };
    match printed(input) {
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty());
            diagnostics.render(true);
            diagnostics.to_json();
        }
        // Secrets are not printed.
        Ok(text) if text.contains("***") => {}
        Ok(text) => match printed(text.as_bytes()) {
            Ok(again) => assert_eq!(again, text),
            Err(diagnostics) => panic!("{}", diagnostics.render(false)),
        },
    }
}
