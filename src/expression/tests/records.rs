//! Records that do not suit an expression, and what an expression decodes.

use towpath_sdk::config::Format;
use towpath_sdk::{Cell, Side};

use super::{VALUE, check_faults, json, loaded, value_of};
use crate::compile;

#[test]
fn a_record_without_what_is_asked_for_says_which_part() {
    const ASK: &str = "ask `has(...)` first, or give a `default(..., ...)`";
    check_faults(&[
        (
            "value.absent + 1",
            &format!("`value.absent` is missing; {ASK}"),
        ),
        (
            "value.status.code",
            &format!("`value.status.code` is missing; {ASK}"),
        ),
        (
            "value.tags[5]",
            &format!("`value.tags[5]` is missing; {ASK}"),
        ),
        (
            "value.tags[-1 - value.größe]",
            &format!("`value.tags[-1 - value.größe]` is missing; {ASK}"),
        ),
        (
            "headers.absent",
            &format!("`headers.absent` is missing; {ASK}"),
        ),
        ("key.id", &format!("`key.id` is missing; {ASK}")),
        (
            "value.absent && value.ok",
            &format!("`value.absent` is missing; {ASK}"),
        ),
        (
            "value.items.all(i, i.price > 1)",
            &format!("`i.price` is missing; {ASK}"),
        ),
        (
            "value.items.map(i, i.price)",
            &format!("`i.price` is missing; {ASK}"),
        ),
        (
            "value.path >= 5",
            "`value.path >= 5` has a string on the left and a number on the right",
        ),
        (
            "value.status.startsWith('5')",
            "`value.status` is a number, not a string",
        ),
        ("!value.status", "`value.status` is a number, not a boolean"),
        (
            "value.tags < value.status",
            "`value.tags < value.status` has a list on the left and a number on the right",
        ),
        (
            "value.big + 1",
            "`value.big + 1`: a number does not fit 64 bits; `double(...)` rounds it",
        ),
        ("value.status / 0", "`value.status / 0`: division by zero"),
        (
            "value.status / (value.größe - 2)",
            "`value.status / (value.größe - 2)`: division by zero",
        ),
        (
            "9223372036854775807 + value.status",
            "`9223372036854775807 + value.status`: the result does not fit 64 bits",
        ),
        (
            "value.price % 2",
            "`value.price % 2`: a remainder is of whole numbers",
        ),
        (
            "int(value.path)",
            "`value.path`: it is no whole number of 64 bits",
        ),
        (
            "int(value.big)",
            "`value.big`: it is no whole number of 64 bits",
        ),
        ("double(value.path)", "`value.path`: it is no number"),
        (
            "timestamp(value.path)",
            "`value.path`: it is no time such as 2026-01-01T00:00:00Z",
        ),
        (
            "duration(value.path)",
            "`value.path`: it is no duration such as 1h30m, 1.5s or 7d",
        ),
        (
            "timestamp(value.status * 1000000000000)",
            "`value.status * 1000000000000`: it lies beyond the year 9999",
        ),
        (
            "timestamp + duration('99999999d')",
            "`timestamp + duration('99999999d')`: the result is beyond what a time can be",
        ),
        (
            "value.path.substring(99)",
            "`value.path.substring(99)`: the string does not reach so far",
        ),
        (
            "value.path.substring(2, 1)",
            "`value.path.substring(2, 1)`: the start lies behind the end",
        ),
        (
            "value.price / 0",
            "`value.price / 0`: it is no finite number",
        ),
        (
            "string(headers.raw)",
            "`headers.raw`: the bytes are no UTF-8",
        ),
        (
            "value.status.exists(x, x)",
            "`value.status` is a number, not a list",
        ),
        (
            "1 in value.status",
            "`value.status` is a number, not a list or an object",
        ),
    ]);
}

#[test]
fn a_condition_must_be_true_or_false() {
    let expression = compile("value.status").unwrap();
    let error = expression.test(&mut json(VALUE), 0).unwrap_err();
    let expected = "cannot evaluate `value.status`: `value.status` is a number, not a boolean";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn only_what_is_looked_into_is_decoded() {
    let cases = [
        ("topic == 'orders' && timestamp > timestamp(0)", false),
        ("headers.trace == 'last' || value.status == 1", false),
        ("key == 'k-7'", false),
        ("false ? value.ok : true", false),
        ("value.ok", true),
        ("value != null", true),
    ];
    for (source, decodes) in cases {
        let mut batch = json(VALUE);
        assert!(
            compile(source).unwrap().test(&mut batch, 0).unwrap(),
            "{source}"
        );
        let decoded = matches!(batch.cell(0, Side::Value), Cell::Document(_));
        assert_eq!(decoded, decodes, "{source}");
        assert!(
            matches!(batch.cell(0, Side::Key), Cell::Text(_)),
            "{source}"
        );
        assert!(batch.unchanged().is_some(), "{source}");
    }
}

#[test]
fn keys_are_text_or_objects() {
    let of = |key: &[u8], source: &str| {
        let mut batch = loaded(Format::Json, Some(key), Some(b"{}"));
        value_of(source, &mut batch).map_err(|error| error.to_string())
    };
    assert_eq!(of(br#"{"id": 7}"#, "key.id"), Ok("7".to_owned()));
    assert_eq!(of(br#"{"id": 7}"#, "key"), Ok(r#"{"id": 7}"#.to_owned()));
    assert_eq!(of(b"{id", "key"), Ok(r#""{id""#.to_owned()));
    assert_eq!(
        of(b"{id", "default(key.id, key)"),
        Ok(r#""{id""#.to_owned())
    );
    assert_eq!(of(b"42", "key == '42' && key != 42"), Ok("true".to_owned()));
    assert_eq!(of(b"\xff", "size(key)"), Ok("1".to_owned()));
    let mut none = loaded(Format::Json, None, Some(b"{}"));
    assert_eq!(value_of("key", &mut none).unwrap(), "null");
}

#[test]
fn values_that_are_no_objects() {
    let of = |format, value: Option<&[u8]>, source: &str| {
        value_of(source, &mut loaded(format, None, value)).map_err(|error| error.to_string())
    };
    assert_eq!(
        of(Format::Text, Some(b"a line"), "value.contains('line')"),
        Ok("true".to_owned())
    );
    assert_eq!(
        of(Format::Text, Some(b"a line"), "value"),
        Ok(r#""a line""#.to_owned())
    );
    assert_eq!(
        of(Format::Bytes, Some(b"\xff"), "value"),
        Ok(r#""/w==""#.to_owned())
    );
    assert_eq!(
        of(Format::Json, None, "value == null"),
        Ok("true".to_owned())
    );
    assert_eq!(
        of(Format::Json, None, "default(value.a, 1)"),
        Ok("1".to_owned())
    );
    assert_eq!(
        of(Format::Json, Some(b"7"), "value + 1"),
        Ok("8".to_owned())
    );
    let no_fields = "cannot look into the value: it is no JSON, and has no fields; \
                     put `parse_json` or another parser before this transform";
    assert_eq!(
        of(Format::Text, Some(b"{}"), "has(value.a)"),
        Err(no_fields.to_owned())
    );
    let broken = of(
        Format::Json,
        Some(b"{\"a\": "),
        "topic == 'x' || value.a == 1",
    )
    .unwrap_err();
    assert!(
        broken.starts_with("cannot read the value as JSON: "),
        "{broken}"
    );
}

#[test]
fn places_nobody_knows_yet_are_null() {
    let mut batch = json(VALUE);
    batch.set_place(None, None);
    let source = "topic == null && partition == null && offset == null";
    assert_eq!(value_of(source, &mut batch).unwrap(), "true");
}

#[test]
fn work_for_one_record_is_bounded() {
    let items = vec!["1"; 3000].join(",");
    let value = format!(
        r#"{{"list": [{items}], "text": "{}"}}"#,
        "ab".repeat(4 << 20)
    );
    let cases = [
        "value.list.all(a, value.list.all(b, value.list.all(c, a + b + c > 0)))",
        "value.list.map(a, value.list.map(b, value.list))",
        "value.list.exists(a, value.text.matches('^(a?){20}b{2,}c'))",
        "value.list.map(a, value.text + value.text)",
        "value.text.split('')",
        "value.text.replace('a', value.text)",
        "value.list.map(a, value.text)",
        "value.list.exists(a, value.text.contains('ba' + 'bb'))",
    ];
    for source in cases {
        let error = value_of(source, &mut json(&value)).unwrap_err().to_string();
        assert!(
            error.contains("more work than one record may cause"),
            "{source}: {error}"
        );
    }
    let fine = "value.text.matches('^(ab)*$') && value.list.all(a, a == 1)";
    assert_eq!(value_of(fine, &mut json(&value)).unwrap(), "true");
}

#[test]
fn the_deepest_expressions_are_evaluated() {
    let nested = |open: &str, inner: &str, close: &str| {
        let levels = crate::DEPTH_MAX - 10;
        format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
    };
    let lists_of = |inner: &str| nested("[", inner, "]");
    let cases = [
        (nested("!", "value.ok", ""), "true".to_owned()),
        (nested("default(value.absent, ", "1", ")"), "1".to_owned()),
        (nested("1 + (", "value.status", ")"), "593".to_owned()),
        (nested("value.ok ? ", "7", " : 0"), "7".to_owned()),
        (nested("[1].map(x, ", "x", ")"), lists_of("1")),
        (nested("[", "value.ok", "]"), lists_of("true")),
    ];
    for (source, expected) in cases {
        let found = value_of(&source, &mut json(VALUE)).unwrap();
        assert_eq!(found, expected, "{source}");
    }
}
