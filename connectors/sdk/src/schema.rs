//! What a source knows about the types of its records.

/// The type of a topic's values, in one version. Records refer to a schema by an id in a header.
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
    /// Whether the field is part of the key.
    pub key: bool,
}

/// The type of a field; the counterparts of [`crate::Value`], where each is explained.
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
    Json,
    Array(Box<FieldType>),
    Object(Vec<Field>),
}
