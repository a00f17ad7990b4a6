//! Every format from and to records, JSON against `serde_json`, compression member by member.

mod avro;
mod csv;
mod described;
mod files;
mod grok;
mod lines;
mod parquet;
mod parsers;
mod registered;
mod roundtrip;

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use towpath_record::{Batch, BatchBuilder, Header};
use towpath_sdk::config::{
    Compression, Fields, Format, InputFormat, Node, NodeValue, OptionType, Problems, Span,
};
use towpath_sdk::testing::FakeSchemas;
use towpath_sdk::{
    Codecs, Decoder, Envelope, ErrorKind, Path, Schemas, SinkBatch, SinkTopic, json,
};

use crate::{StandardCodecs, encoder, lookup};

/// A decoder whose schemas nobody asks for.
fn decoder(format: impl Into<InputFormat>) -> Box<dyn Decoder> {
    let schemas: Arc<dyn Schemas> = Arc::new(FakeSchemas::default());
    crate::decoder(format, &schemas).unwrap()()
}

const HEADERS: [Header<'static>; 3] = [
    Header {
        key: b"a",
        value: Some(b"1"),
    },
    Header {
        key: b"a",
        value: None,
    },
    Header {
        key: b"\xff",
        value: Some(b"\xfe"),
    },
];

fn batch(format: Format, value: Option<&[u8]>) -> SinkBatch {
    let mut builder = BatchBuilder::default();
    builder
        .push(1_700_000_000_005, Some(b"k\"ey"), value, &HEADERS)
        .unwrap();
    let topic = SinkTopic {
        name: "t".into(),
        id: "id".into(),
        format,
    };
    let batch: Batch = builder.finish().unwrap();
    SinkBatch::new(Arc::new(topic), 3, 0, vec![batch])
}

fn fields(names: &[&str]) -> Fields {
    let names = names
        .iter()
        .map(|name| Node::new(Span::NONE, *name))
        .collect();
    let node = Node::new(Span::NONE, NodeValue::List(names));
    Fields::parse(&node, &mut Problems::new()).unwrap()
}

fn encode(
    topic: Format,
    value: Option<&[u8]>,
    format: Option<Format>,
    fields: &Fields,
) -> Result<String, String> {
    let batch = batch(topic, value);
    let record = batch.records().next().unwrap().unwrap();
    let mut out = b"before".to_vec();
    let result = encoder(format.map(Into::into), fields)
        .unwrap()
        .encode(&batch, &record, &mut out);
    let out = String::from_utf8_lossy(&out).into_owned();
    match result {
        Ok(()) => Ok(out.strip_prefix("before").unwrap().to_owned()),
        Err(error) => {
            assert_eq!((error.kind(), out.as_str()), (ErrorKind::Record, "before"));
            Err(error.to_string())
        }
    }
}

#[test]
fn each_format_writes_each_topic() {
    use Format::{Bytes, Json, Text};
    let check = |topic, value: Option<&str>, format, expected: &str| {
        let written = encode(topic, value.map(str::as_bytes), format, &Fields::default());
        assert_eq!(written.as_deref(), Ok(expected), "{topic:?} to {format:?}");
    };
    check(Text, Some("a \"b\"\t\u{1}ü"), None, "a \"b\"\t\u{1}ü\n");
    check(
        Text,
        Some("a \"b\"\t\u{1}\\ü"),
        Some(Json),
        "\"a \\\"b\\\"\\t\\u0001\\\\ü\"\n",
    );
    check(Text, Some(""), Some(Json), "\"\"\n");
    check(Text, None, Some(Text), "\n");
    check(Text, None, Some(Json), "null\n");
    check(Bytes, Some("ab"), Some(Json), "\"YWI=\"\n");
    check(Bytes, Some("abc"), Some(Json), "\"YWJj\"\n");
    check(Bytes, Some("abcd"), Some(Json), "\"YWJjZA==\"\n");
    check(Bytes, Some("ab"), Some(Text), "ab\n");
    check(Json, Some("{\"a\": 1.0}"), None, "{\"a\": 1.0}\n");
    check(Json, Some("{\"a\": 1.0}"), Some(Text), "{\"a\": 1.0}\n");
    check(
        Json,
        Some("{\n \"a \\\\\\\" b\": [1,\r\n\t2]}"),
        None,
        "{\"a \\\\\\\" b\":[1,2]}\n",
    );
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    let refused = |topic, value: &[u8]| {
        encode(topic, Some(value), Some(Format::Json), &Fields::default()).unwrap_err()
    };
    assert_eq!(
        refused(Format::Text, b"ab\xff"),
        "cannot write as JSON the record at offset 0 of t-3: invalid UTF-8 at byte 2"
    );
    assert!(refused(Format::Json, b"").contains("empty value"));
    assert!(refused(Format::Json, b"[\"a\nb\"]").contains("line break inside a string at byte 3"));
}

#[test]
fn several_fields_make_an_object_in_their_order() {
    let all = fields(&[
        "offset",
        "value",
        "key",
        "headers",
        "timestamp",
        "topic",
        "partition",
    ]);
    let written = encode(Format::Json, Some(b"{\"v\":\n1}"), Some(Format::Json), &all).unwrap();
    assert_eq!(
        written,
        "{\"offset\":0,\"value\":{\"v\":1},\"key\":\"k\\\"ey\",\"headers\":[{\"key\":\"a\",\
         \"value\":\"1\"},{\"key\":\"a\",\"value\":null},{\"key\":\"/w==\",\"value\":\"/g==\"}],\
         \"timestamp\":\"2023-11-14T22:13:20.005Z\",\"topic\":\"t\",\"partition\":3}\n"
    );
    let one = encode(Format::Text, None, Some(Format::Json), &fields(&["key"])).unwrap();
    assert_eq!(one, "{\"key\":\"k\\\"ey\"}\n");
    let error = encoder(Some(Format::Text.into()), &all).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("set `format: json`"));
}

fn decode(format: Format, payload: &[u8]) -> Result<Option<Batch>, String> {
    let mut out = BatchBuilder::default();
    let envelope = Envelope {
        timestamp_ms: 7,
        key: Some(b"k"),
        headers: &HEADERS,
    };
    decoder(format)
        .decode(payload, &envelope, &mut out)
        .map_err(|error| error.to_string())?;
    Ok(out.finish())
}

#[test]
fn payloads_pass_unchanged() {
    for (format, payload) in [
        (Format::Text, &b"a\xff\0\r"[..]),
        (Format::Bytes, b""),
        (
            Format::Json,
            b" {\"a\": 1.000000000000000000000000000000001e9999}\r",
        ),
    ] {
        let batch = decode(format, payload).unwrap().unwrap();
        let record = batch.records().next().unwrap().unwrap();
        assert_eq!((record.value, record.key), (Some(payload), Some(&b"k"[..])));
        assert_eq!((record.timestamp_ms, record.headers.len()), (7, 3));
    }
    assert!(
        decode(Format::Json, b" \r").unwrap().is_none(),
        "a blank line is no record"
    );
}

#[test]
fn json_is_checked_strictly() {
    let check = |text: &str, error: &str| {
        let found = json::validate(text.as_bytes()).map_err(|fault| fault.to_string());
        assert_eq!(
            found,
            if error.is_empty() {
                Ok(())
            } else {
                Err(error.into())
            },
            "{text}"
        );
    };
    check(
        r#" {"a":[1,-0.5e+3,true,false,null,"\u00e9\ud83d\ude00"]} "#,
        "",
    );
    check(&("[".repeat(128) + &"]".repeat(128)), "");
    check(
        &"[".repeat(100_000),
        "nested more than 128 deep at byte 128",
    );
    check("{} {}", "text behind the value at byte 3");
    check("[1,]", "expected a value at byte 3");
    check(r#"{"a":1,}"#, "expected a field's name in quotes at byte 7");
    check(r#"{"a" 1}"#, "expected `:` at byte 5");
    check("01", "a number with a leading zero at byte 1");
    check("1.", "expected a digit at byte 2");
    check("\"a\tb\"", "a control character inside a string at byte 2");
    check(r#""\ud800""#, "half of a surrogate pair at byte 7");
    check(r#""\ud800\u0041""#, "half of a surrogate pair at byte 13");
    check(r#""\x""#, "an unknown escape in a string at byte 2");
    check("nul", "expected a value at byte 0");
    check("[\"a", "the text ends inside a string at byte 3");
    check(
        "{\"a\":",
        "the text ends where a value is expected at byte 5",
    );
    assert!(
        decode(Format::Json, b"\"\xff\"")
            .unwrap_err()
            .contains("invalid UTF-8 at byte 1")
    );
}

#[test]
fn a_path_finds_its_scalar() {
    let value =
        br#"{"order":{"items":[{"price":1.50},{"price":"\u00e9"}],"id":null},"order":1,"b":true}"#;
    let check = |path: &str, expected: Option<&str>| {
        let path = Path::parse(path).unwrap();
        assert_eq!(lookup(value, &path).unwrap().as_deref(), expected, "{path}");
    };
    check("order.items[0].price", Some("1.50"));
    check("order.items[1].price", Some("é"));
    check("order.items[2].price", None);
    check("order.id", None);
    check("order.id.x", None);
    check("b", Some("true"));
    check("absent", None);
    let error = |value: &[u8], path: &str| {
        let error = lookup(value, &Path::parse(path).unwrap()).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        error(value, "order.items"),
        "cannot look up `order.items`: an object or array stands there, where one value is needed"
    );
    for (value, fault) in [
        ("hello", "expected a value at byte 0"),
        ("404 not found", "text behind the value at byte 4"),
        ("{\"a\"", "expected `:` at byte 4"),
        ("{\"b\":1", "expected `,` or `}` at byte 6"),
        ("", "the text ends where a value is expected at byte 0"),
    ] {
        let expected = format!("cannot look up `a`: the value is not JSON: {fault}");
        assert_eq!(error(value.as_bytes(), "a"), expected);
    }
}

#[test]
fn members_decompress_alone_and_together() {
    for compression in [Compression::GZIP, Compression::ZSTD, Compression::Snappy] {
        let mut compressor = StandardCodecs.compressor(&compression).unwrap().unwrap();
        let mut out = Vec::new();
        compressor.finish(&mut out).unwrap();
        assert!(out.is_empty(), "nothing was written");
        let mut plain = Vec::new();
        let mut first_end = 0;
        for size in [10usize, 0, 3_000_000] {
            let input: Vec<u8> = (0..size).map(|at| ((at * at) >> 7) as u8).collect();
            compressor.write(&input, &mut out).unwrap();
            compressor.finish(&mut out).unwrap();
            plain.extend(input);
            first_end = if first_end == 0 { out.len() } else { first_end };
        }
        assert!(decompress(&compression, &out) == plain);
        assert!(decompress(&compression, &out[..first_end]) == plain[..10]);
    }
    assert!(
        StandardCodecs
            .compressor(&Compression::None)
            .unwrap()
            .is_none()
    );
}

fn decompress(compression: &Compression, bytes: &[u8]) -> Vec<u8> {
    let input = Box::new(std::io::Cursor::new(Bytes::copy_from_slice(bytes)));
    let mut plain = Vec::new();
    StandardCodecs
        .decompressor(compression, input)
        .unwrap()
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// JSON-like text: mostly wrong, often nearly right.
fn near_json() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\"a\""),
        Just("1"),
        // Not `e3`: more digits behind it would be a number that `serde_json` cannot hold.
        Just("-0.5e-3"),
        Just("null"),
        Just("true"),
        Just(" "),
        Just("\"\\u00e9\\n\""),
        Just("0"),
    ];
    prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn serde_json_agrees_on_what_json_is(text in near_json()) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        prop_assert_eq!(json::validate(text.as_bytes()).is_ok(), theirs.is_ok());
    }

    #[test]
    fn strings_and_one_line_mean_the_same(text in any::<String>(), number in any::<i64>()) {
        let mut string = Vec::new();
        json::put_string(&text, &mut string);
        prop_assert_eq!(serde_json::from_slice::<String>(&string).unwrap(), text.clone());
        let value = serde_json::json!({ "a": [text, { "b": number }], "c": {} });
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        let mut line = Vec::new();
        json::put_on_one_line(&pretty, &mut line).unwrap();
        prop_assert_eq!(line, serde_json::to_vec(&value).unwrap());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let valid = json::validate(&bytes).is_ok();
        prop_assert_eq!(valid, serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        let _ = lookup(&bytes, &Path::parse("a[0].b").unwrap());
        let _ = json::put_on_one_line(&bytes, &mut Vec::new());
    }
}
