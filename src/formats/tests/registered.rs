//! Avro and Parquet by the schema of the records: what is written from registered types is read back.

use serde_json::{Value, json};
use towpath_record::{Batch, BatchBuilder};
use towpath_sdk::config::{
    AvroCodec, AvroOutput, Compression, Fields, Format, InputFormat, Node, NodeValue, OptionType,
    OutputFormat, ParquetOutput, Problems, Span,
};
use towpath_sdk::testing::FakeSchemas;
use towpath_sdk::{
    Block, Encoder, Envelope, ErrorKind, Field, FieldType, Schema, SinkBatch, SinkTopic,
};

use crate::{decoder, encoder};

fn avro() -> OutputFormat {
    OutputFormat::Avro(AvroOutput {
        schema: None,
        codec: AvroCodec::Null,
    })
}

fn parquet() -> OutputFormat {
    OutputFormat::Parquet(ParquetOutput {
        schema: None,
        leaves_out: false,
        compression: Compression::Snappy,
    })
}

fn schema() -> Schema {
    let decimal = FieldType::Decimal {
        precision_and_scale: Some((9, 2)),
    };
    let any_decimal = FieldType::Decimal {
        precision_and_scale: None,
    };
    let inner = vec![Field::required("a", FieldType::Int16)];
    let types = [
        ("ok", FieldType::Boolean),
        ("small", FieldType::Int32),
        ("large", FieldType::Int64),
        ("half", FieldType::Float32),
        ("real", FieldType::Float64),
        ("price", decimal),
        ("any", any_decimal),
        ("text", FieldType::String),
        ("bytes", FieldType::Bytes),
        ("id", FieldType::Uuid),
        ("at", FieldType::Timestamp),
        ("local", FieldType::LocalTimestamp),
        ("day", FieldType::Date),
        ("time", FieldType::Time),
        ("span", FieldType::Interval),
        ("list", FieldType::Array(Box::new(FieldType::Int64))),
        ("map", FieldType::Map(Box::new(FieldType::String))),
        ("below", FieldType::Object(inner)),
    ];
    let fields = types.map(|(name, of)| Field::required(name, of));
    let mut fields = Vec::from(fields);
    let optional = |name, of| Field {
        nullable: true,
        ..Field::required(name, of)
    };
    fields.push(optional("json", FieldType::Json));
    fields.push(optional("maybe", FieldType::Int64));
    Schema {
        name: "shop.orders".to_owned(),
        fields,
    }
}

fn value(maybe: Value) -> Value {
    json!({"ok": true, "small": -5, "large": 1_u64 << 60, "half": 0.5, "real": 0.1, "price": "-12.34",
        "any": "1.000000000000000000001", "text": "ü", "bytes": "AAE=",
        "id": "123e4567-e89b-12d3-a456-426614174000", "at": "2026-11-22T01:02:03.123456Z",
        "local": "2026-11-22T01:02:03.123456", "day": "2026-11-22", "time": "01:02:03.123456",
        "span": "P1DT0.000001S", "list": [1, null, 3], "map": {"k": "v", "n": null},
        "below": {"a": 7}, "json": {"deep": [1, "x"]}, "maybe": maybe})
}

fn batch(values: &[Value]) -> SinkBatch {
    let mut builder = BatchBuilder::default();
    for value in values {
        let text = value.to_string();
        let pushed = builder.push(7, Some(b"key"), Some(text.as_bytes()), &[]);
        pushed.unwrap();
    }
    let topic = SinkTopic {
        name: "t".to_owned(),
        id: "1".to_owned(),
        format: Format::Json,
    };
    let batches: Vec<Batch> = builder.finish().into_iter().collect();
    SinkBatch::new(topic.into(), 0, 0, batches)
}

/// A file of `values`.
fn file(encoder: &mut dyn Encoder, values: &[Value]) -> Vec<u8> {
    let (batch, mut buffer) = (batch(values), Vec::new());
    for record in batch.records() {
        let encoded = encoder.encode(&batch, &record.unwrap(), &mut buffer);
        encoded.unwrap();
    }
    let note = encoder.block(values.len() as u64, &mut buffer).unwrap();
    let mut file = encoder.head().to_vec();
    let position = file.len() as u64;
    file.append(&mut buffer);
    file.extend(encoder.end(&[Block { position, note }]).unwrap());
    file
}

fn read(format: InputFormat, file: &[u8]) -> Vec<Value> {
    let schemas: std::sync::Arc<dyn towpath_sdk::Schemas> =
        std::sync::Arc::new(FakeSchemas::default());
    let mut out = BatchBuilder::default();
    let mut decoder = decoder(format, &schemas).unwrap()();
    decoder
        .decode(file, &Envelope::default(), &mut out)
        .unwrap();
    let batch = out.finish().expect("records");
    let records = batch.records();
    let values = records.map(|record| record.unwrap().value.unwrap().to_vec());
    values
        .map(|value| serde_json::from_slice(&value).unwrap())
        .collect()
}

fn of_schema(format: OutputFormat, fields: &Fields) -> Box<dyn Encoder> {
    let encoder = encoder(Some(format), fields).unwrap();
    encoder.by_schema().expect("it is by schema")(&schema()).unwrap()
}

#[test]
fn every_type_comes_back() {
    let values = [value(json!(1)), value(Value::Null)];
    for (output, input) in [
        (avro(), InputFormat::Avro),
        (parquet(), InputFormat::Parquet),
    ] {
        let mut encoder = of_schema(output, &Fields::default());
        let mut expected = values.clone();
        for value in &mut expected {
            // A column of JSON is text to who does not know what it means.
            value["json"] = json!(value["json"].to_string());
        }
        let word = format!("{input:?}");
        assert_eq!(
            read(input, &file(&mut *encoder, &values)),
            expected,
            "{word}"
        );
    }
}

#[test]
fn several_fields_have_the_value_in_one_of_them() {
    let words = ["value", "key", "headers", "timestamp", "offset"];
    let list = words.map(|word| Node::new(Span::NONE, word)).to_vec();
    let node = Node::new(Span::NONE, NodeValue::List(list));
    let fields = Fields::parse(&node, &mut Problems::new()).unwrap();
    for (output, input) in [
        (avro(), InputFormat::Avro),
        (parquet(), InputFormat::Parquet),
    ] {
        let mut encoder = of_schema(output, &fields);
        let found = read(input, &file(&mut *encoder, &[value(json!(1))]));
        assert_eq!(found[0]["value"]["id"], value(json!(1))["id"]);
        assert_eq!(found[0]["key"], "key");
        assert_eq!(found[0]["headers"], json!([]));
        assert_eq!(found[0]["timestamp"], "1970-01-01T00:00:00.007Z");
        assert_eq!(found[0]["offset"], 0);
    }
}

#[test]
fn what_has_no_schema_or_another_type_is_a_bad_record() {
    for output in [avro(), parquet()] {
        let mut untyped = encoder(Some(output.clone()), &Fields::default()).unwrap();
        let batch = batch(&[value(json!("no number"))]);
        let record = batch.records().next().unwrap().unwrap();
        let refused = untyped.encode(&batch, &record, &mut Vec::new());
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Record);
        assert!(
            error.to_string().contains("no registered schema"),
            "{error}"
        );
        let mut typed = of_schema(output, &Fields::default());
        let refused = typed.encode(&batch, &record, &mut Vec::new());
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Record);
        assert!(error.to_string().contains("at `maybe`"), "{error}");
    }
}

#[test]
fn a_name_that_avro_does_not_take_is_told() {
    let schema = Schema {
        name: "what it is".to_owned(),
        fields: vec![Field::required("two words", FieldType::String)],
    };
    let by_schema = |format| {
        let encoder = encoder(Some(format), &Fields::default()).unwrap();
        encoder.by_schema().unwrap()(&schema)
    };
    let error = by_schema(avro()).err().expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Record);
    assert!(
        error
            .to_string()
            .contains("no field of Avro has the name `two words`"),
        "{error}"
    );
    assert!(by_schema(parquet()).is_ok());
}
