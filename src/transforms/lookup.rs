//! `lookup`: adds what a table knows about a record.

mod table;

use std::sync::Arc;

use towpath_sdk::config::{
    CsvOptions, ExpressionText, Format, Named, Node, Problem, Problems, Separator, Size, TextType,
    choice, options,
};
use towpath_sdk::json::{put_base64, put_string};
use towpath_sdk::{
    Error, Path, Result, Side, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::by::{By, fingerprint};
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
    /// The table is a CSV file, or a topic with `cleanup: compact`: the newest record of each key is a
    /// row, and one with a null value deletes it. Each task holds it in memory.
    ///
    /// A file is read when a task starts, and never again. A topic is read to its end when a task
    /// starts, and from then on row by row as records come. So a record sees rows that are at
    /// least as new as the start of the task; in which order records and rows came does not matter.
    struct Options {
        /// A CSV file with a header. No key stands in it twice.
        file: Option<String>,
        /// A topic.
        topic: Option<String>,
        /// What is looked up: the text or number that is the key of a row.
        by: ExpressionText,
        /// The field that the row is put in: of a file, an object with a field for each column.
        into: Path,
        /// What happens to a record for which there is no row, or whose `by` is null.
        missing: OnMissing = "keep",
        /// What the table may take in memory in each task. One that is larger ends the task.
        memory: Size = "64MiB",
        /// Of a file: the column that is the table's key.
        column: Option<String>,
        /// Of a file: the types of columns that hold something else than text.
        columns: Named<TextType> = {},
        /// Of a file: the character between fields.
        delimiter: Separator = ",",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "lookup",
    summary: "Adds a row of a table, a CSV file or a topic, to a record.",
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
    let origin = origin(node, &options, problems)?;
    Some(Arc::new(LookupConfig {
        origin,
        bytes_max: options.memory.0,
        by: by?,
        into: options.into,
        missing: options.missing,
    }))
}

/// Where the table comes from; `None` when that was reported as wrong.
fn origin(node: &Node, options: &Options, problems: &mut Problems) -> Option<Origin> {
    let csv = CsvOptions {
        header: true,
        columns: options.columns.0.clone(),
        delimiter: options.delimiter.0,
        ..CsvOptions::default()
    };
    match (&options.file, &options.topic, &options.column) {
        (Some(file), None, Some(column)) => match csv.check() {
            Ok(()) => {
                return Some(Origin::File {
                    file: file.as_str().into(),
                    column: column.clone(),
                    csv,
                });
            }
            Err(why) => problems.add(node.span, why),
        },
        (Some(_), None, None) => {
            let problem = Problem::missing(node.span, "missing option `column`");
            problems.push(problem.help("the column that is the table's key"));
        }
        (None, Some(topic), _) => {
            let of_file = ["column", "columns", "delimiter"];
            let Some(given) = of_file.iter().find(|name| node.get(name).is_some()) else {
                return Some(Origin::Topic(topic.as_str().into()));
            };
            let message = format!("`{given}` is about a file, and the table is a topic");
            problems.add(node.span_of(given), message);
        }
        (Some(_), Some(_), _) => problems.add(node.span_of("topic"), "a table has one origin"),
        (None, None, _) => {
            let problem = Problem::missing(node.span, "neither `file` nor `topic` is given");
            problems.push(problem.help("a table is a CSV file, or a topic"));
        }
    }
    None
}

/// Where a table comes from.
#[derive(Debug, Clone)]
enum Origin {
    File {
        file: Arc<str>,
        column: String,
        csv: CsvOptions,
    },
    Topic(Arc<str>),
}

#[derive(Debug)]
struct LookupConfig {
    origin: Origin,
    bytes_max: u64,
    by: By,
    into: Path,
    missing: OnMissing,
}

impl TransformConfig for LookupConfig {
    fn needs_fields(&self) -> bool {
        true
    }

    fn output(&self, _: Format) -> Format {
        Format::Json
    }

    fn table_topic(&self) -> Option<&str> {
        match &self.origin {
            Origin::File { .. } => None,
            Origin::Topic(topic) => Some(topic),
        }
    }

    fn notes(&self) -> Vec<String> {
        let Origin::File { file, column, csv } = &self.origin else {
            return Vec::new();
        };
        let table = Table::load(file, column, csv, self.bytes_max);
        let note = |why| format!("cannot read the table {file}: {why}");
        table.err().map(note).into_iter().collect()
    }

    fn transform(&self) -> Box<dyn Transform> {
        let (name, table) = match &self.origin {
            Origin::File { file, column, csv } => {
                (file, Table::load(file, column, csv, self.bytes_max))
            }
            Origin::Topic(topic) => (topic, Ok(Table::new(self.bytes_max))),
        };
        Box::new(Lookup {
            table,
            name: name.clone(),
            by: self.by.clone(),
            into: self.into.clone(),
            missing: self.missing,
            row: Vec::new(),
        })
    }
}

struct Lookup {
    /// Or why there is none.
    table: Result<Table, String>,
    /// Of the file or topic.
    name: Arc<str>,
    by: By,
    into: Path,
    missing: OnMissing,
    /// A row on its way into the table.
    row: Vec<u8>,
}

impl Transform for Lookup {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let table = self.table.as_ref().map_err(|why| {
            Error::configuration("read the table", &self.name)
                .because(why.clone())
                .remedy("mend the file or the options, and restart the connector")
        })?;
        batch.each(|batch, row| {
            let group = self.by.group(batch, row)?;
            let Some(found) = group.and_then(|group| table.row(group)) else {
                return match self.missing {
                    OnMissing::Keep => Ok(()),
                    OnMissing::Refuse => {
                        let error = Error::record("look up", "a record's `by`");
                        Err(error.because(format!("{} has no such row", self.name)))
                    }
                };
            };
            let Some(root) = batch.root_mut(row, Side::Value)? else {
                return Ok(());
            };
            let documents = batch.documents_mut();
            let made = documents.make(|out| out.extend_from_slice(found));
            let node = documents.parse(made).map_err(|fault| {
                Error::record("read", format!("its row of {}", self.name)).because(fault)
            })?;
            documents.put(root, &self.into, node)
        })
    }

    fn table_row(&mut self, key: &[u8], value: Option<&[u8]>, format: Format) -> Result<()> {
        self.row.clear();
        match (value, format) {
            (None, _) => {}
            (Some(json), Format::Json) => self.row.extend_from_slice(json),
            (Some(text), Format::Text) => {
                put_string(&String::from_utf8_lossy(text), &mut self.row);
            }
            (Some(bytes), Format::Bytes) => put_base64(bytes, &mut self.row),
        }
        let Ok(table) = &mut self.table else {
            return Ok(());
        };
        let row = value.map(|_| &*self.row);
        table.put(fingerprint(key), row).map_err(|why| {
            Error::configuration("hold the table", &self.name)
                .because(why)
                .remedy("raise `memory`, or let the topic hold less")
        })
    }
}

#[cfg(test)]
mod tests;
