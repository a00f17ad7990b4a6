//! Templates that look into a record's value: only JSON has fields to look at.

use towpath_sdk::config::{
    Format, Kind, Node, NodeValue, OptionSpec, OptionsSpec, Problem, Problems, Span,
};
use towpath_sdk::{Template, TemplateName};

/// A place such as `{value.user}`.
#[derive(Debug, Clone)]
pub(crate) struct FieldUse {
    span: Span,
    /// As it was written; of what came from a reference only the reference.
    shown: String,
}

impl FieldUse {
    /// The first one of `template`, which stands at `node`.
    pub fn of(template: &Template, node: &Node) -> Option<Self> {
        let is_value = |name: &&TemplateName| matches!(name, TemplateName::Value(_));
        let name = template.names().find(is_value)?;
        let shown = match node.reference {
            Some(_) => node.found(),
            None => format!("`{{{name}}}`"),
        };
        // Where `value` is not allowed, it is what the error points at.
        let others = template.names().filter(|name| !is_value(name));
        let others: Vec<String> = others.map(word).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let span = match Template::parse(template.as_str(), &others) {
            Err(error) => node.span_within(error.at.start, error.at.end),
            Ok(_) => node.span,
        };
        Some(Self { span, shown })
    }

    /// Those of all templates among the options at `node`; `names` are what these may use.
    pub fn all(node: &Node, spec: &OptionsSpec, names: &[&str]) -> Vec<Self> {
        let of_option = |option: &OptionSpec| {
            let value = node.get(option.name)?;
            Some(Self::in_value(value, &option.kind, names))
        };
        spec.options
            .iter()
            .filter_map(of_option)
            .flatten()
            .collect()
    }

    fn in_value(node: &Node, kind: &Kind, names: &[&str]) -> Vec<Self> {
        match (kind, &node.value) {
            (Kind::Template(_), NodeValue::String(text)) => {
                // What is no template is reported where it is read.
                let template = Template::parse(text, names).ok();
                let found = template.and_then(|template| Self::of(&template, node));
                found.into_iter().collect()
            }
            (Kind::Options(spec), _) => Self::all(node, spec, names),
            (Kind::List(item), NodeValue::List(items)) => {
                let found = items
                    .iter()
                    .flat_map(|node| Self::in_value(node, item, names));
                found.collect()
            }
            (Kind::Either(kinds), _) => {
                let found = kinds.iter().map(|kind| Self::in_value(node, kind, names));
                found.max_by_key(Vec::len).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// Reports that the values of `what` have no fields.
    pub fn refuse(&self, what: &str, format: Format, problems: &mut Problems) {
        let (shown, format) = (&self.shown, format.as_str());
        let message = format!("{shown} needs JSON, but the values of `{what}` are {format}");
        let help =
            "write `format: json` where they are read, if they are JSON, or use another name";
        problems.push(Problem::new(self.span, message).help(help));
    }
}

/// The word that allows `name`.
fn word(name: &TemplateName) -> String {
    match name {
        TemplateName::Header(_) => "headers".to_owned(),
        name => name.to_string(),
    }
}
