//! What a source knows about the types of its records.
//!
//! A record refers to its schema by an id in a header ([`SchemaHeaders`]). The content of a schema
//! decides its id ([`SchemaId`]), so that the same schema has the same one in every task and after
//! every restart, and nobody has to ask for it.

use std::fmt;
use std::sync::Arc;

use towpath_record::{Header, Headers};

use crate::{Result, Side};

/// The type of a topic's values or keys, in one version: an object with these fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// What is described: a table, a record name.
    pub name: String,
    /// In their order.
    pub fields: Vec<Field>,
}

/// One field of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As in the object.
    pub name: String,
    /// Of its values.
    pub field_type: FieldType,
    /// Whether null is allowed.
    pub nullable: bool,
    /// Whether there is a value for it where it is missing, as in a record that was written before
    /// there was the field.
    pub defaulted: bool,
    /// Whether the field is part of the key.
    pub key: bool,
}

impl Field {
    /// A field that is in every record and never null.
    pub fn required(name: impl Into<String>, field_type: FieldType) -> Self {
        Self {
            name: name.into(),
            field_type,
            nullable: false,
            defaulted: false,
            key: false,
        }
    }
}

/// The type of a field; the counterparts of [`crate::Value`], where each is explained. `Display`
/// writes it as people do: `decimal(10,2)`, `array<string>`.
#[expect(missing_docs, reason = "the names of SQL types, and of `Value`")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    Boolean,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    /// `None` is an unconstrained numeric.
    Decimal {
        precision_and_scale: Option<(u32, i32)>,
    },
    String,
    Bytes,
    Uuid,
    Timestamp,
    LocalTimestamp,
    Date,
    Time,
    Interval,
    /// Any JSON.
    Json,
    /// Items may be null.
    Array(Box<FieldType>),
    /// An object with any names, whose values have one type and may be null.
    Map(Box<FieldType>),
    Object(Vec<Field>),
}

impl FieldType {
    /// The word for it, without what it is made of.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Decimal { .. } => "decimal",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Uuid => "uuid",
            Self::Timestamp => "timestamp",
            Self::LocalTimestamp => "local_timestamp",
            Self::Date => "date",
            Self::Time => "time",
            Self::Interval => "interval",
            Self::Json => "json",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Object(_) => "object",
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Decimal {
                precision_and_scale: Some((precision, scale)),
            } => write!(f, "({precision},{scale})"),
            Self::Array(inner) | Self::Map(inner) => write!(f, "<{inner}>"),
            _ => Ok(()),
        }
    }
}

/// What records refer to a schema by: 16 hexadecimal digits, made from its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId([u8; 16]);

impl SchemaId {
    /// The id with these bits.
    pub fn new(bits: u64) -> Self {
        let digit = |at: usize| b"0123456789abcdef"[(bits >> (60 - 4 * at)) as usize & 15];
        Self(std::array::from_fn(digit))
    }

    /// The id that is written `text`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits: [u8; 16] = text.try_into().ok()?;
        let legal = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        digits.iter().all(legal).then_some(Self(digits))
    }

    /// As a header has it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

impl fmt::Debug for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SchemaId({self})")
    }
}

/// The headers by which one half of a record refers to its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaHeaders {
    /// The id.
    pub id: &'static str,
    /// A name that holds in the place of the schema's own.
    pub name: &'static str,
    /// A version that holds in the place of the schema's own.
    pub version: &'static str,
}

impl SchemaHeaders {
    /// Those of the value.
    pub const VALUE: Self = Self {
        id: "towpath.schema.id",
        name: "towpath.schema.name",
        version: "towpath.schema.version",
    };
    /// Those of the key.
    pub const KEY: Self = Self {
        id: "towpath.key_schema.id",
        name: "towpath.key_schema.name",
        version: "towpath.key_schema.version",
    };

    /// Those of `side`.
    pub const fn of(side: Side) -> Self {
        match side {
            Side::Key => Self::KEY,
            Side::Value => Self::VALUE,
        }
    }

    /// Whether `header` is one of them.
    pub fn contain(&self, header: &Header<'_>) -> bool {
        [self.id, self.name, self.version]
            .iter()
            .any(|name| header.key == name.as_bytes())
    }

    /// The id in `headers`; of several the last. `None` also when it is not one.
    pub fn id_in(&self, headers: Headers<'_>) -> Option<SchemaId> {
        let own = headers.iter().flatten();
        let own = own.filter(|header| header.key == self.id.as_bytes());
        SchemaId::parse(own.last()?.value?)
    }
}

/// The schemas of the log. Cheap to call once for a file, a table or a batch; not for each record.
pub trait Schemas: Send + Sync {
    /// The id of `schema`, for the headers of the records that have it. They may go to any topic:
    /// each topic gets it as a version, together with its first such record, or refuses them as
    /// the source's `on_schema_change` says. Telling the same again is right, and costs nothing.
    ///
    /// # Errors
    /// A record error when the schema is too large to keep; fatal when what is kept cannot be read.
    fn id_of(&self, schema: Schema) -> Result<SchemaId>;

    /// The schema of records with this id, to be kept as long as the id does not change. `None`:
    /// nobody has ever told of it.
    ///
    /// # Errors
    /// Fatal when what is kept cannot be read.
    fn get(&self, id: SchemaId) -> Result<Option<Arc<Schema>>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_digits() {
        let id = SchemaId::new(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "0123456789abcdef");
        assert_eq!(SchemaId::parse(id.as_bytes()), Some(id));
        for wrong in [
            "3",
            "0123456789ABCDEF",
            "0123456789abcdef0",
            "0123456789abcdeg",
        ] {
            assert_eq!(SchemaId::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn types_are_written_as_people_do() {
        let decimal = FieldType::Decimal {
            precision_and_scale: Some((10, 2)),
        };
        let array = FieldType::Array(Box::new(FieldType::Map(Box::new(decimal))));
        assert_eq!(array.to_string(), "array<map<decimal(10,2)>>");
        assert_eq!(FieldType::LocalTimestamp.to_string(), "local_timestamp");
    }

    #[test]
    fn the_last_id_among_headers_counts() {
        let header = |key: &'static str, value| Header {
            key: key.as_bytes(),
            value,
        };
        let first = SchemaId::new(1);
        let headers = [
            header("a", None),
            header("towpath.schema.id", Some(b"3")),
            header("towpath.schema.id", Some(first.as_bytes())),
        ];
        let mut bytes = Vec::new();
        headers.iter().for_each(|header| header.put(&mut bytes));
        let headers = Headers::encoded(3, &bytes);
        assert_eq!(SchemaHeaders::VALUE.id_in(headers), Some(first));
        assert_eq!(SchemaHeaders::KEY.id_in(headers), None);
    }
}
