//! `parse_user_agent`: browser, system and kind of device.

use std::sync::Arc;

use towpath_formats::UserAgent;
use towpath_sdk::config::{Node, Problems, options};
use towpath_sdk::{Path, TransformConfig, TransformExample, TransformType};

use crate::parse_text::ParseText;

options! {
    /// What a text does not tell, or nobody knows, is left out.
    struct Options {
        /// The field that holds the text; the whole value when absent.
        field: Option<Path>,
        /// The field that the object is put in, when it is not to replace the text in `field`.
        into: Option<Path>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "parse_user_agent",
    summary: "Reads text as the User-Agent of an HTTP request.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "beside the text",
        options: "{ field: agent, into: client }",
        input: r#"{"agent":"Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"}"#,
        output: r#"{"agent":"Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0","client":{"browser":{"family":"Firefox","version":"143.0"},"os":{"family":"Linux"},"device":{"category":"pc"}}}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let places = (options.field, options.into);
    let parsing = ParseText::new(UserAgent, "as a User-Agent", places, node, problems)?;
    Some(Arc::new(parsing))
}
