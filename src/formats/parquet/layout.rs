//! From an Avro schema to Parquet's: which columns there are, and how values fall into them.

use std::ops::Range;
use std::sync::Arc;

use parquet::basic::{
    ConvertedType, DecimalType, LogicalType, Repetition, TimeType, TimeUnit, TimestampType,
    Type as Physical,
};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type as ParquetType, TypePtr};
use towpath_sdk::config::{AvroField, AvroSchema, AvroType as Type, AvroTypeId as TypeId};

/// Columns at most: named types that refer to each other can stand for any number.
const COLUMNS_MAX: usize = 10_000;

/// How the values of one schema fall into columns.
#[derive(Debug)]
pub(super) struct Layout {
    /// What the footer says.
    pub schema: TypePtr,
    /// The fields of a record, in their order.
    pub fields: Vec<Part>,
    /// What each column holds, in the order of the schema's leaves.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub physical: Physical,
    /// Of a value of `FIXED_LEN_BYTE_ARRAY`.
    pub length: usize,
    /// The levels at which a value is there, and below the innermost list.
    pub definition_max: i16,
    pub repetition_max: i16,
}

/// A place in a record that has values.
#[derive(Debug)]
pub(super) struct Part {
    /// Which branch of its union is null, if it is optional.
    pub null: Option<usize>,
    pub shape: Shape,
    /// The columns beneath it.
    pub columns: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Shape {
    /// A column of its own, of this type.
    Leaf(Type),
    Group(Vec<Part>),
    /// Of such items, which repeat at this level.
    List(Box<Part>, i16),
    /// The column of the names is its first; its values.
    Map(Box<Part>, i16),
}

impl Layout {
    /// # Errors
    /// Says in one line what of the schema Parquet cannot hold.
    pub fn new(schema: &AvroSchema) -> Result<Self, String> {
        let Type::Record(fields) = schema.get(schema.root()) else {
            return Err("Parquet needs a schema of type `record`".to_owned());
        };
        let mut making = Making {
            schema,
            columns: Vec::new(),
            within: vec![schema.root()],
            way: Vec::new(),
        };
        let (types, fields) =
            making.fields(fields, Levels::default()).map_err(|what| {
                match making.way.is_empty() {
                    true => what,
                    false => format!("{what}, at `{}`", making.way.join(".")),
                }
            })?;
        let name = schema.name().unwrap_or("record");
        let root = ParquetType::group_type_builder(name).with_fields(types);
        Ok(Self {
            schema: Arc::new(root.build().map_err(|error| error.to_string())?),
            fields,
            columns: making.columns,
        })
    }
}

/// The levels of what stands above a place.
#[derive(Debug, Clone, Copy, Default)]
struct Levels {
    definition: i16,
    repetition: i16,
}

struct Making<'a> {
    schema: &'a AvroSchema,
    columns: Vec<Column>,
    /// The records that the place at hand lies in.
    within: Vec<TypeId>,
    /// Their fields that lead to it; kept where an error was met.
    way: Vec<String>,
}

type Made = Result<(TypePtr, Part), String>;

impl Making<'_> {
    fn fields(
        &mut self,
        fields: &[AvroField],
        levels: Levels,
    ) -> Result<(Vec<TypePtr>, Vec<Part>), String> {
        if fields.is_empty() {
            return Err("Parquet has no records without fields".to_owned());
        }
        let mut made = (Vec::new(), Vec::new());
        for field in fields {
            self.way.push(field.name.clone());
            let (parquet, part) = self.part(&field.name, field.value, levels)?;
            self.way.pop();
            made.0.push(parquet);
            made.1.push(part);
        }
        Ok(made)
    }

    fn part(&mut self, name: &str, id: TypeId, mut levels: Levels) -> Made {
        let (id, null) = match self.schema.get(id) {
            Type::Union(branches) => match self.optional(branches) {
                Some((id, null)) => (id, Some(null)),
                None => {
                    return Err("Parquet has no union of other types than null and one more".into());
                }
            },
            _ => (id, None),
        };
        levels.definition += i16::from(null.is_some());
        let repetition = match null {
            Some(_) => Repetition::OPTIONAL,
            None => Repetition::REQUIRED,
        };
        let first = self.columns.len();
        let schema = self.schema;
        let (parquet, shape) = match schema.get(id) {
            Type::Record(fields) => {
                if self.within.contains(&id) {
                    return Err("Parquet has no type within itself".to_owned());
                }
                self.within.push(id);
                let (types, parts) = self.fields(fields, levels)?;
                self.within.pop();
                let group = ParquetType::group_type_builder(name).with_fields(types);
                (
                    group.with_repetition(repetition).build(),
                    Shape::Group(parts),
                )
            }
            Type::Array(items) => {
                let below = levels.repeated();
                let (element, part) = self.part("element", *items, below)?;
                let list = repeated(name, "list", vec![element], repetition, LogicalType::List);
                (list, Shape::List(Box::new(part), below.repetition))
            }
            Type::Map(values) => {
                let below = levels.repeated();
                let key = self.leaf("key", &Type::String, Repetition::REQUIRED, below)?;
                let (value, part) = self.part("value", *values, below)?;
                let fields = vec![key, value];
                let map = repeated(name, "key_value", fields, repetition, LogicalType::Map);
                (map, Shape::Map(Box::new(part), below.repetition))
            }
            leaf => {
                let leaf = (self.leaf(name, leaf, repetition, levels)?, leaf.clone());
                (Ok((*leaf.0).clone()), Shape::Leaf(leaf.1))
            }
        };
        let part = Part {
            null,
            shape,
            columns: first..self.columns.len(),
        };
        Ok((Arc::new(parquet.map_err(|error| error.to_string())?), part))
    }

    /// The other branch of a union with null, and which one null is.
    fn optional(&self, branches: &[TypeId]) -> Option<(TypeId, usize)> {
        let [first, second] = *branches else {
            return None;
        };
        match (self.schema.get(first), self.schema.get(second)) {
            (Type::Null, other) => (*other != Type::Null).then_some((second, 0)),
            (_, Type::Null) => Some((first, 1)),
            _ => None,
        }
    }

    /// A column for values of `scalar`.
    fn leaf(
        &mut self,
        name: &str,
        scalar: &Type,
        repetition: Repetition,
        levels: Levels,
    ) -> Result<TypePtr, String> {
        let (physical, logical, length) = column_type(scalar)?;
        if self.columns.len() == COLUMNS_MAX {
            return Err(format!("a schema of more than {COLUMNS_MAX} columns"));
        }
        self.columns.push(Column {
            physical,
            length,
            definition_max: levels.definition,
            repetition_max: levels.repetition,
        });
        let mut builder = ParquetType::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_length(length as i32);
        if let Some(LogicalType::Decimal(decimal)) = &logical {
            builder = builder
                .with_precision(decimal.precision)
                .with_scale(decimal.scale);
        }
        builder = match scalar {
            // The one that has no logical type.
            Type::Duration => builder.with_converted_type(ConvertedType::INTERVAL),
            _ => builder.with_logical_type(logical),
        };
        let built = builder.build().map_err(|error| error.to_string())?;
        Ok(Arc::new(built))
    }
}

impl Levels {
    /// Those of what a list or map holds.
    fn repeated(self) -> Self {
        Self {
            definition: self.definition + 1,
            repetition: self.repetition + 1,
        }
    }
}

/// A list or map, in the three levels that Parquet wants.
fn repeated(
    name: &str,
    middle: &str,
    fields: Vec<TypePtr>,
    repetition: Repetition,
    logical: LogicalType,
) -> Result<ParquetType, ParquetError> {
    let middle = ParquetType::group_type_builder(middle)
        .with_repetition(Repetition::REPEATED)
        .with_fields(fields)
        .build()?;
    ParquetType::group_type_builder(name)
        .with_repetition(repetition)
        .with_logical_type(Some(logical))
        .with_fields(vec![Arc::new(middle)])
        .build()
}

/// The physical and logical type of a scalar, and the length of its values if that is fixed.
fn column_type(scalar: &Type) -> Result<(Physical, Option<LogicalType>, usize), String> {
    let fixed = |length, logical| (Physical::FIXED_LEN_BYTE_ARRAY, logical, length);
    let plain = |physical, logical| (physical, logical, 0);
    let timestamp = |is_adjusted_to_u_t_c, units| -> Result<_, String> {
        let unit = time_unit(units)?;
        let logical = LogicalType::Timestamp(TimestampType {
            is_adjusted_to_u_t_c,
            unit,
        });
        Ok(plain(Physical::INT64, Some(logical)))
    };
    Ok(match scalar {
        Type::Boolean => plain(Physical::BOOLEAN, None),
        Type::Int => plain(Physical::INT32, None),
        Type::Long => plain(Physical::INT64, None),
        Type::Float => plain(Physical::FLOAT, None),
        Type::Double => plain(Physical::DOUBLE, None),
        Type::Bytes => plain(Physical::BYTE_ARRAY, None),
        Type::Json => plain(Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        // An enum's own type is read as bytes by many.
        Type::String | Type::Enum(_) => plain(Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Type::Fixed(0) => return Err("Parquet has no values of no bytes".to_owned()),
        Type::Fixed(length) => fixed(*length, None),
        Type::UuidString | Type::UuidFixed => fixed(16, Some(LogicalType::Uuid)),
        Type::Duration => fixed(12, None),
        Type::Date => plain(Physical::INT32, Some(LogicalType::Date)),
        Type::Time(units) => {
            let unit = time_unit(*units)?;
            let physical = match unit {
                TimeUnit::MILLIS => Physical::INT32,
                TimeUnit::MICROS | TimeUnit::NANOS => Physical::INT64,
            };
            let logical = LogicalType::Time(TimeType {
                is_adjusted_to_u_t_c: true,
                unit,
            });
            plain(physical, Some(logical))
        }
        Type::Timestamp(units) => timestamp(true, *units)?,
        Type::LocalTimestamp(units) => timestamp(false, *units)?,
        Type::Decimal {
            precision, scale, ..
        } => {
            let precision = precision.ok_or("a decimal without `precision`")?;
            let decimal = DecimalType {
                scale: int(*scale)?,
                precision: int(precision)?,
            };
            let length = decimal_bytes(precision);
            fixed(length, Some(LogicalType::Decimal(decimal)))
        }
        Type::Null => return Err("Parquet has no column of nulls alone".to_owned()),
        Type::Array(_) | Type::Map(_) | Type::Union(_) | Type::Record(_) => {
            return Err("a union of lists, maps or records".to_owned());
        }
    })
}

fn int(number: u32) -> Result<i32, String> {
    i32::try_from(number).map_err(|_| format!("{number} digits"))
}

fn time_unit(units: u32) -> Result<TimeUnit, String> {
    match units {
        1_000 => Ok(TimeUnit::MILLIS),
        1_000_000 => Ok(TimeUnit::MICROS),
        1_000_000_000 => Ok(TimeUnit::NANOS),
        _ => Err(format!("a time of {units} units a second")),
    }
}

/// The bytes in which every number of so many digits has room, with its sign.
fn decimal_bytes(precision: u32) -> usize {
    let bits = f64::from(precision) * std::f64::consts::LOG2_10 + 1.0;
    (bits / 8.0).ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_takes_the_bytes_that_its_digits_need() {
        for (precision, bytes) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (9, 4), (10, 5)] {
            assert_eq!(decimal_bytes(precision), bytes, "{precision}");
        }
        assert_eq!((decimal_bytes(18), decimal_bytes(38)), (8, 16));
    }

    #[test]
    fn what_parquet_cannot_hold_is_said_with_its_place() {
        let record =
            |fields: &str| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
        let field = |of: &str| record(&format!(r#"{{"name":"a","type":{of}}}"#));
        for (schema, expected) in [
            (
                r#""long""#.to_owned(),
                "Parquet needs a schema of type `record`",
            ),
            (record(""), "Parquet has no records without fields"),
            (
                field(r#""null""#),
                "Parquet has no column of nulls alone, at `a`",
            ),
            (
                field(r#"["int","string"]"#),
                "Parquet has no union of other types than null and one more, at `a`",
            ),
            (
                field(
                    &record(r#"{"name":"b","type":["null","R"]}"#)
                        .replace(r#""R","f"#, r#""S","f"#),
                ),
                "Parquet has no type within itself, at `a.b`",
            ),
        ] {
            let schema = AvroSchema::parse(&schema).unwrap();
            assert_eq!(Layout::new(&schema).unwrap_err(), expected);
        }
    }
}
