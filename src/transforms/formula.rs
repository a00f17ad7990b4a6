//! Compiling the expressions in options.

use std::sync::Arc;

use towpath_sdk::Expression;
use towpath_sdk::config::{ExpressionText, Problem, Problems};

/// Compiles `text`; a mistake is reported where it stands.
pub(crate) fn compile(
    text: &ExpressionText,
    problems: &mut Problems,
) -> Option<Arc<dyn Expression>> {
    match towpath_expression::compile(&text.text) {
        Ok(expression) => Some(expression),
        Err(error) => {
            let mut problem = Problem::new(text.place(error.at), error.message);
            problem.help = error.help;
            problems.push(problem);
            None
        }
    }
}
