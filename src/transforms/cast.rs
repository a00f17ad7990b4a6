//! `cast`: another type for fields or the whole, as Kafka Connect's `Cast` does.

use std::io::Write;
use std::sync::Arc;

use towpath_sdk::config::{ByPath, Format, Node, Problems, choice, options};
use towpath_sdk::json::{Documents, Kind, NodeId};
use towpath_sdk::{
    Cell, Error, Path, Result, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::field;
use crate::target::{Target, object};

choice! {
    /// What a scalar becomes.
    pub enum Scalar {
        /// -128 to 127.
        Int8 = "int8",
        /// -32,768 to 32,767.
        Int16 = "int16",
        /// -2,147,483,648 to 2,147,483,647.
        Int32 = "int32",
        /// A whole number of 64 bits; also `int`.
        Int64 = "int64" | "int",
        /// The nearest number that 32 bits hold.
        Float32 = "float32",
        /// The nearest number that 64 bits hold; also `float`.
        Float64 = "float64" | "float",
        /// True of numbers other than 0 and of the text `true`, in any case; also `bool`.
        Boolean = "boolean" | "bool",
        /// The text of a number, as written, or of a boolean.
        String = "string",
    }
}

options! {
    /// Either `fields` or `to` is given.
    ///
    /// To a whole number: a text must be one, in range; a number too large wraps, as in Java, but
    /// one beyond 64 bits is a bad record; of a fraction, what is before the point counts.
    struct Options {
        /// The type that each field gets. A missing field becomes null.
        fields: Option<ByPath<Scalar>>,
        /// The type that the whole gets.
        to: Option<Scalar>,
        /// The half of the record that is changed.
        target: Target = "value",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "cast",
    summary: "Gives fields, or the whole value, another type.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "numbers and text",
            options: "fields: { status: int32, user.id: string }",
            input: r#"{"status":"200","user":{"id":7}}"#,
            output: r#"{"status":200,"user":{"id":"7"}}"#,
        },
        TransformExample {
            title: "the whole value",
            options: "to: boolean",
            input: r#""TRUE""#,
            output: "true",
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let Options { fields, to, target } = Options::parse(node, problems)?;
    let casts = match (fields, to) {
        (Some(ByPath(fields)), None) => {
            Casts::Fields(field::at_least_one(fields, "fields", node, problems)?)
        }
        (None, Some(to)) => Casts::Whole(to),
        (fields, _) => {
            let what = if fields.is_some() { "only one" } else { "one" };
            problems.add(
                node.span,
                format!("`cast` takes {what} of `fields` and `to`"),
            );
            return None;
        }
    };
    Some(Arc::new(Cast { casts, target }))
}

#[derive(Debug, Clone)]
enum Casts {
    Fields(Vec<(Path, Scalar)>),
    Whole(Scalar),
}

#[derive(Debug, Clone)]
struct Cast {
    casts: Casts,
    target: Target,
}

impl TransformConfig for Cast {
    fn needs_fields(&self) -> bool {
        self.target == Target::Value && matches!(self.casts, Casts::Fields(_))
    }

    fn output(&self, format: Format) -> Format {
        self.target.output(format)
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Cast {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let side = self.target.side();
        batch.each(|batch, row| match &self.casts {
            Casts::Fields(fields) => {
                let Some(root) = object(batch, row, side, "cast")? else {
                    return Ok(());
                };
                for (path, to) in fields {
                    let documents = batch.documents_mut();
                    field::change(documents, root, path, "cast", |documents, node| {
                        cast(documents, node, *to)
                    })?;
                }
                Ok(())
            }
            Casts::Whole(to) => {
                if batch.cell(row, side) == Cell::Null {
                    return Ok(());
                }
                let whole = batch.whole(row, side)?;
                let made = cast(batch.documents_mut(), whole, *to).map_err(|why| {
                    Error::record("cast", format!("the {}", side.as_str())).because(why)
                })?;
                batch.set_cell(row, side, Cell::Document(made));
                Ok(())
            }
        })
    }
}

/// Gives the node type `to`; says why it cannot.
fn cast(documents: &mut Documents, node: NodeId, to: Scalar) -> Result<NodeId, String> {
    let made = match (documents.kind(node), to) {
        (Kind::Null, _) | (Kind::String, Scalar::String) => return Ok(node),
        (Kind::Boolean | Kind::Number, Scalar::String) => return Ok(documents.quote(node)),
        (Kind::Boolean, Scalar::Boolean) => return Ok(node),
        (Kind::Boolean, _) => Made::of(i64::from(documents.text(node) == "true"), to),
        (Kind::Number, _) => from_number(documents.text(node), to)?,
        (Kind::String, _) => {
            let text = documents.string(node).unwrap_or_default();
            from_text(&text, to)?
        }
        (kind @ (Kind::Array | Kind::Object), _) => {
            return Err(format!("it is {}, and no single value", kind.as_str()));
        }
    };
    Ok(documents.scalar(|out| {
        // Writing to a vector cannot fail.
        let _ = match made {
            Made::Integer(number) => write!(out, "{number}"),
            Made::Float32(number) => write!(out, "{number:?}"),
            Made::Float64(number) => write!(out, "{number:?}"),
            Made::Boolean(value) => write!(out, "{value}"),
        };
    }))
}

/// What comes out of a cast, but for texts.
#[derive(Clone, Copy)]
enum Made {
    Integer(i64),
    Float32(f32),
    Float64(f64),
    Boolean(bool),
}

impl Made {
    /// What a whole number becomes; one too large wraps, as in Java.
    fn of(number: i64, to: Scalar) -> Self {
        match to {
            Scalar::Int8 => Self::Integer(i64::from(number as i8)),
            Scalar::Int16 => Self::Integer(i64::from(number as i16)),
            Scalar::Int32 => Self::Integer(i64::from(number as i32)),
            Scalar::Int64 | Scalar::String => Self::Integer(number),
            Scalar::Float32 => Self::Float32(number as f32),
            Scalar::Float64 => Self::Float64(number as f64),
            Scalar::Boolean => Self::Boolean(number != 0),
        }
    }
}

fn from_number(text: &str, to: Scalar) -> Result<Made, String> {
    let is_fraction = text.contains(['.', 'e', 'E']);
    match to {
        Scalar::Float32 | Scalar::Float64 => float(text, to),
        // As Java does: by way of the limits of 32 or 64 bits.
        Scalar::Int8 | Scalar::Int16 | Scalar::Int32 if is_fraction => {
            let whole = whole_part(text).clamp(i32::MIN.into(), i32::MAX.into());
            Ok(Made::of(whole, to))
        }
        _ if is_fraction => Ok(Made::of(whole_part(text), to)),
        Scalar::Boolean => Ok(Made::Boolean(whole_part(text) != 0)),
        _ => text
            .parse()
            .map(|number| Made::of(number, to))
            .map_err(|_| format!("{} does not fit into 64 bits", shown(text))),
    }
}

/// What is before the point of a JSON number; the limit of 64 bits where it is beyond that.
fn whole_part(text: &str) -> i64 {
    if text.contains(['e', 'E']) {
        return text.parse::<f64>().map_or(0, |number| number as i64);
    }
    let digits = text.split_once('.').map_or(text, |(whole, _)| whole);
    digits.parse().unwrap_or(match text.starts_with('-') {
        true => i64::MIN,
        false => i64::MAX,
    })
}

fn from_text(text: &str, to: Scalar) -> Result<Made, String> {
    let (least, greatest) = match to {
        Scalar::Int8 => (i8::MIN.into(), i8::MAX.into()),
        Scalar::Int16 => (i16::MIN.into(), i16::MAX.into()),
        Scalar::Int32 => (i32::MIN.into(), i32::MAX.into()),
        Scalar::Int64 | Scalar::String => (i64::MIN, i64::MAX),
        Scalar::Float32 | Scalar::Float64 => return float(text.trim(), to),
        Scalar::Boolean => return Ok(Made::Boolean(text.eq_ignore_ascii_case("true"))),
    };
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("the text {} is no whole number", shown(text)));
    }
    text.parse()
        .ok()
        .filter(|number| (least..=greatest).contains(number))
        .map(Made::Integer)
        .ok_or_else(|| format!("the text {} is beyond {}", shown(text), to.as_str()))
}

fn float(text: &str, to: Scalar) -> Result<Made, String> {
    // Rust reads words, too: `inf`, `nan`.
    let is_decimal = |byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let made = match to {
        _ if !text.bytes().all(is_decimal) => None,
        Scalar::Float32 => text.parse().ok().map(Made::Float32),
        _ => text.parse().ok().map(Made::Float64),
    };
    let is_finite = match made {
        None => return Err(format!("the text {} is no number", shown(text))),
        Some(Made::Float32(number)) => number.is_finite(),
        Some(Made::Float64(number)) => number.is_finite(),
        Some(_) => true,
    };
    made.filter(|_| is_finite)
        .ok_or_else(|| format!("{} is beyond {}", shown(text), to.as_str()))
}

/// The beginning of `text`, in quotes.
fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}...`", &text[..end]),
        None => format!("`{text}`"),
    }
}
