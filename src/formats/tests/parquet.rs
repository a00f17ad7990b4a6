//! Parquet files, read by the reader of the crate `parquet`; `tests/formats` has pyarrow read them.

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use serde_json::{Value, json};
use towpath_record::{Batch, BatchBuilder};
use towpath_sdk::config::{
    AvroSchema, Compression, Fields, Format, InputFormat, OutputFormat, ParquetOutput,
};
use towpath_sdk::{Block, Envelope, ErrorKind, SinkBatch, SinkTopic};

use crate::encoder;

fn output(schema: &Value, leaves_out: bool) -> ParquetOutput {
    ParquetOutput {
        schema: Some(AvroSchema::parse(&schema.to_string()).unwrap()),
        leaves_out,
        compression: Compression::ZSTD,
    }
}

fn batch(values: &[Value]) -> SinkBatch {
    let mut builder = BatchBuilder::default();
    for value in values {
        let text = value.to_string();
        builder.push(0, None, Some(text.as_bytes()), &[]).unwrap();
    }
    let topic = SinkTopic {
        name: "t".to_owned(),
        id: "1".to_owned(),
        format: Format::Json,
    };
    let batches: Vec<Batch> = builder.finish().into_iter().collect();
    SinkBatch::new(topic.into(), 0, 0, batches)
}

/// A file of `values`, in row groups of `stretch`.
fn file(values: &[Value], output: ParquetOutput, stretch: usize) -> Bytes {
    let mut encoder = encoder(Some(OutputFormat::Parquet(output)), &Fields::default()).unwrap();
    let mut file = encoder.head().to_vec();
    let (mut blocks, mut buffer, mut records) = (Vec::new(), Vec::new(), 0);
    let batch = batch(values);
    for (index, record) in batch.records().enumerate() {
        encoder
            .encode(&batch, &record.unwrap(), &mut buffer)
            .unwrap();
        records += 1;
        if records == stretch || index + 1 == values.len() {
            let note = encoder.block(records as u64, &mut buffer).unwrap();
            let position = file.len() as u64;
            blocks.push(Block { position, note });
            file.append(&mut buffer);
            records = 0;
        }
    }
    file.extend(encoder.end(&blocks).unwrap());
    file.into()
}

/// A file of ours of several row groups.
pub(super) fn many_groups() -> Vec<u8> {
    let values = vec![nested_values(); 10].concat();
    file(&values, output(&nested(), false), 3).to_vec()
}

fn read(file: &Bytes) -> Vec<Value> {
    let reader = SerializedFileReader::new(file.clone()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().to_json_value()).collect()
}

fn nested() -> Value {
    json!({"type": "record", "name": "Event", "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "level", "type": {"type": "enum", "name": "L", "symbols": ["low", "high"]}},
        {"name": "tags", "type": {"type": "array", "items": ["string", "null"]}},
        {"name": "counts", "type": ["null", {"type": "map", "values": "int"}]},
        {"name": "orders", "type": {"type": "array", "items": {"type": "record", "name": "O", "fields": [
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "parts", "type": {"type": "array", "items": ["null", "double"]}}]}}},
        {"name": "ok", "type": ["boolean", "null"]},
    ]})
}

fn nested_values() -> Vec<Value> {
    vec![
        json!({"id": 1, "name": "a", "level": "low", "tags": ["x", null, "y"], "counts": {"p": 1, "q": 2},
            "orders": [{"price": "1.50", "parts": [1.5, null]}, {"price": "-2.00", "parts": []}], "ok": true}),
        json!({"id": 2, "name": null, "level": "high", "tags": [], "counts": null, "orders": [], "ok": null}),
        json!({"id": 3, "name": "", "level": "low", "tags": [null], "counts": {},
            "orders": [{"price": "0.01", "parts": [null]}, {"price": "9999999.99", "parts": [2.0, 3.0]}],
            "ok": false}),
    ]
}

#[test]
fn what_is_nested_comes_back_in_any_row_groups() {
    let values: Vec<_> = (0..100).flat_map(|_| nested_values()).collect();
    for stretch in [1, 7, 300] {
        let file = file(&values, output(&nested(), false), stretch);
        assert_eq!(read(&file), values, "row groups of {stretch}");
        let reader = SerializedFileReader::new(file).unwrap();
        assert_eq!(reader.num_row_groups(), values.len().div_ceil(stretch));
        assert_eq!(reader.metadata().file_metadata().num_rows(), 300);
    }
}

#[test]
fn row_groups_have_statistics_and_are_compressed() {
    let values = (0..2000).map(|n| json!({"n": n, "text": format!("line {}", n % 10)}));
    let values: Vec<_> = values.collect();
    let schema = json!({"type": "record", "name": "R", "fields": [
        {"name": "n", "type": "int"}, {"name": "text", "type": "string"}]});
    let file = file(&values, output(&schema, false), 1000);
    let reader = SerializedFileReader::new(file.clone()).unwrap();
    for (index, group) in reader.metadata().row_groups().iter().enumerate() {
        let Some(Statistics::Int32(statistics)) = group.column(0).statistics() else {
            panic!("no statistics");
        };
        let first = index as i32 * 1000;
        assert_eq!(statistics.min_opt(), Some(&first));
        assert_eq!(statistics.max_opt(), Some(&(first + 999)));
        assert_eq!(statistics.null_count_opt(), Some(0));
    }
    assert!(file.len() < 16_000, "{} bytes", file.len());
    assert_eq!(read(&file), values);
}

#[test]
fn a_file_without_records_has_its_schema() {
    let file = file(&[], output(&nested(), false), 1);
    let reader = SerializedFileReader::new(file).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr().clone();
    assert_eq!((reader.num_row_groups(), schema.num_columns()), (0, 9));
}

#[test]
fn a_record_that_does_not_fit_is_refused_alone() {
    let schema = json!({"type": "record", "name": "R", "fields": [
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}}]});
    let good = json!({"price": "12.34"});
    for (leaves_out, bad, expected) in [
        (
            false,
            json!({"price": "123.45"}),
            "a decimal of more digits than its precision, at `price`",
        ),
        (
            false,
            json!({"price": "1", "more": 1}),
            "a field that the schema does not have (`replace_field` with `include` keeps those it has), at `more`",
        ),
        (
            true,
            json!({"price": 1, "more": 1}),
            "a number where the schema has another type, at `price`",
        ),
    ] {
        let parquet = OutputFormat::Parquet(output(&schema, leaves_out));
        let mut encoder = encoder(Some(parquet), &Fields::default()).unwrap();
        let batch = batch(&[good.clone(), bad]);
        let mut buffer = Vec::new();
        let encoded: Vec<_> = batch
            .records()
            .map(|record| encoder.encode(&batch, &record.unwrap(), &mut buffer))
            .collect();
        assert!(encoded[0].is_ok());
        let error = encoded[1].as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Record);
        assert!(error.to_string().contains(expected), "{error}");
        encoder.block(1, &mut buffer).unwrap();
    }
    let values = [
        json!({"price": "1.5", "more": 1}),
        json!({"price": "00.10", "more": []}),
    ];
    let read_back = read(&file(&values, output(&schema, true), 2));
    assert_eq!(
        read_back,
        [json!({"price": "1.50"}), json!({"price": "0.10"})]
    );
}

/// Written by pyarrow 26 (`parquet/make.py`): the codecs, both page versions, several row groups, and
/// the lists of older writers.
pub(super) const FILES: [(&str, &[u8]); 5] = [
    ("none", include_bytes!("parquet/none.parquet")),
    ("snappy", include_bytes!("parquet/snappy.parquet")),
    ("gzip", include_bytes!("parquet/gzip.parquet")),
    ("zstd", include_bytes!("parquet/zstd.parquet")),
    ("old", include_bytes!("parquet/old.parquet")),
];

fn decode(file: &[u8]) -> Result<Vec<Value>, String> {
    let schemas: std::sync::Arc<dyn towpath_sdk::Schemas> =
        std::sync::Arc::new(towpath_sdk::testing::FakeSchemas::default());
    let mut decoder = crate::decoder(InputFormat::Parquet, &schemas).unwrap()();
    let mut out = BatchBuilder::default();
    let decoded = decoder.decode(file, &Envelope::default(), &mut out);
    decoded.map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::Record, "{error}");
        error.to_string()
    })?;
    let batch = out.finish();
    let records = batch.iter().flat_map(Batch::records);
    let value = |record: towpath_record::Record<'_>| serde_json::from_slice(record.value.unwrap());
    Ok(records
        .map(|record| value(record.unwrap()).unwrap())
        .collect())
}

#[test]
fn files_of_pyarrow_are_read() {
    let expected = include_str!("parquet/records.jsonl").lines();
    let expected: Vec<Value> = expected
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (name, file) in FILES {
        let found = decode(file).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            let fields = expected.as_object().unwrap();
            for (field, value) in fields {
                assert_eq!(
                    &found[field], value,
                    "{name}: {field} of {}",
                    expected["id"]
                );
            }
            assert!(
                found.as_object().unwrap().keys().eq(fields.keys()),
                "{name}"
            );
        }
        assert_eq!(found.len(), expected.len(), "{name}");
    }
    let times = decode(include_bytes!("parquet/int96.parquet")).unwrap();
    let expected = [
        json!({"at": "2026-11-21T13:05:06.789012Z"}),
        json!({"at": null}),
    ];
    assert_eq!(times, expected);
}

#[test]
fn what_is_written_is_read_back() {
    let values = nested_values();
    assert_eq!(
        decode(&file(&values, output(&nested(), false), 2)).unwrap(),
        values
    );
}

/// The crate would make room for two thousand million values, which ends the process.
#[test]
fn a_dictionary_that_claims_too_much_is_refused() {
    let why = decode(include_bytes!("parquet/dictionary-large.parquet")).unwrap_err();
    assert!(why.contains("more values than bytes"), "{why}");
}

#[test]
fn damaged_parquet_is_refused_or_read_otherwise() {
    let (_, file) = FILES[3];
    for length in (0..file.len()).step_by(7) {
        assert!(decode(&file[..length]).is_err(), "{length}");
    }
    for at in (0..file.len()).step_by(7) {
        let mut bytes = file.to_vec();
        bytes[at] ^= 1 << (at % 8);
        let _: Result<Vec<Value>, String> = decode(&bytes);
    }
    assert!(decode(b"PAR1").unwrap_err().contains("Parquet"));
    let mut none = b"PAR1".to_vec();
    // A footer with a root of no columns, and a row group of 2^62 records.
    none.extend(b"\x15\x02\x19\x1c\x48\x01s\x15\x00\x00\x16\x00\x19\x1c\x19\x0c\x16\x00\x16");
    none.extend(b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00\x00");
    let length = none.len() as u32 - 4;
    none.extend(length.to_le_bytes());
    none.extend(b"PAR1");
    let refused = decode(&none).unwrap_err();
    assert!(refused.contains("without columns"), "{refused}");
}
