//! `mask_field`: hides what fields hold, as Kafka Connect's `MaskField` does.

use std::sync::Arc;

use towpath_sdk::config::{Literal, Node, OneOrMany, Problems, options};
use towpath_sdk::json::{Documents, Kind, NodeId};
use towpath_sdk::{
    Path, Result, Transform, TransformConfig, TransformContext, TransformExample, TransformType,
    WorkingBatch,
};

use crate::field;
use crate::target::{Target, object_there};

options! {
    struct Options {
        /// The fields. Null stays null, and a missing field becomes null.
        fields: OneOrMany<Path>,
        /// A text or number that stands in for texts and numbers; a number gets a number. Without
        /// it each field becomes the empty value of its type: `""`, `0`, `false`, `[]`, `{}`.
        replacement: Option<Literal>,
        /// The half of the record that is changed.
        target: Target = "value",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "mask_field",
    summary: "Hides what fields hold.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "empty values",
            options: "fields: [user.name, salary]",
            input: r#"{"user":{"name":"Ada"},"salary":52000}"#,
            output: r#"{"user":{"name":""},"salary":0}"#,
        },
        TransformExample {
            title: "a replacement",
            options: "{ fields: card, replacement: '****' }",
            input: r#"{"card":"4111 1111 1111 1111"}"#,
            output: r#"{"card":"****"}"#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let fields = field::at_least_one(options.fields.0, "fields", node, problems)?;
    let replacement = match options.replacement {
        None => None,
        Some(Literal(json)) => {
            let replacement = Replacement::of(&json);
            if replacement.is_none() {
                let place = node.span_of("replacement");
                problems.add(place, "expected a text or a number as `replacement`");
            }
            Some(replacement?)
        }
    };
    Some(Arc::new(MaskField {
        fields,
        replacement,
        target: options.target,
    }))
}

#[derive(Debug, Clone)]
struct MaskField {
    fields: Vec<Path>,
    replacement: Option<Replacement>,
    target: Target,
}

/// The replacement in the forms in which it stands in for values, as JSON text.
#[derive(Debug, Clone)]
struct Replacement {
    text: String,
    /// `None` when it is no number.
    number: Option<Number>,
}

#[derive(Debug, Clone)]
struct Number {
    whole: String,
    fraction: String,
}

impl Replacement {
    /// `None` when the JSON text `json` is neither a text nor a number.
    fn of(json: &str) -> Option<Self> {
        let (text, written) = match json.as_bytes().first()? {
            b'"' => (json.to_owned(), towpath_sdk::json::string_text(json)),
            b'-' | b'0'..=b'9' => (format!("\"{json}\""), json.into()),
            _ => return None,
        };
        Some(Self {
            text,
            number: Number::of(&written),
        })
    }
}

impl Number {
    fn of(written: &str) -> Option<Self> {
        let is_json = towpath_sdk::json::validate(written.as_bytes()).is_ok();
        let value: f64 = written.parse().ok()?;
        if !is_json || !value.is_finite() {
            return None;
        }
        let is_whole = !written.contains(['.', 'e', 'E']);
        Some(match is_whole {
            true => Self {
                whole: written.to_owned(),
                fraction: format!("{written}.0"),
            },
            false => Self {
                whole: format!("{:.0}", value.trunc()),
                fraction: written.to_owned(),
            },
        })
    }
}

impl TransformConfig for MaskField {
    fn needs_fields(&self) -> bool {
        self.target == Target::Value
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for MaskField {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let root = object_there(batch, row, self.target.side(), "mask")?;
            for path in &self.fields {
                let documents = batch.documents_mut();
                field::change(documents, root, path, "mask", |documents, node| {
                    let mask = mask(documents, node, self.replacement.as_ref())?;
                    Ok(match documents.kind(node) {
                        kind @ (Kind::Array | Kind::Object) => documents.new_tree(kind),
                        _ => documents.scalar(|out| out.extend_from_slice(mask.as_bytes())),
                    })
                })?;
            }
            Ok(())
        })
    }
}

/// The JSON text of what stands in for a scalar; says why nothing can.
fn mask<'a>(
    documents: &Documents,
    node: NodeId,
    replacement: Option<&'a Replacement>,
) -> Result<&'a str, String> {
    let kind = documents.kind(node);
    let is_whole = !documents.text(node).contains(['.', 'e', 'E']);
    match (kind, replacement) {
        (Kind::String, None) => Ok("\"\""),
        (Kind::String, Some(replacement)) => Ok(&replacement.text),
        (Kind::Number, None) => Ok(if is_whole { "0" } else { "0.0" }),
        (Kind::Number, Some(replacement)) => match &replacement.number {
            Some(number) if is_whole => Ok(&number.whole),
            Some(number) => Ok(&number.fraction),
            None => Err(format!("it is a number, and {} is none", replacement.text)),
        },
        (Kind::Boolean, None) => Ok("false"),
        (Kind::Array | Kind::Object | Kind::Null, None) => Ok("null"),
        (kind, Some(_)) => {
            let kind = kind.as_str();
            Err(format!(
                "it is {kind}, and `replacement` is for texts and numbers"
            ))
        }
    }
}
