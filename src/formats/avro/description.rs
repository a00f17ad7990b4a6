//! What an Avro schema says, in the types that all sources share.
//!
//! An enum is a string, and so is JSON as text; fixed is bytes. A union of null and one other type is that type, nullable;
//! any other union is JSON. So is a type inside itself, what is nested deeper than [`DEPTH_MAX`],
//! and what lies behind [`FIELDS_MAX`] fields: a few named types that refer to each other can stand
//! for any number of fields.

use towpath_sdk::config::{AvroField, AvroSchema, AvroType as Type, AvroTypeId as TypeId};
use towpath_sdk::{Field, FieldType, Schema};

/// Fields that are told apart, nested ones counted.
const FIELDS_MAX: usize = 10_000;
/// Types inside types that are told apart.
const DEPTH_MAX: usize = 32;

/// The schema of the records; `None` when they are no objects with named fields.
pub(crate) fn description(schema: &AvroSchema) -> Option<Schema> {
    let Type::Record(fields) = schema.get(schema.root()) else {
        return None;
    };
    let mut describe = Describe {
        schema,
        within: vec![schema.root()],
        left: FIELDS_MAX,
        depth: 0,
    };
    Some(Schema {
        name: schema.name().unwrap_or_default().to_owned(),
        fields: describe.fields(fields),
    })
}

struct Describe<'a> {
    schema: &'a AvroSchema,
    /// The records that are being described.
    within: Vec<TypeId>,
    /// Fields that may still come.
    left: usize,
    depth: usize,
}

impl Describe<'_> {
    fn fields(&mut self, fields: &[AvroField]) -> Vec<Field> {
        let field = |field: &AvroField| {
            let (field_type, nullable) = self.value(field.value);
            Field {
                name: field.name.clone(),
                field_type,
                nullable,
                defaulted: field.defaulted,
                key: false,
            }
        };
        fields.iter().map(field).collect()
    }

    /// The type, and whether it can be null.
    fn value(&mut self, id: TypeId) -> (FieldType, bool) {
        if self.depth == DEPTH_MAX {
            return (FieldType::Json, true);
        }
        self.depth += 1;
        let value = self.nullable(id);
        self.depth -= 1;
        value
    }

    fn nullable(&mut self, id: TypeId) -> (FieldType, bool) {
        match self.schema.get(id) {
            Type::Null => (FieldType::Json, true),
            Type::Union(branches) => {
                let is_null = |branch: &&TypeId| matches!(self.schema.get(**branch), Type::Null);
                let nulls = branches.iter().any(|branch| is_null(&branch));
                let mut others = branches.iter().filter(|branch| !is_null(branch));
                match (others.next(), others.next()) {
                    (Some(one), None) => {
                        let (one, nullable) = self.value(*one);
                        (one, nullable || nulls)
                    }
                    _ => (FieldType::Json, nulls),
                }
            }
            _ => (self.plain(id), false),
        }
    }

    fn plain(&mut self, id: TypeId) -> FieldType {
        match self.schema.get(id) {
            Type::Record(fields) if self.within.contains(&id) || fields.len() > self.left => {
                FieldType::Json
            }
            Type::Record(fields) => {
                self.left -= fields.len();
                self.within.push(id);
                let fields = self.fields(fields);
                self.within.pop();
                FieldType::Object(fields)
            }
            Type::Array(items) => FieldType::Array(Box::new(self.value(*items).0)),
            Type::Map(values) => FieldType::Map(Box::new(self.value(*values).0)),
            Type::Boolean => FieldType::Boolean,
            Type::Int => FieldType::Int32,
            Type::Long => FieldType::Int64,
            Type::Float => FieldType::Float32,
            Type::Double => FieldType::Float64,
            Type::Bytes | Type::Fixed(_) => FieldType::Bytes,
            Type::String | Type::Json | Type::Enum(_) => FieldType::String,
            Type::Date => FieldType::Date,
            Type::Time(_) => FieldType::Time,
            Type::Timestamp(_) => FieldType::Timestamp,
            Type::LocalTimestamp(_) => FieldType::LocalTimestamp,
            Type::Decimal {
                precision, scale, ..
            } => FieldType::Decimal {
                // A scale is at most 1,000.
                precision_and_scale: precision.map(|precision| (precision, *scale as i32)),
            },
            Type::UuidString | Type::UuidFixed => FieldType::Uuid,
            Type::Duration => FieldType::Interval,
            Type::Null | Type::Union(_) => FieldType::Json,
        }
    }
}
