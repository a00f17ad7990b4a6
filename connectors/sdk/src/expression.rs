//! Expressions: what `when`, `filter` and `set` evaluate.

use towpath_record::Record;

use crate::{Result, Value};

/// A compiled expression over one record. Shared between tasks; evaluation changes nothing and
/// takes a bounded number of steps.
pub trait Expression: Send + Sync {
    /// The value for `record` of `topic` and `partition`; a record error when the record does not
    /// have what the expression asks for.
    fn evaluate(&self, topic: &str, partition: u32, record: &Record<'_>) -> Result<Value>;
}
