//! From Avro's binary encoding to JSON text.

use std::io::Write;

use towpath_sdk::config::{AvroSchema, AvroType as Type, AvroTypeId as TypeId};
use towpath_sdk::json;

use super::binary::Input;
use super::logical;
use crate::parse::Fault;

/// Bytes of JSON that one record may become: a few bytes can stand for any number of nulls.
const JSON_BYTES_MAX: usize = 64 << 20;

/// Appends the value of `schema` that stands next in `input`.
pub(super) fn decode(
    schema: &AvroSchema,
    input: &mut Input<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let end = out.len().saturating_add(JSON_BYTES_MAX);
    Decode { schema, end }.value(schema.root(), input, out, 0)
}

struct Decode<'a> {
    schema: &'a AvroSchema,
    /// Where the output must stop.
    end: usize,
}

impl Decode<'_> {
    fn value(
        &self,
        id: TypeId,
        input: &mut Input<'_>,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), Fault> {
        if depth == AvroSchema::DEPTH_MAX {
            return Err(input.fault("nested more than 64 deep"));
        }
        if out.len() > self.end {
            return Err(input.fault("a record of more than 64 MiB"));
        }
        match self.schema.get(id) {
            Type::Array(items) => self.blocks(*items, false, input, out, depth),
            Type::Map(values) => self.blocks(*values, true, input, out, depth),
            Type::Union(branches) => {
                let index = input.size()?;
                let Some(branch) = branches.get(index) else {
                    return Err(input.fault("a branch that the union does not have"));
                };
                self.value(*branch, input, out, depth + 1)
            }
            Type::Record(fields) => {
                for (index, field) in fields.iter().enumerate() {
                    out.push(if index == 0 { b'{' } else { b',' });
                    json::put_string(&field.name, out);
                    out.push(b':');
                    self.value(field.value, input, out, depth + 1)?;
                }
                if fields.is_empty() {
                    out.push(b'{');
                }
                out.push(b'}');
                Ok(())
            }
            scalar => put_scalar(scalar, input, out),
        }
    }

    /// The items of an array, or the values of a map with their names, in blocks.
    fn blocks(
        &self,
        items: TypeId,
        are_named: bool,
        input: &mut Input<'_>,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), Fault> {
        let [open, close] = if are_named { *b"{}" } else { *b"[]" };
        out.push(open);
        let mut first = true;
        loop {
            let count = input.block()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                if are_named {
                    json::put_string(input.str()?, out);
                    out.push(b':');
                }
                self.value(items, input, out, depth + 1)?;
            }
        }
        out.push(close);
        Ok(())
    }
}

fn put_scalar(scalar: &Type, input: &mut Input<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    match scalar {
        Type::Null => out.extend_from_slice(b"null"),
        Type::Boolean => match input.array()? {
            [0] => out.extend_from_slice(b"false"),
            [1] => out.extend_from_slice(b"true"),
            _ => return Err(input.fault("a boolean that is neither 0 nor 1")),
        },
        Type::Int => put_display(input.int()?, out),
        Type::Long => put_display(input.long()?, out),
        Type::Float => {
            let number = f32::from_le_bytes(input.array()?);
            put_float(number.into(), &number, out);
        }
        Type::Double => {
            let number = f64::from_le_bytes(input.array()?);
            put_float(number, &number, out);
        }
        Type::Bytes => json::put_base64(input.bytes()?, out),
        Type::Fixed(size) => json::put_base64(input.take(*size)?, out),
        Type::String | Type::Json | Type::UuidString => json::put_string(input.str()?, out),
        Type::Enum(symbols) => {
            let index = input.size()?;
            let Some(symbol) = symbols.get(index) else {
                return Err(input.fault("a symbol that the enum does not have"));
            };
            json::put_string(symbol, out);
        }
        _ => {
            let at = input.at();
            let text = logical_text(scalar, input)?.ok_or(Fault {
                at,
                what: "a value beyond what its logical type can hold",
            })?;
            json::put_string(&text, out);
        }
    }
    Ok(())
}

/// The text of a value with a logical type; `None` when it is out of range.
fn logical_text(scalar: &Type, input: &mut Input<'_>) -> Result<Option<String>, Fault> {
    Ok(match scalar {
        Type::Date => logical::date(input.int()?),
        Type::Time(units) => logical::time(input.long()?, *units),
        Type::Timestamp(units) => logical::timestamp(input.long()?, *units),
        Type::LocalTimestamp(units) => logical::local_timestamp(input.long()?, *units),
        Type::Decimal { scale, size, .. } => {
            let bytes = match size {
                None => input.bytes()?,
                Some(size) => input.take(*size)?,
            };
            logical::decimal(bytes, *scale)
        }
        Type::UuidFixed => Some(logical::uuid(input.array()?)),
        Type::Duration => {
            let mut part = || Ok::<_, Fault>(u32::from_le_bytes(input.array()?));
            Some(logical::duration([part()?, part()?, part()?]))
        }
        _ => None,
    })
}

pub(crate) fn put_display(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{number}");
}

/// `written` is the same number in its own width: its `Debug` has the shortest digits that give it
/// back, with an exponent where it is far from 1.
pub(crate) fn put_float(number: f64, written: &dyn std::fmt::Debug, out: &mut Vec<u8>) {
    if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if number == f64::INFINITY {
        out.extend_from_slice(b"\"Infinity\"");
    } else if number == f64::NEG_INFINITY {
        out.extend_from_slice(b"\"-Infinity\"");
    } else {
        // Writing to a vector cannot fail.
        let _ = write!(out, "{written:?}");
    }
}
