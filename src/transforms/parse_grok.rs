//! `parse_grok`: text read by named patterns, `%{IPORHOST:client}`.

use std::sync::Arc;

use towpath_formats::grok;
use towpath_sdk::config::{Named, Node, Problems, options};
use towpath_sdk::{Path, TransformConfig, TransformExample, TransformType};

use crate::parse_text::ParseText;

options! {
    /// A text that the pattern does not match refuses its record.
    struct Options {
        /// A grok pattern: `%{NAME:field}`, or with a type `%{NAME:field:int}` (`int`, `float`,
        /// `boolean`). A field may be nested, `http.method` or `[http][method]`. The names are
        /// Logstash's; what is around them is a regular expression. It matches anywhere, unless it
        /// says `^` and `$`.
        pattern: String,
        /// Patterns of one's own by their names; they come before the standard ones.
        definitions: Named<String> = {},
        /// The field that holds the text; the whole value when absent.
        field: Option<Path>,
        /// The field that the object is put in, when it is not to replace the text in `field`.
        into: Option<Path>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "parse_grok",
    summary: "Reads text by a grok pattern.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "typed fields",
            options: "pattern: '^%{IP:client} %{WORD:http.method} %{NUMBER:bytes:int}$'",
            input: "10.1.2.3 GET 512",
            output: r#"{"client":"10.1.2.3","http":{"method":"GET"},"bytes":512}"#,
        },
        TransformExample {
            title: "a pattern of one's own",
            options: "{ pattern: '%{ORDER:order}', definitions: { ORDER: '[A-Z]{2}-\\d+' }, field: note, into: found }",
            input: r#"{"note":"paid AB-17 today"}"#,
            output: r#"{"note":"paid AB-17 today","found":{"order":"AB-17"}}"#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let definitions = options.definitions.0.into_iter().collect();
    let pattern = match grok(&options.pattern, &definitions) {
        Ok(pattern) => pattern,
        Err(why) => {
            problems.add(
                node.span_of("pattern"),
                format!("not a grok pattern: {why}"),
            );
            return None;
        }
    };
    let places = (options.field, options.into);
    let parsing = ParseText::new(pattern, "by the grok pattern", places, node, problems)?;
    Some(Arc::new(parsing))
}
