//! What a schema says of a value, written down once more, for tests.

use bytes::Bytes;

use crate::json::{Documents, Kind, NodeId};
use crate::{Field, FieldType, Schema};

/// Whether the JSON text `value` can be read as `schema` says; a field that the schema does not
/// have is passed over.
///
/// # Errors
/// Names the first field that cannot.
pub fn fits(schema: &Schema, value: &[u8]) -> Result<(), String> {
    let mut documents = Documents::default();
    documents.reset(Bytes::new());
    let span = documents.make(|out| out.extend_from_slice(value));
    let root = documents.parse(span).map_err(|fault| fault.to_string())?;
    if documents.kind(root) != Kind::Object {
        return Err("no object".to_owned());
    }
    fields(&schema.fields, &documents, root)
}

fn fields(fields: &[Field], documents: &Documents, object: NodeId) -> Result<(), String> {
    fields.iter().try_for_each(|field| {
        let fits = match documents.field(object, &field.name) {
            None => (field.nullable || field.defaulted)
                .then_some(())
                .ok_or_else(|| "is missing".to_owned()),
            Some(node) if documents.kind(node) == Kind::Null => field
                .nullable
                .then_some(())
                .ok_or_else(|| "is null".to_owned()),
            Some(node) => typed(&field.field_type, documents, node),
        };
        fits.map_err(|why| format!("{} {why}", field.name))
    })
}

fn typed(to: &FieldType, documents: &Documents, node: NodeId) -> Result<(), String> {
    let item = |inner: &FieldType| {
        let mut children = documents.children(node);
        children.try_for_each(|child| match documents.kind(child) {
            Kind::Null => Ok(()),
            _ => typed(inner, documents, child),
        })
    };
    match (to, documents.kind(node)) {
        (FieldType::Json, _) => return Ok(()),
        (FieldType::Array(items), Kind::Array) => return item(items),
        (FieldType::Map(values), Kind::Object) => return item(values),
        (FieldType::Object(inner), Kind::Object) => return fields(inner, documents, node),
        _ => {}
    }
    let text = documents.text(node);
    let string = documents.string(node);
    let string = string.as_deref();
    let odd = matches!(string, Some("NaN" | "Infinity" | "-Infinity"));
    let fits = match (to, documents.kind(node)) {
        (FieldType::Boolean, kind) => kind == Kind::Boolean,
        (FieldType::Int16, Kind::Number) => text.parse::<i16>().is_ok(),
        (FieldType::Int32, Kind::Number) => text.parse::<i32>().is_ok(),
        (FieldType::Int64, Kind::Number) => text.parse::<i64>().is_ok(),
        (FieldType::Float32, Kind::Number) => text.parse().is_ok_and(f32::is_finite),
        (FieldType::Float64, Kind::Number) => text.parse().is_ok_and(f64::is_finite),
        (FieldType::Float32 | FieldType::Float64, _) => odd,
        // A number was written where the field was a whole number once.
        (
            FieldType::Decimal {
                precision_and_scale,
            },
            _,
        ) => decimal(string.unwrap_or(text), *precision_and_scale),
        (FieldType::String, _) => string.is_some(),
        (FieldType::Bytes, _) => string.is_some_and(|text| text.len() % 4 == 0),
        (FieldType::Uuid, _) => string.is_some_and(|text| text.len() == 36),
        (FieldType::Interval, _) => string.is_some_and(|text| text.starts_with('P')),
        (FieldType::Timestamp, _) => is::<jiff::Timestamp>(string),
        (FieldType::LocalTimestamp, _) => is::<jiff::civil::DateTime>(string),
        (FieldType::Date, _) => is::<jiff::civil::Date>(string),
        (FieldType::Time, _) => is::<jiff::civil::Time>(string),
        _ => false,
    };
    fits.then_some(())
        .ok_or_else(|| format!("is {text}, not {to}"))
}

fn is<T: std::str::FromStr>(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.parse::<T>().is_ok())
}

fn decimal(text: &str, precision_and_scale: Option<(u32, i32)>) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let room = precision_and_scale.is_none_or(|(precision, scale)| {
        let whole = whole.trim_start_matches('0').len() as i64;
        decimals.len() as i64 <= i64::from(scale).max(0)
            && whole <= i64::from(precision) - i64::from(scale)
    });
    !whole.is_empty() && digits(whole) && digits(decimals) && room
}
