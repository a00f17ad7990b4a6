//! `filter`: goes on with some records and drops the others.

use std::sync::Arc;

use towpath_sdk::config::{ExpressionText, Node, Problems, options};
use towpath_sdk::{
    Expression, Result, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::formula::compile;

options! {
    /// Exactly one of `keep` and `drop` is given.
    struct Options {
        /// Records for which this does not hold are dropped.
        keep: Option<ExpressionText>,
        /// Records for which this holds are dropped.
        drop: Option<ExpressionText>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "filter",
    summary: "Keeps or drops the records for which an expression holds.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "errors only",
            options: "keep: value.status >= 500",
            input: r#"{"status":502}"#,
            output: r#"{"status":502}"#,
        },
        TransformExample {
            title: "no health checks",
            options: "drop: value.path == '/health'",
            input: r#"{"path":"/health"}"#,
            output: "",
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let (test, keep) = match (options.keep, options.drop) {
        (Some(keep), None) => (keep, true),
        (None, Some(drop)) => (drop, false),
        (keep, _) => {
            let what = if keep.is_some() { "only one" } else { "one" };
            problems.add(
                node.span,
                format!("`filter` takes {what} of `keep` and `drop`"),
            );
            return None;
        }
    };
    let test = compile(&test, problems)?;
    Some(Arc::new(Filter { test, keep }))
}

#[derive(Debug, Clone)]
struct Filter {
    test: Arc<dyn Expression>,
    /// What the test says of a record that goes on.
    keep: bool,
}

impl TransformConfig for Filter {
    fn needs_fields(&self) -> bool {
        self.test.needs_fields()
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Filter {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            if self.test.test(batch, row)? != self.keep {
                batch.drop_row(row);
            }
            Ok(())
        })
    }
}
