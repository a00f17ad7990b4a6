//! A compiled program, and what it can reach of a record.
//!
//! The compiler lists every path that a program names. A program that names fields only can reach
//! nothing but these: a path that is made while it runs (`get`, `set`, closures over all fields)
//! begins at the whole `.`, which is on the list then.

use towpath_sdk::config::{Problem, nearest};
use towpath_sdk::{Path, printable};
use vrl::compiler::state::ExternalEnv;
use vrl::compiler::{CompileConfig, Function, compile_with_external};
use vrl::diagnostic::{Diagnostic, Note, Span};
use vrl::path::{OwnedSegment, OwnedTargetPath, OwnedValuePath, PathPrefix};
use vrl::prelude::{Collection, Kind};
use vrl::value::KeyString;

use crate::metadata::{Metadata, Part};
use crate::nesting::too_deep;

/// What has an effect beside its result: it writes to the log of the process.
const LEFT_OUT: &[&str] = &["log"];

/// What is quoted of a program in a message.
const WRITTEN_BYTES_MAX: usize = 60;

/// A compiled program.
#[derive(Debug)]
pub(crate) struct Program {
    pub code: vrl::compiler::Program,
    pub source: String,
    pub reach: Reach,
    pub metadata: Metadata,
    /// Whether its `.` is certainly a list in the end.
    pub makes_list: bool,
    assigns_value: bool,
}

/// What a program can reach of the value.
#[derive(Debug)]
pub(crate) enum Reach {
    /// All of it.
    Whole,
    /// These fields, each named once.
    Fields(Vec<Field>),
}

/// A field of the value.
#[derive(Debug)]
pub(crate) struct Field {
    pub name: KeyString,
    pub path: Path,
}

/// A mistake in a program.
pub(crate) struct Fault {
    pub span: Span,
    message: String,
    help: Option<String>,
}

impl Fault {
    /// The mistake, shown at `place`.
    pub fn problem(self, place: towpath_sdk::config::Span) -> Problem {
        let problem = Problem::new(place, self.message);
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

impl Program {
    /// Compiles `source`; `show` says where a mistake stands.
    pub fn compile(source: &str, show: &dyn Fn(Fault) -> Problem) -> Result<Self, Vec<Problem>> {
        if let Some(at) = too_deep(source) {
            let message = "the program is nested too deep here".to_owned();
            let help = "divide a long chain of operators, or set a variable in between";
            return Err(vec![show(Fault {
                span: Span::new(at, at + 1),
                message,
                help: Some(help.to_owned()),
            })]);
        }
        let mut functions = vrl::stdlib::all();
        functions.retain(|function| !LEFT_OUT.contains(&function.identifier()));
        let code = compile(source, &functions).map_err(|found| {
            let faults = found.iter().map(|error| fault(error, source, &functions));
            faults.map(show).collect::<Vec<_>>()
        })?;
        let metadata = reached_metadata(&code, source).map_err(|fault| vec![show(fault)])?;
        let assigned = code.info().target_assignments.iter();
        let assigned: Vec<_> = assigned
            .filter(|path| path.prefix == PathPrefix::Event)
            .map(|path| path.path.is_root())
            .collect();
        let last = code.final_type_info().state;
        Ok(Self {
            makes_list: assigned.contains(&true) && last.external.target_kind().is_array(),
            assigns_value: !assigned.is_empty(),
            reach: reach(&code),
            metadata,
            source: source.to_owned(),
            code,
        })
    }

    /// Whether it may leave another value. Beside assignments only the function `del` changes what
    /// it is given; that is not on the compiler's lists.
    pub fn changes_value(&self) -> bool {
        self.assigns_value || self.source.contains("del")
    }
}

/// Compiles `source` for a `.` that is an object, as Vector does; where that fails for a string, and
/// then for anything. Values are what they are when the program runs: it is checked once more then.
/// Gives the errors of the attempt with the fewest.
fn compile(
    source: &str,
    functions: &[Box<dyn Function>],
) -> Result<vrl::compiler::Program, Vec<Diagnostic>> {
    let mut fewest: Option<Vec<Diagnostic>> = None;
    for value in [Kind::object(Collection::any()), Kind::bytes(), Kind::any()] {
        let mut config = CompileConfig::default();
        for part in Part::ALL.into_iter().filter(|part| part.is_fixed()) {
            let path = OwnedValuePath::single_field(part.name());
            config.set_read_only_path(OwnedTargetPath::metadata(path), true);
        }
        let environment = ExternalEnv::new_with_kind(value, Kind::object(Collection::any()));
        let found = match compile_with_external(source, functions, &environment, config) {
            Ok(compiled) => return Ok(compiled.program),
            Err(found) => found,
        };
        let errors: Vec<_> = found.into_iter().filter(Diagnostic::is_problem).collect();
        if fewest
            .as_ref()
            .is_none_or(|fewest| errors.len() < fewest.len())
        {
            fewest = Some(errors);
        }
    }
    Err(fewest.unwrap_or_default())
}

/// All paths that `code` names in `%` or `.`.
fn named(code: &vrl::compiler::Program, of: PathPrefix) -> impl Iterator<Item = &OwnedValuePath> {
    let info = code.info();
    let all = info.target_queries.iter().chain(&info.target_assignments);
    all.filter(move |path| path.prefix == of)
        .map(|path| &path.path)
}

fn reach(code: &vrl::compiler::Program) -> Reach {
    let mut fields: Vec<Field> = Vec::new();
    for path in named(code, PathPrefix::Event) {
        let Some(OwnedSegment::Field(name)) = path.segments.first() else {
            return Reach::Whole;
        };
        if fields.iter().any(|known| known.name == *name) {
            continue;
        }
        let Ok(path) = Path::parse(&format!("`{}`", name.replace('`', "``"))) else {
            return Reach::Whole;
        };
        let name = name.clone();
        fields.push(Field { name, path });
    }
    Reach::Fields(fields)
}

fn reached_metadata(code: &vrl::compiler::Program, source: &str) -> Result<Metadata, Fault> {
    let mut metadata = Metadata::default();
    for path in named(code, PathPrefix::Metadata) {
        match path.segments.first() {
            Some(OwnedSegment::Field(name)) => {
                let part = part(name, source)?;
                if !metadata.reached.contains(&part) {
                    metadata.reached.push(part);
                }
            }
            _ => metadata.whole = true,
        }
    }
    if metadata.whole {
        metadata.reached = Part::ALL.to_vec();
    }
    let assigned = code.info().target_assignments.iter();
    for path in assigned.filter(|path| path.prefix == PathPrefix::Metadata) {
        if let Some(OwnedSegment::Field(name)) = path.path.segments.first() {
            metadata.assigned.push(part(name, source)?);
        }
    }
    Ok(metadata)
}

fn part(name: &str, source: &str) -> Result<Part, Fault> {
    if let Some(part) = Part::ALL.into_iter().find(|part| part.name() == name) {
        return Ok(part);
    }
    let written = format!("%{name}");
    let start = source.find(&written).unwrap_or_default();
    let names = Part::ALL.map(Part::name);
    Err(Fault {
        span: Span::new(start, start + written.len()),
        message: format!("a record has no `%{}`", printable(name)),
        help: Some(match nearest(name, names) {
            Some(near) => format!("did you mean `%{near}`?"),
            None => format!("possible: %{}", names.join(", %")),
        }),
    })
}

/// The first of what the compiler says about a mistake, in one line.
fn fault(error: &Diagnostic, source: &str, functions: &[Box<dyn Function>]) -> Fault {
    let primary = error.labels.iter().find(|label| label.primary);
    let span = primary.or(error.labels.first()).map(|label| label.span);
    let span = span.unwrap_or_default();
    let written = source.get(span.range()).unwrap_or_default();
    let written = written.trim_end_matches(['=', ' ', '\n']);
    let mut message = one_line(&with_lines(&error.message, source));
    if let Some(label) = primary
        && !label.message.is_empty()
        && !message.contains(&label.message)
    {
        message = format!("{message}: {}", one_line(&label.message));
    } else if (1..=WRITTEN_BYTES_MAX).contains(&written.len()) {
        message = format!("{message}: `{}`", one_line(written));
    }
    let near = || nearest(written, functions.iter().map(|known| known.identifier()));
    let label = error
        .labels
        .iter()
        .find(|label| !label.primary && !label.message.is_empty());
    let note = error.notes.iter().find_map(|note| match note {
        Note::Hint(text) | Note::Basic(text) if !text.trim().is_empty() => Some(text.as_str()),
        _ => None,
    });
    let help = match near() {
        Some(near) if message.contains("undefined function") => {
            Some(format!("did you mean `{near}`?"))
        }
        _ => label.map(|label| &*label.message).or(note).map(one_line),
    };
    Fault {
        span,
        message,
        help,
    }
}

/// VRL draws some messages over several lines.
fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    printable(&words.join(" "))
}

/// `message` with every place `(12:31)`, bytes of `source`, said as its line and column.
pub(crate) fn with_lines(message: &str, source: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(" at (") {
        out.push_str(before);
        let place = after.split_once(')').and_then(|(place, behind)| {
            let (start, end) = place.split_once(':')?;
            end.parse::<usize>().ok()?;
            Some((line_and_column(source, start.parse().ok()?), behind))
        });
        match place {
            Some(((line, column), behind)) => {
                out.push_str(&format!(" at line {line}, column {column}"));
                rest = behind;
            }
            None => {
                out.push_str(" at (");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Both counted from 1, columns in characters.
pub(crate) fn line_and_column(source: &str, at: usize) -> (usize, usize) {
    let before = source.get(..at).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (line, before[start..].chars().count() + 1)
}
