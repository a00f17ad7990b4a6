//! `by`: what tells one group of records from another.
//!
//! A group is known by a fingerprint of 128 bits, however long what it is made of. Fingerprints are
//! the same on every machine and in every version: state is made of them.

use std::sync::Arc;

use siphasher::sip128::SipHasher13;
use towpath_sdk::config::{ExpressionText, Problems};
use towpath_sdk::json::{Kind, NodeId};
use towpath_sdk::{Expression, Result, WorkingBatch};

use crate::formula::compile;

/// An expression whose results are groups.
#[derive(Debug, Clone)]
pub(crate) struct By {
    expression: Arc<dyn Expression>,
    /// Kept for its memory.
    text: Vec<u8>,
}

impl By {
    /// Compiles `text`; a mistake is reported where it stands.
    pub fn compile(text: &ExpressionText, problems: &mut Problems) -> Option<Self> {
        Some(Self {
            expression: compile(text, problems)?,
            text: Vec::new(),
        })
    }

    /// Whether it asks for fields of the value.
    pub fn needs_fields(&self) -> bool {
        self.expression.needs_fields()
    }

    /// The group of a row; `None` when the expression gives null.
    ///
    /// # Errors
    /// Those of the expression.
    pub fn group(&mut self, batch: &mut WorkingBatch, row: usize) -> Result<Option<u128>> {
        let node = self.expression.value(batch, row)?;
        Ok(self.fingerprint(batch, node))
    }

    fn fingerprint(&mut self, batch: &WorkingBatch, node: NodeId) -> Option<u128> {
        let documents = batch.documents();
        if documents.kind(node) == Kind::Null {
            return None;
        }
        if let Some(text) = documents.string(node) {
            return Some(fingerprint(text.as_bytes()));
        }
        self.text.clear();
        documents.write(node, &mut self.text);
        Some(fingerprint(&self.text))
    }
}

/// SipHash-1-3 with 128 bits, whose key is zero.
pub(crate) fn fingerprint(bytes: &[u8]) -> u128 {
    SipHasher13::new().hash(bytes).as_u128()
}
