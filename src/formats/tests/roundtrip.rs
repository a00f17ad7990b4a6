//! What is written is read again: every format, with values of every type it has.

use std::fmt::Write;

use proptest::prelude::*;
use towpath_sdk::Path;
use towpath_sdk::config::{CsvOptions, TextType};

use super::avro::read;
use super::parsers::parse;
use crate::{AvroCodec, AvroSchema, AvroWriter, Csv, CsvWriter, Logfmt, Syslog};

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

proptest! {
    #[test]
    fn csv(string in text(), number in number(), whole in any::<i128>(), flag in any::<bool>(), null in any::<bool>(), semicolon in any::<bool>(), single in any::<bool>()) {
        let (delimiter, quote) = (if semicolon { b';' } else { b',' }, if single { b'\'' } else { b'"' });
        let columns = [("s", TextType::String), ("f", TextType::Float), ("i", TextType::Integer), ("b", TextType::Boolean), ("n", TextType::String)];
        let mut writer = CsvWriter::new(
            columns.iter().map(|(name, _)| Path::parse(name).unwrap()).collect(), delimiter, quote,
        );
        let mut reader = Csv::new(CsvOptions {
            header: true,
            columns: columns.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            delimiter,
            quote,
            escape: quote,
            empty_is_null: true,
            lenient: false,
        }).unwrap();
        let string = quoted(&string);
        let last = if null { "null" } else { &string };
        let value = format!("{{\"s\":{string},\"f\":{number},\"i\":{whole},\"b\":{flag},\"n\":{last}}}");
        let mut file = Vec::new();
        writer.header(&mut file);
        writer.record(value.as_bytes(), &mut file).unwrap();
        let file = String::from_utf8(file).unwrap();
        let mut out = Vec::new();
        let at = reader.header(&file, 0).unwrap();
        let end = reader.record(&file, at, &mut out).unwrap();
        prop_assert_eq!(end, file.len());
        prop_assert_eq!(String::from_utf8(out).unwrap(), value);
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
        let mut writer = AvroWriter::new(AvroSchema::parse(&schema).unwrap(), codec);
        let mut file = Vec::new();
        writer.begin(&mut file);
        writer.record(value.as_bytes(), &mut file).unwrap();
        writer.record(value.as_bytes(), &mut file).unwrap();
        writer.end_block(&mut file).unwrap();
        writer.record(value.as_bytes(), &mut file).unwrap();
        writer.end_block(&mut file).unwrap();
        prop_assert_eq!(read(&file), Ok(vec![value; 3]));
        prop_assert!(read(&file[..file.len() - 1]).is_err());
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
