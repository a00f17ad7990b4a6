use super::*;

struct Fields;

impl Scope for Fields {
    fn lookup(&self, name: &TemplateName) -> Option<Fill<'_>> {
        Some(match name {
            TemplateName::Topic => Fill::Text("access".into()),
            TemplateName::Partition => Fill::Integer(3),
            TemplateName::Offset => Fill::Integer(42),
            TemplateName::StartOffset => Fill::Integer(-7),
            TemplateName::Timestamp => Fill::Timestamp(1_767_225_600_123),
            TemplateName::Key => Fill::Bytes((&b"../a/b"[..]).into()),
            TemplateName::Header(name) if name == "raw" => Fill::Bytes((&b"\xff\0%"[..]).into()),
            TemplateName::Header(name) if name == "mixed" => Fill::Bytes(
                (&b"..a\xc2\xa0\xc3\xa9\xc2\x80\xc2\x9f\xff\xc3\xbc/\\\x7f\xc3"[..]).into(),
            ),
            TemplateName::Header(name) if name == "empty" => Fill::Text("".into()),
            TemplateName::Header(name) if name == "dot" => Fill::Text(".".into()),
            TemplateName::Header(name) if name == "long" => Fill::Text("é".repeat(200).into()),
            TemplateName::Value(path) => Fill::Text(path.to_string().into()),
            TemplateName::Extra(name) => Fill::Text(name.clone().into()),
            _ => return None,
        })
    }
}

fn parse(text: &str) -> Template {
    Template::parse(text, &[Template::NAMES, &["path"]].concat()).unwrap()
}

fn check(text: &str, expected: &str) {
    let mut out = b"before ".to_vec();
    parse(text).render(&Fields, &mut out).unwrap();
    assert_eq!(String::from_utf8_lossy(&out), format!("before {expected}"));
}

fn check_path(text: &str, expected: &str) {
    let mut out = Vec::new();
    parse(text).render_path(&Fields, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn places_are_filled() {
    check("", "");
    check("plain }", "plain }");
    check("{{topic}", "{topic}");
    check(
        "{topic}-{partition}-{offset:020}",
        "access-3-00000000000000000042",
    );
    check("{start_offset:04}", "-007");
    check("{value.`a:b|}`.c[0]}", "`a:b|}`.c[0]");
    check("{path}", "path");
    check("{now|none}/{headers.absent|}", "none/");
}

#[test]
fn times_are_formatted() {
    check("{timestamp}", "2026-01-01T00:00:00.123Z");
    check(
        "dt={timestamp:%Y-%m-%d}/{timestamp:%H:%M:%S}",
        "dt=2026-01-01/00:00:00",
    );
    check(
        "{timestamp:%A %j %s %:z %Z %:Q %c}",
        "Thursday 001 1767225600 +00:00 UTC UTC 2026 M01 1, Thu 00:00:00",
    );
    let zoned = |text: &str| {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let template = parse(text).with_timezone(zone);
        let mut out = Vec::new();
        template.render(&Fields, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(zoned("{timestamp}"), "2026-01-01T01:00:00.123+01:00");
    assert_eq!(
        zoned("{timestamp:%Y %H %z %s}{timestamp: %Z}"),
        "2026 01 +0100 1767225600 CET"
    );
}

#[test]
fn what_cannot_be_filled_says_where_and_why() {
    let error = |text: &str| {
        let template = Template::parse(text, Template::NAMES).unwrap();
        let error = template.render(&Fields, &mut Vec::new()).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        error("app-{headers.absent}"),
        "cannot fill {headers.absent} of `app-{headers.absent}` for the record at offset 42 of \
         access-3: it is missing or null; give it a default: {headers.absent|...}"
    );
    assert_eq!(
        error("{now:%Y}"),
        "cannot fill {now} of `{now:%Y}` for the record at offset 42 of access-3: \
         it is missing or null; give it a default: {now|...}"
    );
    let path_error = |text: &str| {
        let error = parse(text).render_path(&Fields, &mut Vec::new());
        error.unwrap_err().to_string()
    };
    assert!(path_error("out/{now}").starts_with("cannot fill {now} of `path: out/{now}` for the"));
    let error = path_error(&format!("{}{{topic}}", "x".repeat(250)));
    assert!(error.contains("has 256 bytes"), "{error}");

    let mut builder = towpath_record::BatchBuilder::default();
    builder.push(0, None, Some(b"no JSON"), &[]).unwrap();
    let batch = builder.finish().unwrap();
    let record = batch.records().next().unwrap().unwrap();
    let scope = RecordScope {
        pipeline: "p",
        connector: "c",
        record: &record,
        value_at: |_, _| Err(Error::record("look up", "it").because("the value is not JSON")),
        now_ms: 0,
    };
    let error = parse("{value.a}").render(&scope, &mut Vec::new());
    assert_eq!(
        error.unwrap_err().to_string(),
        "cannot fill {value.a} of `{value.a}` for a record: cannot look up it: \
         the value is not JSON; give it a default: {value.a|...}"
    );
    let mut out = Vec::new();
    parse("{value.a|none}").render(&scope, &mut out).unwrap();
    assert_eq!(out, b"none");
}

#[test]
fn filled_parts_stay_within_a_file_name() {
    check_path("out/{key}.txt", "out/%2E.%2Fa%2Fb.txt");
    check_path("out/{headers.raw}", "out/%FF%00%25");
    check_path("out/.{headers.dot}/x", "out/.%2E/x");
    check_path("out/.{headers.empty}./x", "out/.%-./x");
    check_path(
        "{headers.mixed}",
        "%2E.a\u{a0}é%C2%80%C2%9F%FFü%2F%5C%7F%C3",
    );
    let cut = format!("{}%~95a9bf7c2f2ea1d5", "é".repeat(66));
    let mut out = Vec::new();
    parse("{headers.long}")
        .render_path(&Fields, &mut out)
        .unwrap();
    assert_eq!(out.len(), cut.len());
    let shown = String::from_utf8(out).unwrap();
    assert!(
        shown.starts_with(&format!("{}%~", "é".repeat(66))),
        "{shown}"
    );
}

#[test]
fn a_bad_record_leaves_nothing_behind() {
    for text in ["x{now}", "x{headers.raw:%Y}", "x{value.a:03}"] {
        let Ok(template) = Template::parse(text, Template::NAMES) else {
            continue;
        };
        let mut out = b"before".to_vec();
        let error = template.render(&Fields, &mut out).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Record);
        assert_eq!(out, b"before");
    }
    let long = format!("{}{{topic}}", "x".repeat(250));
    assert!(parse(&long).render_path(&Fields, &mut Vec::new()).is_err());
}

#[test]
fn what_a_template_needs() {
    let facts = |text: &str| {
        let template = parse(text);
        (template.is_constant(), template.is_per_record())
    };
    assert_eq!(facts("plain"), (true, false));
    assert_eq!(facts("{topic}-{partition}"), (false, false));
    assert_eq!(facts("{key}"), (false, true));
    assert_eq!(facts("{value.a}"), (false, true));
}

fn check_error(text: &str, at: std::ops::Range<usize>, message: &str, help: &str) {
    let error = Template::parse(text, Template::PATH_NAMES).unwrap_err();
    assert_eq!((error.at.clone(), &*error.message), (at, message));
    let given = error.help.unwrap_or_default();
    assert!(given.starts_with(help), "{given}");
}

#[test]
fn wrong_templates_say_where_and_why() {
    check_error(
        "a{topic",
        1..2,
        "this `{` is not closed",
        "for a brace itself",
    );
    check_error(
        "a{topci}",
        2..7,
        "unknown name `{topci}`",
        "did you mean `{topic}`?",
    );
    check_error(
        "{end_offset}",
        1..11,
        "`{end_offset}` is not known here",
        "possible here: topic",
    );
    check_error("{}", 1..1, "unknown name `{}`", "possible here");
    check_error(
        "{value}",
        1..6,
        "`value` needs to say which part of it",
        "write {value.PATH}",
    );
    check_error(
        "{value.a b}",
        8..10,
        "`a b` is not a path: expected `.`, `[` or the end of the path",
        "",
    );
    check_error(
        "{topic:03}",
        7..9,
        "`topic` is no number, so it cannot be padded with `03`",
        "only",
    );
    check_error(
        "{offset:%Y}",
        8..10,
        "`offset` is no time, so it has no format `%Y`",
        "times are",
    );
    check_error("{offset:x}", 8..9, "`x` is not a format", "a width");
    check_error(
        "{offset:0999}",
        8..12,
        "the width 0999 is too large",
        "the largest",
    );
}

/// A key and a header, both foreign.
struct Foreign<'a>(&'a [u8], &'a [u8]);

impl Scope for Foreign<'_> {
    fn lookup(&self, name: &TemplateName) -> Option<Fill<'_>> {
        let bytes = if *name == TemplateName::Key {
            self.0
        } else {
            self.1
        };
        Some(Fill::Bytes(bytes.into()))
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..Default::default()
    })]

    /// Data never makes another folder, and different data never the same path.
    #[test]
    fn data_never_leaves_the_literal_prefix(
        one in proptest::collection::vec(proptest::sample::select(b"./\\%-~a\0\xff\xc3\xa9\n".as_slice()), 0..400),
        two in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
    ) {
        let template = parse("out/.{key}/{headers.x}.txt");
        let path = |key: &[u8], header: &[u8]| {
            let mut out = Vec::new();
            template.render_path(&Foreign(key, header), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let shown = path(&one, &two);
        let names: Vec<&str> = shown.split('/').collect();
        proptest::prop_assert_eq!(names.len(), 3);
        proptest::prop_assert!(names.iter().all(|name| *name != "." && *name != ".."));
        proptest::prop_assert!(!shown.chars().any(char::is_control));
        if one != two {
            proptest::prop_assert_ne!(&shown, &path(&two, &two));
        }
        proptest::prop_assert_eq!(&shown, &path(&one, &two));
    }

    #[test]
    fn any_text_is_a_template_or_an_error(text in "[{}:|%`a-z0-9. ]{0,40}") {
        if let Ok(template) = Template::parse(&text, Template::NAMES) {
            let _ = template.render(&Fields, &mut Vec::new());
        }
        let _ = Path::parse(&text);
    }
}

#[test]
fn a_path_tells_what_is_set_apart_in_it() {
    let names = [
        TemplateName::Topic,
        TemplateName::Partition,
        TemplateName::StartOffset,
    ];
    // Of topic, partition and start offset, those that it tells.
    for (path, expected) in [
        ("{topic}-{partition}-{start_offset}.gz", [true, true, true]),
        (
            "{topic}/p={partition}/{start_offset:020}.gz",
            [true, true, true],
        ),
        ("{partition}{start_offset}", [false, false, false]),
        ("{partition}-{start_offset:020}{key}", [false, true, false]),
        ("{key}-{start_offset}.{partition}", [false, true, true]),
        ("{key}{start_offset}-{partition}", [false, true, false]),
        ("{key}-{start_offset}-{headers.a}", [false, false, false]),
        (
            "{key}-{start_offset}-{headers.a}/x-{start_offset}x",
            [false, false, true],
        ),
        ("{key}-1{start_offset}", [false, false, false]),
        ("{topic}-{key}", [false, false, false]),
        ("x", [false, false, false]),
    ] {
        let template = Template::parse(path, Template::PATH_NAMES).unwrap();
        let told = names.clone().map(|name| template.path_tells(&name));
        assert_eq!(told, expected, "{path}");
    }
}
