//! Diagnostics: problems with the texts they are about, for people and for programs.

use annotate_snippets::renderer::{DEFAULT_TERM_WIDTH, DecorStyle};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};
use towpath_sdk::config::{Problem, Problems, Span};
use towpath_sdk::printable;

/// The texts that were read, numbered as in [`Span::source`].
#[derive(Default)]
pub(crate) struct Sources(Vec<SourceText>);

struct SourceText {
    name: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// More than this is not shown, only counted.
const SHOWN_MAX: usize = 100;
/// A line of the source is shown up to here.
const LINE_BYTES_MAX: usize = 1000;

impl Sources {
    /// Adds a text; its number.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> u32 {
        let text = text.into();
        let ends = text.match_indices('\n').map(|(newline, _)| newline + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        self.0.push(SourceText {
            name: name.into(),
            text,
            lines,
        });
        // There are as many texts as files were named; far fewer than four billion.
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }

    /// File and line of a place.
    pub fn locate(&self, span: Span) -> Option<(&str, usize)> {
        let source = self.get(span)?;
        Some((&source.name, source.line_and_column(span.start).0))
    }

    /// `FILE:LINE` of what stands at `span`.
    pub(crate) fn place(&self, span: Span) -> String {
        let found = self.get(span);
        found.map_or_else(String::new, |text| {
            format!("{}:{}", text.name, text.line_and_column(span.start).0)
        })
    }

    fn get(&self, span: Span) -> Option<&SourceText> {
        self.0.get(usize::try_from(span.source).ok()?)
    }
}

/// Shows how many texts there are, not the texts.
impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sources({})", self.0.len())
    }
}

impl SourceText {
    /// Counted from 1; columns count characters.
    fn line_and_column(&self, at: u32) -> (usize, usize) {
        let at = self.text.floor_char_boundary(at as usize);
        let line = self.lines.partition_point(|start| *start <= at);
        (
            line,
            self.text[self.lines[line - 1]..at].chars().count() + 1,
        )
    }
}

/// What is wrong with a configuration, sorted by place, nothing twice.
#[derive(Debug)]
pub struct Diagnostics {
    problems: Vec<Problem>,
    sources: Sources,
}

impl Diagnostics {
    /// Of `problems` in the texts `sources`.
    pub(crate) fn new(problems: Problems, sources: Sources) -> Self {
        let mut problems = problems.into_vec();
        problems
            .sort_by(|left, right| (left.span, &left.message).cmp(&(right.span, &right.message)));
        problems.dedup_by(|left, right| left.span == right.span && left.message == right.message);
        Self { problems, sources }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// As rustc shows them: message, `file:line:column`, the line underlined, help.
    pub fn render(&self, colour: bool) -> String {
        self.render_as(Level::ERROR, colour)
    }

    /// The same, as warnings.
    pub fn render_warnings(&self, colour: bool) -> String {
        self.render_as(Level::WARNING, colour)
    }

    fn render_as(&self, level: Level<'static>, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer
            .decor_style(DecorStyle::Ascii)
            .term_width(DEFAULT_TERM_WIDTH);
        let shown = self
            .problems
            .iter()
            .take(SHOWN_MAX)
            .map(|problem| renderer.render(&self.report(problem, &level)) + "\n");
        let mut out = shown.collect::<Vec<_>>().join("\n");
        if let Some(more) = self
            .problems
            .len()
            .checked_sub(SHOWN_MAX)
            .filter(|more| *more > 0)
        {
            out.push_str(&format!("\nand {more} more\n"));
        }
        out
    }

    fn report<'a>(&'a self, problem: &'a Problem, level: &Level<'a>) -> [Group<'a>; 1] {
        let title = level.clone().primary_title(printable(&problem.message));
        let mut group = Group::with_title(title);
        if let Some(source) = self.sources.get(problem.span) {
            group = if problem.secret {
                let (line, column) = source.line_and_column(problem.span.start);
                group.element(Origin::path(&source.name).line(line).char_column(column))
            } else {
                group.element(source.snippet(problem.span, AnnotationKind::Primary, None))
            };
        }
        if let Some((span, what)) = &problem.related
            && let Some(source) = self.sources.get(*span)
        {
            group = group.element(source.snippet(*span, AnnotationKind::Context, Some(what)));
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        [group]
    }

    /// One object a problem: `file`, `line`, `column`, `end_line`, `end_column` (all but the file
    /// from 1; null when there is no place), `message`, `help`.
    pub fn to_json(&self) -> Vec<Value> {
        self.problems
            .iter()
            .map(|problem| self.problem_json(problem))
            .collect()
    }

    fn problem_json(&self, problem: &Problem) -> Value {
        let source = self.sources.get(problem.span);
        let start = source.map(|source| source.line_and_column(problem.span.start));
        let end = source.map(|source| source.line_and_column(problem.span.end));
        json!({
            "file": source.map(|source| &source.name),
            "line": start.map(|place| place.0),
            "column": start.map(|place| place.1),
            "end_line": end.map(|place| place.0),
            "end_column": end.map(|place| place.1),
            "message": printable(&problem.message),
            "help": problem.help.as_deref().map(printable),
        })
    }
}

impl SourceText {
    /// The first line of `span`, with the span underlined.
    fn snippet<'a>(
        &'a self,
        span: Span,
        kind: AnnotationKind,
        label: Option<&'a str>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let start = self.text.floor_char_boundary(span.start as usize);
        let end = self.text.floor_char_boundary(span.end as usize).max(start);
        let line = self.lines.partition_point(|begin| *begin <= start);
        let line_start = self.lines[line - 1];
        let line_start = match start - line_start > LINE_BYTES_MAX {
            true => self.text.ceil_char_boundary(start - LINE_BYTES_MAX),
            false => line_start,
        };
        let line_end = self.text[start..]
            .find(['\r', '\n'])
            .map_or(self.text.len(), |at| start + at);
        let line_end = self
            .text
            .floor_char_boundary(line_end.min(start + LINE_BYTES_MAX));
        // Of a value of several lines the first is enough.
        let underlined = start - line_start..end.min(line_end) - line_start;
        Snippet::source(&self.text[line_start..line_end])
            .line_start(line)
            .path(&self.name)
            .annotation(kind.span(underlined).label(label))
    }
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
