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

#[test]
fn the_text_of_a_string_has_a_place() {
    let (mut documents, root) = parsed(r#"{"plain":"{}","escaped":"{\"a\":1}","n":1}"#);
    for (name, text) in [
        ("plain", Some("{}")),
        ("escaped", Some(r#"{"a":1}"#)),
        ("n", None),
    ] {
        let node = documents.field(root, name).expect(name);
        let span = documents.string_span(node);
        assert_eq!(
            span.map(|span| documents.bytes(span)),
            text.map(str::as_bytes)
        );
        if let Some(span) = span {
            let inner = documents.parse(span).expect("JSON in JSON");
            documents.put(root, &path(name), inner).expect("an object");
        }
    }
    assert_eq!(
        written(&documents, root),
        r#"{"plain":{},"escaped":{"a":1},"n":1}"#
    );
}

#[test]
fn children_are_removed_renamed_and_appended() {
    let (mut documents, root) = parsed(r#"{"a":1,"b":[1,2,3],"c":true,"d":{}}"#);
    documents.retain(root, |documents, index, child| {
        index != 0 && documents.kind(child) != Kind::Object
    });
    let c = documents.field(root, "c").expect("c");
    documents.rename(root, c, "e\"");
    let b = documents.field(root, "b").expect("b");
    documents.retain(b, |_, index, _| index < 2);
    let quoted = documents.quote(c);
    documents.append(b, "", quoted);
    let name = documents.make(|out| out.extend_from_slice(br#""\u0066""#));
    let null = documents.new_null();
    documents.append_quoted(root, name, null);
    assert!(
        documents.field(root, "f").is_some(),
        "escapes in a name are seen"
    );
    assert_eq!(
        written(&documents, root),
        r#"{"b":[1,2,"true"],"e\"":true,"\u0066":null}"#
    );
    documents.retain(root, |_, _, _| false);
    let one = documents.scalar(|out| out.push(b'1'));
    documents.put(root, &path("g"), one).expect("an object");
    assert_eq!(written(&documents, root), r#"{"g":1}"#);
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

/// The object whose field `path` would be.
fn fields_above<'v>(value: &'v mut Value, path: &Path) -> Option<&'v mut Map<String, Value>> {
    let (Step::Field(_), way) = path.steps().split_last()? else {
        return None;
    };
    match way {
        [] => value.as_object_mut(),
        way => find_mut(value, &path.prefix(way.len()))?.as_object_mut(),
    }
}

proptest! {
    #[test]
    fn strings_are_read_and_written_as_serde_json_does(
        text in "[a-z\"\\\\/u0-9d-fé\\x00-\\x1f]{0,40}|[a-z ]{0,40}",
    ) {
        let quoted = format!("\"{text}\"");
        let read: Result<String, _> = serde_json::from_str(&quoted);
        prop_assert_eq!(validate(quoted.as_bytes()).is_ok(), read.is_ok(), "{}", quoted);
        if let Ok(read) = read {
            prop_assert_eq!(string_text(&quoted), read);
        }
        let mut written = Vec::new();
        put_string(&text, &mut written);
        let written: String = serde_json::from_slice(&written).expect("a string");
        prop_assert_eq!(written, text);
    }

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
            let Some(known) = known else {
                let Some(fields) = fields_above(&mut model, &at) else { continue };
                let name = number.to_string();
                let child = documents.new_string(&name);
                documents.put(root, &at, child).expect("an object is there");
                let Some(Step::Field(field)) = at.steps().last() else { continue };
                fields.insert(field.clone(), name.into());
                continue;
            };
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
