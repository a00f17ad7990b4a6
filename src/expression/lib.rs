//! The expression language: what `when`, `filter` and `set` are written in. The syntax and, where
//! `README.md` says nothing else, the meaning are those of CEL (cel-spec, "Language Definition").
//!
//! A text goes through three hands: `parse` makes a syntax tree of it, `compile` an operation tree
//! (names resolved, constants folded, regular expressions compiled, evident mistakes refused), and
//! `evaluate` runs that on a row of the working batch. Evaluation reads the decoded nodes where
//! they stand: it builds no map and no list for a record, and decodes only what it looks into.
//!
//! What holds whatever the text and whatever the record: no panic, recursion at most
//! [`DEPTH_MAX`] deep, and work for one record bounded in steps.

#![warn(missing_docs)]

mod compile;
mod data;
mod evaluate;
mod expression;
mod fault;
mod function;
mod operation;
mod operators;
mod parse;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod token;
mod types;

use std::sync::Arc;

use towpath_sdk::Expression;

use types::Types;

/// The longest text of an expression, in bytes.
pub const SOURCE_BYTES_MAX: usize = 64 << 10;
/// How deep an expression may be nested.
pub const DEPTH_MAX: usize = 100;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// The byte of the text where it stops making sense.
    pub at: usize,
    /// What is wrong there; a sentence without capital and full stop.
    pub message: String,
    /// What to do, such as "did you mean `startsWith`?".
    pub help: Option<String>,
}

/// Compiles `source`, to be shared by all who evaluate it.
///
/// # Errors
/// The first mistake.
pub fn compile(source: &str) -> Result<Arc<dyn Expression>, CompileError> {
    expression::compiled(source, Types::ANY)
}

/// Compiles `source` as a condition: one that can only come out as something else than true or
/// false is a mistake.
///
/// # Errors
/// The first mistake.
pub fn compile_condition(source: &str) -> Result<Arc<dyn Expression>, CompileError> {
    expression::compiled(source, Types::BOOLEAN)
}

impl CompileError {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Proposes the nearest of `known` to `word`, or all of them.
    pub(crate) fn suggest<'a>(
        self,
        word: &str,
        known: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
    ) -> Self {
        let known = known.into_iter();
        match towpath_sdk::config::nearest(word, known.clone()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self.help(format!(
                "possible: {}",
                known.collect::<Vec<_>>().join(", ")
            )),
        }
    }
}

impl std::fmt::Display for CompileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.message, self.at)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CompileError {}
