//! `parse_logfmt`: `level=info msg="it is done"` becomes fields.

use std::sync::Arc;

use towpath_formats::Logfmt;
use towpath_sdk::config::{Mode, Node, Problems, options};
use towpath_sdk::{Path, TransformConfig, TransformExample, TransformType};

use crate::parse_text::ParseText;

options! {
    struct Options {
        /// The field that holds the text; the whole value when absent.
        field: Option<Path>,
        /// The field that the object is put in, when it is not to replace the text in `field`.
        into: Option<Path>,
        /// What happens to text that is not well formed, such as a stray quote.
        mode: Mode = "strict",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "parse_logfmt",
    summary: "Reads text as logfmt.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "a line of a log",
        options: "",
        input: r#"level=info msg="it is done" ms=12 cached"#,
        output: r#"{"level":"info","msg":"it is done","ms":"12","cached":true}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let parser = Logfmt::new(options.mode == Mode::Lenient);
    let places = (options.field, options.into);
    Some(Arc::new(ParseText::new(
        parser,
        "as logfmt",
        places,
        node,
        problems,
    )?))
}
