//! What all parsers of text share: where the text stands, and where what it says goes.

use std::fmt::Debug;

use towpath_formats::Parser;
use towpath_sdk::config::{Format, Node, Problems};
use towpath_sdk::json::Kind;
use towpath_sdk::{
    Cell, Error, Path, Result, Side, Transform, TransformConfig, TransformContext, WorkingBatch,
};

/// A transform that reads text with a parser. The object takes the place of the text, which is the
/// value or a field; or it is put in another field, and the text stays.
#[derive(Clone)]
pub(crate) struct ParseText<P> {
    reader: Reader<P>,
    /// The field with the text and the one for the object; `None` when both are the whole value.
    fields: Option<(Path, Path)>,
}

#[derive(Clone)]
struct Reader<P> {
    parser: P,
    /// For messages: `as CSV`.
    how: &'static str,
    /// What the parser made; kept for its memory.
    made: Vec<u8>,
}

impl<P> ParseText<P> {
    /// `field` and `into` are the options of these names; `node` is where they stand, should they
    /// not fit.
    pub fn new(
        parser: P,
        how: &'static str,
        (field, into): (Option<Path>, Option<Path>),
        node: &Node,
        problems: &mut Problems,
    ) -> Option<Self> {
        let fields = match (field, into) {
            (None, None) => None,
            (Some(field), into) => {
                let into = into.unwrap_or_else(|| field.clone());
                Some((field, into))
            }
            (None, Some(_)) => {
                let message = "`into` needs `field`: without it the whole value is replaced";
                problems.add(node.span_of("into"), message);
                return None;
            }
        };
        let made = Vec::new();
        let reader = Reader { parser, how, made };
        Some(Self { reader, fields })
    }
}

/// Without the parser, which may be a page of compiled expression.
impl<P> Debug for ParseText<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("ParseText");
        shown
            .field("how", &self.reader.how)
            .field("fields", &self.fields);
        shown.finish_non_exhaustive()
    }
}

impl<P: Parser + Clone + Sync + 'static> TransformConfig for ParseText<P> {
    fn needs_fields(&self) -> bool {
        self.fields.is_some()
    }

    fn output(&self, _: Format) -> Format {
        Format::Json
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl<P: Parser> Transform for ParseText<P> {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let Self { reader, fields } = self;
        batch.each(|batch, row| {
            reader.parser.set_reference_ms(batch.timestamp_ms(row));
            reader.made.clear();
            match fields {
                None => reader.read_value(batch, row),
                Some((field, into)) => reader.read_field(batch, row, field, into),
            }
        })
    }
}

impl<P: Parser> Reader<P> {
    fn read_value(&mut self, batch: &mut WorkingBatch, row: usize) -> Result<()> {
        match batch.cell(row, Side::Value) {
            Cell::Text(span) | Cell::Bytes(span) => {
                let text = batch.documents().bytes(span);
                self.parser.parse(text, &mut self.made)
            }
            // A JSON string, such as a transform before this one made.
            _ => match batch.text(row, Side::Value)? {
                Some(text) => self.parser.parse(text.as_bytes(), &mut self.made),
                None => return Ok(()),
            },
        }
        .map_err(|fault| {
            let what = format!("the value {}", self.how);
            Error::record("read", what).because(self.parser.explain(fault))
        })?;
        let made = batch
            .documents_mut()
            .make(|out| out.extend_from_slice(&self.made));
        batch.set_cell(row, Side::Value, Cell::Json(made));
        Ok(())
    }

    fn read_field(
        &mut self,
        batch: &mut WorkingBatch,
        row: usize,
        field: &Path,
        into: &Path,
    ) -> Result<()> {
        let Some(root) = batch.root(row, Side::Value)? else {
            return Ok(());
        };
        let how = self.how;
        let error = || Error::record("read", format!("`{field}` {how}"));
        let documents = batch.documents();
        let node = documents
            .find(root, field)
            .ok_or_else(|| error().because("the record has no such field"))?;
        let Some(text) = documents.string(node) else {
            return match documents.kind(node) {
                Kind::Null => Ok(()),
                kind => Err(error().because(format!("it is {}, and no text", kind.as_str()))),
            };
        };
        self.parser
            .parse(text.as_bytes(), &mut self.made)
            .map_err(|fault| error().because(self.parser.explain(fault)))?;
        batch.root_mut(row, Side::Value)?;
        let documents = batch.documents_mut();
        let made = documents.make(|out| out.extend_from_slice(&self.made));
        let parsed = documents
            .parse(made)
            .map_err(|fault| error().because(fault))?;
        documents.put(root, into, parsed)
    }
}

#[cfg(test)]
mod tests;
