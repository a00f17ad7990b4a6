//! Documents against trees of `serde_json`: whatever is done to both, both say the same.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::{Path, Step};

/// The root of `text`, in documents of their own.
fn parsed(text: &str) -> (Documents, NodeId) {
    let base = Bytes::copy_from_slice(text.as_bytes());
    let mut documents = Documents::default();
    documents.reset(base.clone());
    let span = documents.span_of(&base);
    let root = documents.parse(span).expect("JSON");
    (documents, root)
}

fn written(documents: &Documents, root: NodeId) -> String {
    let mut out = Vec::new();
    documents.write(root, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn path(text: &str) -> Path {
    Path::parse(text).expect("a path")
}

/// What `put` of `new` at `at` makes of `text`.
#[track_caller]
fn check_put(text: &str, at: &str, new: &str, expected: Result<&str, &str>) {
    let (mut documents, root) = parsed(text);
    let child = documents.scalar(|out| out.extend_from_slice(new.as_bytes()));
    let put = documents
        .put(root, &path(at), child)
        .map(|()| written(&documents, root))
        .map_err(|error| format!("{:#}", error));
    let expected = expected.map(str::to_owned).map_err(str::to_owned);
    match (put, expected) {
        (Ok(put), Ok(expected)) => assert_eq!(put, expected),
        (Err(put), Err(expected)) => assert!(put.contains(&expected), "{put}"),
        (put, expected) => panic!("{put:?} where {expected:?} is expected"),
    }
}

#[test]
fn what_is_not_changed_is_copied() {
    let text = r#" {"a" : 1.500, "b":{"c":[1,2 , 3]},"d":"\u00e9","e":12345678901234567890123} "#;
    let (mut documents, root) = parsed(text);
    assert_eq!(written(&documents, root), text.trim());
    documents.take(root, &path("d")).expect("d");
    assert_eq!(
        written(&documents, root),
        r#"{"a" : 1.500,"b":{"c":[1,2 , 3]},"e":12345678901234567890123}"#
    );
    documents.take(root, &path("b.c[1]")).expect("an item");
    assert_eq!(
        written(&documents, root),
        r#"{"a" : 1.500,"b":{"c":[1,3]},"e":12345678901234567890123}"#
    );
}

#[test]
fn values_are_put_where_the_path_leads() {
    check_put(r#"{"a":1,"b":2}"#, "a", "7", Ok(r#"{"a":7,"b":2}"#));
    check_put(r#"{"a":1}"#, "b.c", "7", Ok(r#"{"a":1,"b":{"c":7}}"#));
    check_put(r#"{"a":null}"#, "a.b", "7", Ok(r#"{"a":{"b":7}}"#));
    check_put(r#"{"a":[1,2,3]}"#, "a[1]", "7", Ok(r#"{"a":[1,7,3]}"#));
    check_put("{}", "`x y`", r#""z""#, Ok(r#"{"x y":"z"}"#));
    check_put(r#"{"a":1}"#, "a.b", "7", Err("`a` is a number"));
    check_put(r#"{"a":[1]}"#, "a[1]", "7", Err("`a` has no item 1"));
    check_put("3", "a", "7", Err("the value is a number"));
}

#[test]
fn names_and_strings_are_unescaped() {
    let (documents, root) = parsed(r#"{"\u0061b":"\ud83d\ude00\n\"\\","":1,"q\"":2}"#);
    let node = documents.field(root, "ab").expect("ab");
    assert_eq!(documents.string(node).expect("a string"), "😀\n\"\\");
    assert!(documents.field(root, "").is_some());
    assert!(documents.field(root, "q\"").is_some());
    assert!(documents.field(root, "q").is_none());
}

#[test]
fn a_moved_value_goes_with_its_text() {
    let (mut documents, root) = parsed(r#"{"a":{"b":[1,2]},"c":3}"#);
    let taken = documents.take(root, &path("a.b")).expect("a.b");
    let copy = documents.copy(taken).expect("few nodes");
    documents.put(root, &path("c"), taken).expect("an object");
    documents.put(root, &path("d"), copy).expect("an object");
    assert_eq!(written(&documents, root), r#"{"a":{},"c":[1,2],"d":[1,2]}"#);
    let wrapped = documents.new_tree(Kind::Object);
    documents.append(wrapped, "line", root);
    assert_eq!(
        written(&documents, wrapped),
        r#"{"line":{"a":{},"c":[1,2],"d":[1,2]}}"#
    );
}

fn json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,6}|[\"\\\\\n]{1,3}".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[a-c\"\\\\]{1,2}", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A path of few names, so that it often leads somewhere.
fn some_path() -> impl Strategy<Value = Path> {
    let step = prop_oneof![
        "[a-c]".prop_map(|name: String| name),
        (0..3u32).prop_map(|index| format!("[{index}]"))
    ];
    prop::collection::vec(step, 0..3).prop_map(|steps| {
        let mut text = "a".to_owned();
        for step in steps {
            if !step.starts_with('[') {
                text.push('.');
            }
            text.push_str(&step);
        }
        path(&text)
    })
}

fn find_mut<'v>(value: &'v mut Value, path: &Path) -> Option<&'v mut Value> {
    path.steps()
        .iter()
        .try_fold(value, |value, step| match step {
            Step::Field(name) => value.as_object_mut()?.get_mut(name),
            Step::Index(index) => value.as_array_mut()?.get_mut(*index as usize),
        })
}

proptest! {
    #[test]
    fn a_document_is_what_serde_json_reads(value in json(), pretty: bool) {
        let text = if pretty {
            serde_json::to_string_pretty(&value)
        } else {
            serde_json::to_string(&value)
        };
        let text = text.expect("a value");
        let (documents, root) = parsed(&text);
        prop_assert_eq!(written(&documents, root), text);
    }

    #[test]
    fn puts_and_takes_do_the_same_to_both(
        value in json(),
        changes in prop::collection::vec((some_path(), any::<bool>()), 1..6),
    ) {
        let mut model = serde_json::json!({ "a": value });
        let (mut documents, root) = parsed(&model.to_string());
        for (number, (at, put)) in changes.into_iter().enumerate() {
            let known = find_mut(&mut model, &at);
            prop_assert_eq!(documents.find(root, &at).is_some(), known.is_some());
            let Some(known) = known else { continue };
            if put {
                *known = number.into();
                let child = documents.scalar(|out| out.extend(number.to_string().bytes()));
                documents.put(root, &at, child).expect("it stands there");
            } else {
                documents.take(root, &at).expect("it stands there");
                let (last, way) = at.steps().split_last().expect("a step");
                let parent = match way {
                    [] => &mut model,
                    way => find_mut(&mut model, &at.prefix(way.len())).expect("a parent"),
                };
                match last {
                    Step::Field(name) => drop(parent.as_object_mut().expect("fields").remove(name)),
                    Step::Index(index) => {
                        parent.as_array_mut().expect("items").remove(*index as usize);
                    }
                }
            }
            let now: Value = serde_json::from_str(&written(&documents, root)).expect("JSON");
            prop_assert_eq!(&now, &model);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let base = Bytes::from(bytes);
        let mut documents = Documents::default();
        documents.reset(base.clone());
        let span = documents.span_of(&base);
        prop_assert_eq!(documents.parse(span).is_ok(), validate(&base).is_ok());
    }
}
