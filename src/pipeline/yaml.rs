//! YAML text to a tree of [`Node`]s, each with its bytes in the text.
//!
//! The parser only gives events; the tree is built here, so that a duplicate key is a problem
//! among others instead of the end, and so that no input costs more than [`Budget`] allows,
//! however often its aliases repeat what they stand for.

mod merge;
mod scalar;
mod tree;

use granit_parser::{Event, Parser, Span as Extent};
use towpath_sdk::config::{Node, Problem, Problems, Span};
use towpath_sdk::printable;

use tree::Builder;

/// What one file may cost.
pub(crate) const BYTES_MAX: usize = 1 << 20;
const NODES_MAX: usize = 20_000;
/// Text after aliases were followed.
const TEXT_MAX: usize = 4 << 20;
const DEPTH_MAX: usize = 64;

/// What a file says.
pub(crate) struct Document {
    /// `None` when the file holds nothing.
    pub root: Option<Node>,
    /// Whether it was read to its end: if not, what is missing may stand there.
    pub complete: bool,
}

/// Reads `text`, which is number `source`. A syntax error is one problem; what stands before it
/// is in the document nevertheless.
pub(crate) fn read(source: u32, text: &str, problems: &mut Problems) -> Document {
    if text.len() > BYTES_MAX {
        let span = Span::new(source, 0, 0);
        problems.add(
            span,
            format!(
                "the file has {} bytes; the most are {BYTES_MAX}",
                text.len()
            ),
        );
        return Document {
            root: None,
            complete: false,
        };
    }
    let options = granit_parser::options! { emit_unresolved_aliases: true };
    let mut builder = Builder::new(source, text);
    for event in Parser::new_from_str_with_options(text, options) {
        let outcome = match event {
            Ok((event, extent)) => step(&mut builder, event, place(source, text, extent), problems),
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                let span = one_character(source, text, at);
                let info = printable(&error.info());
                let problem = Problem::new(span, format!("this is not YAML: {info}"));
                let line = text[..span.start as usize]
                    .lines()
                    .last()
                    .unwrap_or_default();
                problems.push(match line.contains(" in [") {
                    true => problem.help("within { } an expression with a list stands in quotes"),
                    false => problem,
                });
                Err(Stop)
            }
        };
        if outcome.is_err() {
            return Document {
                root: builder.close_all(problems),
                complete: false,
            };
        }
    }
    Document {
        root: builder.close_all(problems),
        complete: true,
    }
}

/// The file is not read further.
struct Stop;

fn step(
    builder: &mut Builder<'_>,
    event: Event<'_>,
    span: Span,
    problems: &mut Problems,
) -> Result<(), Stop> {
    match event {
        Event::DocumentStart(..) => builder.begin_document(span, problems),
        Event::Scalar(text, style, anchor, tag) => {
            let node = scalar::node(builder.text(), span, &text, style, tag.as_deref(), problems);
            builder.scalar(node, style, anchor, problems)
        }
        Event::SequenceStart(style, anchor, tag) => {
            tree::check_tag(tag.as_deref(), "seq", span, problems);
            builder.open(tree::Container::list(), style, anchor, span, problems)
        }
        Event::MappingStart(style, anchor, tag) => {
            tree::check_tag(tag.as_deref(), "map", span, problems);
            builder.open(tree::Container::map(), style, anchor, span, problems)
        }
        Event::SequenceEnd | Event::MappingEnd => builder.close(Some(span), problems),
        Event::Alias(anchor) => builder.alias(anchor, span, problems),
        Event::UnresolvedAlias(name) => {
            let name = printable(&name);
            let problem = Problem::new(span, format!("`*{name}` refers to nothing"));
            problems.push(problem.help(format!("define it above, with `&{name}`")));
            builder.unknown(span, problems)
        }
        _ => Ok(()),
    }
}

fn place(source: u32, text: &str, extent: Extent) -> Span {
    let range = extent.byte_range().unwrap_or(text.len()..text.len());
    Span::new(source, offset(range.start), offset(range.end))
}

/// The character at byte `at`, to point at.
fn one_character(source: u32, text: &str, at: usize) -> Span {
    let at = text.floor_char_boundary(at.min(text.len()));
    let length = text[at..]
        .chars()
        .next()
        .filter(|next| *next != '\n')
        .map_or(0, char::len_utf8);
    Span::new(source, offset(at), offset(at + length))
}

/// Texts are at most [`BYTES_MAX`] long, so every offset fits.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
