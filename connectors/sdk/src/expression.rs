//! Expressions: what `when`, `filter` and `set` evaluate.

use std::fmt::Debug;

use crate::json::NodeId;
use crate::{Result, WorkingBatch};

/// A compiled expression over one record. Shared between tasks; evaluation takes a bounded number
/// of steps, and changes nothing of the record.
pub trait Expression: Debug + Send + Sync {
    /// Whether it asks for fields of the value, which only JSON has.
    fn needs_fields(&self) -> bool {
        false
    }

    /// Whether it holds for a row of `batch`.
    ///
    /// # Errors
    /// A record error when the record does not have what the expression asks for, or when what
    /// comes out is no boolean.
    fn test(&self, batch: &mut WorkingBatch, row: usize) -> Result<bool>;

    /// Its value for a row of `batch`, as a node that is in no tree; bytes are a string in base64,
    /// times are ISO 8601.
    ///
    /// # Errors
    /// A record error when the record does not have what the expression asks for.
    fn value(&self, batch: &mut WorkingBatch, row: usize) -> Result<NodeId>;
}
