//! CSV as it comes: fields, headers, other ways to write it, and what is refused.

use towpath_sdk::config::{CsvOptions, InputFormat, TextType};

use super::decoder;
use super::parsers::{check, columns, parse};
use crate::Csv;

#[test]
fn csv_fields_have_quotes_types_and_nulls() {
    let mut csv = Csv::new(columns(&["a", "b:int", "c:float", "d:bool", "e:timestamp"])).unwrap();
    check(
        &mut csv,
        "\"x, \"\"y\"\"\nz\",007,-.50,TRUE,2026-10-11 22:14:15\r\n",
        r#"{"a":"x, \"y\"\nz","b":7,"c":-0.50,"d":true,"e":"2026-10-11T22:14:15Z"}"#,
    );
    check(
        &mut csv,
        "é,+123456789012345678901234567890,1e-7,0,2026-10-11T22:14:15.5+02:00",
        r#"{"a":"é","b":123456789012345678901234567890,"c":1e-7,"d":false,"e":"2026-10-11T20:14:15.5Z"}"#,
    );
    for (text, fault) in [
        (
            "a\"b,1,1,1,x",
            "a quote inside a field without quotes at byte 1",
        ),
        ("\"a\"b,1,1,1,x", "text behind a closing quote at byte 3"),
        ("\"a,1,1,1,x", "a quote that is never closed at byte 0"),
        ("a,1.5,1,1,x", "expected a whole number at byte 2"),
        ("a,1,1e,1,x", "expected a number at byte 4"),
        ("a,1,1,maybe,x", "expected `true` or `false` at byte 6"),
        ("a,1,1,1,x", "expected a time in ISO 8601 at byte 8"),
        ("a,1", "fewer fields than columns at byte 3"),
        ("a,1,1,1", "fewer fields than columns at byte 7"),
        (
            "a,1,1,1,2026-10-11T00:00:00Z,6",
            "more fields than columns at byte 29",
        ),
        (
            "a,1,1,1,2026-10-11T00:00:00Z\nb",
            "a second record at byte 29",
        ),
    ] {
        check(&mut csv, text, fault);
    }
    assert!(
        parse(&mut csv, b"\xff")
            .unwrap_err()
            .contains("invalid UTF-8")
    );
}

#[test]
fn csv_can_be_lenient_and_differently_written() {
    let options = CsvOptions {
        lenient: true,
        empty_is_null: true,
        ..columns(&["a", "b:int"])
    };
    let mut csv = Csv::new(options.clone()).unwrap();
    check(&mut csv, "x\"y,many", r#"{"a":"x\"y","b":"many"}"#);
    check(&mut csv, "\"x\"y,1", r#"{"a":"\"x\"y","b":1}"#);
    check(&mut csv, "\"x,1", r#"{"a":"\"x","b":1}"#);
    check(&mut csv, ",", r#"{"a":null,"b":null}"#);
    check(&mut csv, "\"\"", r#"{"a":""}"#);
    check(&mut csv, "x,1,z", r#"{"a":"x","b":1,"column_3":"z"}"#);
    let mut csv = Csv::new(CsvOptions {
        delimiter: b';',
        quote: b'\'',
        escape: b'\\',
        ..columns(&["a", "b"])
    })
    .unwrap();
    check(
        &mut csv,
        r"'it\'s \\ \n';x",
        r#"{"a":"it's \\ \\n","b":"x"}"#,
    );
    for options in [
        CsvOptions {
            delimiter: b'"',
            ..options.clone()
        },
        CsvOptions {
            quote: b'\n',
            ..options.clone()
        },
        CsvOptions {
            delimiter: 0xe9,
            ..options.clone()
        },
        CsvOptions {
            columns: Vec::new(),
            ..options.clone()
        },
        columns(&["a", "a"]),
    ] {
        assert!(Csv::new(options.clone()).is_err(), "{options:?}");
    }
}

#[test]
fn a_csv_file_begins_with_its_header() {
    let csv = |columns| {
        let options = CsvOptions {
            columns,
            ..CsvOptions::default()
        };
        InputFormat::Csv(options)
    };
    let typed = vec![("n".to_owned(), TextType::Integer)];
    let values = |format: InputFormat, payloads: &[&str]| -> Result<Vec<String>, String> {
        let mut decoder = decoder(format);
        let mut out = towpath_record::BatchBuilder::default();
        for payload in payloads {
            let decoded = decoder.decode(payload.as_bytes(), &Default::default(), &mut out);
            decoded.map_err(|error| error.to_string())?;
        }
        let batch = out.finish();
        let records = batch.iter().flat_map(|batch| batch.records());
        let value = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        Ok(records
            .map(|record| value(record.unwrap().value.unwrap()))
            .collect())
    };
    let expected = vec![
        r#"{"n":1,"\"s\"":"a\nb"}"#.to_owned(),
        r#"{"n":2,"\"s\"":""}"#.to_owned(),
    ];
    let lines = ["\u{feff}n,\"\"\"s\"\"\"\r", "1,\"a\nb\"\r", "", "2,\r"];
    assert_eq!(
        values(csv(typed.clone()), &lines),
        Ok(expected.clone()),
        "line by line"
    );
    let whole = "\u{feff}n,\"\"\"s\"\"\"\r\n1,\"a\nb\"\r\n\r\n2,\r\n";
    assert_eq!(
        values(csv(typed.clone()), &[whole]),
        Ok(expected),
        "as a whole"
    );
    let error = values(csv(typed), &["m,s\n"]).unwrap_err();
    assert!(
        error.ends_with("a header without a column that `columns` names at byte 0"),
        "{error}"
    );
    assert!(
        values(csv(Vec::new()), &["m,m\n"])
            .unwrap_err()
            .contains("names a column twice")
    );
}

#[test]
fn a_bad_header_is_followed_by_nothing() {
    let mut decoder = decoder(InputFormat::Csv(CsvOptions::default()));
    let mut out = towpath_record::BatchBuilder::default();
    let mut refused = |payload: &[u8]| {
        let decoded = decoder.decode(payload, &Default::default(), &mut out);
        decoded.map_or_else(|error| error.to_string(), |()| String::new())
    };
    let why = "a header that names a column twice at byte 0";
    assert_eq!(refused(b""), "", "a blank line is no header");
    assert_eq!(refused(b"a,a"), format!("cannot read CSV: {why}"));
    let later = format!("cannot read CSV without its header, which was refused: {why}");
    assert_eq!(refused(b"1,2"), later);
    assert_eq!(refused(b"3,4"), later);
    assert!(!decoder.wants_beginning(), "nothing could mend it");
    assert!(out.is_empty());
}

#[test]
fn a_lost_header_is_followed_by_nothing_either() {
    let mut decoder = decoder(InputFormat::Csv(CsvOptions::default()));
    let mut out = towpath_record::BatchBuilder::default();
    decoder.lose_beginning();
    assert!(!decoder.wants_beginning(), "it cannot be had");
    let refused = decoder.decode(b"1,2", &Default::default(), &mut out);
    let told =
        "cannot read CSV without its header, which was refused: a header longer than `max_line`";
    assert!(refused.unwrap_err().to_string().starts_with(told));
    assert!(out.is_empty());
}

#[test]
fn the_head_is_the_header_of_what_comes_behind_it() {
    let mut decoder = decoder(InputFormat::Csv(CsvOptions::default()));
    let mut out = towpath_record::BatchBuilder::default();
    for (payload, head) in [
        ("\n", None),
        ("\u{feff}a,b\r", Some("\u{feff}a,b")),
        ("1,2", Some("\u{feff}a,b")),
        ("1", Some("\u{feff}a,b")),
    ] {
        let _ = decoder.decode(payload.as_bytes(), &Default::default(), &mut out);
        assert_eq!(
            decoder.head(),
            head.map(str::as_bytes),
            "behind {payload:?}"
        );
    }
    // A payload that has its header is decoded with that.
    let mut decoder = super::decoder(InputFormat::Csv(CsvOptions::default()));
    let whole = decoder.decode(b"a,b\n1,2,3\n", &Default::default(), &mut out);
    assert!(whole.is_err());
    assert_eq!(decoder.head(), None);
}

#[test]
fn a_fault_names_its_column() {
    let columns = CsvOptions {
        header: false,
        columns: vec![
            ("id".to_owned(), TextType::Integer),
            ("na me".to_owned(), TextType::String),
        ],
        ..CsvOptions::default()
    };
    let mut decoder = decoder(InputFormat::Csv(columns));
    let mut out = towpath_record::BatchBuilder::default();
    for (payload, told) in [
        (
            &b"x,a"[..],
            "expected a whole number at byte 0, in column `id`",
        ),
        (
            b"1,a\"b",
            "a quote inside a field without quotes at byte 3, in column `na me`",
        ),
        (
            b"1,\"a",
            "a quote that is never closed at byte 2, in column `na me`",
        ),
        (
            b"1",
            "fewer fields than columns at byte 1, in column `na me`",
        ),
        (b"1,a,b", "more fields than columns at byte 4, in field 3"),
        // Nothing is known of where this is, nor left of the one before.
        (b"1,\xff", "invalid UTF-8 at byte 2"),
    ] {
        let error = decoder
            .decode(payload, &Default::default(), &mut out)
            .unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read CSV: {told}"));
    }
}

#[test]
fn only_a_header_is_wanted_from_the_beginning() {
    let header = CsvOptions::default();
    let named = columns(&["a"]);
    for (format, wanted) in [
        (InputFormat::Text, false),
        (InputFormat::Json, false),
        (InputFormat::Csv(named), false),
        (InputFormat::Csv(header), true),
    ] {
        let mut decoder = decoder(format);
        assert_eq!(decoder.wants_beginning(), wanted);
        let mut out = towpath_record::BatchBuilder::default();
        let _ = decoder.decode(b"\n", &Default::default(), &mut out);
        assert_eq!(decoder.wants_beginning(), wanted, "behind a blank line");
        let _ = decoder.decode(b"a,b", &Default::default(), &mut out);
        assert!(!decoder.wants_beginning());
    }
}
