//! `parse_regex`: the named groups of a regular expression become fields.

use std::sync::Arc;

use towpath_formats::Pattern;
use towpath_sdk::config::{Node, Problems, options};
use towpath_sdk::{Path, TransformConfig, TransformExample, TransformType};

use crate::parse_text::ParseText;

options! {
    /// A text that the expression does not match refuses its record.
    struct Options {
        /// A regular expression with named groups, `(?<status>\d+)`. It matches anywhere, unless
        /// it says `^` and `$`; in linear time, so it has no backreferences and no look-around.
        pattern: String,
        /// The field that holds the text; the whole value when absent.
        field: Option<Path>,
        /// The field that the object is put in, when it is not to replace the text in `field`.
        into: Option<Path>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "parse_regex",
    summary: "Reads text by the named groups of a regular expression.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "a line of a log",
            options: r"pattern: '^(?<level>[A-Z]+) \[(?<thread>[^\]]+)\] (?<message>.*)$'",
            input: "WARN [main] it takes long",
            output: r#"{"level":"WARN","thread":"main","message":"it takes long"}"#,
        },
        TransformExample {
            title: "a field, which is kept",
            options: r"{ pattern: '(?<major>\d+)\.(?<minor>\d+)', field: version, into: parts }",
            input: r#"{"version":"v2.14"}"#,
            output: r#"{"version":"v2.14","parts":{"major":"2","minor":"14"}}"#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let pattern = match Pattern::new(&options.pattern) {
        Ok(pattern) => pattern,
        Err(why) => {
            problems.add(node.span_of("pattern"), format!("not a pattern: {why}"));
            return None;
        }
    };
    let places = (options.field, options.into);
    let parsing = ParseText::new(pattern, "by the pattern", places, node, problems)?;
    Some(Arc::new(parsing))
}
