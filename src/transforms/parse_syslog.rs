//! `parse_syslog`: a syslog message becomes fields.

use std::sync::Arc;

use towpath_formats::Syslog;
use towpath_sdk::config::{Mode, Node, Problems, options};
use towpath_sdk::{Path, TransformConfig, TransformExample, TransformType};

use crate::parse_text::ParseText;

options! {
    /// RFC 5424, or RFC 3164 as it is found in the wild; the year that the older form lacks is the
    /// one that puts the message nearest before the record's timestamp.
    struct Options {
        /// The field that holds the text; the whole value when absent.
        field: Option<Path>,
        /// The field that the object is put in, when it is not to replace the text in `field`.
        into: Option<Path>,
        /// What happens to text that is no syslog message; a lenient parser makes it a `message`.
        mode: Mode = "strict",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "parse_syslog",
    summary: "Reads text as a syslog message.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "RFC 5424",
        options: "",
        input: r#"<165>1 2026-03-01T22:14:15Z web1 nginx 812 ID47 [req id="a1"] upstream is slow"#,
        output: r#"{"facility":"local4","severity":"notice","version":1,"timestamp":"2026-03-01T22:14:15Z","hostname":"web1","appname":"nginx","procid":"812","msgid":"ID47","structured_data":{"req":{"id":"a1"}},"message":"upstream is slow"}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let parser = Syslog::new(options.mode == Mode::Lenient);
    let places = (options.field, options.into);
    Some(Arc::new(ParseText::new(
        parser,
        "as syslog",
        places,
        node,
        problems,
    )?))
}
