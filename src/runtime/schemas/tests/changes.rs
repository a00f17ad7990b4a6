//! Compatibility by examples, and against what it promises: what was written as the old schema says
//! can be read as the new one says.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use towpath_sdk::testing::fits;
use towpath_sdk::{Field, FieldType, Schema};

use super::change;

/// A field in one line: `name type`, and `?` (nullable), `=` (defaulted), `!` (key) behind it.
fn field(line: &str) -> Field {
    let (name, rest) = line.split_once(' ').expect("a name and a type");
    let text = rest.trim_end_matches(['?', '=', '!']);
    let marks = &rest[text.len()..];
    let text = super::SchemaText {
        name: String::new(),
        fields: vec![super::FieldText {
            name: name.to_owned(),
            field_type: text.to_owned(),
            fields: Vec::new(),
            nullable: marks.contains('?'),
            defaulted: marks.contains('='),
            key: marks.contains('!'),
        }],
    };
    Schema::try_from(&text).expect("a type").fields.remove(0)
}

/// Fields between `,`.
fn schema(lines: &str) -> Schema {
    let lines = lines.split(", ").filter(|line| !line.is_empty());
    Schema {
        name: String::new(),
        fields: lines.map(field).collect(),
    }
}

/// What keeps `new` from following `old`; nothing when it may.
#[track_caller]
fn expect(old: &str, new: &str, why: &str) {
    let found = change::check(&schema(old), &schema(new)).err();
    assert_eq!(found.unwrap_or_default(), why, "{old} -> {new}");
}

#[test]
fn fields_come_and_go() {
    expect("a int32", "a int32", "");
    expect("a int32, b string", "b string, a int32", "");
    expect("a int32", "a int32, b string?", "");
    expect("a int32", "a int32, b string=", "");
    expect("a int32, b string?", "a int32", "");
    expect("a int32, b string=", "a int32", "");
    let new = "field `b` is new, and neither nullable nor defaulted";
    expect("a int32", "a int32, b string", new);
    let gone = "field `b` is gone, and was neither nullable nor defaulted";
    expect("a int32, b string", "a int32", gone);
    // A field under another name is one that goes and one that comes.
    expect("a int32, b string", "a int32, c string?", gone);
    expect("a int32?", "a int32", "field `a` may no longer be null");
    expect("a int32?", "a int32=", "field `a` may no longer be null");
    expect("a int32", "a int32?", "");
    expect("a int32=", "a int32", "");
}

#[test]
fn the_key_stays() {
    expect("a int32!", "a int64!", "");
    expect(
        "a int32!",
        "a int32",
        "field `a` is no longer part of the key",
    );
    expect(
        "a int32",
        "a int32!",
        "field `a` has become part of the key",
    );
    expect(
        "a int32!, b int32!?",
        "a int32!",
        "field `b` is gone, and was part of the key",
    );
    expect(
        "a int32!",
        "a int32!, b int32!?",
        "field `b` is new, and part of the key",
    );
}

#[test]
fn numbers_widen_while_every_value_stays_exact() {
    let wider = [
        (
            "int16",
            "int32 int64 float32 float64 decimal decimal(5,0) decimal(9,4) decimal(10,0) \
             decimal(10,2) decimal(11,2) decimal(11,3) decimal(10,3) decimal(19,0) decimal(20,2) \
             decimal(21,2)",
        ),
        (
            "int32",
            "int64 float64 decimal decimal(10,0) decimal(19,0) decimal(20,2) decimal(21,2)",
        ),
        ("int64", "decimal decimal(19,0) decimal(21,2)"),
        ("float32", "float64"),
        ("float64", ""),
        (
            "decimal(10,2)",
            "decimal decimal(11,2) decimal(11,3) decimal(20,2) decimal(21,2)",
        ),
        ("decimal", ""),
    ];
    let all = "int16 int32 int64 float32 float64 decimal decimal(4,0) decimal(5,0) decimal(9,4) \
               decimal(9,5) decimal(10,0) decimal(10,2) decimal(11,2) decimal(11,3) decimal(10,3) \
               decimal(19,0) decimal(20,2) decimal(21,2) string bytes uuid timestamp boolean \
               local_timestamp date time interval json array<int16> map<int16>";
    for (old, allowed) in wider {
        for new in all.split_whitespace() {
            let exact = old == new || allowed.split_whitespace().any(|word| word == new);
            let why = match exact {
                true => String::new(),
                false => format!("field `a` was {old} and is {new}"),
            };
            expect(&format!("a {old}"), &format!("a {new}"), &why);
        }
    }
}

#[test]
fn other_types_stay() {
    let types = [
        "string",
        "bytes",
        "uuid",
        "timestamp",
        "local_timestamp",
        "date",
        "json",
    ];
    for old in types {
        for new in types {
            let why = match old == new {
                true => String::new(),
                false => format!("field `a` was {old} and is {new}"),
            };
            expect(&format!("a {old}"), &format!("a {new}"), &why);
        }
    }
}

#[test]
fn what_is_inside_follows_the_same_rules() {
    expect("a array<int16>", "a array<int64>", "");
    expect("a map<array<int16>>", "a map<array<int64>>", "");
    let narrow = "field `a[].*` was int32 and is int16";
    expect("a array<map<int32>>", "a array<map<int16>>", narrow);
    let nested = |inner: &str| Schema {
        name: String::new(),
        fields: vec![Field::required(
            "a",
            FieldType::Array(Box::new(FieldType::Object(schema(inner).fields))),
        )],
    };
    let check = |old, new| {
        change::check(&nested(old), &nested(new))
            .err()
            .unwrap_or_default()
    };
    assert_eq!(check("x int16", "x int32, y date?"), "");
    assert_eq!(
        check("x int16", "x int32, y date"),
        "field `a[].y` is new, and neither nullable nor defaulted"
    );
    let objects = nested("x int16");
    let why = change::check(&schema("a array<int16>"), &objects).err();
    assert_eq!(why.as_deref(), Some("field `a[]` was int16 and is object"));
}

fn any_type() -> impl Strategy<Value = FieldType> {
    let decimal = (1..40u32, 0..10i32).prop_map(|(whole, scale)| FieldType::Decimal {
        precision_and_scale: Some((whole + scale as u32, scale)),
    });
    let plain = prop_oneof![
        Just(FieldType::Boolean),
        Just(FieldType::Int16),
        Just(FieldType::Int32),
        Just(FieldType::Int64),
        Just(FieldType::Float32),
        Just(FieldType::Float64),
        Just(FieldType::String),
        Just(FieldType::Date),
        Just(FieldType::Timestamp),
        Just(FieldType::Json),
        Just(FieldType::Decimal {
            precision_and_scale: None
        }),
        decimal,
    ];
    plain.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|items| FieldType::Array(Box::new(items))),
            inner
                .clone()
                .prop_map(|values| FieldType::Map(Box::new(values))),
            any_fields(inner).prop_map(FieldType::Object),
        ]
    })
}

/// Some of four names, so that two schemas often have one in common.
fn any_fields(inner: impl Strategy<Value = FieldType>) -> impl Strategy<Value = Vec<Field>> {
    let field = (
        inner,
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.1),
    );
    let fields = prop::collection::vec(prop::option::weighted(0.7, field), 4);
    fields.prop_map(|fields| {
        let named = fields.into_iter().zip(["a", "b", "c", "d"]);
        let field = |(field, name): (Option<(FieldType, bool, bool, bool)>, &str)| {
            let (field_type, nullable, defaulted, key) = field?;
            Some(Field {
                nullable,
                defaulted,
                key,
                ..Field::required(name, field_type)
            })
        };
        named.filter_map(field).collect()
    })
}

fn any_schema() -> impl Strategy<Value = Schema> {
    any_fields(any_type()).prop_map(|fields| Schema {
        name: String::new(),
        fields,
    })
}

/// A schema near `old`: each field may go, change or stay, and new ones may come.
fn near(old: &Schema) -> impl Strategy<Value = Schema> + use<> {
    let fields = old.fields.clone();
    let steps = prop::collection::vec((0..8u8, any_type()), fields.len());
    (steps, any::<bool>(), any_type()).prop_map(move |(steps, add, of)| {
        let change = |(field, (step, of)): (Field, (u8, FieldType))| {
            let field_type = match step {
                0 => return None,
                1 => of,
                2 => FieldType::Int64,
                3 => FieldType::Float64,
                _ => field.field_type.clone(),
            };
            let nullable = field.nullable ^ (step == 4);
            Some(Field {
                field_type,
                nullable,
                ..field
            })
        };
        let mut new: Vec<_> = fields
            .clone()
            .into_iter()
            .zip(steps)
            .filter_map(change)
            .collect();
        if add {
            new.push(Field {
                nullable: true,
                ..Field::required("new", of)
            });
        }
        Schema {
            name: String::new(),
            fields: new,
        }
    })
}

/// A value as `fields` say, as JSON; `seed` decides which.
fn object(fields: &[Field], seed: &mut u64) -> String {
    let mut parts = Vec::new();
    for field in fields {
        let dice = next(seed) % 4;
        if field.nullable && dice == 0 {
            continue;
        }
        let value = match field.nullable && dice == 1 {
            true => "null".to_owned(),
            false => value(&field.field_type, seed),
        };
        parts.push(format!("\"{}\":{value}", field.name));
    }
    format!("{{{}}}", parts.join(","))
}

fn next(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

fn value(of: &FieldType, seed: &mut u64) -> String {
    let pick =
        |values: &[&str], seed: &mut u64| values[next(seed) as usize % values.len()].to_owned();
    match of {
        FieldType::Boolean => pick(&["true", "false"], seed),
        FieldType::Int16 => pick(&["0", "-32768", "32767"], seed),
        FieldType::Int32 => pick(&["7", "-2147483648", "2147483647"], seed),
        FieldType::Int64 => pick(&["7", "-9223372036854775808", "9223372036854775807"], seed),
        FieldType::Float32 => pick(&["1.5", "3.4e38", "\"NaN\"", "7"], seed),
        FieldType::Float64 => pick(&["1.5", "1.7e308", "\"-Infinity\""], seed),
        FieldType::String => pick(&["\"\"", "\"x\""], seed),
        FieldType::Date => pick(&["\"2026-10-11\"", "\"0001-01-01\""], seed),
        FieldType::Timestamp => pick(&["\"2026-10-11T22:14:15Z\""], seed),
        FieldType::Decimal {
            precision_and_scale,
        } => {
            let (precision, scale) = precision_and_scale.unwrap_or((50, 10));
            let whole = "9".repeat(precision as usize - scale as usize);
            match scale {
                0 => format!("\"{whole}\""),
                scale => format!("\"-{whole}.{}\"", "9".repeat(scale as usize)),
            }
        }
        FieldType::Array(items) => format!("[{},null]", value(items, seed)),
        FieldType::Map(values) => format!("{{\"k\":{},\"l\":null}}", value(values, seed)),
        FieldType::Object(fields) => object(fields, seed),
        _ => pick(&["1", "\"x\"", "[1,{}]", "{\"a\":null}"], seed),
    }
}

#[test]
fn what_was_written_before_can_be_read_after() {
    let seed = std::env::var("TOWPATH_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| towpath_sdk::now_ms() as u64);
    println!("TOWPATH_SEED={seed}");
    let bytes: Vec<u8> = (0..4)
        .flat_map(|step: u64| (seed ^ step).to_le_bytes())
        .collect();
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
    );
    let pairs = any_schema().prop_flat_map(|old| (Just(old.clone()), near(&old), any::<u64>()));
    let (mut followed, mut refused) = (0, 0);
    for _ in 0..3000 {
        let tree = pairs.new_tree(&mut runner).expect("a pair");
        let (old, new, mut seed) = tree.current();
        let written = object(&old.fields, &mut seed);
        assert_eq!(fits(&old, written.as_bytes()), Ok(()), "{written}");
        assert_eq!(change::check(&old, &old), Ok(()));
        if change::check(&old, &new).is_err() {
            refused += 1;
            continue;
        }
        followed += 1;
        let read = fits(&new, written.as_bytes());
        assert_eq!(read, Ok(()), "{old:?} -> {new:?}: {written}");
    }
    assert!(
        followed > 300 && refused > 300,
        "{followed} went through, {refused} did not"
    );
}

#[test]
fn a_schema_is_read_as_it_was_written() {
    let mut runner = TestRunner::default();
    let run = runner.run(&any_schema(), |schema| {
        let json = serde_json::to_string(&super::SchemaText::from(&schema)).expect("JSON");
        let text: super::SchemaText = serde_json::from_str(&json).expect("a schema");
        prop_assert_eq!(Schema::try_from(&text), Ok(schema));
        Ok(())
    });
    run.unwrap_or_else(|failed| panic!("{failed}"));
}
