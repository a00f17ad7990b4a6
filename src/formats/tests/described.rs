//! Schemas of what is read: what they say, that the values are so, and that records refer to them.

use std::sync::Arc;

use towpath_record::BatchBuilder;
use towpath_sdk::config::{AvroSchema, CsvOptions, InputFormat, TextType};
use towpath_sdk::testing::{FakeSchemas, fits};
use towpath_sdk::{Envelope, Field, FieldType, Schema, SchemaHeaders, SchemaId, Schemas};

use super::HEADERS;
use crate::avro::description;

/// A field in one line.
fn line(field: &Field) -> String {
    let mut line = format!("{} {}", field.name, field.field_type);
    if let FieldType::Object(fields) = &field.field_type {
        line.push_str(&format!(" ({})", lines(fields).join(", ")));
    }
    for (is, word) in [(field.nullable, " null"), (field.defaulted, " default")] {
        line.push_str(if is { word } else { "" });
    }
    line
}

fn lines(fields: &[Field]) -> Vec<String> {
    fields.iter().map(line).collect()
}

/// Reads `payload`: the schema all its records refer to, which all their values fit.
fn check(format: impl Into<InputFormat>, payload: &[u8]) -> Option<Arc<Schema>> {
    let known: Arc<dyn Schemas> = Arc::new(FakeSchemas::default());
    let new_decoder = crate::decoder(format, &known).unwrap();
    let mut out = BatchBuilder::default();
    for headers in [&[][..], &HEADERS] {
        let envelope = Envelope {
            timestamp_ms: 7,
            key: Some(b"k"),
            headers,
        };
        new_decoder().decode(payload, &envelope, &mut out).unwrap();
    }
    let batch = out.finish().unwrap();
    let schema = known.get(SchemaId::new(1)).unwrap();
    let mut added = 0;
    for record in batch.records() {
        let record = record.unwrap();
        let id = SchemaHeaders::VALUE.id_in(record.headers);
        assert_eq!(id.is_some(), schema.is_some());
        let others: Vec<_> = record.headers.iter().map(Result::unwrap).collect();
        let others = &others[usize::from(id.is_some())..];
        assert!(others.is_empty() || others == HEADERS);
        added += usize::from(!others.is_empty());
        if let Some(schema) = &schema {
            fits(schema, record.value.unwrap()).unwrap();
        }
    }
    assert_eq!(added, batch.len() / 2, "headers of the source stay");
    schema
}

#[test]
fn an_avro_file_says_all_its_types() {
    for file in super::avro::FILES {
        let schema = check(InputFormat::Avro, file).unwrap();
        assert_eq!(schema.name, "example.Event");
        let expected = [
            "n json null",
            "b boolean",
            "i int32",
            "l int64",
            "f float32",
            "d float64",
            "by bytes",
            "s string",
            "fx bytes",
            "e string",
            "e2 string",
            "a array<int32>",
            "m map<string>",
            "u json null",
            "date date",
            "tm time",
            "tu time",
            "tsm timestamp",
            "tsu timestamp",
            "lt local_timestamp",
            "dec decimal(40,3)",
            "decf decimal(18,2)",
            "uu uuid",
            "next json null default",
        ];
        assert_eq!(lines(&schema.fields), expected);
    }
}

/// The fields of the Avro record whose fields are the JSON text `fields`.
fn described(fields: &str) -> Vec<String> {
    let text = format!(r#"{{"type":"record","name":"a.R","fields":[{fields}]}}"#);
    let schema = description(&AvroSchema::parse(&text).unwrap()).unwrap();
    assert_eq!(schema.name, "a.R");
    lines(&schema.fields)
}

#[test]
fn avro_types_are_nullable_nested_or_any_json() {
    assert_eq!(
        described(
            r#"{"name":"a","type":["int","null"],"default":1},
               {"name":"b","type":["int","string"]},
               {"name":"c","type":{"type":"array","items":["null","long"]}},
               {"name":"d","type":{"type":"record","name":"D","fields":[
                   {"name":"x","type":"a.R"},{"name":"y","type":["null",{"type":"map","values":"D"}]}]}},
               {"name":"e","type":"D"}"#
        ),
        [
            "a int32 null default",
            "b json",
            "c array<int64>",
            "d object (x json, y map<json> null)",
            "e object (x json, y map<json> null)",
        ]
    );
    let scalar = AvroSchema::parse(r#""string""#).unwrap();
    assert_eq!(description(&scalar), None);
}

#[test]
fn a_small_schema_cannot_say_endless_types() {
    let link = |fields: usize| {
        let record = move |at: usize| {
            let inner = match at {
                0 => "\"int\"".to_owned(),
                at => format!("\"R{}\"", at - 1),
            };
            let field = |name| format!(r#"{{"name":"f{name}","type":{inner}}}"#);
            let fields: Vec<_> = (0..fields).map(field).collect();
            let fields = fields.join(",");
            format!(
                r#"{{"name":"n{at}","type":{{"type":"record","name":"R{at}","fields":[{fields}]}}}}"#
            )
        };
        (0..1000).map(record).collect::<Vec<_>>().join(",")
    };
    let deep = described(&link(1)).concat();
    let wide = described(&link(9)).concat();
    assert!(deep.len() < 1 << 20 && deep.contains("json null"));
    assert!(wide.len() < 1 << 20 && wide.contains("json"));
}

#[test]
fn csv_says_the_types_it_was_told() {
    let column = |name: &str, value| (name.to_owned(), value);
    let options = |header, columns, lenient| {
        InputFormat::Csv(CsvOptions {
            header,
            columns,
            lenient,
            ..CsvOptions::default()
        })
    };
    let typed = vec![
        column("n", TextType::Integer),
        column("at", TextType::Timestamp { format: None }),
    ];
    let schema = check(
        options(true, typed.clone(), false),
        b"at,s,n\n2026-10-11,x,1\n2026-10-12,,2\n",
    );
    let expected = ["at timestamp", "s string", "n int64"];
    assert_eq!(lines(&schema.unwrap().fields), expected);
    let nullable = InputFormat::Csv(CsvOptions {
        header: false,
        columns: typed.clone(),
        empty_is_null: true,
        ..CsvOptions::default()
    });
    let schema = check(nullable, b"1,2026-10-11\n,\n").unwrap();
    assert_eq!(lines(&schema.fields), ["n int64 null", "at timestamp null"]);
    let untyped = vec![column("s", TextType::String)];
    assert_eq!(check(options(false, untyped, false), b"x\n"), None);
    assert_eq!(
        check(options(true, typed, true), b"n,at\none,never\n"),
        None
    );
}
