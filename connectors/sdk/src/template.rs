//! Templates: text with places that are filled from a record.
//!
//! `{name}`, `{name:format}`, `{name|default}`; `{{` is a brace. A template is no expression: it
//! is read once into parts, and rendering appends them to a buffer, one after the other.

mod fill;
mod parse;
mod path;
mod record_path;
mod record_scope;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::tz::TimeZone;

use crate::config::{Node, Problem, Problems};
use crate::{Error, Path, Result};

pub use fill::{Fill, Scope};
pub use record_path::RecordPath;
pub use record_scope::{RecordScope, ValueAt};

/// The option that every template of a path stands in.
const PATH_OPTION: &str = "path: ";

/// A text with places to fill. Its `Debug` does not show the text: that may be secret.
#[derive(Clone, PartialEq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
    timezone: TimeZone,
}

#[derive(Clone, PartialEq)]
enum Part {
    Literal(String),
    Place(Place),
}

/// `{name:format|default}`.
#[derive(Clone, PartialEq)]
struct Place {
    name: TemplateName,
    format: Option<FillFormat>,
    default: Option<String>,
}

#[derive(Clone, PartialEq)]
enum FillFormat {
    /// Whole numbers with zeros in front, to this width.
    Pad(usize),
    /// strftime.
    Time(String),
}

/// What a place is filled with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TemplateName {
    /// The topic's name.
    Topic,
    /// The partition's number.
    Partition,
    /// The record's offset.
    Offset,
    /// The first offset of the batch, file or object.
    StartOffset,
    /// The last offset; known only when a whole batch is.
    EndOffset,
    /// The record's key.
    Key,
    /// The record's time.
    Timestamp,
    /// The time at which it is filled.
    Now,
    /// `value.PATH`: the scalar there in the record's value.
    Value(Path),
    /// `headers.NAME`: the last header of that name.
    Header(String),
    /// The pipeline's name.
    Pipeline,
    /// The connector's name within its pipeline.
    Connector,
    /// A name that a connector adds.
    Extra(String),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The bytes of the text where it is wrong.
    pub at: std::ops::Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Template {
    /// Every general name; `value` and `headers` stand for `value.PATH` and `headers.NAME`.
    pub const NAMES: &[&str] = &[
        "topic",
        "partition",
        "offset",
        "start_offset",
        "end_offset",
        "key",
        "timestamp",
        "now",
        "value",
        "headers",
        "pipeline",
        "connector",
    ];

    /// The names of the path of a file or object: its end is not known when it is opened.
    pub const PATH_NAMES: &[&str] = &[
        "topic",
        "partition",
        "offset",
        "start_offset",
        "key",
        "timestamp",
        "now",
        "value",
        "headers",
        "pipeline",
        "connector",
    ];

    /// Reads a template in which the names `allowed` may stand: of [`Template::NAMES`], and
    /// others, which become [`TemplateName::Extra`].
    pub fn parse(text: &str, allowed: &[&str]) -> Result<Self, TemplateError> {
        let parts = parse::parts(text, allowed)?;
        Ok(Self {
            text: text.to_owned(),
            parts,
            timezone: TimeZone::UTC,
        })
    }

    /// Like [`Template::parse`], of a configuration value; the problem is reported at its place.
    pub fn from_node(node: &Node, allowed: &[&str], problems: &mut Problems) -> Option<Self> {
        // The message for what is no text is that of `String`.
        let text = <String as crate::config::OptionType>::parse(node, problems)?;
        match Self::parse(&text, allowed) {
            Ok(template) => Some(template),
            Err(_) if node.reference.is_some() => {
                // The reason may quote the text, which may be secret.
                problems.add(
                    node.span,
                    format!("{} is not a valid template", node.found()),
                );
                None
            }
            Err(error) => {
                let span = node.span_within(error.at.start, error.at.end);
                let mut problem = Problem::new(span, error.message);
                problem.help = error.help;
                problems.push(problem);
                None
            }
        }
    }

    /// Shows times in `timezone` instead of UTC.
    #[must_use]
    pub fn with_timezone(mut self, timezone: TimeZone) -> Self {
        self.timezone = timezone;
        self
    }

    /// The template as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text before the first place: everything rendered begins with it. The whole text of a
    /// constant template.
    pub fn literal_prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// What it is filled with, in order; a name may come more than once.
    pub fn names(&self) -> impl Iterator<Item = &TemplateName> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Place(place) => Some(&place.name),
        })
    }

    /// Whether it always gives the same text.
    pub fn is_constant(&self) -> bool {
        self.names().next().is_none()
    }

    /// Whether it may give different texts for the records of one batch of one partition.
    pub fn is_per_record(&self) -> bool {
        self.names().any(TemplateName::is_per_record)
    }

    /// Whether two paths of this template, as [`Template::render_path`] makes them, are never the same
    /// when they differ in `name`, whatever the other places are filled with.
    pub fn path_tells(&self, name: &TemplateName) -> bool {
        path::tells(&self.parts, name)
    }

    /// Appends the text for `scope` to `out`.
    ///
    /// # Errors
    /// A record error when a field is missing or null and has no default, or does not suit its
    /// format; `out` is then as it was.
    pub fn render(&self, scope: &dyn Scope, out: &mut Vec<u8>) -> Result<()> {
        self.append(scope, out, "", |_, _| {})
    }

    /// Appends the path for `scope` to `out`: always UTF-8, and what is filled in can neither
    /// begin a folder nor lead out of one. The same scope gives the same path, and different
    /// values different ones.
    ///
    /// In filled parts `/`, `%`, control characters, NUL, what is not UTF-8 and a dot in front are
    /// percent-encoded; an empty one becomes `%-`; one too long for a file name is cut and ends in
    /// `%~` and a hash of the whole.
    ///
    /// # Errors
    /// As [`Template::render`], and when a file name still gets longer than 255 bytes.
    pub fn render_path(&self, scope: &dyn Scope, out: &mut Vec<u8>) -> Result<()> {
        let before = out.len();
        self.append(scope, out, PATH_OPTION, path::encode)?;
        path::check_names(&out[before..]).map_err(|error| {
            out.truncate(before);
            Error::record("fill", self.shown(PATH_OPTION, scope)).because(error)
        })
    }

    /// Appends the parts; each filled one is given to `encode`, with where it begins in `out`.
    /// Messages show `option` in front of the text.
    fn append(
        &self,
        scope: &dyn Scope,
        out: &mut Vec<u8>,
        option: &str,
        encode: fn(usize, &mut Vec<u8>),
    ) -> Result<()> {
        let before = out.len();
        for part in &self.parts {
            let start = out.len();
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Place(place) => match place.fill(scope, &self.timezone, out) {
                    Ok(()) => encode(start, out),
                    Err(unfilled) => {
                        out.truncate(before);
                        let shown = self.shown(option, scope);
                        return Err(place.cannot_fill(unfilled, &shown));
                    }
                },
            }
        }
        Ok(())
    }

    /// The template and the record, for messages.
    #[cold]
    fn shown(&self, option: &str, scope: &dyn Scope) -> String {
        format!("`{option}{}` for {}", self.text, fill::record_of(scope))
    }
}

impl TemplateName {
    /// Whether it may differ between the records of one batch of one partition.
    pub fn is_per_record(&self) -> bool {
        match self {
            Self::Offset | Self::Key | Self::Timestamp | Self::Value(_) | Self::Header(_) => true,
            Self::Topic | Self::Partition | Self::StartOffset | Self::EndOffset | Self::Now => {
                false
            }
            // What a connector adds belongs to the place that was read, not to the record.
            Self::Pipeline | Self::Connector | Self::Extra(_) => false,
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template(..)")
    }
}

impl fmt::Display for TemplateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic => f.write_str("topic"),
            Self::Partition => f.write_str("partition"),
            Self::Offset => f.write_str("offset"),
            Self::StartOffset => f.write_str("start_offset"),
            Self::EndOffset => f.write_str("end_offset"),
            Self::Key => f.write_str("key"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Now => f.write_str("now"),
            Self::Value(path) => write!(f, "value.{path}"),
            Self::Header(name) => write!(f, "headers.{name}"),
            Self::Pipeline => f.write_str("pipeline"),
            Self::Connector => f.write_str("connector"),
            Self::Extra(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TemplateError {}
