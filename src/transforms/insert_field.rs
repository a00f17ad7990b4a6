//! `insert_field`: fields from the record's place and time, or of one value, as Kafka Connect's
//! `InsertField` does.

use std::io::Write;
use std::sync::Arc;

use towpath_sdk::config::{Literal, Node, Problem, Problems, options};
use towpath_sdk::json::NodeId;
use towpath_sdk::{
    Error, Path, Result, Transform, TransformConfig, TransformContext, TransformExample,
    TransformType, WorkingBatch,
};

use crate::target::{Target, object};

/// The timestamp of a record without one, in Kafka's record format.
pub(crate) const NO_TIMESTAMP_MS: i64 = -1;

options! {
    /// At least one field is given.
    struct Options {
        /// The field that gets `value`.
        field: Option<Path>,
        /// Any value: text, number, list, map.
        value: Option<Literal>,
        /// The field that gets the topic's name.
        topic: Option<Path>,
        /// The field that gets the partition's number. Not in a source, whose records have none
        /// yet.
        partition: Option<Path>,
        /// The field that gets the offset. Not in a source, whose records have none yet.
        offset: Option<Path>,
        /// The field that gets the timestamp, in milliseconds since 1970; none when the record has
        /// no timestamp.
        timestamp: Option<Path>,
        /// The half of the record that is changed.
        target: Target = "value",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "insert_field",
    summary: "Adds fields: one value for all records, or where and when the record is. Objects on \
              the way are made, and what is there already is replaced.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "a value",
            options: "{ field: meta.source, value: nginx }",
            input: r#"{"id":7}"#,
            output: r#"{"id":7,"meta":{"source":"nginx"}}"#,
        },
        TransformExample {
            title: "when the record was made",
            options: "timestamp: at",
            input: r#"{"id":7}"#,
            output: r#"{"id":7,"at":1577934245678}"#,
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let mut inserts = Vec::new();
    let mut insert = |path: Option<Path>, what| {
        inserts.extend(path.map(|path| (path, what)));
    };
    insert(options.topic, What::Topic);
    insert(options.partition, What::Partition);
    insert(options.offset, What::Offset);
    insert(options.timestamp, What::Timestamp);
    match (options.field, options.value) {
        (Some(path), Some(value)) => insert(Some(path), What::Value(value)),
        (None, None) => {}
        (field, _) => {
            let (has, lacks) = match field {
                Some(_) => ("field", "value"),
                None => ("value", "field"),
            };
            let message = format!("`insert_field` has `{has}`, but no `{lacks}`");
            problems.push(Problem::new(node.span_of(has), message).help(
                "`field` says where, and `value` what; the place of the record has options of its own",
            ));
            return None;
        }
    }
    if inserts.is_empty() {
        let message = "`insert_field` takes `field` and `value`, or a field for one of `topic`, \
                       `partition`, `offset` and `timestamp`";
        problems.add(node.span, message);
        return None;
    }
    Some(Arc::new(InsertField {
        inserts,
        target: options.target,
    }))
}

#[derive(Debug, Clone)]
struct InsertField {
    /// In the order in which they are made: the later one stands where two have the same path.
    inserts: Vec<(Path, What)>,
    target: Target,
}

/// What a field gets.
#[derive(Debug, Clone)]
enum What {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Value(Literal),
}

impl TransformConfig for InsertField {
    fn needs_offset(&self) -> bool {
        let needs = |(_, what): &(_, What)| matches!(what, What::Partition | What::Offset);
        self.inserts.iter().any(needs)
    }

    fn needs_fields(&self) -> bool {
        self.target == Target::Value
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for InsertField {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let Some(root) = object(batch, row, self.target.side(), "insert")? else {
                return Ok(());
            };
            for (path, what) in &self.inserts {
                if let Some(value) = value(batch, row, what)? {
                    batch.documents_mut().put(root, path, value)?;
                }
            }
            Ok(())
        })
    }
}

/// The value of a field; `None` when the record has no timestamp.
fn value(batch: &mut WorkingBatch, row: usize, what: &What) -> Result<Option<NodeId>> {
    let unknown = |what: &str| {
        Error::record("insert", format!("the {what}"))
            .because(format!("a record of a source has no {what} yet"))
    };
    let number = match what {
        What::Value(literal) => return literal.node(batch.documents_mut()).map(Some),
        What::Topic => {
            let topic = batch.topic(row).ok_or_else(|| unknown("topic"))?.clone();
            return Ok(Some(batch.documents_mut().new_string(&topic)));
        }
        What::Partition => {
            let partition = batch.partition().ok_or_else(|| unknown("partition"))?;
            i64::from(partition)
        }
        What::Offset => batch.offset(row).ok_or_else(|| unknown("offset"))?,
        What::Timestamp => match batch.timestamp_ms(row) {
            NO_TIMESTAMP_MS => return Ok(None),
            timestamp_ms => timestamp_ms,
        },
    };
    // Writing to a vector cannot fail.
    let number = batch
        .documents_mut()
        .scalar(|out| drop(write!(out, "{number}")));
    Ok(Some(number))
}
