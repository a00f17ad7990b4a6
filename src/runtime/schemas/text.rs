//! A schema as JSON: how it is kept, what its id is made from, and what is shown.
//!
//! The type of a field is written as people do (`array<decimal(10,2)>`); the fields of an object
//! stand beside it, also when it is inside lists or maps. The order of what is written is fixed, as
//! ids depend on it: a change here would give every schema another id.

use serde::{Deserialize, Serialize};
use towpath_sdk::{Field, FieldType, Schema, printable};

/// Lists and maps inside each other in one type at most.
const NESTED_MAX: usize = 64;

/// A schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaText {
    /// What is described.
    pub name: String,
    /// In their order.
    pub fields: Vec<FieldText>,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldText {
    /// As in the object.
    pub name: String,
    /// As [`FieldType`] is displayed.
    #[serde(rename = "type")]
    pub field_type: String,
    /// Of the object in the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldText>,
    /// Whether null is allowed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nullable: bool,
    /// Whether there is a value for it where it is missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub defaulted: bool,
    /// Whether it is part of the key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub key: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_false(is: &bool) -> bool {
    !is
}

impl From<&Schema> for SchemaText {
    fn from(schema: &Schema) -> Self {
        Self {
            name: schema.name.clone(),
            fields: texts(&schema.fields),
        }
    }
}

fn texts(fields: &[Field]) -> Vec<FieldText> {
    let text = |field: &Field| FieldText {
        name: field.name.clone(),
        field_type: field.field_type.to_string(),
        fields: texts(inner(&field.field_type)),
        nullable: field.nullable,
        defaulted: field.defaulted,
        key: field.key,
    };
    fields.iter().map(text).collect()
}

/// The fields of the object in `field_type`, if there is one.
fn inner(field_type: &FieldType) -> &[Field] {
    match field_type {
        FieldType::Array(items) => inner(items),
        FieldType::Map(values) => inner(values),
        FieldType::Object(fields) => fields,
        _ => &[],
    }
}

impl TryFrom<&SchemaText> for Schema {
    type Error = String;

    fn try_from(text: &SchemaText) -> Result<Self, String> {
        Ok(Self {
            name: text.name.clone(),
            fields: fields(&text.fields)?,
        })
    }
}

fn fields(texts: &[FieldText]) -> Result<Vec<Field>, String> {
    let field = |text: &FieldText| {
        Ok(Field {
            name: text.name.clone(),
            field_type: field_type(&text.field_type, &text.fields, 0)?,
            nullable: text.nullable,
            defaulted: text.defaulted,
            key: text.key,
        })
    };
    texts.iter().map(field).collect()
}

fn field_type(text: &str, inner: &[FieldText], depth: usize) -> Result<FieldType, String> {
    let unknown = || format!("`{}` is no type", printable(text));
    if depth == NESTED_MAX {
        return Err("a type is nested too deep".to_owned());
    }
    if let Some((outer, rest)) = text.split_once('<') {
        let items = rest.strip_suffix('>').ok_or_else(unknown)?;
        let items = Box::new(field_type(items, inner, depth + 1)?);
        return match outer {
            "array" => Ok(FieldType::Array(items)),
            "map" => Ok(FieldType::Map(items)),
            _ => Err(unknown()),
        };
    }
    if let Some(numbers) = text.strip_prefix("decimal(") {
        let numbers = numbers
            .strip_suffix(')')
            .and_then(|two| two.split_once(','));
        let parsed = numbers
            .and_then(|(precision, scale)| Some((precision.parse().ok()?, scale.parse().ok()?)));
        return Ok(FieldType::Decimal {
            precision_and_scale: Some(parsed.ok_or_else(unknown)?),
        });
    }
    if text == "object" {
        return Ok(FieldType::Object(fields(inner)?));
    }
    let plain = [
        FieldType::Boolean,
        FieldType::Int16,
        FieldType::Int32,
        FieldType::Int64,
        FieldType::Float32,
        FieldType::Float64,
        FieldType::Decimal {
            precision_and_scale: None,
        },
        FieldType::String,
        FieldType::Bytes,
        FieldType::Uuid,
        FieldType::Timestamp,
        FieldType::LocalTimestamp,
        FieldType::Date,
        FieldType::Time,
        FieldType::Interval,
        FieldType::Json,
    ];
    let mut plain = plain.into_iter();
    plain
        .find(|plain| plain.as_str() == text)
        .ok_or_else(unknown)
}
