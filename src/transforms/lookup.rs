//! `lookup`: adds what a table knows about a record.

mod table;

use std::sync::Arc;

use towpath_sdk::config::{
    CsvOptions, ExpressionText, Format, Named, Node, Problems, Separator, TextType, choice, options,
};
use towpath_sdk::{
    Error, Path, Result, Side, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::by::By;
use table::Table;

choice! {
    /// What happens to a record for which there is no row.
    enum OnMissing {
        /// It goes on as it is.
        Keep = "keep",
        /// It is refused.
        Refuse = "refuse",
    }
}

options! {
    /// The table is read when a task starts and held in memory: a changed file counts from the next
    /// start on. It has 64 MiB at most, and no key twice.
    struct Options {
        /// A CSV file with a header.
        file: String,
        /// The column that is the table's key.
        column: String,
        /// What is looked up: the text or number that stands in that column.
        by: ExpressionText,
        /// The field that the row is put in, as an object with a field for each column.
        into: Path,
        /// The types of columns that hold something else than text.
        columns: Named<TextType> = {},
        /// The character between fields.
        delimiter: Separator = ",",
        /// What happens to a record for which there is no row, or whose `by` is null.
        missing: OnMissing = "keep",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "lookup",
    summary: "Adds a row of a CSV file to a record.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "a country by its code",
            options: "{ file: lookup/countries.csv, column: code, by: value.country, into: about, columns: { eu: bool } }",
            input: r#"{"country":"NO"}"#,
            output: r#"{"country":"NO","about":{"code":"NO","name":"Norway","eu":false}}"#,
        },
        TransformExample {
            title: "a code that the file does not have",
            options: "{ file: lookup/countries.csv, column: code, by: value.country, into: about }",
            input: r#"{"country":"XX"}"#,
            output: r#"{"country":"XX"}"#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let by = By::compile(&options.by, problems);
    let csv = CsvOptions {
        header: true,
        columns: options.columns.0,
        delimiter: options.delimiter.0,
        ..CsvOptions::default()
    };
    if let Err(why) = csv.check() {
        problems.add(node.span, why);
        return None;
    }
    Some(Arc::new(LookupConfig {
        file: options.file.into(),
        column: options.column,
        csv,
        by: by?,
        into: options.into,
        missing: options.missing,
    }))
}

#[derive(Debug)]
struct LookupConfig {
    file: Arc<str>,
    column: String,
    csv: CsvOptions,
    by: By,
    into: Path,
    missing: OnMissing,
}

impl TransformConfig for LookupConfig {
    fn output(&self, _: Format) -> Format {
        Format::Json
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(Lookup {
            table: Table::load(&self.file, &self.column, &self.csv),
            file: self.file.clone(),
            by: self.by.clone(),
            into: self.into.clone(),
            missing: self.missing,
        })
    }
}

struct Lookup {
    /// Or why there is none.
    table: Result<Table, String>,
    file: Arc<str>,
    by: By,
    into: Path,
    missing: OnMissing,
}

impl Transform for Lookup {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let table = self.table.as_ref().map_err(|why| {
            Error::configuration("read the table", &self.file)
                .because(why.clone())
                .remedy("mend the file or `file`, and restart the connector")
        })?;
        batch.each(|batch, row| {
            let group = self.by.group(batch, row)?;
            let Some(found) = group.and_then(|group| table.row(group)) else {
                return match self.missing {
                    OnMissing::Keep => Ok(()),
                    OnMissing::Refuse => {
                        let error = Error::record("look up", "a record's `by`");
                        Err(error.because(format!("{} has no such row", self.file)))
                    }
                };
            };
            let Some(root) = batch.root_mut(row, Side::Value)? else {
                return Ok(());
            };
            let documents = batch.documents_mut();
            let made = documents.make(|out| out.extend_from_slice(found));
            let node = documents
                .parse(made)
                .map_err(|fault| Error::fatal("read a row of", &self.file).because(fault))?;
            documents.put(root, &self.into, node)
        })
    }
}

#[cfg(test)]
mod tests;
