//! Avro files of another program, and files that are wrong.

use towpath_sdk::config::{AvroCodec, AvroSchema, InputFormat};

use super::decoder;
use crate::avro::AvroWriter;

/// The records of the file `bytes` as JSON.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut out = towpath_record::BatchBuilder::default();
    let read = decoder(InputFormat::Avro).decode(bytes, &Default::default(), &mut out);
    let batch = out.finish();
    if let Err(error) = read {
        assert!(batch.is_none(), "records of a file that was refused");
        return Err(error.to_string());
    }
    let records = batch.iter().flat_map(|batch| batch.records());
    let value = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    Ok(records
        .map(|record| value(record.unwrap().value.unwrap()))
        .collect())
}

/// Written by fastavro 1.13 (`avro/make.py`), with several blocks each.
pub(super) const FILES: [&[u8]; 4] = [
    include_bytes!("avro/null.avro"),
    include_bytes!("avro/deflate.avro"),
    include_bytes!("avro/snappy.avro"),
    include_bytes!("avro/zstandard.avro"),
];

fn writer(schema: &str) -> AvroWriter {
    AvroWriter::new(AvroSchema::parse(schema).unwrap(), AvroCodec::Null)
}

#[test]
fn files_of_fastavro_are_read() {
    let expected: Vec<String> = include_str!("avro/records.jsonl")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(expected.len(), 4);
    for file in FILES {
        assert_eq!(read(file).as_deref(), Ok(&expected[..]));
    }
}

#[test]
fn damaged_files_are_refused() {
    for file in FILES {
        for length in 0..file.len() {
            // A file may end behind any block; it is whole then.
            if let Ok(records) = read(&file[..length]) {
                assert!(records.len() < 4, "{length}");
            }
        }
        for at in 0..file.len() {
            let mut bytes = file.to_vec();
            bytes[at] ^= 1 << (at % 8);
            let _: Result<Vec<String>, String> = read(&bytes);
        }
    }
    assert!(
        read(b"Obj\x02")
            .unwrap_err()
            .contains("no Avro object container file")
    );
    // The last byte of the last marker, and of Snappy's sum before it.
    let damaged = |file: &[u8], from_end: usize| {
        let mut bytes = file.to_vec();
        bytes[file.len() - from_end] ^= 1;
        read(&bytes).unwrap_err()
    };
    for file in FILES {
        assert!(damaged(file, 1).contains("a block without its marker"));
    }
    assert!(damaged(FILES[2], 17).contains("a damaged block"));
    // A million nulls in a block of no bytes is fine, 2^60 are not.
    let file = writer("\"null\"").head().to_vec();
    let marker = file[file.len() - 16..].to_vec();
    let many = [&file[..], &[0x80, 0x89, 0x7a, 0], &marker].concat();
    assert_eq!(read(&many).unwrap().len(), 1_000_000);
    let file = writer(r#"{"type":"array","items":"null"}"#).head().to_vec();
    let endless = [
        &file[..],
        &[2, 20],
        &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0],
    ]
    .concat();
    assert!(
        read(&endless)
            .unwrap_err()
            .contains("a record of more than 64 MiB")
    );
}

#[test]
fn what_does_not_fit_the_schema_is_refused() {
    let check = |schema: &str, value: &str, expected: &str| {
        let mut block = b"before".to_vec();
        let error = writer(schema).record(value.as_bytes(), &mut block);
        assert_eq!(error.unwrap_err(), expected, "{value}");
        assert_eq!(block, b"before", "a part of it was taken");
    };
    let record = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    check(
        record,
        r#"{"a":1,"b":2}"#,
        "a field that the schema does not have (`replace_field` with `include` keeps those it has), at `b`",
    );
    check(record, r#"{"a":1,"a":2}"#, "a field that stands twice");
    check(
        record,
        "{}",
        "null or nothing where the schema wants a value, at `a`",
    );
    let nested = r#"{"type":"record","name":"R","fields":[{"name":"a","type":
        ["null",{"type":"array","items":{"type":"map","values":"int"}}]}]}"#;
    check(
        nested,
        r#"{"a":[{},{"x y":true}]}"#,
        "a value of another type than the schema's, at `a[1].`x y``",
    );
    check(record, "[1]", "a value of another type than the schema's");
    check(
        "\"int\"",
        "1.5",
        "a number that is not whole, or too large for its type",
    );
    check(
        "\"int\"",
        "2147483648",
        "a number that is not whole, or too large for its type",
    );
    check("\"bytes\"", "\"?\"", "bytes that are not base64");
    check(
        r#"["null","int"]"#,
        "\"x\"",
        "a text where the schema has another type",
    );
    check(
        r#"["null","int","boolean"]"#,
        "\"x\"",
        "a value that fits no branch of its union",
    );
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":1}"#;
    check(
        decimal,
        "\"1.25\"",
        "a text that its logical type cannot hold",
    );
    for (schema, why) in [
        ("{", "the schema is no JSON"),
        ("\"strnig\"", "unknown type `strnig`"),
        (
            r#"{"type":"record","name":"R"}"#,
            "a type `record` without `fields`",
        ),
        (
            r#"[{"type":"fixed","name":"R","size":1},{"type":"fixed","name":"R","size":1}]"#,
            "defined twice",
        ),
        (
            &("[".repeat(100) + &"]".repeat(100)),
            "nested more than 64 deep",
        ),
    ] {
        let error = AvroSchema::parse(schema).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
