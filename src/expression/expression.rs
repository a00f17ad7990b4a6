//! A compiled expression, as transforms hold it.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use towpath_sdk::json::NodeId;
use towpath_sdk::{Error, Expression, Result, Side, WorkingBatch};

use crate::CompileError;
use crate::compile::compile_tree;
use crate::data::Data;
use crate::evaluate::Run;
use crate::fault::{Fault, Why};
use crate::operation::Operation;
use crate::types::Types;

/// An operation tree and the text it was made from, to which its places point.
pub(crate) struct Compiled {
    source: Box<str>,
    root: Operation,
}

/// Compiles `source`, which has to come out as one of `wanted`.
pub(crate) fn compiled(source: &str, wanted: Types) -> Result<Arc<dyn Expression>, CompileError> {
    let root = compile_tree(source)?;
    if !root.types.meets(wanted) {
        let message = format!("the expression is {}, not {wanted}", root.types);
        return Err(CompileError::new(root.place.start as usize, message));
    }
    let source = source.into();
    Ok(Arc::new(Compiled { source, root }))
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

/// What is to become of a value when nothing borrows from the batch any more.
enum Made {
    Null,
    Boolean(bool),
    Integer(i64),
    /// A copy of a part of the record.
    Copy(NodeId),
    /// JSON text.
    Json(Vec<u8>),
}

impl Compiled {
    /// Has `read` look at the row, and decodes the key or value when that turns out to be needed.
    fn run<T>(
        &self,
        batch: &mut WorkingBatch,
        row: usize,
        read: impl for<'r> Fn(&mut Run<'r>, &'r Self) -> Result<T, Fault>,
    ) -> Result<T> {
        let mut key_is_text = false;
        let mut value_was_decoded = false;
        loop {
            let mut run = Run::new(batch, row, key_is_text);
            let fault = match read(&mut run, self) {
                Ok(outcome) => return Ok(outcome),
                Err(fault) => fault,
            };
            match fault.why {
                Why::Undecoded(Side::Key) if !key_is_text => {
                    key_is_text = batch.root(row, Side::Key).is_err();
                }
                Why::Undecoded(Side::Value) if !value_was_decoded => {
                    value_was_decoded = true;
                    batch.root(row, Side::Value)?;
                }
                _ => return Err(fault.error(&self.source)),
            }
        }
    }
}

impl Expression for Compiled {
    fn needs_fields(&self) -> bool {
        self.root.needs_fields()
    }

    fn test(&self, batch: &mut WorkingBatch, row: usize) -> Result<bool> {
        self.run(batch, row, |run, compiled| run.boolean(&compiled.root))
    }

    fn value(&self, batch: &mut WorkingBatch, row: usize) -> Result<NodeId> {
        let made = self.run(batch, row, |run, compiled| {
            if compiled.root.types == Types::BOOLEAN {
                return run.boolean(&compiled.root).map(Made::Boolean);
            }
            Ok(match run.value(&compiled.root)? {
                Data::Null => Made::Null,
                Data::Boolean(yes) => Made::Boolean(yes),
                Data::Integer(number) => Made::Integer(number),
                Data::Node(node) | Data::Large(node) => Made::Copy(node),
                data => {
                    let mut json = Vec::new();
                    run.put(&data, compiled.root.place, &mut json)?;
                    Made::Json(json)
                }
            })
        })?;
        let documents = batch.documents_mut();
        let json = match made {
            Made::Null => return Ok(documents.scalar(|out| out.extend_from_slice(b"null"))),
            Made::Boolean(yes) => {
                let json: &[u8] = if yes { b"true" } else { b"false" };
                return Ok(documents.scalar(|out| out.extend_from_slice(json)));
            }
            Made::Integer(number) => return Ok(documents.scalar(|out| append(out, number))),
            Made::Copy(node) => return documents.copy(node),
            Made::Json(json) => json,
        };
        if !matches!(json.first(), Some(b'{' | b'[')) {
            return Ok(documents.scalar(|out| out.extend_from_slice(&json)));
        }
        let span = documents.make(|out| out.extend_from_slice(&json));
        documents
            .parse(span)
            .map_err(|fault| Error::record("evaluate", format!("`{}`", self.source)).because(fault))
    }
}

fn append(out: &mut Vec<u8>, what: impl fmt::Display) {
    let written = write!(out, "{what}");
    debug_assert!(written.is_ok(), "a vector takes any text");
}
