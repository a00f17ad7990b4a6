//! `parse_csv`: a line of CSV becomes fields.

use std::sync::Arc;

use towpath_formats::Csv;
use towpath_sdk::config::{Columns, CsvOptions, Mode, Node, Problems, Separator, options};
use towpath_sdk::{Path, TransformConfig, TransformExample, TransformType};

use crate::parse_text::ParseText;

options! {
    /// One record of CSV a text; it may have line breaks inside quotes.
    struct Options {
        /// The columns in their order: names, or names with types.
        columns: Columns,
        /// The character between fields.
        delimiter: Separator = ",",
        /// The character around fields that hold a delimiter, a quote or a line break.
        quote: Separator = "\"",
        /// The character before a quote inside quotes; the quote itself when absent.
        escape: Option<Separator>,
        /// Whether an empty field without quotes is null instead of an empty string.
        empty_is_null: bool = false,
        /// What happens to a stray quote, a value of another type, a missing or surplus field.
        mode: Mode = "strict",
        /// The field that holds the text; the whole value when absent.
        field: Option<Path>,
        /// The field that the object is put in, when it is not to replace the text in `field`.
        into: Option<Path>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "parse_csv",
    summary: "Reads text as a line of CSV.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "names only",
            options: "columns: [name, city]",
            input: r#""Lovelace, Ada",London"#,
            output: r#"{"name":"Lovelace, Ada","city":"London"}"#,
        },
        TransformExample {
            title: "types, and another delimiter",
            options: "{ columns: { id: int, paid: bool, at: timestamp }, delimiter: ';', empty_is_null: true }",
            input: "17;true;",
            output: r#"{"id":17,"paid":true,"at":null}"#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let csv = Csv::new(CsvOptions {
        header: false,
        columns: options.columns.0,
        delimiter: options.delimiter.0,
        quote: options.quote.0,
        escape: options.escape.unwrap_or(options.quote).0,
        empty_is_null: options.empty_is_null,
        lenient: options.mode == Mode::Lenient,
    });
    let csv = match csv {
        Ok(csv) => csv,
        Err(why) => {
            problems.add(node.span, why);
            return None;
        }
    };
    let places = (options.field, options.into);
    Some(Arc::new(ParseText::new(
        csv, "as CSV", places, node, problems,
    )?))
}
