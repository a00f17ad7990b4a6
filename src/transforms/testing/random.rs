//! Records that resemble the examples, but in one place hold something else: every transform
//! changes or refuses them, and what leaves is what its format says.

use serde_json::Value;
use towpath_sdk::TransformType;
use towpath_sdk::config::Format;

use super::examples::read;
use super::record::{configure, run};
use super::yaml;

/// Records for each example.
const RECORDS: u32 = 300;

/// What stands in the place of something; serde_json does not hold the large number.
const ODD: &[&str] = &[
    "null",
    "true",
    "0",
    "-1.5e3",
    "\"LARGE\"",
    "\"\"",
    "\"x\"",
    r#""\u0000\"\\\ud83d\ude00""#,
    "\"2020-01-02\"",
    "[]",
    "[[null]]",
    "{}",
    r#"{"":{"a.b":{}},"id":{"id":1}}"#,
];
const LARGE: &str = "-12345678901234567890123e400";

/// Runs the examples of `types` on such records.
pub fn check(types: &[TransformType]) {
    let mut random = Random::seeded();
    for kind in types {
        for example in kind.examples {
            let name = format!("{}, {}", kind.name, example.title);
            let config = configure(kind, &yaml::options(example.options)).expect(&name);
            let (usual, format) = read(example);
            for _ in 0..RECORDS {
                let mut record = usual.clone();
                let text = odd(usual.value.as_deref().unwrap_or_default(), &mut random);
                record.value = (random.below(20) > 0).then_some(text);
                record.key = (random.below(2) > 0).then(|| odd(r#"{"id":1}"#, &mut random));
                record.timestamp_ms = [-1, 0, i64::MAX][random.below(3)];
                match run(&*config, None, format, &record) {
                    Err(why) => assert!(!why.contains('\n'), "{name}: {why}"),
                    Ok(records) if config.output(format) == Format::Json => {
                        for value in records.iter().filter_map(|record| record.value.as_ref()) {
                            let is_json = towpath_sdk::json::validate(value.as_bytes()).is_ok();
                            assert!(
                                is_json || record.value.as_ref() == Some(value),
                                "{name}: {value} of {record:?}"
                            );
                        }
                    }
                    Ok(_) => {}
                }
            }
        }
    }
}

/// `text` with something else in one place, or without its end.
fn odd(text: &str, random: &mut Random) -> String {
    if random.below(10) == 0 {
        let end = text.floor_char_boundary(random.below(text.len() + 1));
        return text[..end].to_owned();
    }
    let mut root = serde_json::from_str(text).unwrap_or(Value::String(text.to_owned()));
    replace(&mut root, random);
    root.to_string().replace("\"LARGE\"", LARGE)
}

/// Puts something else in the place of `value` or of something in it.
fn replace(value: &mut Value, random: &mut Random) {
    let deeper = random.below(4) > 0;
    match value {
        Value::Array(items) if deeper && !items.is_empty() => {
            let index = random.below(items.len());
            replace(&mut items[index], random);
        }
        Value::Object(fields) if deeper && !fields.is_empty() => {
            let index = random.below(fields.len());
            replace(fields.values_mut().nth(index).expect("a field"), random);
        }
        _ => {
            let other = ODD[random.below(ODD.len())];
            *value = serde_json::from_str(other).expect("JSON");
        }
    }
}

/// Numbers from a seed that is printed, and taken from `TOWPATH_SEED`.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let given = std::env::var("TOWPATH_SEED").ok();
        let seed = given.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |now| now.as_nanos() as u64 | 1)
        });
        println!("TOWPATH_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
