//! What the golden cases of Kafka Connect cannot show: nested paths, numbers that keep their
//! digits, and what options and records are told.

use towpath_sdk::TransformExample;
use towpath_sdk::config::Format;

use super::examples::{line, read};
use super::record::{configure, run};
use super::yaml;

/// What a transform makes of `input`, in the form of examples; of an error, a part of its text.
#[track_caller]
fn check(
    transform: &str,
    options: &'static str,
    input: &'static str,
    expected: Result<&str, &str>,
) {
    let types = crate::types();
    let kind = types.iter().find(|kind| kind.name == transform);
    let kind = kind.expect("a transform");
    let example = TransformExample {
        title: "",
        options,
        input,
        output: "",
    };
    let made = configure(kind, &yaml::options(options)).and_then(|config| {
        let (input, format) = read(&example);
        let records = run(&*config, None, format, &input)?;
        let lines: Vec<_> = records.iter().map(|record| line(&input, record)).collect();
        Ok(lines.join("\n"))
    });
    match (&made, expected) {
        (Ok(made), Ok(expected)) => assert_eq!(made, expected, "{transform} of {input}"),
        (Err(made), Err(expected)) if made.contains(expected) => {}
        _ => panic!("{transform} of {input}: {made:?} where {expected:?} is expected"),
    }
}

#[test]
fn paths_reach_into_nested_values() {
    let nested = r#"{"a":{"b":[{"c":"1"},{"c":"2"}]}}"#;
    let cast = "fields: { 'a.b[1].c': int32 }";
    check(
        "cast",
        cast,
        nested,
        Ok(r#"{"a":{"b":[{"c":"1"},{"c":2}]}}"#),
    );
    check(
        "extract_field",
        "field: 'a.b[0]'",
        nested,
        Ok(r#"{"c":"1"}"#),
    );
    check("extract_field", "field: 'a.b[7]'", nested, Ok("null"));
    let mask = "fields: ['a.b[0]', 'a.b[1].c']";
    check(
        "mask_field",
        mask,
        nested,
        Ok(r#"{"a":{"b":[{},{"c":""}]}}"#),
    );
    let key = r#"{"a":{"b":[{"c":"1"},{"c":"2"}]}}  # key: {"c":"2"}"#;
    check("value_to_key", "fields: 'a.b[1].c'", nested, Ok(key));
    let header = "{ headers: { h: 'a.b[0]' }, operation: move }";
    let moved = r#"{"a":{"b":[{"c":"2"}]}}  # header h: {"c":"1"}"#;
    check("header_from", header, nested, Ok(moved));
    let include = "include: ['a.b[1].c', x.y]";
    check(
        "replace_field",
        include,
        nested,
        Ok(r#"{"a":{"b":[{"c":"2"}]}}"#),
    );
    check(
        "replace_field",
        "exclude: 'a.b[0]'",
        nested,
        Ok(r#"{"a":{"b":[{"c":"2"}]}}"#),
    );
    let insert = "{ field: 'a.b[0].d.e', value: [1, {x: .5}] }";
    let inserted = r#"{"a":{"b":[{"c":"1","d":{"e":[1,{"x":".5"}]}},{"c":"2"}]}}"#;
    check("insert_field", insert, nested, Ok(inserted));
    check(
        "hoist_field",
        "field: x.y",
        nested,
        Ok(r#"{"x":{"y":{"a":{"b":[{"c":"1"},{"c":"2"}]}}}}"#),
    );
}

#[test]
fn a_missing_field_becomes_null_where_its_object_is() {
    for (transform, options) in [
        ("cast", "fields: { a.b: int32 }"),
        ("mask_field", "fields: a.b"),
        ("timestamp_convert", "{ field: a.b, to: unix }"),
    ] {
        check(
            transform,
            options,
            r#"{"a":{"c":1}}"#,
            Ok(r#"{"a":{"c":1,"b":null}}"#),
        );
        check(transform, options, r#"{"a":null}"#, Ok(r#"{"a":null}"#));
        check(transform, options, r#"{"c":1}"#, Ok(r#"{"c":1}"#));
        check(
            transform,
            options,
            r#"{"a":"x"}"#,
            Err("`a.b`: `a` is a string"),
        );
    }
    check(
        "extract_field",
        "field: a.b",
        r#"{"a":[1]}"#,
        Err("`a` is a list"),
    );
}

/// Kafka Connect's converter of JSON makes null of it.
#[test]
fn a_value_that_is_the_text_null_is_null() {
    for (transform, options) in [
        ("cast", "fields: { a: int32 }"),
        ("cast", "to: int32"),
        ("extract_field", "field: a"),
        ("flatten", "delimiter: _"),
        ("insert_field", "{ field: a, value: 1 }"),
        ("replace_field", "include: a"),
        ("timestamp_convert", "{ field: a, to: unix }"),
    ] {
        check(transform, options, "null", Ok("null"));
    }
    for (transform, options) in [
        ("mask_field", "fields: a"),
        ("header_from", "headers: { h: a }"),
        ("value_to_key", "fields: a"),
    ] {
        check(transform, options, "null", Err("it is null, and has none"));
    }
}

#[test]
fn numbers_keep_their_digits() {
    let large = r#"{"n":12345678901234567890123}"#;
    let refused = Err("cannot cast `n`: `12345678901234567890123` does not fit into 64 bits");
    check("cast", "fields: { n: int64 }", large, refused);
    check("cast", "fields: { n: int8 }", large, refused);
    let text = r#"{"n":"12345678901234567890123"}"#;
    check("cast", "fields: { n: string }", large, Ok(text));
    check(
        "cast",
        "fields: { n: float64 }",
        large,
        Ok(r#"{"n":1.2345678901234568e22}"#),
    );
    check("cast", "fields: { n: boolean }", large, Ok(r#"{"n":true}"#));
    let cast = "fields: { n: int64 }";
    check(
        "cast",
        cast,
        r#"{"n":9007199254740993.7}"#,
        Ok(r#"{"n":9007199254740993}"#),
    );
    check(
        "cast",
        cast,
        r#"{"n":-1e400}"#,
        Ok(r#"{"n":-9223372036854775808}"#),
    );
    check(
        "cast",
        "fields: { n: float64 }",
        r#"{"n":1e400}"#,
        Err("beyond float64"),
    );
    check(
        "cast",
        "fields: { n: float32 }",
        r#"{"n":1e39}"#,
        Err("beyond float32"),
    );
    check(
        "cast",
        "fields: { n: float64 }",
        r#"{"n":"inf"}"#,
        Err("is no number"),
    );
    check(
        "cast",
        "fields: { n: int8 }",
        r#"{"n":"128"}"#,
        Err("`128` is beyond int8"),
    );
    let replacement = "{ fields: n, replacement: 123456789012345678901234567890 }";
    let masked = r#"{"n":123456789012345678901234567890}"#;
    check("mask_field", replacement, r#"{"n":1}"#, Ok(masked));
}

#[test]
fn times_keep_what_they_have() {
    let at = r#"{"at":1577934245678901234}"#;
    let options = "{ field: at, to: timestamp, precision: nanoseconds }";
    check(
        "timestamp_convert",
        options,
        at,
        Ok(r#"{"at":"2020-01-02T03:04:05.678901234Z"}"#),
    );
    let options = "{ field: at, to: time, precision: nanoseconds }";
    check(
        "timestamp_convert",
        options,
        at,
        Ok(r#"{"at":"03:04:05.678901234"}"#),
    );
    let unix = "{ field: at, to: unix }";
    let zoned = r#"{"at":"2020-01-02T03:04:05.678+02:00"}"#;
    check(
        "timestamp_convert",
        unix,
        zoned,
        Ok(r#"{"at":1577927045678}"#),
    );
    check(
        "timestamp_convert",
        unix,
        r#"{"at":"2020-02-30"}"#,
        Err("is no such time"),
    );
    check(
        "timestamp_convert",
        unix,
        r#"{"at":"03:04:05"}"#,
        Err("is no such time"),
    );
    check(
        "timestamp_convert",
        unix,
        r#"{"at":99999999999999999999}"#,
        Err("beyond the year 9999"),
    );
    check(
        "timestamp_convert",
        unix,
        r#"{"at":1.5}"#,
        Err("`1.5` is no whole number"),
    );
    let quotes = r#"{ to: string, format: '"%Y"' }"#;
    check("timestamp_convert", quotes, "0", Ok(r#""\"1970\"""#));
}

#[test]
fn text_and_bytes_are_taken_as_they_are() {
    check(
        "hoist_field",
        "field: line",
        "GET \"/\"",
        Ok(r#"{"line":"GET \"/\""}"#),
    );
    let key = "{ field: id, target: key }";
    check(
        "hoist_field",
        key,
        "{}  # key: user-7",
        Ok(r#"{}  # key: {"id":"user-7"}"#),
    );
    check(
        "hoist_field",
        key,
        "{}  # key: 7",
        Ok(r#"{}  # key: {"id":7}"#),
    );
    check(
        "cast",
        "to: int32",
        "word",
        Err("the text `word` is no whole number"),
    );
    check(
        "extract_field",
        "field: a",
        "word",
        Err("put `parse_json` or another parser before"),
    );
    let key = r#"{}  # key: {"id":"a"}"#;
    check(
        "extract_field",
        "{ field: id, target: key }",
        key,
        Ok("{}  # key: a"),
    );
}

#[test]
fn names_that_clash() {
    let clash = r#"{"a":{"b":1},"a.b":2}"#;
    check(
        "flatten",
        "",
        clash,
        Err("two of its fields would be `a.b`"),
    );
    check("flatten", "delimiter: _", clash, Ok(r#"{"a_b":1,"a.b":2}"#));
    let escaped = r#"{"\u0061":{"\"":1},"a":{"x":[]}}"#;
    check(
        "flatten",
        "delimiter: '\"'",
        escaped,
        Ok(r#"{"\u0061\"\"":1,"a\"x":[]}"#),
    );
    let both = "rename: { a: c, b: c }";
    check(
        "replace_field",
        both,
        "{}",
        Err("`a` and `b` cannot both become `c`"),
    );
    let input = r#"{"a":1,"b":{"x":2},"c":3}"#;
    check(
        "replace_field",
        "rename: { a: b }",
        input,
        Ok(r#"{"b":1,"c":3}"#),
    );
    check(
        "replace_field",
        "rename: { a: b, b: a }",
        input,
        Ok(r#"{"b":1,"a":{"x":2},"c":3}"#),
    );
    let nested = "rename: { b.x: y, b: c, d.e: f }";
    check("replace_field", nested, input, Ok(r#"{"a":1,"c":{"y":2}}"#));
    check(
        "replace_field",
        "rename: { 'a[0]': b }",
        input,
        Err("`a[0]` is an item of a list, which has no name"),
    );
    let kept = "include: [b.x, b, c.y]";
    check("replace_field", kept, input, Ok(r#"{"b":{"x":2}}"#));
    let twice = "fields: [a.id, b.id]";
    check(
        "value_to_key",
        twice,
        "{}",
        Err("would both be `id` in the key"),
    );
}

#[test]
fn topics_have_names_that_topics_can_have() {
    let empty = "{ regex: '(.*?)orders', replacement: $1 }";
    check("route", empty, "{}", Err("no topic has an empty name"));
    for (replacement, told) in [
        ("a\\$1", "no topic has `$` in its name"),
        ("größe", "no topic has `ö` in its name"),
        ("", "no topic has an empty name"),
        ("$2", "no group 2"),
        ("${b}", "no group `b`"),
        ("${1}", "no group `1`"),
        ("a$", "names no group"),
        ("a\\", "stands at its end"),
    ] {
        let options = format!("{{ regex: '(orders)', replacement: '{replacement}' }}");
        check("route", options.leak(), "{}", Err(told));
    }
    let slash = "topic: '{topic}/{timestamp:%Y}'";
    check(
        "timestamp_router",
        slash,
        "{}",
        Err("no topic has `/` in its name"),
    );
    check(
        "timestamp_router",
        "topic: '{topic}-{key}'",
        "{}",
        Err("key"),
    );
}

#[test]
fn wrong_options_are_told() {
    check(
        "insert_field",
        "field: a",
        "{}",
        Err("`insert_field` has `field`, but no `value`"),
    );
    check("insert_field", "", "{}", Err("`insert_field` takes"));
    check(
        "cast",
        "{ to: int8, fields: { a: int8 } }",
        "{}",
        Err("only one of `fields` and `to`"),
    );
    check("cast", "fields: {}", "{}", Err("`fields` is empty"));
    check(
        "mask_field",
        "{ fields: a, replacement: true }",
        "{}",
        Err("a text or a number"),
    );
    check(
        "timestamp_convert",
        "to: string",
        "{}",
        Err("needs a `format`"),
    );
    check(
        "timestamp_convert",
        "{ to: string, format: '%!' }",
        "{}",
        Err("not a format"),
    );
    check("hoist_field", "field: 'a[0]'", "{}", Err("no index"));
    check("value_to_key", "fields: 'a[0]'", "{}", Err("has no name"));
    check(
        "set_schema_metadata",
        "name: ''",
        "{}",
        Err("`name` is empty"),
    );
    check("set_schema_metadata", "version: 0", "{}", Err("1"));
}

/// What says that it asks for fields refuses text; what does not takes it.
#[test]
fn who_asks_for_fields_takes_no_text() {
    let types = crate::types();
    for (name, options, asks) in [
        ("mask_field", "fields: a", true),
        ("mask_field", "{ fields: a, target: key }", false),
        ("header_from", "headers: { h: a }", true),
        ("cast", "fields: { a: string }", true),
        ("cast", "to: string", false),
        ("extract_field", "field: a", true),
        ("redact", "{ find: email, fields: a }", true),
        ("redact", "find: email", false),
        ("split", "{}", true),
        ("dedupe", "by: value.a", true),
        ("dedupe", "by: value", false),
        ("sample", "{ one_in: 1, by: value.a }", true),
        ("throttle", "{ records: 1, by: value.a }", true),
        ("throttle", "records: 1", false),
        ("timestamp_convert", "{ field: a, to: timestamp }", true),
        ("parse_json", "field: a", true),
        ("parse_json", "{}", false),
        ("parse_logfmt", "field: a", true),
        ("parse_logfmt", "{}", false),
    ] {
        let kind = types.iter().find(|kind| kind.name == name);
        let kind = kind.expect("a transform");
        let config = configure(kind, &yaml::options(options)).expect("sound options");
        assert_eq!(config.needs_fields(), asks, "{name} {options}");
        if asks {
            let text = [&b"1"[..]];
            let outcome = super::table::outcomes(kind, options, Format::Text, &text).swap_remove(0);
            assert!(outcome.starts_with('!'), "{name} {options}: {outcome}");
        }
    }
}
