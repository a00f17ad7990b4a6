//! A decoded value.

use bytes::Bytes;

/// JSON's types and those that databases add.
///
/// Numbers and decimals keep every digit they came with, as text. In `json` topics decimals are
/// strings where the schema says decimal, times are ISO 8601 and bytes base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Null, which a field may have; it is not missing then.
    Null,
    /// A large column that an update did not carry: distinct from null and from missing. A sink
    /// leaves such a column as it is.
    Unchanged,
    /// True or false.
    Boolean(bool),
    /// A JSON number, as written.
    Number(String),
    /// Text.
    String(String),
    /// Bytes, of any kind.
    Bytes(Bytes),
    /// An exact decimal, as written.
    Decimal(String),
    /// A moment: nanoseconds since 1970 UTC.
    Timestamp(i128),
    /// Date and time without a zone: nanoseconds since 1970-01-01T00:00:00.
    LocalTimestamp(i128),
    /// Days since 1970-01-01.
    Date(i32),
    /// Nanoseconds since midnight.
    Time(i64),
    /// A calendar interval, whose parts do not convert into each other.
    Interval {
        /// Years are twelve of them.
        months: i32,
        /// Of no fixed length.
        days: i32,
        /// Hours and less.
        nanoseconds: i64,
    },
    /// Its 128 bits, the first one highest.
    Uuid(u128),
    /// Values in their order.
    Array(Vec<Value>),
    /// Fields in their order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The field of an object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(fields) => fields
                .iter()
                .find(|(field, _)| field == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }
}
