//! What the schema of a Parquet file says, whoever wrote it: which columns make which value.
//!
//! Lists are known in all forms that the specification's rules for older writers name; a repeated
//! field that nothing announces is a list of its kind.

use std::ops::Range;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::Type;
use towpath_sdk::{Field, FieldType, Schema};

/// Nesting at most.
const DEPTH_MAX: usize = 64;
/// Columns at most.
const COLUMNS_MAX: usize = 10_000;

/// A value of a record.
#[derive(Debug)]
pub(super) struct Place {
    pub name: String,
    /// The definition level from which on it is there.
    pub definition: i16,
    pub nullable: bool,
    pub form: Form,
    /// The columns beneath it.
    pub columns: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Form {
    Scalar(Scalar),
    Object(Vec<Place>),
    List(Repeated, Box<Place>),
    /// Names, and values if it has any.
    Map(Repeated, Box<Place>, Option<Box<Place>>),
}

/// The levels of what a list or map holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeated {
    /// From which on there is an item.
    pub definition: i16,
    /// From which on the next item is of the same list.
    pub repetition: i16,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    /// As its physical type says; bytes are base64.
    Plain,
    Unsigned,
    Text,
    Float16,
    Date,
    /// Each with its units a second.
    Time(u32),
    Timestamp(u32),
    LocalTimestamp(u32),
    Decimal {
        precision: u32,
        scale: u32,
    },
    Uuid,
    Interval,
}

/// The fields of a record.
///
/// # Errors
/// Says what is too much of the schema.
pub(super) fn places(root: &Type) -> Result<Vec<Place>, &'static str> {
    let mut making = Making {
        columns: 0,
        depth: 0,
    };
    let fields = root.get_fields().iter();
    fields
        .map(|field| making.place(field, Levels::default()))
        .collect()
}

/// The levels of what stands above.
#[derive(Clone, Copy, Default)]
struct Levels {
    definition: i16,
    repetition: i16,
}

impl Levels {
    fn optional(self) -> Self {
        Self {
            definition: self.definition + 1,
            ..self
        }
    }

    fn repeated(self) -> Self {
        Self {
            definition: self.definition + 1,
            repetition: self.repetition + 1,
        }
    }

    fn of_items(self) -> Repeated {
        Repeated {
            definition: self.definition,
            repetition: self.repetition,
        }
    }
}

struct Making {
    columns: usize,
    depth: usize,
}

impl Making {
    fn place(&mut self, node: &Type, levels: Levels) -> Result<Place, &'static str> {
        let first = self.columns;
        let repetition = node.get_basic_info().repetition();
        if repetition == Repetition::REPEATED {
            let below = levels.repeated();
            let item = self.value(node, below, false)?;
            return Ok(Place {
                name: node.name().to_owned(),
                definition: levels.definition,
                nullable: false,
                columns: item.columns.clone(),
                form: Form::List(below.of_items(), Box::new(item)),
            });
        }
        let nullable = repetition == Repetition::OPTIONAL;
        let levels = if nullable { levels.optional() } else { levels };
        let mut place = self.value(node, levels, nullable)?;
        place.columns = first..self.columns;
        Ok(place)
    }

    /// What `node` is where it is there.
    fn value(
        &mut self,
        node: &Type,
        levels: Levels,
        nullable: bool,
    ) -> Result<Place, &'static str> {
        if self.depth == DEPTH_MAX {
            return Err("nested more than 64 deep");
        }
        self.depth += 1;
        let first = self.columns;
        let form = match node {
            Type::PrimitiveType { .. } => {
                if self.columns == COLUMNS_MAX {
                    return Err("more than 10,000 columns");
                }
                self.columns += 1;
                Form::Scalar(scalar(node))
            }
            Type::GroupType { fields, .. } => match (kind(node), fields.as_slice()) {
                (Kind::List, [items]) if is_repeated(items) => self.list(node, items, levels)?,
                (Kind::Map, [entries]) if is_repeated(entries) && entries.is_group() => {
                    self.map(entries, levels)?
                }
                _ => {
                    let fields = fields.iter().map(|field| self.place(field, levels));
                    Form::Object(fields.collect::<Result<_, _>>()?)
                }
            },
        };
        self.depth -= 1;
        Ok(Place {
            name: node.name().to_owned(),
            definition: levels.definition,
            nullable,
            form,
            columns: first..self.columns,
        })
    }

    fn list(&mut self, list: &Type, items: &Type, levels: Levels) -> Result<Form, &'static str> {
        let below = levels.repeated();
        // The specification's rules for what older writers made.
        let is_item = match items {
            Type::PrimitiveType { .. } => true,
            Type::GroupType { fields, .. } => {
                let old = [String::from("array"), format!("{}_tuple", list.name())];
                fields.len() != 1 || old.iter().any(|name| name == items.name())
            }
        };
        let item = match (is_item, items) {
            (false, Type::GroupType { fields, .. }) => self.place(&fields[0], below)?,
            _ => self.value(items, below, false)?,
        };
        Ok(Form::List(below.of_items(), Box::new(item)))
    }

    fn map(&mut self, entries: &Type, levels: Levels) -> Result<Form, &'static str> {
        let below = levels.repeated();
        let [key, values @ ..] = entries.get_fields() else {
            return Err("a map without keys");
        };
        let key = self.place(key, below)?;
        let value = match values {
            [] => None,
            [value] => Some(Box::new(self.place(value, below)?)),
            _ => return Err("a map of more than keys and values"),
        };
        Ok(Form::Map(below.of_items(), Box::new(key), value))
    }
}

enum Kind {
    List,
    Map,
    Other,
}

fn kind(group: &Type) -> Kind {
    let info = group.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::List), _) | (None, ConvertedType::LIST) => Kind::List,
        (Some(LogicalType::Map), _) | (None, ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE) => {
            Kind::Map
        }
        _ => Kind::Other,
    }
}

fn is_repeated(node: &Type) -> bool {
    node.get_basic_info().repetition() == Repetition::REPEATED
}

fn scalar(leaf: &Type) -> Scalar {
    let units = |unit: &TimeUnit| match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    };
    let digits = |number: i32| u32::try_from(number).unwrap_or(0);
    let decimal = || Scalar::Decimal {
        precision: digits(leaf.get_precision()),
        scale: digits(leaf.get_scale()),
    };
    let info = leaf.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Timestamp(of)), _) if of.is_adjusted_to_u_t_c => {
            Scalar::Timestamp(units(&of.unit))
        }
        (Some(LogicalType::Timestamp(of)), _) => Scalar::LocalTimestamp(units(&of.unit)),
        (Some(LogicalType::Time(of)), _) => Scalar::Time(units(&of.unit)),
        (Some(LogicalType::Uuid), _) => Scalar::Uuid,
        (Some(LogicalType::Float16), _) => Scalar::Float16,
        (Some(LogicalType::Integer(of)), _) if !of.is_signed => Scalar::Unsigned,
        (_, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON) => Scalar::Text,
        (Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _) => Scalar::Text,
        (Some(LogicalType::Date), _) | (_, ConvertedType::DATE) => Scalar::Date,
        (Some(LogicalType::Decimal(_)), _) | (_, ConvertedType::DECIMAL) => decimal(),
        (_, ConvertedType::TIME_MILLIS) => Scalar::Time(1_000),
        (_, ConvertedType::TIME_MICROS) => Scalar::Time(1_000_000),
        (_, ConvertedType::TIMESTAMP_MILLIS) => Scalar::Timestamp(1_000),
        (_, ConvertedType::TIMESTAMP_MICROS) => Scalar::Timestamp(1_000_000),
        (_, ConvertedType::INTERVAL) => Scalar::Interval,
        (
            _,
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64,
        ) => Scalar::Unsigned,
        _ if leaf.get_physical_type() == Physical::INT96 => Scalar::Timestamp(1_000_000_000),
        _ => Scalar::Plain,
    }
}

/// The same in the types that all sources share.
pub(super) fn description(root: &Type, places: &[Place]) -> Schema {
    Schema {
        name: root.name().to_owned(),
        fields: fields(root, places),
    }
}

fn fields(group: &Type, places: &[Place]) -> Vec<Field> {
    let types = group.get_fields().iter();
    let field = |(node, place): (&std::sync::Arc<Type>, &Place)| Field {
        name: place.name.clone(),
        field_type: field_type(node, place),
        nullable: place.nullable,
        defaulted: false,
        key: false,
    };
    types.zip(places).map(field).collect()
}

fn field_type(node: &Type, place: &Place) -> FieldType {
    match &place.form {
        Form::Scalar(scalar) => scalar_type(node.get_physical_type(), *scalar),
        Form::Object(places) => FieldType::Object(fields(node, places)),
        Form::List(..) | Form::Map(..) => FieldType::Json,
    }
}

fn scalar_type(physical: Physical, scalar: Scalar) -> FieldType {
    match (scalar, physical) {
        (Scalar::Text, _) => FieldType::String,
        (Scalar::Float16, _) | (Scalar::Plain, Physical::FLOAT) => FieldType::Float32,
        (Scalar::Date, _) => FieldType::Date,
        (Scalar::Time(_), _) => FieldType::Time,
        (Scalar::Timestamp(_), _) => FieldType::Timestamp,
        (Scalar::LocalTimestamp(_), _) => FieldType::LocalTimestamp,
        (Scalar::Decimal { precision, scale }, _) => FieldType::Decimal {
            precision_and_scale: Some((precision, scale.cast_signed())),
        },
        (Scalar::Uuid, _) => FieldType::Uuid,
        (Scalar::Interval, _) => FieldType::Interval,
        (Scalar::Plain, Physical::BOOLEAN) => FieldType::Boolean,
        (Scalar::Plain, Physical::INT32) => FieldType::Int32,
        (Scalar::Unsigned, Physical::INT32) | (Scalar::Plain, Physical::INT64) => FieldType::Int64,
        // Up to 2^64.
        (Scalar::Unsigned, _) => FieldType::Decimal {
            precision_and_scale: Some((20, 0)),
        },
        (Scalar::Plain, Physical::DOUBLE) => FieldType::Float64,
        (Scalar::Plain, _) => FieldType::Bytes,
    }
}
