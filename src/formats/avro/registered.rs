//! The Avro schema of records whose type is registered: the way back of `description`.
//!
//! | registered | Avro |
//! |---|---|
//! | int16, int32, int64 | int, int, long |
//! | decimal with a precision | decimal in bytes; another one is a string with all digits |
//! | timestamp, local timestamp, time | in microseconds |
//! | interval | a string in ISO 8601: Avro's duration has no microseconds |
//! | json | a string with the logical type `json` |
//! | what may be null or missing | a union with null |
//!
//! All else has its counterpart.

use std::fmt::Write;

use towpath_sdk::config::{AvroSchema, RecordField};
use towpath_sdk::{Field, FieldType, Schema, json};

/// The schema of records of `schema`, or of objects of several `fields` of such records. With
/// `strict`, names are those that Avro takes.
///
/// # Errors
/// Says what of it cannot be written.
pub(crate) fn schema_of(
    schema: &Schema,
    fields: Option<&[RecordField]>,
    strict: bool,
) -> Result<AvroSchema, String> {
    let valid = !schema.name.is_empty() && schema.name.split('.').all(is_name);
    let mut writing = Writing {
        text: String::new(),
        name: if valid { &schema.name } else { "record" },
        records: 0,
        strict,
    };
    match fields {
        None => writing.record(&schema.fields)?,
        Some(fields) => writing.parts(fields, &schema.fields)?,
    }
    AvroSchema::parse(&writing.text)
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

struct Writing<'a> {
    /// JSON.
    text: String,
    /// Of the outermost record; what lies within it adds a number.
    name: &'a str,
    records: usize,
    strict: bool,
}

impl Writing<'_> {
    /// Appends what all records have in front of their fields.
    fn begin_record(&mut self) {
        let number = match self.records {
            0 => String::new(),
            number => format!("_{number}"),
        };
        self.records += 1;
        let name = self.name;
        self.put(format_args!(
            r#"{{"type":"record","name":"{name}{number}","fields":["#
        ));
    }

    fn record(&mut self, fields: &[Field]) -> Result<(), String> {
        self.begin_record();
        for (index, field) in fields.iter().enumerate() {
            if self.strict && !is_name(&field.name) {
                let name = towpath_sdk::printable(&field.name);
                return Err(format!("no field of Avro has the name `{name}`"));
            }
            self.begin_field(index, &field.name);
            match field.nullable || field.defaulted {
                true => self.optional(&field.field_type)?,
                false => self.value(&field.field_type)?,
            }
            self.put(format_args!("}}"));
        }
        self.put(format_args!("]}}"));
        Ok(())
    }

    /// A record of the parts `fields` of a record, whose value has the fields `value`.
    fn parts(&mut self, fields: &[RecordField], value: &[Field]) -> Result<(), String> {
        self.begin_record();
        for (index, field) in fields.iter().enumerate() {
            self.begin_field(index, field.as_str());
            match field {
                RecordField::Value => {
                    self.put(format_args!(r#"["null","#));
                    self.record(value)?;
                    self.put(format_args!("]"));
                }
                RecordField::Headers => {
                    self.put(format_args!(r#"{{"type":"array","items":"#));
                    self.record(&header())?;
                    self.put(format_args!("}}"));
                }
                RecordField::Key => self.optional(&FieldType::String)?,
                RecordField::Timestamp => self.value(&FieldType::Timestamp)?,
                RecordField::Topic => self.value(&FieldType::String)?,
                RecordField::Partition => self.value(&FieldType::Int32)?,
                RecordField::Offset => self.value(&FieldType::Int64)?,
            }
            self.put(format_args!("}}"));
        }
        self.put(format_args!("]}}"));
        Ok(())
    }

    fn begin_field(&mut self, index: usize, name: &str) {
        let mut quoted = Vec::new();
        json::put_string(name, &mut quoted);
        let quoted = String::from_utf8_lossy(&quoted);
        let comma = if index == 0 { "" } else { "," };
        self.put(format_args!(r#"{comma}{{"name":{quoted},"type":"#));
    }

    fn optional(&mut self, of: &FieldType) -> Result<(), String> {
        self.put(format_args!(r#"["null","#));
        self.value(of)?;
        self.put(format_args!("]"));
        Ok(())
    }

    fn value(&mut self, of: &FieldType) -> Result<(), String> {
        let logical = |plain: &str, logical: &str| {
            format!(r#"{{"type":"{plain}","logicalType":"{logical}"}}"#)
        };
        let scalar = match of {
            FieldType::Array(items) => {
                self.put(format_args!(r#"{{"type":"array","items":"#));
                self.optional(items)?;
                self.put(format_args!("}}"));
                return Ok(());
            }
            FieldType::Map(values) => {
                self.put(format_args!(r#"{{"type":"map","values":"#));
                self.optional(values)?;
                self.put(format_args!("}}"));
                return Ok(());
            }
            FieldType::Object(fields) => return self.record(fields),
            FieldType::Decimal {
                precision_and_scale: Some((precision, scale)),
            } if u32::try_from(*scale).is_ok_and(|scale| scale <= *precision) => format!(
                r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":{scale}}}"#
            ),
            FieldType::Boolean => r#""boolean""#.to_owned(),
            FieldType::Int16 | FieldType::Int32 => r#""int""#.to_owned(),
            FieldType::Int64 => r#""long""#.to_owned(),
            FieldType::Float32 => r#""float""#.to_owned(),
            FieldType::Float64 => r#""double""#.to_owned(),
            FieldType::String | FieldType::Decimal { .. } | FieldType::Interval => {
                r#""string""#.to_owned()
            }
            FieldType::Bytes => r#""bytes""#.to_owned(),
            FieldType::Uuid => logical("string", "uuid"),
            FieldType::Timestamp => logical("long", "timestamp-micros"),
            FieldType::LocalTimestamp => logical("long", "local-timestamp-micros"),
            FieldType::Date => logical("int", "date"),
            FieldType::Time => logical("long", "time-micros"),
            FieldType::Json => logical("string", "json"),
        };
        self.put(format_args!("{scalar}"));
        Ok(())
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // A string takes all that is written.
        let _ = self.text.write_fmt(text);
    }
}

/// The fields of a header.
fn header() -> [Field; 2] {
    let value = Field {
        nullable: true,
        ..Field::required("value", FieldType::String)
    };
    [Field::required("key", FieldType::String), value]
}
