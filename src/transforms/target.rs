//! `target`: which half of a record a transform changes.

use towpath_sdk::config::{Format, choice};
use towpath_sdk::json::{Kind, NodeId};
use towpath_sdk::{Error, Result, Side, WorkingBatch};

choice! {
    /// Which half of a record a transform changes.
    pub enum Target {
        Value = "value",
        Key = "key",
    }
}

impl Target {
    /// The half it names.
    pub fn side(self) -> Side {
        match self {
            Self::Value => Side::Value,
            Self::Key => Side::Key,
        }
    }

    /// The format of values behind a transform that makes JSON of this half, where it is `format`
    /// before it.
    pub fn output(self, format: Format) -> Format {
        match self {
            Self::Value => Format::Json,
            Self::Key => format,
        }
    }
}

/// The key or value, whose fields are to be changed; `None` when it is null, the JSON text too.
///
/// # Errors
/// A record error when it is no object.
pub(crate) fn object(
    batch: &mut WorkingBatch,
    row: usize,
    side: Side,
    doing: &str,
) -> Result<Option<NodeId>> {
    let Some(root) = batch.root_mut(row, side)? else {
        return Ok(None);
    };
    match batch.documents().kind(root) {
        Kind::Object => Ok(Some(root)),
        Kind::Null => Ok(None),
        kind => Err(no_object(side, doing, kind)),
    }
}

/// [`object`], which must not be null.
///
/// # Errors
/// As there, and when it is null.
pub(crate) fn object_there(
    batch: &mut WorkingBatch,
    row: usize,
    side: Side,
    doing: &str,
) -> Result<NodeId> {
    let root = object(batch, row, side, doing)?;
    root.ok_or_else(|| no_object(side, doing, Kind::Null))
}

#[cold]
fn no_object(side: Side, doing: &str, kind: Kind) -> Error {
    Error::record(doing, format!("fields of the {}", side.as_str()))
        .because(format!("it is {}, and has none", kind.as_str()))
}
