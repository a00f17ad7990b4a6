//! `sample`: goes on with one record in so many.

use std::num::NonZeroU32;
use std::sync::Arc;

use towpath_sdk::config::{ExpressionText, Node, Problems, options};
use towpath_sdk::{
    Cell, Result, Side, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::by::{By, fingerprint};

options! {
    /// Chance is a hash, so that the same records are chosen again whenever they are read again.
    struct Options {
        /// One record in this many goes on.
        one_in: NonZeroU32,
        /// Records for which this gives the same go on together, or not at all. Without it each
        /// record counts for itself, by its timestamp, key and value.
        by: Option<ExpressionText>,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "sample",
    summary: "Goes on with one record in so many, and drops the others.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "a quarter of all traces, each with all its records",
            options: "{ one_in: 4, by: value.trace }",
            input: r#"{"trace":"i","step":1}"#,
            output: r#"{"trace":"i","step":1}"#,
        },
        TransformExample {
            title: "a trace that is not chosen",
            options: "{ one_in: 4, by: value.trace }",
            input: r#"{"trace":"a","step":1}"#,
            output: "",
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let by = match &options.by {
        Some(text) => Some(By::compile(text, problems)?),
        None => None,
    };
    Some(Arc::new(Sample {
        one_in: options.one_in,
        by,
        bytes: Vec::new(),
    }))
}

#[derive(Debug, Clone)]
struct Sample {
    one_in: NonZeroU32,
    by: Option<By>,
    /// What is hashed of a record; kept for its memory.
    bytes: Vec<u8>,
}

impl TransformConfig for Sample {
    fn needs_fields(&self) -> bool {
        self.by.as_ref().is_some_and(By::needs_fields)
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Sample {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let Self { one_in, by, bytes } = self;
        batch.each(|batch, row| {
            let chance = match by {
                Some(by) => by.group(batch, row)?.unwrap_or_default(),
                None => whole_record(batch, row, bytes),
            };
            if chance % u128::from(one_in.get()) != 0 {
                batch.drop_row(row);
            }
            Ok(())
        })
    }
}

/// The fingerprint of timestamp, key and value.
fn whole_record(batch: &WorkingBatch, row: usize, bytes: &mut Vec<u8>) -> u128 {
    bytes.clear();
    bytes.extend_from_slice(&batch.timestamp_ms(row).to_le_bytes());
    for side in [Side::Key, Side::Value] {
        match batch.cell(row, side) {
            Cell::Null => {}
            Cell::Text(span) | Cell::Bytes(span) | Cell::Json(span) => {
                bytes.extend_from_slice(batch.documents().bytes(span));
            }
            Cell::Document(node) => batch.documents().write(node, bytes),
        }
        // Not in text, so that no key and value run together as another pair does.
        bytes.push(0xff);
    }
    fingerprint(bytes)
}

#[cfg(test)]
mod tests {
    use towpath_sdk::config::Format::{Json, Text};

    use super::*;
    use crate::tests::table::{check, check_problems, emitted, loaded, transform};

    /// What is left of `values`.
    fn chosen(options: &str, values: &[String]) -> Vec<String> {
        let values: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
        let mut batch = loaded(&values, Json);
        let context = TransformContext { now_ms: 0 };
        transform(&TYPE, options)
            .apply(&mut batch, &context)
            .expect("records only");
        emitted(&mut batch, Json)
    }

    #[test]
    fn one_in_so_many_goes_on_and_always_the_same() {
        let values: Vec<String> = (0..20_000).map(|id| format!("{{\"id\":{id}}}")).collect();
        let left = chosen(r#"{"one_in": 10}"#, &values);
        assert!((1_800..2_200).contains(&left.len()), "{}", left.len());
        assert_eq!(left, chosen(r#"{"one_in": 10}"#, &values));
        assert_eq!(chosen(r#"{"one_in": 1}"#, &values), values);
    }

    #[test]
    fn each_record_counts_for_itself() {
        // Equal but for their timestamps.
        let left = chosen("{ one_in: 2 }", &vec!["{}".to_owned(); 1_000]);
        assert!((400..600).contains(&left.len()), "{}", left.len());
        // Key and value together read the same.
        let hash = |key: &str, value: &[u8]| {
            let mut batch = loaded(&[value], Json);
            let span = batch.documents_mut().make(|out| out.extend(key.bytes()));
            batch.set_cell(0, Side::Key, Cell::Text(span));
            whole_record(&batch, 0, &mut Vec::new())
        };
        assert_ne!(hash("1", b"23"), hash("12", b"3"));
        assert_eq!(hash("1", b"23"), hash("1", b"23"));
    }

    #[test]
    fn a_group_goes_on_together() {
        let values: Vec<String> = (0..1_000)
            .map(|id| format!("{{\"id\":{id},\"trace\":\"{}\"}}", id % 100))
            .collect();
        let left = chosen(r#"{"one_in": 4, "by": "value.trace"}"#, &values);
        assert!((100..400).contains(&left.len()), "{}", left.len());
        assert!(
            left.len().is_multiple_of(10),
            "ten of each trace, or none: {}",
            left.len()
        );
    }

    #[test]
    fn bad_records_are_refused() {
        let found = crate::tests::table::outcomes(
            &TYPE,
            r#"{"one_in": 1, "by": "value.a"}"#,
            Json,
            &[b"{}"],
        );
        assert!(
            found[0].starts_with('!') && found[0].contains("value.a"),
            "{found:?}"
        );
        check(
            &TYPE,
            r#"{"one_in": 1}"#,
            Text,
            &[("any \u{1f98a} text", "any \u{1f98a} text")],
        );
        check_problems(
            &TYPE,
            &[
                (r#"{"one_in": 0}"#, "expected a whole number from 1"),
                (r#"{"one_in": 2, "by": "value."}"#, "expected"),
                ("{}", "missing option `one_in`"),
            ],
        );
    }
}
