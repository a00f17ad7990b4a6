//! A pipeline as YAML with every default filled in. References stay references, secrets and
//! passwords in URLs become `***`.

use towpath_sdk::Registry;
use towpath_sdk::config::{Key, Kind, Node, NodeValue, OptionsSpec, Span};

use crate::Pipeline;
use crate::options::{PipelineOptions, TopicOptions, sink_options, source_options, stream_options};

/// What may be shown of [`Kind::Secret`].
const HIDDEN: &str = "***";

/// `pipeline` as YAML, with every default.
pub fn print(pipeline: &Pipeline, registry: &Registry) -> String {
    let mut root = filled(&pipeline.document, &PipelineOptions::spec());
    if let NodeValue::Map(entries) = &mut root.value {
        if !entries.iter().any(|(key, _)| key.name == "name") {
            entries.insert(0, (key("name"), Node::new(Span::NONE, &*pipeline.name)));
        }
        for (part, node) in entries {
            for_each(node, |node| {
                let type_name = node.get("type").and_then(Node::text).unwrap_or_default();
                let found = registry.get(type_name);
                let spec = match part.name.as_str() {
                    "topics" => TopicOptions::spec(),
                    "sources" => {
                        let own = found.and_then(|found| found.source.as_ref());
                        connector(source_options(), own.map(|own| (own.spec)()))
                    }
                    "streams" => stream_options(),
                    "sinks" => {
                        let own = found.and_then(|found| found.sink.as_ref());
                        connector(sink_options(), own.map(|own| (own.spec)()))
                    }
                    _ => return,
                };
                *node = filled(node, &spec);
            });
        }
    }
    let mut out = String::new();
    write(&root, 0, &mut out);
    out
}

fn connector(common: OptionsSpec, own: Option<OptionsSpec>) -> OptionsSpec {
    match own {
        Some(own) => common.with(own),
        None => common,
    }
}

fn for_each(node: &mut Node, change: impl Fn(&mut Node)) {
    if let NodeValue::Map(entries) = &mut node.value {
        entries.iter_mut().for_each(|(_, node)| change(node));
    }
}

/// `node` with the defaults of `spec` after what is written.
fn filled(node: &Node, spec: &OptionsSpec) -> Node {
    let NodeValue::Map(entries) = &node.value else {
        return node.clone();
    };
    let written = entries
        .iter()
        .map(|(key, value)| match spec.get(&key.name) {
            Some(option) => (key.clone(), shown(value, &option.kind)),
            None => (key.clone(), value.clone()),
        });
    let absent = spec
        .options
        .iter()
        .filter(|option| node.get(option.name).is_none());
    let defaults = absent.filter_map(|option| {
        Some((
            key(option.name),
            shown(option.default.as_ref()?, &option.kind),
        ))
    });
    Node::new(node.span, NodeValue::Map(written.chain(defaults).collect()))
}

fn shown(node: &Node, kind: &Kind) -> Node {
    match (&node.value, kind) {
        (NodeValue::Map(_), kind) if kind.options().is_some() => kind
            .options()
            .map_or_else(|| node.clone(), |spec| filled(node, spec)),
        (NodeValue::String(_), Kind::Secret) if node.reference.is_none() => {
            Node::new(node.span, HIDDEN)
        }
        (NodeValue::List(items), Kind::List(item)) => {
            let items = items.iter().map(|node| shown(node, item)).collect();
            Node::new(node.span, NodeValue::List(items))
        }
        _ => node.clone(),
    }
}

fn key(name: &str) -> Key {
    Key {
        name: name.to_owned(),
        span: Span::NONE,
    }
}

fn write(node: &Node, indent: usize, out: &mut String) {
    let margin = "  ".repeat(indent);
    match &node.value {
        NodeValue::Map(entries) => {
            for (key, value) in entries {
                out.push_str(&format!("{margin}{}:", scalar_text(&key.name)));
                write_value(value, indent, out);
            }
        }
        NodeValue::List(items) => {
            for item in items {
                out.push_str(&format!("{margin}-"));
                write_value(item, indent, out);
            }
        }
        _ => out.push_str(&format!("{margin}{}\n", scalar(node))),
    }
}

/// What comes after `key:` or `-`.
fn write_value(node: &Node, indent: usize, out: &mut String) {
    match &node.value {
        NodeValue::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        NodeValue::List(items) if items.is_empty() => out.push_str(" []\n"),
        NodeValue::Map(_) | NodeValue::List(_) => {
            out.push('\n');
            write(node, indent + 1, out);
        }
        _ => out.push_str(&format!(" {}\n", scalar(node))),
    }
}

fn scalar(node: &Node) -> String {
    if let Some(reference) = &node.reference {
        return scalar_text(&hide_password(&reference.written));
    }
    match &node.value {
        NodeValue::Bool(value) => value.to_string(),
        NodeValue::Number(text) => text.clone(),
        // What was resolved without a reference had `$${` in it.
        NodeValue::String(text) => scalar_text(&hide_password(&text.replace("${", "$${"))),
        NodeValue::Null | NodeValue::List(_) | NodeValue::Map(_) => "null".to_owned(),
    }
}

/// `text` as a scalar that is read as text again.
fn scalar_text(text: &str) -> String {
    let harmless = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | '/')
    };
    let begins_as_word =
        text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let is_word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off"
    );
    let is_quantity = text.starts_with(|first: char| first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_alphabetic())
        && text
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .chars()
            .all(char::is_alphabetic);
    if (begins_as_word || is_quantity) && !is_word && text.chars().all(harmless) {
        return text.to_owned();
    }
    // JSON's strings are YAML's.
    serde_json::Value::from(text).to_string()
}

/// The password of a URL `scheme://user:password@host` is not shown. Where it ends is not clear
/// when it holds `/` or `@` itself: rather too much is hidden than too little.
fn hide_password(text: &str) -> String {
    let hidden = || {
        let (scheme, rest) = text.split_once("://")?;
        let (user, host) = rest.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:{HIDDEN}@{host}"))
    };
    hidden().unwrap_or_else(|| text.to_owned())
}
