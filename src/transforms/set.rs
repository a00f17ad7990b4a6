//! `set`: fields from expressions.

use std::sync::Arc;

use towpath_sdk::config::{ByPath, ExpressionText, Node, Problems, options};
use towpath_sdk::{
    Error, Expression, Path, Result, Side, Transform, TransformConfig, TransformContext,
    TransformExample, TransformType, WorkingBatch,
};

use crate::formula::compile;

options! {
    struct Options {
        /// What each field becomes. Every expression sees the record as it came; fields on the way
        /// are made.
        fields: ByPath<ExpressionText>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "set",
    summary: "Sets fields to the values of expressions.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "a field from two others",
        options: "fields: { request.slow: value.ms > 100, name: value.first + ' ' + value.last }",
        input: r#"{"first":"Ada","last":"L","ms":120}"#,
        output: r#"{"first":"Ada","last":"L","ms":120,"request":{"slow":true},"name":"Ada L"}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let ByPath(fields) = Options::parse(node, problems)?.fields;
    let compiled: Vec<_> = fields
        .into_iter()
        .map(|(path, text)| Some((path, compile(&text, problems)?)))
        .collect();
    let fields = compiled.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Arc::new(Set { fields }))
}

#[derive(Debug, Clone)]
struct Set {
    fields: Vec<(Path, Arc<dyn Expression>)>,
}

impl TransformConfig for Set {
    fn needs_fields(&self) -> bool {
        true
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Set {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let mut values = Vec::with_capacity(self.fields.len());
        batch.each(|batch, row| {
            let Some(root) = batch.root_mut(row, Side::Value)? else {
                return Err(Error::record("set fields of", "a null value"));
            };
            values.clear();
            for (_, expression) in &self.fields {
                values.push(expression.value(batch, row)?);
            }
            for ((path, _), value) in self.fields.iter().zip(&values) {
                batch.documents_mut().put(root, path, *value)?;
            }
            Ok(())
        })
    }
}
