//! Each parser on texts as they come, and on those it must refuse.

use towpath_sdk::config::{CsvOptions, InputFormat, TextType};

use super::decoder;
use crate::{Csv, Logfmt, Parser, Pattern, Syslog, UserAgent};

/// What `parser` makes of `text`, or the fault; nothing is appended on a fault.
pub(super) fn parse(parser: &mut dyn Parser, text: impl AsRef<[u8]>) -> Result<String, String> {
    let mut out = b"before".to_vec();
    let parsed = parser.parse(text.as_ref(), &mut out);
    let out = String::from_utf8(out).unwrap();
    let made = out.strip_prefix("before").unwrap();
    match parsed {
        Ok(()) => {
            towpath_sdk::json::validate(made.as_bytes()).unwrap();
            Ok(made.to_owned())
        }
        Err(fault) => {
            assert_eq!(made, "", "appended on a fault");
            Err(fault.to_string())
        }
    }
}

pub(super) fn check(parser: &mut dyn Parser, text: impl AsRef<[u8]>, expected: &str) {
    let text = text.as_ref();
    let found = parse(parser, text);
    let found = found.unwrap_or_else(|fault| fault);
    assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(text));
}

pub(super) fn columns(names: &[&str]) -> CsvOptions {
    let named = |name: &&str| match name.split_once(':') {
        Some((name, word)) => (name.to_owned(), TextType::from_word(word).unwrap()),
        None => ((*name).to_owned(), TextType::String),
    };
    CsvOptions {
        header: false,
        columns: names.iter().map(named).collect(),
        ..CsvOptions::default()
    }
}

#[test]
fn a_json_list_has_a_record_an_item() {
    let mut decoder = decoder(InputFormat::JsonArray);
    let mut out = towpath_record::BatchBuilder::default();
    let payload = b"[1.0, {\"a\": [ ]},\n\"x\"]";
    decoder
        .decode(payload, &Default::default(), &mut out)
        .unwrap();
    let batch = out.finish().unwrap();
    let values: Vec<_> = batch
        .records()
        .map(|record| record.unwrap().value.unwrap())
        .collect();
    assert_eq!(values, [&b"1.0"[..], b"{\"a\": [ ]}", b"\"x\""]);
    assert!(
        decoder
            .decode(b"{}", &Default::default(), &mut out)
            .is_err()
    );
}

#[test]
fn logfmt_has_pairs_and_flags() {
    let mut strict = Logfmt::new(false);
    check(&mut strict, "", "{}");
    check(
        &mut strict,
        " level=info  msg=\"it \\\"is\\\"\\n\\u00e9 \\x\" fast empty= q=\"\" é=ü\n",
        r#"{"level":"info","msg":"it \"is\"\né \\x","fast":true,"empty":"","q":"","é":"ü"}"#,
    );
    check(&mut strict, "a=b=c", r#"{"a":"b=c"}"#);
    for (text, fault) in [
        ("=x", "a value without a name at byte 0"),
        ("a\"b=1", "a quote in a name at byte 1"),
        ("a=b\"c", "a quote inside a value without quotes at byte 3"),
        ("a=\"b", "a quote that is never closed at byte 2"),
        ("a=\"b\"c", "text behind a closing quote at byte 5"),
    ] {
        check(&mut strict, text, fault);
    }
    let mut lenient = Logfmt::new(true);
    check(
        &mut lenient,
        "=x a\"b=1 c=d\"e",
        r#"{"":"x","a\"b":"1","c":"d\"e"}"#,
    );
    check(&mut lenient, "a=\"b c", r#"{"a":"\"b c"}"#);
}

#[test]
fn syslog_of_both_kinds() {
    let mut syslog = Syslog::new(false);
    // 2026-01-02T00:00:00Z
    syslog.set_reference_ms(1_767_312_000_000);
    check(
        &mut syslog,
        r#"<165>1 2026-10-11T22:14:15.003Z host app 17 ID47 [a@1 k="v \"q\" \] \n" k2="é"][b] "#
            .to_owned()
            + "\u{feff}An event\n",
        r#"{"facility":"local4","severity":"notice","version":1,"timestamp":"2026-10-11T22:14:15.003Z","hostname":"host","appname":"app","procid":"17","msgid":"ID47","structured_data":{"a@1":{"k":"v \"q\" ] \\n","k2":"é"},"b":{}},"message":"An event"}"#,
    );
    check(
        &mut syslog,
        "<0>1 - - - - - -",
        r#"{"facility":"kern","severity":"emerg","version":1}"#,
    );
    check(
        &mut syslog,
        "<34>Dec 31 22:14:15 mymachine su[17]: 'su root' failed",
        r#"{"facility":"auth","severity":"crit","timestamp":"2025-12-31T22:14:15Z","hostname":"mymachine","appname":"su","procid":"17","message":"'su root' failed"}"#,
    );
    check(
        &mut syslog,
        "Jan  2 08:00:00.5 kernel: x",
        r#"{"timestamp":"2026-01-02T08:00:00.5Z","appname":"kernel","message":"x"}"#,
    );
    check(
        &mut syslog,
        "Jan  4 00:00:00 h m",
        r#"{"timestamp":"2025-01-04T00:00:00Z","hostname":"h","message":"m"}"#,
    );
    check(
        &mut syslog,
        "Feb 29 00:00:00 h m",
        r#"{"timestamp":"2024-02-29T00:00:00Z","hostname":"h","message":"m"}"#,
    );
    check(
        &mut syslog,
        "Mar 1 2020 00:00:00: h t: m",
        r#"{"timestamp":"2020-03-01T00:00:00Z","hostname":"h","appname":"t","message":"m"}"#,
    );
    check(
        &mut syslog,
        "2026-10-11T22:14:15+02:00 h cron[1]: m",
        r#"{"timestamp":"2026-10-11T22:14:15+02:00","hostname":"h","appname":"cron","procid":"1","message":"m"}"#,
    );
    for (text, fault) in [
        ("<192>x", "expected a priority from <0> to <191> at byte 0"),
        ("<1 x", "expected a priority from <0> to <191> at byte 0"),
        (
            "<1>1 yesterday h a p m -",
            "expected a time in ISO 8601, or `-` at byte 5",
        ),
        ("<1>1 - h a p", "the header ends too early at byte 12"),
        (
            "<1>1 - h a p m x",
            "expected structured data, or `-` at byte 15",
        ),
        (
            "<1>1 - h a p m [a b]",
            "expected a parameter's value in quotes at byte 19",
        ),
        (
            "<1>1 - h a p m [a b=\"c]",
            "a quote that is never closed at byte 21",
        ),
        (
            "<1>1 - h a p m [a]x",
            "expected a space before the message at byte 18",
        ),
        (
            "hello",
            "expected a time such as `Oct 11 22:14:15` at byte 0",
        ),
        (
            "Oct 32 22:14:15 h",
            "expected a time such as `Oct 11 22:14:15` at byte 0",
        ),
        ("é", "expected a time such as `Oct 11 22:14:15` at byte 0"),
    ] {
        check(&mut syslog, text, fault);
    }
    check(
        &mut Syslog::new(true),
        "<192>\"x\"",
        r#"{"message":"<192>\"x\""}"#,
    );
}

#[test]
fn named_groups_become_fields() {
    let mut pattern = Pattern::new(r"(?<status>\d+) (?<http.path>\S+)(?: (?<rest>.+))?").unwrap();
    check(
        &mut pattern,
        "x 200 /a",
        r#"{"status":"200","http":{"path":"/a"}}"#,
    );
    check(
        &mut pattern,
        "٣ /é ü",
        r#"{"status":"٣","http":{"path":"/é"},"rest":"ü"}"#,
    );
    check(&mut pattern, "none", "the pattern does not match at byte 0");
    let faults = [r"\d+", "(?<a>x", r"(?<a>\1)", r"(?<a>x)(?<a.b>y)"];
    for expression in faults {
        let why = Pattern::new(expression).unwrap_err();
        assert!(
            !why.contains('\n') && !why.is_empty(),
            "{expression}: {why}"
        );
    }
    // What would backtrack without end elsewhere.
    let mut pattern = Pattern::new(r"^(?<a>(?:a+)+)$").unwrap();
    check(
        &mut pattern,
        "a".repeat(100_000) + "b",
        "the pattern does not match at byte 0",
    );
}

#[test]
fn user_agents_of_most_traffic() {
    let expect = |text: &str, expected: &str| check(&mut UserAgent, text, expected);
    expect(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 Safari/537.36 Edg/118.0.2088.46",
        r#"{"browser":{"family":"Edge","version":"118.0.2088.46"},"os":{"family":"Windows","version":"10"},"device":{"category":"pc"}}"#,
    );
    expect(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
        r#"{"browser":{"family":"Safari","version":"17.1"},"os":{"family":"iOS","version":"17.1"},"device":{"category":"mobile"}}"#,
    );
    expect(
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15",
        r#"{"browser":{"family":"Safari","version":"17.0"},"os":{"family":"macOS","version":"10.15.7"},"device":{"category":"pc"}}"#,
    );
    expect(
        "Mozilla/5.0 (Linux; Android 13; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0 Safari/537.36",
        r#"{"browser":{"family":"Chrome","version":"118.0"},"os":{"family":"Android","version":"13"},"device":{"category":"tablet"}}"#,
    );
    expect(
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/118.0",
        r#"{"browser":{"family":"Firefox","version":"118.0"},"os":{"family":"Linux"},"device":{"category":"pc"}}"#,
    );
    expect(
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        r#"{"browser":{"family":"Googlebot","version":"2.1"},"device":{"category":"crawler"}}"#,
    );
    expect(
        "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
        r#"{"browser":{"family":"Internet Explorer","version":"11.0"},"os":{"family":"Windows","version":"7"},"device":{"category":"pc"}}"#,
    );
    expect(
        "curl/8.5.0",
        r#"{"browser":{"family":"curl","version":"8.5.0"},"device":{"category":"tool"}}"#,
    );
    expect("-", "{}");
    expect("", "{}");
}

#[test]
fn no_text_makes_a_parser_panic() {
    let seed: u64 = match std::env::var("TOWPATH_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => towpath_sdk::now_ms() as u64,
    };
    println!("TOWPATH_SEED={seed}");
    let mut random = Random(seed);
    let pieces = [
        "<34>",
        "1 ",
        "Oct 11 22:14:15 ",
        "[",
        "]",
        "\"",
        "\\",
        "=",
        ",",
        "\n",
        "\r",
        " ",
        "a",
        "é",
        "-",
        "0",
        "2026-10-11T22:14:15Z",
        ":",
        "a=\"",
        "Chrome/",
        "Mac OS X ",
        "bot",
        "\u{feff}",
        "\0",
        "9999999999",
    ];
    for _ in 0..20_000 {
        let count = random.below(12);
        let mut text: Vec<u8> = Vec::new();
        for _ in 0..count {
            text.extend_from_slice(pieces[random.below(pieces.len())].as_bytes());
        }
        if random.below(8) == 0 {
            text.push(random.below(256) as u8);
        }
        for lenient in [false, true] {
            let mut csv = Csv::new(CsvOptions {
                lenient,
                ..columns(&["a", "b:float"])
            })
            .unwrap();
            let mut syslog = Syslog::new(lenient);
            syslog.set_reference_ms(random.below(usize::MAX) as i64);
            let parsers: [&mut dyn Parser; 4] = [
                &mut csv,
                &mut Logfmt::new(lenient),
                &mut syslog,
                &mut UserAgent,
            ];
            for parser in parsers {
                let _: Result<String, String> = parse(parser, &text);
            }
        }
    }
}

/// SplitMix64.
pub(super) struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) % end as u64) as usize
    }
}
