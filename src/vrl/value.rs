//! Between the values of a batch and those of VRL.
//!
//! VRL's numbers are 64-bit integers and floats; its objects have their fields in order of names.
//! What a program leaves as it was is therefore found out by comparing, and written as it stood.

use towpath_sdk::json::{Documents, Kind, NodeId, put_string};
use towpath_sdk::{Cell, Error, Result, Side, WorkingBatch};
use vrl::prelude::NotNan;
use vrl::value::{ObjectMap, Value};

/// JSON's own limit here; what is deeper could not be read again.
const DEPTH_MAX: usize = 128;

/// The whole value of a record: text and bytes are a string.
pub(crate) fn whole(batch: &mut WorkingBatch, row: usize) -> Result<Value> {
    match batch.cell(row, Side::Value) {
        Cell::Null => Ok(Value::Null),
        Cell::Text(span) | Cell::Bytes(span) => Ok(Value::from(batch.documents().bytes(span))),
        Cell::Json(_) | Cell::Document(_) => {
            let root = batch.root(row, Side::Value)?;
            Ok(root.map_or(Value::Null, |root| of(batch.documents(), root)))
        }
    }
}

/// The value of a node.
pub(crate) fn of(documents: &Documents, node: NodeId) -> Value {
    match documents.kind(node) {
        Kind::Null => Value::Null,
        Kind::Boolean => Value::Boolean(documents.text(node) == "true"),
        Kind::Number => number(documents.text(node)),
        Kind::String => Value::from(documents.string(node).unwrap_or_default()),
        Kind::Array => Value::Array(
            documents
                .children(node)
                .map(|item| of(documents, item))
                .collect(),
        ),
        Kind::Object => {
            let mut fields = ObjectMap::new();
            for child in documents.children(node) {
                // Of fields with one name the first counts.
                fields
                    .entry(documents.name(child).into())
                    .or_insert_with(|| of(documents, child));
            }
            Value::Object(fields)
        }
    }
}

/// A number of JSON; one that is no 64-bit integer is the nearest float.
fn number(text: &str) -> Value {
    if let Ok(integer) = text.parse() {
        return Value::Integer(integer);
    }
    let float = text.parse().ok().and_then(|float| NotNan::new(float).ok());
    float.map_or(Value::Null, Value::Float)
}

/// Whether `node` says `value`.
pub(crate) fn is_same(documents: &Documents, node: NodeId, value: &Value) -> bool {
    match (documents.kind(node), value) {
        (Kind::Null, Value::Null) => true,
        (Kind::Boolean, Value::Boolean(value)) => (documents.text(node) == "true") == *value,
        (Kind::Number, Value::Integer(_) | Value::Float(_)) => {
            number(documents.text(node)) == *value
        }
        (Kind::String, Value::Bytes(bytes)) => documents
            .string(node)
            .is_some_and(|text| text.as_bytes() == bytes),
        (Kind::String, Value::String(string)) => documents
            .string(node)
            .is_some_and(|text| text.as_bytes() == string.as_bytes()),
        (Kind::Array, Value::Array(items)) => {
            let mut children = documents.children(node);
            items.iter().all(|item| {
                children
                    .next()
                    .is_some_and(|child| is_same(documents, child, item))
            }) && children.next().is_none()
        }
        (Kind::Object, Value::Object(fields)) => {
            let mut count = 0;
            documents.children(node).all(|child| {
                count += 1;
                let field = fields.get(&*documents.name(child));
                field.is_some_and(|field| is_same(documents, child, field))
            }) && count == fields.len()
        }
        _ => false,
    }
}

/// Appends `value` as JSON text; what it has in common with `before` is written as it stood there,
/// fields in their order, new ones behind them.
///
/// # Errors
/// Says what JSON cannot hold.
pub(crate) fn put(
    value: &Value,
    before: Option<NodeId>,
    documents: &Documents,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("it is more than {DEPTH_MAX} deep"));
    }
    if let Some(node) = before
        && is_same(documents, node, value)
    {
        documents.write(node, out);
        return Ok(());
    }
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Float(value) if value.is_finite() => {
            // With its point, so that it stays a float: `5.0`.
            out.extend_from_slice(format!("{:?}", value.into_inner()).as_bytes());
        }
        Value::Float(_) => return Err("a number is infinite".to_owned()),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => put_string(text, out),
            Err(error) => return Err(format!("a string is not UTF-8: {error}")),
        },
        Value::String(_) | Value::Regex(_) | Value::Timestamp(_) => {
            put_string(&value.to_string_lossy(), out);
        }
        Value::Array(items) => {
            let mut children = before
                .filter(|node| documents.kind(*node) == Kind::Array)
                .map(|node| documents.children(node));
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let before = children.as_mut().and_then(Iterator::next);
                put(item, before, documents, out, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            let before = before.filter(|node| documents.kind(*node) == Kind::Object);
            put_object(fields, before, documents, out, depth)?;
        }
    }
    Ok(())
}

fn put_object(
    fields: &ObjectMap,
    before: Option<NodeId>,
    documents: &Documents,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), String> {
    out.push(b'{');
    let begin = out.len();
    let mut member = |name: &str, before, value| {
        if out.len() > begin {
            out.push(b',');
        }
        put_string(name, out);
        out.push(b':');
        put(value, before, documents, out, depth + 1)
    };
    if let Some(before) = before {
        for child in documents.children(before) {
            let name = documents.name(child);
            // Of fields with one name the first counts.
            if let Some(value) = fields.get(&*name)
                && documents.field(before, &name) == Some(child)
            {
                member(&name, Some(child), value)?;
            }
        }
    }
    let is_new = |name: &str| before.is_none_or(|node| documents.field(node, name).is_none());
    for (name, value) in fields.iter().filter(|(name, _)| is_new(name)) {
        member(name, None, value)?;
    }
    out.push(b'}');
    Ok(())
}

/// The bytes of a key, header or topic: a string is its text, all else JSON.
pub(crate) fn bytes(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    let failed = |why: String| Error::record("write", "what the program made").because(why);
    match value {
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
        Value::String(_) | Value::Timestamp(_) | Value::Regex(_) => {
            out.extend_from_slice(value.to_string_lossy().as_bytes());
        }
        value => {
            put(value, None, &Documents::default(), out, 0).map_err(failed)?;
        }
    }
    Ok(())
}
