//! `parse_json`: text that is JSON becomes a value with fields.

use std::sync::Arc;

use towpath_sdk::config::{Format, Node, Problems, options};
use towpath_sdk::json::Kind;
use towpath_sdk::{
    Cell, Error, Path, Result, Side, Transform, TransformConfig, TransformContext,
    TransformExample, TransformType, WorkingBatch,
};

options! {
    struct Options {
        /// The field whose text is JSON; the whole value when absent.
        field: Option<Path>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "parse_json",
    summary: "Reads text as JSON.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "a field that holds JSON",
        options: "field: payload",
        input: r#"{"id":7,"payload":"{\"a\":1}"}"#,
        output: r#"{"id":7,"payload":{"a":1}}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let Options { field } = Options::parse(node, problems)?;
    Some(Arc::new(ParseJson { field }))
}

#[derive(Debug, Clone)]
struct ParseJson {
    field: Option<Path>,
}

impl TransformConfig for ParseJson {
    fn needs_fields(&self) -> bool {
        self.field.is_some()
    }

    fn output(&self, _: Format) -> Format {
        Format::Json
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for ParseJson {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| match &self.field {
            None => parse_value(batch, row),
            Some(path) => parse_field(batch, row, path),
        })
    }
}

fn parse_value(batch: &mut WorkingBatch, row: usize) -> Result<()> {
    match batch.cell(row, Side::Value) {
        Cell::Text(span) | Cell::Bytes(span) => {
            let node = batch.parse(row, Side::Value, span)?;
            batch.set_cell(row, Side::Value, Cell::Document(node));
        }
        // A JSON string, such as a parser before this one made, holds the text.
        Cell::Json(_) | Cell::Document(_) => {
            let Some(root) = batch.root(row, Side::Value)? else {
                return Ok(());
            };
            if let Some(text) = batch.documents_mut().string_span(root) {
                let node = batch.parse(row, Side::Value, text)?;
                batch.set_cell(row, Side::Value, Cell::Document(node));
            }
        }
        Cell::Null => {}
    }
    Ok(())
}

fn parse_field(batch: &mut WorkingBatch, row: usize, path: &Path) -> Result<()> {
    let Some(root) = batch.root_mut(row, Side::Value)? else {
        return Ok(());
    };
    let error =
        |why: &str| Error::record("read", format!("`{path}` as JSON")).because(why.to_owned());
    let found = batch.documents().find(root, path);
    let node = found.ok_or_else(|| error("the record has no such field"))?;
    match (
        batch.documents_mut().string_span(node),
        batch.documents().kind(node),
    ) {
        (Some(text), _) => {
            let documents = batch.documents_mut();
            let parsed = documents
                .parse(text)
                .map_err(|fault| error(&fault.to_string()))?;
            documents.put(root, path, parsed)
        }
        (None, Kind::Null) => Ok(()),
        (None, kind) => Err(error(&format!("it is {}, and no text", kind.as_str()))),
    }
}
