//! From JSON to Avro's binary encoding.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use towpath_sdk::config::{AvroField as Field, AvroSchema, AvroType as Type, AvroTypeId as TypeId};
use towpath_sdk::json::{Documents, Kind, NodeId};
use towpath_sdk::{Path, Step};

use super::binary::{put_bytes, put_long};
use super::logical;

/// Values that are tried for one record at most: unions within unions could be tried without end.
const STEPS_MAX: u32 = 10_000_000;

/// Appends the value `root`; what does not fit when that is so, and may have appended something
/// then. Fields that the schema does not have are left out when `leaves_out` says so.
pub(super) fn encode(
    schema: &AvroSchema,
    leaves_out: bool,
    documents: &Documents,
    root: NodeId,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let mut encode = Encode {
        schema,
        leaves_out,
        documents,
        steps: 0,
        way: Vec::new(),
    };
    let value = encode.value(schema.root(), Some(root), out, 0);
    value.map_err(|what| {
        encode.way.reverse();
        Misfit {
            path: Path::of(encode.way),
            what,
        }
    })
}

/// Why a value does not fit a schema.
#[derive(Debug)]
pub(super) struct Misfit {
    /// Where in the value; `None` for all of it.
    pub path: Option<Path>,
    pub what: &'static str,
}

struct Encode<'a> {
    schema: &'a AvroSchema,
    leaves_out: bool,
    documents: &'a Documents,
    steps: u32,
    /// From what does not fit up to the root.
    way: Vec<Step>,
}

impl Encode<'_> {
    /// Appends `node`; a missing one is null.
    fn value(
        &mut self,
        id: TypeId,
        node: Option<NodeId>,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), &'static str> {
        self.steps += 1;
        if depth == AvroSchema::DEPTH_MAX || self.steps > STEPS_MAX {
            return Err("a value nested too deep for its schema");
        }
        let schema = self.schema;
        let kind = node.map_or(Kind::Null, |node| self.documents.kind(node));
        match (schema.get(id), kind, node) {
            (Type::Union(branches), _, _) => self.union(branches, node, out, depth),
            (Type::Json, _, Some(node)) => {
                let mut text = Vec::new();
                self.documents.write(node, &mut text);
                put_bytes(&text, out);
                Ok(())
            }
            (Type::Null, Kind::Null, _) => Ok(()),
            (Type::Array(items), Kind::Array, Some(node)) => {
                self.block(*items, false, node, out, depth)
            }
            (Type::Map(values), Kind::Object, Some(node)) => {
                self.block(*values, true, node, out, depth)
            }
            (Type::Record(fields), Kind::Object, Some(node)) => {
                self.record(fields, node, out, depth)
            }
            (scalar, Kind::String, Some(node)) => {
                let text = self.documents.string(node).unwrap_or_default();
                put_text(scalar, &text, out)
            }
            (scalar, Kind::Number, Some(node)) => {
                put_number(scalar, self.documents.text(node), out)
            }
            (Type::Boolean, Kind::Boolean, Some(node)) => {
                out.push(u8::from(self.documents.text(node) == "true"));
                Ok(())
            }
            (_, Kind::Null, _) => Err("null or nothing where the schema wants a value"),
            _ => Err("a value of another type than the schema's"),
        }
    }

    fn union(
        &mut self,
        branches: &[TypeId],
        node: Option<NodeId>,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), &'static str> {
        let before = out.len();
        let optional = branches.len() == 2 && branches.iter().any(|id| self.is_null(*id));
        let mut why = "a value that fits no branch of its union";
        for (index, branch) in branches.iter().enumerate() {
            // A schema has far fewer branches than 2^63.
            put_long(index as i64, out);
            match self.value(*branch, node, out, depth + 1) {
                Ok(()) => return Ok(()),
                // What is wrong with an optional value is said as of any other.
                Err(what) if optional && !self.is_null(*branch) => why = what,
                Err(_) => {}
            }
            out.truncate(before);
        }
        if !optional {
            self.way.clear();
        }
        Err(why)
    }

    fn is_null(&self, id: TypeId) -> bool {
        *self.schema.get(id) == Type::Null
    }

    fn record(
        &mut self,
        fields: &[Field],
        node: NodeId,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), &'static str> {
        let mut found = 0;
        for field in fields {
            let value = self.documents.field(node, &field.name);
            found += usize::from(value.is_some());
            self.value(field.value, value, out, depth + 1)
                .inspect_err(|_| self.way.push(Step::Field(field.name.clone())))?;
        }
        let documents = self.documents;
        if self.leaves_out || found == documents.children(node).count() {
            return Ok(());
        }
        let is_foreign = |child: &NodeId| {
            let mut fields = fields.iter();
            !fields.any(|field| documents.is_field(node, *child, &field.name))
        };
        let Some(foreign) = documents.children(node).find(is_foreign) else {
            return Err("a field that stands twice");
        };
        let name = documents.name(foreign).into_owned();
        self.way.push(Step::Field(name));
        Err(
            "a field that the schema does not have (`replace_field` with `include` keeps those it has)",
        )
    }

    /// The items of an array, or the values of a map with their names, as one block.
    fn block(
        &mut self,
        items: TypeId,
        are_named: bool,
        node: NodeId,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), &'static str> {
        let documents = self.documents;
        let count = documents.children(node).count();
        if count > 0 {
            put_long(count as i64, out);
            for (index, item) in documents.children(node).enumerate() {
                if are_named {
                    put_bytes(documents.name(item).as_bytes(), out);
                }
                self.value(items, Some(item), out, depth + 1)
                    .inspect_err(|_| {
                        self.way.push(match are_named {
                            true => Step::Field(documents.name(item).into_owned()),
                            false => Step::Index(index as u32),
                        });
                    })?;
            }
        }
        put_long(0, out);
        Ok(())
    }
}

fn put_number(scalar: &Type, text: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const WHOLE: &str = "a number that is not whole, or too large for its type";
    match scalar {
        Type::Int => put_long(text.parse::<i32>().map_err(|_| WHOLE)?.into(), out),
        Type::Long => put_long(text.parse().map_err(|_| WHOLE)?, out),
        Type::Float | Type::Double => return put_float(scalar, text, out),
        _ => return Err("a number where the schema has another type"),
    }
    Ok(())
}

fn put_float(scalar: &Type, text: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const NUMBER: &str = "no number";
    match scalar {
        Type::Float => {
            let number: f32 = text.parse().map_err(|_| NUMBER)?;
            out.extend_from_slice(&number.to_le_bytes());
        }
        _ => {
            let number: f64 = text.parse().map_err(|_| NUMBER)?;
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    Ok(())
}

fn put_text(scalar: &Type, text: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const LOGICAL: &str = "a text that its logical type cannot hold";
    let base64 = || {
        BASE64_STANDARD
            .decode(text)
            .map_err(|_| "bytes that are not base64")
    };
    match scalar {
        Type::String => put_bytes(text.as_bytes(), out),
        Type::UuidString => {
            logical::uuid_bytes(text).ok_or(LOGICAL)?;
            put_bytes(text.as_bytes(), out);
        }
        Type::Enum(symbols) => {
            let index = symbols.iter().position(|symbol| symbol == text);
            put_long(
                index.ok_or("a symbol that the enum does not have")? as i64,
                out,
            );
        }
        Type::Bytes => put_bytes(&base64()?, out),
        Type::Fixed(size) => {
            let bytes = base64()?;
            if bytes.len() != *size {
                return Err("bytes of another length than the schema's");
            }
            out.extend_from_slice(&bytes);
        }
        Type::Float | Type::Double if matches!(text, "NaN" | "Infinity" | "-Infinity") => {
            return put_float(scalar, text, out);
        }
        Type::Date => put_long(logical::date_days(text).ok_or(LOGICAL)?.into(), out),
        Type::Time(units) => put_long(logical::time_units(text, *units).ok_or(LOGICAL)?, out),
        Type::Timestamp(units) => {
            put_long(logical::timestamp_units(text, *units).ok_or(LOGICAL)?, out);
        }
        Type::LocalTimestamp(units) => {
            put_long(
                logical::local_timestamp_units(text, *units).ok_or(LOGICAL)?,
                out,
            );
        }
        Type::Decimal {
            precision,
            scale,
            size,
        } => {
            if precision.is_some_and(|precision| logical::digits(text, *scale) > precision as usize)
            {
                return Err("a decimal of more digits than its precision");
            }
            let bytes = logical::decimal_bytes(text, *scale).ok_or(LOGICAL)?;
            put_decimal(&bytes, *size, out)?;
        }
        Type::UuidFixed => out.extend_from_slice(&logical::uuid_bytes(text).ok_or(LOGICAL)?),
        Type::Duration => {
            for part in logical::duration_parts(text).ok_or(LOGICAL)? {
                out.extend_from_slice(&part.to_le_bytes());
            }
        }
        _ => return Err("a text where the schema has another type"),
    }
    Ok(())
}

/// Appends the two's complement `bytes`, with their length or made as long as `size`.
fn put_decimal(bytes: &[u8], size: Option<usize>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let Some(size) = size else {
        put_bytes(bytes, out);
        return Ok(());
    };
    let missing = size.checked_sub(bytes.len());
    let missing = missing.ok_or("a decimal too large for its type")?;
    let sign = if bytes[0] >= 0x80 { 0xff } else { 0 };
    out.extend(std::iter::repeat_n(sign, missing));
    out.extend_from_slice(bytes);
    Ok(())
}
