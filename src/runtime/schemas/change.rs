//! Which change of a schema goes through: one with which old records can be read as the new schema
//! says (what Avro and Confluent call BACKWARD), and what was made for the old schema, such as a
//! table, can take new records once it has the new fields.
//!
//! `README.md` has the rules, with what Avro and Confluent do otherwise. What is inside objects, lists and
//! maps follows the same ones.

use std::collections::HashMap;

use towpath_sdk::{Field, FieldType, Schema, printable};

/// Whether `new` may follow `old`.
///
/// # Errors
/// Names the first field that keeps it from that, and why.
pub(super) fn check(old: &Schema, new: &Schema) -> Result<(), String> {
    fields(&old.fields, &new.fields, "")
}

fn fields(old: &[Field], new: &[Field], within: &str) -> Result<(), String> {
    let by_name = |fields: &'_ [Field]| -> HashMap<String, usize> {
        let names = fields.iter().enumerate();
        names.map(|(at, field)| (field.name.clone(), at)).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    for was in old {
        let path = format!("{within}{}", was.name);
        let field = format!("field `{}`", printable(&path));
        let Some(is) = after.get(&was.name).map(|at| &new[*at]) else {
            if was.key {
                return Err(format!("{field} is gone, and was part of the key"));
            }
            if !was.nullable && !was.defaulted {
                return Err(format!(
                    "{field} is gone, and was neither nullable nor defaulted"
                ));
            }
            continue;
        };
        match (was.key, is.key) {
            (true, false) => return Err(format!("{field} is no longer part of the key")),
            (false, true) => return Err(format!("{field} has become part of the key")),
            _ => {}
        }
        if was.nullable && !is.nullable {
            return Err(format!("{field} may no longer be null"));
        }
        typed(&was.field_type, &is.field_type, &path)?;
    }
    for is in new.iter().filter(|is| !before.contains_key(&is.name)) {
        let field = format!("field `{}`", printable(&format!("{within}{}", is.name)));
        if is.key {
            return Err(format!("{field} is new, and part of the key"));
        }
        if !is.nullable && !is.defaulted {
            return Err(format!(
                "{field} is new, and neither nullable nor defaulted"
            ));
        }
    }
    Ok(())
}

fn typed(old: &FieldType, new: &FieldType, path: &str) -> Result<(), String> {
    match (old, new) {
        (FieldType::Array(old), FieldType::Array(new)) => typed(old, new, &format!("{path}[]")),
        (FieldType::Map(old), FieldType::Map(new)) => typed(old, new, &format!("{path}.*")),
        (FieldType::Object(old), FieldType::Object(new)) => fields(old, new, &format!("{path}.")),
        _ if old == new || is_wider(old, new) => Ok(()),
        _ => Err(format!(
            "field `{}` was {old} and is {new}",
            printable(path)
        )),
    }
}

/// Whether every number of type `old` is exactly one of type `new`.
fn is_wider(old: &FieldType, new: &FieldType) -> bool {
    use FieldType::{Decimal, Float32, Float64, Int16, Int32, Int64};
    let digits = match old {
        Int16 => 5,
        Int32 => 10,
        Int64 => 19,
        _ => 0,
    };
    match (old, new) {
        (Int16, Int32 | Int64 | Float32 | Float64)
        | (Int32, Int64 | Float64)
        | (Float32, Float64) => true,
        (
            Int16 | Int32 | Int64 | Decimal { .. },
            Decimal {
                precision_and_scale: None,
            },
        ) => true,
        (
            Int16 | Int32 | Int64,
            Decimal {
                precision_and_scale: Some((precision, scale)),
            },
        ) => i64::from(*precision) - i64::from(*scale) >= digits && *scale >= 0,
        (
            Decimal {
                precision_and_scale: Some((was, was_scale)),
            },
            Decimal {
                precision_and_scale: Some((is, is_scale)),
            },
        ) => {
            let whole = |precision: u32, scale: i32| i64::from(precision) - i64::from(scale);
            is_scale >= was_scale && whole(*is, *is_scale) >= whole(*was, *was_scale)
        }
        _ => false,
    }
}
