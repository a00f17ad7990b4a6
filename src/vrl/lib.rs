//! `vrl`: a program in the Vector Remap Language, run on every record.
//!
//! The language is the crate `vrl`; here is what it sees of a record, and what becomes of what it
//! leaves. The compiler says which fields and metadata a program can reach: only those are
//! converted, and of them only what differs afterwards is written. So a field that the program
//! leaves alone keeps its bytes, and a number its digits.
//!
//! No function that the program can call does I/O. It takes a bounded number of steps.

#![warn(missing_docs)]

mod metadata;
mod nesting;
mod program;
#[cfg(test)]
mod tests;
mod value;

use std::ops::ControlFlow;
use std::sync::Arc;

use towpath_sdk::config::{Form, Format, Kind, Node, OptionType, Problem, Problems, Span, options};
use towpath_sdk::json::NodeId;
use towpath_sdk::{
    Cell, Error, Result, Side, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch, json,
};
use vrl::compiler::runtime::{Runtime, Terminate};
use vrl::compiler::{TargetValueRef, TimeZone};
use vrl::value::{ObjectMap, Secrets, Value};

use program::{Program, Reach};

/// Expressions that may be evaluated for one record.
const STEPS_MAX: u32 = 10_000_000;

options! {
    /// Exactly one of `source` and `file` is given.
    ///
    /// `.` is the value and `%` what else the record has: `%key`, `%topic`, `%timestamp` and
    /// `%headers` (an object; null for a header without a value), which can be set, and `%partition`
    /// and `%offset`, which cannot. Text and bytes are a string: `. = parse_json!(.)`. A program
    /// that names fields and never the whole `.` refuses a value that has none.
    ///
    /// `abort` drops the record; an error that the program does not handle refuses it. A `.` that
    /// is certainly a list (`. = [...]`, `. = array!(.items)`) becomes a record for each item.
    struct Options {
        /// The program.
        source: Option<ProgramText>,
        /// A file that holds the program, relative to the working directory.
        file: Option<String>,
        /// The time zone of times that name none, such as `Europe/Berlin`.
        timezone: String = "UTC",
    }
}

/// The transform type.
pub const TYPE: TransformType = TransformType {
    name: "vrl",
    summary: "Runs a program in the Vector Remap Language.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "text becomes fields",
            options: "source: |\n  . = parse_json!(.)\n  .ms = to_int!(.ms)\n  if .path == \"/health\" { abort }\n  del(.password)",
            input: r#"{"path":"/","ms":"12","password":"x"}  # value: text"#,
            output: r#"{"ms":12,"path":"/"}"#,
        },
        TransformExample {
            title: "what is left alone stays as it was written",
            options: "source: .total = float!(.price) * int!(.count)",
            input: r#"{"price":2.50,"count":2,"weight":1.10}"#,
            output: r#"{"price":2.50,"count":2,"weight":1.10,"total":5.0}"#,
        },
        TransformExample {
            title: "a record for each item of a list",
            options: "source: . = array!(.items)",
            input: r#"{"items":[{"sku":"a"},{"sku":"b"}]}"#,
            output: "{\"sku\":\"a\"}\n{\"sku\":\"b\"}",
        },
        TransformExample {
            title: "key, headers and topic",
            options: "source: |\n  %key = .user\n  %headers.region = downcase!(.region)\n  if .level == \"error\" { %topic = \"errors\" }",
            input: r#"{"user":"ada","region":"EU","level":"error"}"#,
            output: r#"{"user":"ada","region":"EU","level":"error"}  # topic: errors; key: ada; header region: eu"#,
        },
    ],
};

/// The text of a program, and where it stands.
#[derive(Debug, Clone, PartialEq)]
struct ProgramText(Node);

impl OptionType for ProgramText {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "VRL program",
            pattern: None,
            example: ".status = to_int!(.status)",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        String::parse(node, problems).map(|_| Self(node.clone()))
    }
}

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let Some(timezone) = TimeZone::parse(&options.timezone) else {
        let message = format!("unknown time zone `{}`", options.timezone);
        let problem = Problem::new(node.span_of("timezone"), message);
        problems.push(problem.help("a name of the IANA database, such as Europe/Berlin"));
        return None;
    };
    let compiled = match (&options.source, &options.file) {
        (Some(ProgramText(text)), None) => {
            let source = text.text().unwrap_or_default();
            Program::compile(source, &|fault| {
                let place = text.span_within(fault.span.start(), fault.span.end());
                fault.problem(place)
            })
        }
        (None, Some(path)) => from_file(path, node.span_of("file")),
        _ => {
            problems.add(node.span, "`vrl` takes either `source` or `file`");
            return None;
        }
    };
    match compiled {
        Ok(program) => Some(Arc::new(Config {
            program: Arc::new(program),
            timezone,
        })),
        Err(found) => {
            found.into_iter().for_each(|problem| problems.push(problem));
            None
        }
    }
}

/// The program in the file `path`, which the option at `option` names.
fn from_file(path: &str, option: Span) -> Result<Program, Vec<Problem>> {
    let source = std::fs::read_to_string(path)
        .map_err(|error| vec![Problem::new(option, format!("cannot read {path}: {error}"))])?;
    Program::compile(&source, &|fault| {
        let (line, column) = program::line_and_column(&source, fault.span.start());
        let mut problem = fault.problem(option);
        problem.message = format!("{path}:{line}:{column}: {}", problem.message);
        problem
    })
}

#[derive(Debug)]
struct Config {
    program: Arc<Program>,
    timezone: TimeZone,
}

impl TransformConfig for Config {
    fn output(&self, format: Format) -> Format {
        match self.program.changes_value() {
            true => Format::Json,
            false => format,
        }
    }

    fn changes_places(&self) -> bool {
        self.program.makes_list || self.program.metadata.sets_topic()
    }

    fn needs_offset(&self) -> bool {
        self.program.metadata.needs_offset()
    }

    fn makes_keys(&self) -> bool {
        self.program.metadata.sets_key()
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(Vrl {
            program: self.program.clone(),
            timezone: self.timezone,
            runtime: Runtime::default(),
            secrets: Secrets::new(),
            made: Vec::new(),
        })
    }
}

struct Vrl {
    program: Arc<Program>,
    timezone: TimeZone,
    runtime: Runtime,
    /// There are none; the language wants to be given some.
    secrets: Secrets,
    /// JSON text on its way into the batch; empty between records.
    made: Vec<u8>,
}

impl Transform for Vrl {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| self.record(batch, row))
    }
}

impl Vrl {
    fn record(&mut self, batch: &mut WorkingBatch, row: usize) -> Result<()> {
        let mut value = self.read(batch, row)?;
        let mut metadata = self.program.metadata.read(batch, row);
        let before = metadata.clone();
        if !self.run(&mut value, &mut metadata)? {
            batch.drop_row(row);
            return Ok(());
        }
        self.program
            .metadata
            .write(&before, &metadata, batch, row)?;
        match (&self.program.reach, value) {
            (Reach::Whole, Value::Array(items)) if self.program.makes_list => {
                self.split(batch, row, &items)
            }
            (Reach::Whole, value) => self.write_whole(batch, row, &value),
            (Reach::Fields(_), Value::Object(fields)) => self.write_fields(batch, row, &fields),
            // Only who names the whole `.` can make something else of it.
            (Reach::Fields(_), _) => Ok(()),
        }
    }

    /// What the program sees as `.`.
    fn read(&self, batch: &mut WorkingBatch, row: usize) -> Result<Value> {
        match &self.program.reach {
            Reach::Whole => value::whole(batch, row),
            Reach::Fields(fields) if fields.is_empty() => Ok(Value::Object(ObjectMap::new())),
            Reach::Fields(fields) => {
                let root = object(batch, row)?;
                let documents = batch.documents();
                let known = fields.iter().filter_map(|field| {
                    let node = documents.field(root, field.name.as_str())?;
                    Some((field.name.clone(), value::of(documents, node)))
                });
                Ok(Value::Object(known.collect()))
            }
        }
    }

    /// Whether the record goes on.
    fn run(&mut self, value: &mut Value, metadata: &mut Value) -> Result<bool> {
        let mut target = TargetValueRef {
            value,
            metadata,
            secrets: &mut self.secrets,
        };
        let mut steps = 0;
        let mut count = || {
            steps += 1;
            match steps > STEPS_MAX {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let Program { code, source, .. } = &*self.program;
        let ended =
            self.runtime
                .resolve_with_control(&mut target, code, &self.timezone, &mut count);
        self.runtime.clear();
        let why = match ended {
            Ok(_) => return Ok(true),
            Err(Terminate::Abort(_)) => return Ok(false),
            Err(Terminate::Interrupted) => format!("it has not ended after {STEPS_MAX} steps"),
            Err(Terminate::Error(error)) => program::with_lines(&error.to_string(), source),
        };
        Err(Error::record("run", "the program").because(why))
    }

    fn write_whole(&mut self, batch: &mut WorkingBatch, row: usize, value: &Value) -> Result<()> {
        let documents = batch.documents();
        let (before, is_same) = match batch.cell(row, Side::Value) {
            Cell::Null => (None, *value == Value::Null),
            Cell::Text(span) | Cell::Bytes(span) => {
                let bytes = documents.bytes(span);
                (None, value.as_bytes().is_some_and(|now| *now == bytes))
            }
            Cell::Json(_) => (None, false),
            Cell::Document(node) => (Some(node), value::is_same(documents, node, value)),
        };
        if is_same {
            return Ok(());
        }
        let cell = match value {
            Value::Null => Cell::Null,
            value => Cell::Json(self.make(batch, value, before)?),
        };
        batch.set_cell(row, Side::Value, cell);
        Ok(())
    }

    fn split(&mut self, batch: &mut WorkingBatch, row: usize, items: &[Value]) -> Result<()> {
        let cells: Result<Vec<Cell>> = items
            .iter()
            .map(|item| Ok(Cell::Json(self.make(batch, item, None)?)))
            .collect();
        batch.split(row, cells?)
    }

    fn write_fields(
        &mut self,
        batch: &mut WorkingBatch,
        row: usize,
        after: &ObjectMap,
    ) -> Result<()> {
        let program = self.program.clone();
        let Reach::Fields(fields) = &program.reach else {
            return Ok(());
        };
        for field in fields {
            let root = object(batch, row)?;
            let documents = batch.documents();
            let before = documents.field(root, field.name.as_str());
            match (before, after.get(&field.name)) {
                (None, None) => {}
                (Some(_), None) => {
                    batch.root_mut(row, Side::Value)?;
                    batch.documents_mut().take(root, &field.path);
                }
                (Some(node), Some(value)) if value::is_same(documents, node, value) => {}
                (before, Some(value)) => {
                    batch.root_mut(row, Side::Value)?;
                    let text = self.make(batch, value, before)?;
                    let documents = batch.documents_mut();
                    let node = documents.parse(text).map_err(|fault| {
                        Error::record("write", format!("`{}`", field.path)).because(fault)
                    })?;
                    documents.put(root, &field.path, node)?;
                }
            }
        }
        Ok(())
    }

    /// Makes JSON text of `value`, which stands where `before` stood.
    fn make(
        &mut self,
        batch: &mut WorkingBatch,
        value: &Value,
        before: Option<NodeId>,
    ) -> Result<json::Span> {
        self.made.clear();
        let documents = batch.documents_mut();
        value::put(value, before, documents, &mut self.made, 0)
            .map_err(|why| Error::record("write", "what the program made").because(why))?;
        Ok(documents.make(|out| out.extend_from_slice(&self.made)))
    }
}

/// The value, whose fields the program names.
fn object(batch: &mut WorkingBatch, row: usize) -> Result<NodeId> {
    let no_fields = |what| {
        Error::record("run", "the program on fields of the value")
            .because(format!("it is {what}, and has none"))
            .remedy("choose the records with `when`, or have the program name the whole `.`")
    };
    match batch.root(row, Side::Value)? {
        None => Err(no_fields("null")),
        Some(root) => match batch.documents().kind(root) {
            json::Kind::Object => Ok(root),
            kind => Err(no_fields(kind.as_str())),
        },
    }
}
