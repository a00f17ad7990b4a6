//! What is written is read again: every format, with values of every type it has.

use std::fmt::Write;

use std::sync::Arc;

use proptest::prelude::*;
use towpath_record::BatchBuilder;
use towpath_sdk::config::{
    AvroCodec, AvroOutput, AvroSchema, CsvOptions, CsvOutput, Fields, Format, InputFormat,
    OutputFormat, TextType,
};
use towpath_sdk::{Path, SinkBatch, SinkTopic};

use super::parsers::parse;
use super::{decoder, fields};
use crate::{Logfmt, Syslog, encoder};

/// A file of `values`, the records of a topic of `topic`, that was flushed after every `stretch`.
fn written(
    topic: Format,
    values: &[Vec<u8>],
    format: impl Into<OutputFormat>,
    fields: &Fields,
    stretch: usize,
) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    for value in values {
        builder.push(7, Some(b"k"), Some(value), &[]).unwrap();
    }
    let topic = SinkTopic {
        name: "t".into(),
        id: "id".into(),
        format: topic,
    };
    let batches = builder.finish().into_iter().collect();
    let batch = SinkBatch::new(Arc::new(topic), 0, 0, batches);
    let mut encoder = encoder(Some(format.into()), fields).unwrap();
    let mut file = encoder.head().to_vec();
    let mut block = Vec::new();
    for (index, record) in batch.records().enumerate() {
        encoder
            .encode(&batch, &record.unwrap(), &mut block)
            .unwrap();
        if (index + 1) % stretch == 0 || index + 1 == values.len() {
            encoder
                .block((index % stretch + 1) as u64, &mut block)
                .unwrap();
            file.append(&mut block);
        }
    }
    file
}

/// The records of `payloads` of one place.
fn read<'a>(
    payloads: impl IntoIterator<Item = &'a [u8]>,
    format: impl Into<InputFormat>,
) -> Result<Vec<String>, String> {
    let mut out = BatchBuilder::default();
    let mut decoder = decoder(format);
    for payload in payloads {
        let read = decoder.decode(payload, &Default::default(), &mut out);
        read.map_err(|error| error.to_string())?;
    }
    let batch = out.finish();
    let records = batch.iter().flat_map(|batch| batch.records());
    let value = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    Ok(records
        .map(|record| value(record.unwrap().value.unwrap()))
        .collect())
}

/// The lines of a file, as a source cuts it.
fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    assert_eq!(file.last(), Some(&b'\n'));
    file[..file.len() - 1].split(|byte| *byte == b'\n')
}

/// Text of any characters, those that formats treat as special in plenty.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            4 => any::<char>(),
            4 => prop::sample::select(&['"', '\\', ',', ';', '\n', '\r', '=', ' ', ']', '\'', 'a', '\u{feff}']),
        ],
        0..12,
    )
    .prop_map(String::from_iter)
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    towpath_sdk::json::put_string(text, &mut out);
    String::from_utf8(out).unwrap()
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?(e-?[0-9]{1,3})?"
}

/// Any JSON document of some depth, as it would be written.
fn document() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        number(),
        text().prop_map(|text| quoted(&text)),
    ];
    scalar.prop_recursive(4, 30, 5, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5);
        let object = prop::collection::vec((text(), inner), 0..5);
        prop_oneof![
            list.prop_map(|items| format!("[{}]", items.join(","))),
            object.prop_map(|entries| {
                let entry = |(name, value)| format!("{}:{value}", quoted(name));
                let entries = entries.iter().map(|(name, value)| entry((name, value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn lines_of_text_and_bytes(values in prop::collection::vec("[^\n]{0,20}", 1..5)) {
        let bytes: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        for format in [Format::Text, Format::Bytes] {
            let file = written(format, &bytes, format, &Fields::default(), 2);
            prop_assert_eq!(read(lines(&file), format), Ok(values.clone()));
        }
    }

    #[test]
    fn json(values in prop::collection::vec(document(), 1..5), binary in prop::collection::vec(any::<u8>(), 0..20), string in text()) {
        let bytes: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        let file = written(Format::Json, &bytes, Format::Json, &Fields::default(), 2);
        prop_assert_eq!(read(lines(&file), Format::Json), Ok(values.clone()));
        // Several fields are one document, with the value in it.
        let file = written(Format::Json, &bytes, Format::Json, &fields(&["value", "key"]), 2);
        let whole = values.iter().map(|value| format!("{{\"value\":{value},\"key\":\"k\"}}"));
        prop_assert_eq!(read(lines(&file), Format::Json), Ok(whole.collect()));
        // What has no parts is a string.
        let file = written(Format::Text, &[string.as_bytes().to_vec()], Format::Json, &Fields::default(), 1);
        prop_assert_eq!(read(lines(&file), Format::Json), Ok(vec![quoted(&string)]));
        let mut base64 = Vec::new();
        towpath_sdk::json::put_base64(&binary, &mut base64);
        let file = written(Format::Bytes, &[binary], Format::Json, &Fields::default(), 1);
        prop_assert_eq!(read(lines(&file), Format::Json), Ok(vec![String::from_utf8(base64).unwrap()]));
        // A list is a file of its own.
        let list = format!("[{}]", values.join(" , "));
        prop_assert_eq!(read([list.as_bytes()], InputFormat::JsonArray), Ok(values));
    }

    #[test]
    fn csv(
        string in text(), number in number(), whole in any::<i128>(), flag in any::<bool>(), null in any::<bool>(), millis in -60_000_000_000_000i64..200_000_000_000_000,
        semicolon in any::<bool>(), single in any::<bool>(), header in any::<bool>(), rows in 1usize..4,
    ) {
        let (delimiter, quote) = (if semicolon { b';' } else { b',' }, if single { b'\'' } else { b'"' });
        let columns = [
            ("s", TextType::String), ("f", TextType::Float), ("i", TextType::Integer), ("b", TextType::Boolean),
            ("at", TextType::Timestamp { format: None }), ("n", TextType::String),
        ];
        let output = CsvOutput {
            columns: columns.iter().map(|(name, _)| Path::parse(name).unwrap()).collect(), header, delimiter, quote,
        };
        let input = CsvOptions {
            header,
            columns: columns.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            delimiter,
            quote,
            escape: quote,
            empty_is_null: true,
            lenient: false,
        };
        let string = quoted(&string);
        let last = if null { "null" } else { &string };
        let at = jiff::Timestamp::from_millisecond(millis).unwrap();
        let value = format!("{{\"s\":{string},\"f\":{number},\"i\":{whole},\"b\":{flag},\"at\":\"{at}\",\"n\":{last}}}");
        let values = vec![value.clone().into_bytes(); rows];
        let file = written(Format::Json, &values, OutputFormat::Csv(output), &Fields::default(), 2);
        prop_assert_eq!(read([&file[..]], InputFormat::Csv(input)), Ok(vec![value; rows]));
    }

    #[test]
    fn csv_of_one_column_and_nested_values(values in prop::collection::vec(document(), 1..4)) {
        let output = CsvOutput { columns: vec![Path::parse("value[0]").unwrap()], header: true, delimiter: b',', quote: b'"' };
        let bytes: Vec<Vec<u8>> = values.iter().map(|value| format!("[{value}]").into_bytes()).collect();
        let file = written(Format::Json, &bytes, OutputFormat::Csv(output), &fields(&["value", "offset"]), 2);
        let expected = values.iter().map(|value| {
            let text = match &value[..] {
                "null" => quoted(""),
                string if string.starts_with('"') => string.to_owned(),
                other => quoted(other),
            };
            format!("{{\"value[0]\":{text}}}")
        });
        prop_assert_eq!(read([&file[..]], InputFormat::Csv(CsvOptions::default())), Ok(expected.collect()));
    }

    #[test]
    fn logfmt(values in prop::collection::vec(text(), 0..5)) {
        let mut line = String::new();
        let mut expected = serde_json::Map::new();
        for (index, value) in values.into_iter().enumerate() {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(line, "k{index}=\"{escaped}\" ").unwrap();
            expected.insert(format!("k{index}"), value.into());
        }
        let parsed = parse(&mut Logfmt::new(false), &line).unwrap();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&parsed).unwrap(), serde_json::Value::from(expected));
    }

    #[test]
    fn syslog(priority in 0..192, host in "[!-~]{1,20}", value in text(), message in text()) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let line = format!("<{priority}>1 2026-10-11T22:14:15Z {host} - - - [id v=\"{escaped}\"] \u{feff}{message}");
        let parsed = parse(&mut Syslog::new(false), &line).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&parsed).unwrap();
        prop_assert_eq!(&parsed["structured_data"]["id"]["v"], &serde_json::Value::from(value));
        // A line break at the end is the framing's.
        let message = message.trim_end_matches(['\r', '\n']);
        prop_assert_eq!(&parsed["message"], message);
        prop_assert_eq!(parsed.get("hostname").and_then(|host| host.as_str()), Some(&host[..]).filter(|host| *host != "-"));
    }

    #[test]
    fn avro(
        string in text(), int in any::<i32>(), long in any::<i64>(), float in any::<f32>(), double in any::<f64>(),
        bytes in prop::collection::vec(any::<u8>(), 0..20), decimal in any::<i128>(), scale in 0u32..30, micros in 0i64..86_400_000_000,
        moment in -60_000_000_000_000_000i64..200_000_000_000_000_000, days in -700_000i32..2_900_000, parts in any::<[u32; 3]>(), uuid in any::<u128>(),
        list in prop::collection::vec(any::<i64>(), 0..5), codec in 0usize..4,
    ) {
        let schema = SCHEMA.replace("SCALE", &scale.to_string());
        let moment = jiff::Timestamp::from_microsecond(moment).unwrap();
        let local = jiff::tz::TimeZone::UTC.to_datetime(moment);
        let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::SignedDuration::from_hours(24 * i64::from(days))).unwrap();
        let time = jiff::civil::Time::midnight().checked_add(jiff::SignedDuration::from_micros(micros)).unwrap();
        let mut base64 = Vec::new();
        towpath_sdk::json::put_base64(&bytes, &mut base64);
        let real = |finite: bool, number: String| match (finite, &number[..]) {
            (true, _) => number,
            (_, "inf") => "\"Infinity\"".to_owned(),
            (_, "-inf") => "\"-Infinity\"".to_owned(),
            _ => "\"NaN\"".to_owned(),
        };
        let digits = format!("{}{:0>width$}", if decimal < 0 { "-" } else { "" }, decimal.unsigned_abs(), width = scale as usize + 1);
        let (whole, decimals) = digits.split_at(digits.len() - scale as usize);
        let decimal = if scale == 0 { whole.to_owned() } else { format!("{whole}.{decimals}") };
        let hex = format!("{uuid:032x}");
        let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let [months, day, millis] = parts;
        let value = format!(
            "{{\"s\":{s},\"i\":{int},\"l\":{long},\"f\":{f},\"d\":{d},\"b\":{b},\"e\":\"B\",\"dec\":\"{decimal}\",\"time\":\"{time}\",\"at\":\"{moment}\",\"local\":\"{local}\",\"date\":\"{date}\",\"for\":\"P{months}M{day}DT{}.{:03}S\",\"id\":\"{uuid}\",\"list\":{list},\"map\":{{\"k\":{s}}},\"either\":{long},\"below\":{{\"s\":null,\"flag\":true}}}}",
            millis / 1000, millis % 1000,
            s = quoted(&string),
            f = real(float.is_finite(), format!("{float:?}")),
            d = real(double.is_finite(), format!("{double:?}")),
            b = String::from_utf8(base64).unwrap(),
            list = serde_json::Value::from(list),
        );
        let codec = [AvroCodec::Null, AvroCodec::Deflate, AvroCodec::Snappy, AvroCodec::Zstandard][codec];
        let output = AvroOutput { schema: Some(AvroSchema::parse(&schema).unwrap()), codec };
        let values = vec![value.clone().into_bytes(); 3];
        let file = written(Format::Json, &values, OutputFormat::Avro(output), &Fields::default(), 2);
        prop_assert_eq!(read([&file[..]], InputFormat::Avro), Ok(vec![value; 3]));
        prop_assert!(read([&file[..file.len() - 1]], InputFormat::Avro).is_err());
    }
}

const SCHEMA: &str = r#"{"type":"record","name":"R","fields":[
    {"name":"s","type":"string"},{"name":"i","type":"int"},{"name":"l","type":"long"},
    {"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"b","type":"bytes"},
    {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
    {"name":"dec","type":{"type":"bytes","logicalType":"decimal","precision":60,"scale":SCALE}},
    {"name":"time","type":{"type":"long","logicalType":"time-micros"}},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"local","type":{"type":"long","logicalType":"local-timestamp-micros"}},
    {"name":"date","type":{"type":"int","logicalType":"date"}},
    {"name":"for","type":{"type":"fixed","name":"D","size":12,"logicalType":"duration"}},
    {"name":"id","type":{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}},
    {"name":"list","type":{"type":"array","items":"long"}},
    {"name":"map","type":{"type":"map","values":"string"}},
    {"name":"either","type":["null","long","string"]},
    {"name":"below","type":{"type":"record","name":"B","fields":[
        {"name":"s","type":["null","R"]},{"name":"flag","type":"boolean"}]}}]}"#;
