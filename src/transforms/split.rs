//! `split`: the items of a list become records.

use std::sync::Arc;

use towpath_sdk::config::{Node, Problems, options};
use towpath_sdk::json::{Documents, Kind, NodeId};
use towpath_sdk::{
    Cell, Error, Path, Result, Side, Transform, TransformConfig, TransformContext,
    TransformExample, TransformType, WorkingBatch,
};

/// What the records made of one may take together, in bytes.
const MADE_BYTES_MAX: usize = 16 << 20;

options! {
    /// The records have the key, headers and timestamp of the one they come from. An empty list
    /// makes no record; what is no list refuses its record. Not for the transforms of a sink, whose
    /// offsets count the records of its topics: split in a source or stream.
    struct Options {
        /// The field that holds the list; the whole value when absent.
        field: Option<Path>,
        /// Whether each item stands in the place of the list, among the other fields, instead of
        /// alone.
        keep_others: bool = false,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "split",
    summary: "Makes a record of each item of a list.",
    spec: Options::spec,
    parse,
    examples: &[
        TransformExample {
            title: "the items alone",
            options: "field: items",
            input: r#"{"order":7,"items":[{"sku":"a"},{"sku":"b"}]}"#,
            output: "{\"sku\":\"a\"}\n{\"sku\":\"b\"}",
        },
        TransformExample {
            title: "with the other fields",
            options: "{ field: items, keep_others: true }",
            input: r#"{"order":7,"items":[{"sku":"a"},{"sku":"b"}]}"#,
            output: "{\"order\":7,\"items\":{\"sku\":\"a\"}}\n{\"order\":7,\"items\":{\"sku\":\"b\"}}",
        },
    ],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let Options { field, keep_others } = Options::parse(node, problems)?;
    if keep_others && field.is_none() {
        let message = "`keep_others` needs `field`: a list that is the whole value has no others";
        problems.add(node.span_of("keep_others"), message);
        return None;
    }
    Some(Arc::new(Split {
        field,
        keep_others,
        items: Vec::new(),
        rest: Vec::new(),
    }))
}

#[derive(Debug, Clone)]
struct Split {
    field: Option<Path>,
    keep_others: bool,
    /// The items of the list at hand.
    items: Vec<NodeId>,
    /// The other fields of the record at hand as text, to know their size.
    rest: Vec<u8>,
}

impl TransformConfig for Split {
    fn needs_fields(&self) -> bool {
        true
    }

    fn changes_places(&self) -> bool {
        true
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Split {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let Self {
            field,
            keep_others,
            items,
            rest,
        } = self;
        let field = field.as_ref();
        batch.each(|batch, row| {
            let Some(root) = batch.root(row, Side::Value)? else {
                return Err(error(field, "the value is null"));
            };
            let documents = batch.documents_mut();
            let list = field.map_or(Some(root), |field| documents.find(root, field));
            let list = list.ok_or_else(|| error(field, "the record has no such field"))?;
            let kind = documents.kind(list);
            if kind != Kind::Array {
                return Err(error(
                    field,
                    format!("it is {}, and no list", kind.as_str()),
                ));
            }
            items.clear();
            items.extend(documents.children(list));
            if let (Some(field), true) = (field, *keep_others) {
                put_among_others(documents, root, field, items, rest)?;
            }
            batch.split(row, items.iter().map(|item| Cell::Document(*item)))?;
            Ok(())
        })
    }
}

fn error(field: Option<&Path>, why: impl Into<String>) -> Error {
    let what = field.map_or("the value".to_owned(), |field| format!("`{field}`"));
    Error::record("split", what).because(why.into())
}

/// Replaces each of `items` by a copy of the record `root` in which it stands at `field`.
fn put_among_others(
    documents: &mut Documents,
    root: NodeId,
    field: &Path,
    items: &mut [NodeId],
    rest: &mut Vec<u8>,
) -> Result<()> {
    let null = documents.scalar(|out| out.extend_from_slice(b"null"));
    documents.put(root, field, null)?;
    rest.clear();
    documents.write(root, rest);
    if rest.len().saturating_mul(items.len()) > MADE_BYTES_MAX {
        let made = format!("{} records of {} bytes and more", items.len(), rest.len());
        let why = format!("it would make {made}, together above 16 MiB");
        return Err(error(Some(field), why));
    }
    for item in items {
        let copy = documents.copy(root)?;
        documents.put(copy, field, *item)?;
        *item = copy;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use towpath_sdk::config::Format::{Json, Text};

    use super::*;
    use crate::tests::table::{check, check_problems, config, emitted, loaded, transform};

    #[test]
    fn items_become_records() {
        check(
            &TYPE,
            "{}",
            Json,
            &[
                (
                    r#"[1.50, {"a":[]}, null, "x"]"#,
                    "1.50\n{\"a\":[]}\nnull\n\"x\"",
                ),
                ("[]", ""),
                (
                    "{}",
                    "!cannot split the value: it is an object, and no list",
                ),
                (
                    "[",
                    "!cannot read the value as JSON: the text ends where a value is expected at byte 1",
                ),
            ],
        );
        check(
            &TYPE,
            r#"{"field": "a.b"}"#,
            Json,
            &[
                (r#"{"a":{"b":[1,2]},"c":3}"#, "1\n2"),
                (
                    r#"{"a":{"b":null}}"#,
                    "!cannot split `a.b`: it is null, and no list",
                ),
                (
                    r#"{"a":{}}"#,
                    "!cannot split `a.b`: the record has no such field",
                ),
            ],
        );
        check(
            &TYPE,
            r#"{"field": "a.b", "keep_others": true}"#,
            Json,
            &[
                (
                    r#"{"x":1, "a":{"b":[1,{"k":2}],"c":3}}"#,
                    "{\"x\":1,\"a\":{\"b\":1,\"c\":3}}\n{\"x\":1,\"a\":{\"b\":{\"k\":2},\"c\":3}}",
                ),
                (r#"{"a":{"b":[]}}"#, ""),
            ],
        );
        let text = "!cannot look into the value: it is no JSON, and has no fields; put `parse_json` or another parser before this transform";
        check(&TYPE, "{}", Text, &[("[1]", text)]);
    }

    #[test]
    fn the_order_holds_and_the_rest_goes_along() {
        let mut batch = loaded(&[b"[1,2]", b"[]", b"[3]"], Json);
        let context = TransformContext { now_ms: 0 };
        transform(&TYPE, "{}")
            .apply(&mut batch, &context)
            .expect("records only");
        let mut rows = Vec::new();
        batch
            .emit(Json, |row| {
                let text =
                    |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().into());
                rows.push((text(row.key), text(row.value), row.timestamp_ms, row.offset));
                Ok(())
            })
            .expect("nothing fails");
        let row = |value: &str, of| (Ok("k".to_owned()), Ok(value.to_owned()), of, of);
        assert_eq!(rows, [row("1", 0), row("2", 0), row("3", 2)]);
    }

    #[test]
    fn what_would_grow_without_bound_is_refused() {
        let others = "x".repeat(1 << 20);
        let items = vec!["1"; 300].join(",");
        let value = format!(r#"{{"a":[{items}],"b":"{others}"}}"#);
        let mut batch = loaded(&[value.as_bytes()], Json);
        let mut splitting = transform(&TYPE, r#"{"field": "a", "keep_others": true}"#);
        let context = TransformContext { now_ms: 0 };
        splitting.apply(&mut batch, &context).expect("records only");
        assert_eq!(emitted(&mut batch, Json), [""; 0]);
        let error = batch.refused()[0].error.to_string();
        assert!(
            error.contains("300 records of 1048593 bytes and more"),
            "{error}"
        );
    }

    #[test]
    fn it_is_for_sources_and_streams() {
        assert!(config(&TYPE, "{}").expect("sound options").changes_places());
        check_problems(
            &TYPE,
            &[(r#"{"keep_others": true}"#, "`keep_others` needs `field`")],
        );
    }
}
