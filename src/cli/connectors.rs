//! `towpath connectors`: what this build can talk to, and how each type is configured.

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use towpath_pipeline::{STREAM, sink_options, source_options, stream_options, template_names};
use towpath_sdk::ConnectorType;
use towpath_sdk::config::{Node, NodeValue, OptionsSpec, markdown_table, nearest, text_forms};

use super::failure::Failure;
use super::output::{Align, Output, Table};
use crate::registry::registry;

/// List connector types, or the options of one
#[derive(Debug, Args)]
pub struct ConnectorsArgs {
    /// A connector type, such as `file`; or `stream`, which goes from topics to a topic
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
    /// Its own options.
    options: Vec<OptionAnswer>,
    /// Those that every source or every sink has.
    common_options: Vec<OptionAnswer>,
    /// Names that its templates may use besides the general ones.
    template_names: Vec<NameAnswer>,
}

/// A connector type, and what holds for all of them.
#[derive(Debug, Serialize)]
struct DetailAnswer {
    #[serde(flatten)]
    connector: TypeAnswer,
    template_names: Vec<NameAnswer>,
    forms_of_text: Vec<FormAnswer>,
}

/// The connector that needs no type.
#[derive(Debug, Serialize)]
struct StreamAnswer {
    name: &'static str,
    summary: &'static str,
    options: Vec<OptionAnswer>,
}

/// An option; one inside a map has the map's name before it, as in `rotate.size`.
#[derive(Debug, Serialize)]
pub(super) struct OptionAnswer {
    name: String,
    r#type: String,
    required: bool,
    default: Option<Value>,
    description: String,
}

/// A name that templates may use.
#[derive(Debug, Serialize)]
struct NameAnswer {
    name: &'static str,
    description: &'static str,
    /// The options in which it may stand.
    places: Vec<&'static str>,
}

/// A form of text, such as `size`.
#[derive(Debug, Serialize)]
struct FormAnswer {
    name: &'static str,
    example: &'static str,
    description: String,
}

pub fn connectors(args: &ConnectorsArgs, output: Output) -> Result<(), Failure> {
    let registry = registry();
    let Some(name) = &args.r#type else {
        let all: Vec<TypeAnswer> = registry.types().iter().map(TypeAnswer::of).collect();
        return output.data(&all, |all| list(all));
    };
    if name == STREAM {
        return stream(args.markdown, output);
    }
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
    output.data(&DetailAnswer::of(connector), detail)
}

fn stream(as_markdown: bool, output: Output) -> Result<(), Failure> {
    let spec = stream_options();
    if as_markdown {
        return output.data(&markdown_table(&spec), String::clone);
    }
    let answer = StreamAnswer {
        name: STREAM,
        summary: "From topics to a topic, through transforms.",
        options: options(&spec),
    };
    output.data(&answer, |answer| {
        let (name, summary) = (answer.name, answer.summary);
        format!("{name}: {summary}\n\n{}", option_lines(&answer.options))
    })
}

impl TypeAnswer {
    fn of(connector: &ConnectorType) -> Self {
        let source = connector.source.as_ref();
        let sink = connector.sink.as_ref();
        Self {
            name: connector.name,
            summary: connector.summary,
            source: source
                .map(|side| SideAnswer::of(&(side.spec)(), &source_options(), side.template_names)),
            sink: sink.map(|side| SideAnswer::of(&(side.spec)(), &sink_options(), &[])),
        }
    }
}

impl SideAnswer {
    fn of(own: &OptionsSpec, common: &OptionsSpec, names: &[(&'static str, &'static str)]) -> Self {
        let names = names.iter().map(|&(name, description)| NameAnswer {
            name,
            description,
            places: vec!["topic", "key"],
        });
        Self {
            description: own.doc.clone(),
            options: options(own),
            common_options: options(common),
            template_names: names.collect(),
        }
    }
}

impl DetailAnswer {
    fn of(connector: &ConnectorType) -> Self {
        let names = template_names().into_iter().map(|name| NameAnswer {
            name: name.name,
            description: name.meaning,
            places: name.places,
        });
        let forms = text_forms()
            .into_iter()
            .map(|(form, description)| FormAnswer {
                name: form.name,
                example: form.example,
                description,
            });
        Self {
            connector: TypeAnswer::of(connector),
            template_names: names.collect(),
            forms_of_text: forms.collect(),
        }
    }
}

/// All options, those of nested maps with their path.
pub(super) fn options(spec: &OptionsSpec) -> Vec<OptionAnswer> {
    let mut options = Vec::new();
    add_options(spec, "", &mut options);
    options
}

fn add_options(spec: &OptionsSpec, above: &str, out: &mut Vec<OptionAnswer>) {
    for option in &spec.options {
        let name = format!("{above}{}", option.name);
        let nested = option.kind.options();
        let below = format!("{name}.");
        out.push(OptionAnswer {
            name,
            r#type: plain(&option.kind.to_string()),
            required: option.required,
            default: option.default.as_ref().map(value),
            description: plain(&option.description()),
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

fn detail(answer: &DetailAnswer) -> String {
    let connector = &answer.connector;
    let mut out = format!("{}: {}\n", connector.name, connector.summary);
    let sides = [("source", &connector.source), ("sink", &connector.sink)];
    for (what, side) in sides {
        let Some(side) = side else { continue };
        out.push_str(&format!("\nAs a {what}: {}\n", side.description));
        out.push_str(&option_lines(&side.options));
        out.push_str(&name_lines(&side.template_names));
    }
    for (what, side) in sides {
        let Some(side) = side else { continue };
        out.push_str(&format!("\nLike every {what}:\n"));
        out.push_str(&option_lines(&side.common_options));
    }
    out.push_str("\nNames in templates:\n");
    out.push_str(&name_lines(&answer.template_names));
    out.push_str("\nForms of text:\n");
    for form in &answer.forms_of_text {
        let (name, example) = (plain(form.name), form.example);
        let description = plain(&form.description);
        out.push_str(&format!(
            "  {name}, such as {example}\n      {description}\n"
        ));
    }
    out
}

/// Two lines for each option.
pub(super) fn option_lines(options: &[OptionAnswer]) -> String {
    let mut out = String::new();
    for option in options {
        let default = match (&option.default, option.required) {
            (_, true) => "required".to_owned(),
            (Some(default), false) => format!("default {}", shown(default)),
            (None, false) => "optional".to_owned(),
        };
        let (name, kind) = (&option.name, &option.r#type);
        let description = &option.description;
        out.push_str(&format!(
            "  {name} ({kind}; {default})\n      {description}\n"
        ));
    }
    out
}

fn name_lines(names: &[NameAnswer]) -> String {
    let line = |name: &NameAnswer| {
        let (places, description) = (name.places.join(", "), name.description);
        format!("  {{{}}} (in {places})\n      {description}\n", name.name)
    };
    names.iter().map(line).collect()
}

/// Without the marks of code.
fn plain(text: &str) -> String {
    text.replace('`', "")
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
