//! JSON Schema of the files, for editors, from the same declarations that parse them.

use serde_json::{Map, Value, json};
use towpath_sdk::Registry;
use towpath_sdk::config::{Kind, OptionSpec, OptionsSpec};

use crate::WorkerConfig;
use crate::options::{PipelineOptions, TopicOptions, sink_options, source_options, stream_options};
use crate::transform::TransformOptions;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// A text with a reference may stand for anything.
const REFERENCE: &str = "\\$\\{";

/// The schema of pipeline files.
pub fn json_schema(registry: &Registry) -> Value {
    let sources = registry.types().iter().filter_map(|connector| {
        Some((
            connector.name,
            connector.summary,
            (connector.source.as_ref()?.spec)(),
        ))
    });
    let sinks = registry.types().iter().filter_map(|connector| {
        Some((
            connector.name,
            connector.summary,
            (connector.sink.as_ref()?.spec)(),
        ))
    });
    let mut schema = options(&PipelineOptions::spec());
    schema["properties"]["topics"]["additionalProperties"] = options(&TopicOptions::spec());
    schema["properties"]["sources"]["additionalProperties"] =
        connectors(sources, &source_options());
    schema["properties"]["streams"]["additionalProperties"] = connector(&stream_options());
    schema["properties"]["sinks"]["additionalProperties"] = connectors(sinks, &sink_options());
    schema["$defs"] = json!({ "transform": transform(registry) });
    finish(schema, "A Towpath pipeline")
}

/// A transform: a map, or its bare name.
fn transform(registry: &Registry) -> Value {
    let types = registry.transforms().iter();
    let types = types.map(|one| (one.name, one.summary, (one.spec)()));
    let maps = alternatives(types.clone(), &TransformOptions::spec(), options);
    let needs_nothing = types.filter(|(_, _, own)| !own.options.iter().any(|own| own.required));
    let words = needs_nothing.map(|(name, doc, _)| json!({ "const": name, "description": doc }));
    json!({ "anyOf": words.chain([maps]).collect::<Vec<_>>() })
}

/// The options of a connector, whose transforms are one or several.
fn connector(spec: &OptionsSpec) -> Value {
    let mut schema = options(spec);
    let one = json!({ "$ref": "#/$defs/transform" });
    if let Some(transforms) = schema["properties"]["transforms"].as_object_mut() {
        transforms.retain(|key, _| key == "description" || key == "default");
        let several = json!({ "type": "array", "items": one });
        transforms.insert("anyOf".to_owned(), json!([several, one]));
    }
    schema
}

/// The schema of `towpath.yaml`.
pub fn worker_schema() -> Value {
    finish(
        options(&WorkerConfig::spec()),
        "Settings of a Towpath worker",
    )
}

fn finish(mut schema: Value, title: &str) -> Value {
    schema["$schema"] = DIALECT.into();
    schema["title"] = title.into();
    schema["patternProperties"] = json!({ "^x-": {} });
    schema
}

fn connectors<'a>(
    types: impl Iterator<Item = (&'a str, &'a str, OptionsSpec)>,
    common: &OptionsSpec,
) -> Value {
    alternatives(types, common, connector)
}

/// One alternative for each type, chosen by `type`; `of` makes it of all its options.
fn alternatives<'a>(
    types: impl Iterator<Item = (&'a str, &'a str, OptionsSpec)>,
    common: &OptionsSpec,
    of: fn(&OptionsSpec) -> Value,
) -> Value {
    let alternatives = types.map(|(name, summary, own)| {
        let spec = common.clone().with(own);
        let mut schema = of(&spec);
        schema["title"] = name.into();
        schema["description"] = summary.into();
        schema["properties"]["type"] = json!({ "const": name, "description": summary });
        schema
    });
    json!({ "type": "object", "required": ["type"], "oneOf": alternatives.collect::<Vec<_>>() })
}

fn options(spec: &OptionsSpec) -> Value {
    let properties: Map<String, Value> = spec
        .options
        .iter()
        .map(|option| (option.name.to_owned(), property(option)))
        .collect();
    let required = spec.options.iter().filter(|option| option.required);
    let required: Vec<&str> = required.map(|option| option.name).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    describe(&mut schema, &spec.doc);
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn property(option: &OptionSpec) -> Value {
    let mut schema = kind(&option.kind);
    describe(&mut schema, &option.doc);
    if let Some(default) = &option.default {
        schema["default"] = value(default);
    }
    schema
}

fn describe(schema: &mut Value, doc: &str) {
    if !doc.is_empty() {
        schema["description"] = doc.into();
    }
}

fn kind(kind_: &Kind) -> Value {
    let or_reference =
        |schema: Value| json!({ "anyOf": [schema, { "type": "string", "pattern": REFERENCE }] });
    match kind_ {
        Kind::Bool => or_reference(json!({ "type": "boolean" })),
        Kind::Integer { min, max } => {
            or_reference(json!({ "type": "integer", "minimum": min, "maximum": max }))
        }
        Kind::Number => or_reference(json!({ "type": "number" })),
        Kind::Text(form) | Kind::Template(form) => {
            let mut schema = json!({ "type": "string" });
            if !form.example.is_empty() {
                schema["examples"] = json!([form.example]);
            }
            if let Some(pattern) = form.pattern {
                schema["pattern"] = format!("{pattern}|{REFERENCE}").into();
            }
            schema
        }
        Kind::Secret => json!({ "type": "string" }),
        Kind::Word(words) => {
            let words = words
                .iter()
                .map(|word| json!({ "const": word.name, "description": word.doc }));
            let reference = json!({ "type": "string", "pattern": REFERENCE });
            json!({ "anyOf": words.chain([reference]).collect::<Vec<_>>() })
        }
        // An empty choice is nothing in particular.
        Kind::Either(kinds) if kinds.is_empty() => json!({}),
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(kind).collect::<Vec<_>>() }),
        Kind::List(item) => json!({ "type": "array", "items": kind(item) }),
        Kind::Map(value) => json!({ "type": "object", "additionalProperties": kind(value) }),
        Kind::Options(spec) => options(spec),
    }
}

fn value(node: &towpath_sdk::config::Node) -> Value {
    use towpath_sdk::config::NodeValue;
    match &node.value {
        NodeValue::Null => Value::Null,
        NodeValue::Bool(value) => (*value).into(),
        NodeValue::Number(text) => text.parse::<i64>().map_or_else(
            |_| text.parse::<f64>().map_or(Value::Null, Value::from),
            Value::from,
        ),
        NodeValue::String(text) => text.as_str().into(),
        NodeValue::List(items) => items.iter().map(value).collect(),
        NodeValue::Map(_) => json!({}),
    }
}
