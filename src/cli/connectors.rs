//! `towpath connectors`: what this build can talk to, and how each type is configured.

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use towpath_sdk::ConnectorType;
use towpath_sdk::config::{Node, NodeValue, OptionsSpec, markdown_table, nearest};

use super::failure::Failure;
use super::output::{Align, Output, Table};
use crate::registry::registry;

/// List connector types, or the options of one
#[derive(Debug, Args)]
pub struct ConnectorsArgs {
    /// A connector type, such as `file`
    r#type: Option<String>,
    /// Print the options as Markdown tables
    #[arg(long, requires = "type")]
    markdown: bool,
}

/// A connector type.
#[derive(Debug, Serialize)]
struct TypeAnswer {
    name: &'static str,
    summary: &'static str,
    source: Option<SideAnswer>,
    sink: Option<SideAnswer>,
}

/// Its source or sink side.
#[derive(Debug, Serialize)]
struct SideAnswer {
    description: String,
    /// Its own options; those every source or sink has are in `towpath schema`.
    options: Vec<OptionAnswer>,
    template_names: Vec<NameAnswer>,
}

/// An option; one inside a map has the map's name before it, as in `rotate.size`.
#[derive(Debug, Serialize)]
struct OptionAnswer {
    name: String,
    r#type: String,
    required: bool,
    default: Option<Value>,
    description: String,
}

/// A name that templates of the connector may use besides the general ones.
#[derive(Debug, Serialize)]
struct NameAnswer {
    name: &'static str,
    description: &'static str,
}

pub fn connectors(args: &ConnectorsArgs, output: Output) -> Result<(), Failure> {
    let registry = registry();
    let Some(name) = &args.r#type else {
        let all: Vec<TypeAnswer> = registry.types().iter().map(TypeAnswer::of).collect();
        return output.data(&all, |all| list(all));
    };
    let connector = registry.get(name).ok_or_else(|| {
        let names: Vec<&str> = registry
            .types()
            .iter()
            .map(|connector| connector.name)
            .collect();
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("possible: {}", names.join(", ")),
        };
        Failure::input(format!("unknown connector type `{name}`; {help}"))
    })?;
    if args.markdown {
        return output.data(&markdown(connector), String::clone);
    }
    output.data(&TypeAnswer::of(connector), detail)
}

impl TypeAnswer {
    fn of(connector: &ConnectorType) -> Self {
        let source = connector.source.as_ref();
        let sink = connector.sink.as_ref();
        Self {
            name: connector.name,
            summary: connector.summary,
            source: source.map(|side| SideAnswer::of(&(side.spec)(), side.template_names)),
            sink: sink.map(|side| SideAnswer::of(&(side.spec)(), &[])),
        }
    }
}

impl SideAnswer {
    fn of(spec: &OptionsSpec, names: &[(&'static str, &'static str)]) -> Self {
        let mut options = Vec::new();
        add_options(spec, "", &mut options);
        let names = names
            .iter()
            .map(|&(name, description)| NameAnswer { name, description });
        Self {
            description: spec.doc.clone(),
            options,
            template_names: names.collect(),
        }
    }
}

fn add_options(spec: &OptionsSpec, above: &str, out: &mut Vec<OptionAnswer>) {
    for option in &spec.options {
        let name = format!("{above}{}", option.name);
        let nested = option.kind.options();
        let below = format!("{name}.");
        out.push(OptionAnswer {
            name,
            r#type: option.kind.to_string().replace('`', ""),
            required: option.required,
            default: option.default.as_ref().map(value),
            description: option.doc.replace('\n', " "),
        });
        if let Some(nested) = nested {
            add_options(nested, &below, out);
        }
    }
}

/// A default as JSON.
fn value(node: &Node) -> Value {
    match &node.value {
        NodeValue::Null => Value::Null,
        NodeValue::Bool(value) => Value::Bool(*value),
        NodeValue::Number(text) => text.parse().map_or(Value::Null, Value::Number),
        NodeValue::String(text) => Value::String(text.clone()),
        NodeValue::List(items) => items.iter().map(value).collect(),
        NodeValue::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, node)| (key.name.clone(), value(node)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn list(types: &[TypeAnswer]) -> String {
    let mut table = Table::new(&[
        ("TYPE", Align::Left),
        ("SIDES", Align::Left),
        ("WHAT IT DOES", Align::Left),
    ]);
    for connector in types {
        let sides = match (&connector.source, &connector.sink) {
            (Some(_), Some(_)) => "source, sink",
            (Some(_), None) => "source",
            (None, Some(_)) => "sink",
            (None, None) => "",
        };
        table.row([
            connector.name.to_owned(),
            sides.to_owned(),
            connector.summary.to_owned(),
        ]);
    }
    let hint = "\n`towpath connectors TYPE` lists the options of a type.\n";
    table.render("no connector types in this build") + hint
}

fn detail(connector: &TypeAnswer) -> String {
    let mut out = format!("{}: {}\n", connector.name, connector.summary);
    for (what, side) in [("source", &connector.source), ("sink", &connector.sink)] {
        let Some(side) = side else { continue };
        out.push_str(&format!("\nAs a {what}: {}\n", side.description));
        for option in &side.options {
            let default = match (&option.default, option.required) {
                (_, true) => "required".to_owned(),
                (Some(default), false) => format!("default {}", shown(default)),
                (None, false) => "optional".to_owned(),
            };
            out.push_str(&format!(
                "  {} ({}; {default})\n",
                option.name, option.r#type
            ));
            out.push_str(&format!("      {}\n", option.description));
        }
        for name in &side.template_names {
            let (name, description) = (name.name, name.description);
            out.push_str(&format!(
                "  in templates: {{{name}}}\n      {description}\n"
            ));
        }
    }
    out.push_str("\nOptions that every source or sink has are in `towpath schema`.\n");
    out
}

/// A default as it would be written in YAML.
fn shown(default: &Value) -> String {
    match default {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn markdown(connector: &ConnectorType) -> String {
    let source = connector
        .source
        .as_ref()
        .map(|side| ("Source", (side.spec)()));
    let sink = connector.sink.as_ref().map(|side| ("Sink", (side.spec)()));
    let tables: Vec<String> = [source, sink]
        .into_iter()
        .flatten()
        .map(|(title, spec)| format!("## {title}\n\n{}", markdown_table(&spec)))
        .collect();
    tables.join("\n")
}
