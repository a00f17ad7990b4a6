//! A thousand real-looking lines for each parser, some of them bad: made once by the generator
//! below, kept in `lines/*.txt.gz`, and what became of them in `lines/outcomes.txt`.
//!
//! `TOWPATH_BLESS=1` writes both anew. A line that changes is seen in the digest of its file; the
//! generator is held to what is kept, so that it says what the lines are.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::PathBuf;

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use towpath_sdk::config::{CsvOptions, TextType};

use super::parsers::{Random, parse};
use crate::parse::Fault;
use crate::{Csv, Logfmt, Parser, Pattern, Syslog, UserAgent, grok};

const LINES: usize = 1_000;
const SEED: u64 = 20_261_121;

const COMBINED: &str = r#"^(?<client>\S+) (?<ident>\S+) (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>\S+) (?<path>\S+) (?<protocol>[^"]+)" (?<status>\d+) (?<bytes>\d+|-) "(?<referrer>[^"]*)" "(?<agent>[^"]*)"$"#;

const AGENTS: [&str; 8] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/118.0",
    "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "curl/8.5.0",
    "python-requests/2.31.0",
    "-",
];

fn of<'a>(random: &mut Random, choices: &[&'a str]) -> &'a str {
    choices[random.below(choices.len())]
}

fn host(random: &mut Random) -> String {
    match random.below(8) {
        0 => format!(
            "2001:db8::{:x}:{:x}",
            random.below(65_536),
            random.below(65_536)
        ),
        1 => format!("host-{}.example.com", random.below(100)),
        _ => format!("203.0.{}.{}", random.below(256), random.below(256)),
    }
}

fn access(random: &mut Random) -> String {
    let user = of(random, &["-", "frank", "jane.doe"]);
    let path = of(
        random,
        &[
            "/",
            "/api/v1/orders?page=2&sort=-date",
            "/static/app.js",
            "/caf%C3%A9",
            "/é",
        ],
    );
    let method = of(random, &["GET", "GET", "POST", "DELETE"]);
    let (day, hour, minute, second) = (
        1 + random.below(28),
        random.below(24),
        random.below(60),
        random.below(60),
    );
    let bytes = match random.below(6) {
        0 => "-".to_owned(),
        _ => random.below(100_000).to_string(),
    };
    let status = of(random, &["200", "200", "304", "404", "500"]);
    let referrer = of(random, &["-", "https://example.com/start"]);
    let line = format!(
        "{} - {user} [{day:02}/Oct/2026:{hour:02}:{minute:02}:{second:02} +0000] \"{method} {path} HTTP/1.1\" {status} {bytes} \"{referrer}\" \"{}\"",
        host(random),
        of(random, &AGENTS),
    );
    match random.below(40) {
        0 => line[..line.len() / 2].chars().collect(),
        1 => line.replace("HTTP/1.1", ""),
        _ => line,
    }
}

fn csv(random: &mut Random) -> String {
    let name = of(
        random,
        &[
            "plain",
            "\"with, comma\"",
            "\"say \"\"so\"\"\"",
            "é",
            "",
            "stray\"quote",
        ],
    );
    let price = of(
        random,
        &["1.50", "-0.05", "1e3", "12345678901234567890.123", "free"],
    );
    let surplus = if random.below(50) == 0 { ",more" } else { "" };
    format!(
        "{},{name},{price},{}{surplus}",
        random.below(1_000_000),
        random.below(3) == 0
    )
}

fn logfmt(random: &mut Random) -> String {
    let message = of(
        random,
        &[
            "\"request done\"",
            "done",
            "\"said \\\"no\\\"\"",
            "\"open",
            "é",
        ],
    );
    let level = of(random, &["info", "warn", "error"]);
    let flag = of(random, &["", " cached", " =x"]);
    format!(
        "ts=2026-10-11T22:14:15.{:03}Z level={level} msg={message} took={}ms{flag}",
        random.below(1_000),
        random.below(500)
    )
}

fn syslog_bsd(random: &mut Random) -> String {
    let tag = of(random, &["sshd[4123]:", "kernel:", "cron[17]:", "no tag"]);
    let month = of(random, &["Jan", "Feb", "Oct", "Dec", "Oct", "okt"]);
    let day = 1 + random.below(30);
    let priority = match random.below(3) {
        0 => String::new(),
        _ => format!("<{}>", random.below(200)),
    };
    format!(
        "{priority}{month} {day:2} 22:14:15 web-1 {tag} message {}",
        random.below(100)
    )
}

fn syslog_ietf(random: &mut Random) -> String {
    let data = of(
        random,
        &["-", "[a@1 k=\"v\"]", "[a k=\"\\\"q\\\"\"][b]", "-", "[open"],
    );
    let host = of(random, &["web-1", "web-1.example.com", "10.0.0.1", "-"]);
    let zone = of(random, &["Z", "+02:00", "-07:00"]);
    format!(
        "<{}>1 2026-10-{:02}T22:14:15.{:03}{zone} {host} app {} ID47 {data} {}",
        random.below(200),
        1 + random.below(31),
        random.below(1_000),
        random.below(30_000),
        of(random, &["a message", "é", ""])
    )
}

fn json(random: &mut Random) -> String {
    let number = of(
        random,
        &[
            "0",
            "-1.50",
            "6.02e23",
            "123456789012345678901234567890",
            "01",
        ],
    );
    let text = of(
        random,
        &[
            "plain",
            "say \\\"so\\\"",
            "\\u00e9\\ud83d\\ude00",
            "é",
            "\\ud83d",
        ],
    );
    let nested = of(
        random,
        &["[]", "{\"a\": [1, {\"b\": null}]}", "[1,]", "true"],
    );
    let line = format!(
        "{{\"id\": {},\"text\":\"{text}\",\"number\":{number}, \"nested\":{nested}}}",
        random.below(1_000_000)
    );
    match random.below(40) {
        0 => line.chars().take(30).collect(),
        _ => line,
    }
}

/// JSON is checked, and stays as it is.
struct Json;

impl Parser for Json {
    fn name(&self) -> &'static str {
        "as JSON"
    }

    fn parse(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        towpath_sdk::json::validate(text)?;
        out.extend_from_slice(text);
        Ok(())
    }
}

fn agent(random: &mut Random) -> String {
    of(random, &AGENTS).replace("118", &random.below(200).to_string())
}

/// What parses lines, the file they are kept in, and what makes one.
type Kind = (
    &'static str,
    Box<dyn Parser>,
    &'static str,
    fn(&mut Random) -> String,
);

fn kinds() -> Vec<Kind> {
    let columns = [
        ("id", TextType::Integer),
        ("name", TextType::String),
        ("price", TextType::Float),
        ("sold", TextType::Boolean),
    ];
    let columns = columns
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
    let options = CsvOptions {
        header: false,
        columns,
        ..CsvOptions::default()
    };
    let syslog = || {
        let mut messages = Syslog::new(false);
        messages.set_reference_ms(1_795_000_000_000);
        Box::new(messages)
    };
    let combined = grok("^%{COMBINEDAPACHELOG}$", &HashMap::new()).unwrap();
    vec![
        (
            "regex",
            Box::new(Pattern::new(COMBINED).unwrap()),
            "access",
            access,
        ),
        ("grok", Box::new(combined), "access", access),
        ("csv", Box::new(Csv::new(options).unwrap()), "csv", csv),
        ("logfmt", Box::new(Logfmt::new(false)), "logfmt", logfmt),
        ("syslog_3164", syslog(), "syslog_3164", syslog_bsd),
        ("syslog_5424", syslog(), "syslog_5424", syslog_ietf),
        ("json", Box::new(Json), "json", json),
        ("user_agent", Box::new(UserAgent), "user_agent", agent),
    ]
}

fn kept(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/lines")
        .join(name)
}

#[test]
fn a_thousand_lines_each_come_out_as_they_did() {
    let bless = std::env::var_os("TOWPATH_BLESS").is_some();
    let mut outcomes =
        String::from("# parser, lines parsed, lines refused, CRC-32 of what came out\n");
    for (name, mut parser, file, make) in kinds() {
        let mut random = Random(SEED);
        let made: String = (0..LINES).map(|_| make(&mut random) + "\n").collect();
        let path = kept(&format!("{file}.txt.gz"));
        if bless {
            let gzip = std::fs::File::create(&path).unwrap();
            let mut gzip = GzEncoder::new(gzip, flate2::Compression::best());
            gzip.write_all(made.as_bytes()).unwrap();
            gzip.finish().unwrap();
        }
        let mut lines = String::new();
        let kept = std::fs::File::open(&path).unwrap();
        GzDecoder::new(kept).read_to_string(&mut lines).unwrap();
        assert!(
            lines == made,
            "{name}: the generator makes other lines than those kept"
        );
        let mut digest = flate2::Crc::new();
        let (mut parsed, mut refused) = (0, 0);
        for line in lines.lines() {
            let outcome = parse(parser.as_mut(), line);
            *if outcome.is_ok() {
                &mut parsed
            } else {
                &mut refused
            } += 1;
            let (Ok(text) | Err(text)) = outcome;
            digest.update(text.as_bytes());
            digest.update(b"\n");
        }
        writeln!(outcomes, "{name} {parsed} {refused} {:08x}", digest.sum()).unwrap();
    }
    if bless {
        std::fs::write(kept("outcomes.txt"), &outcomes).unwrap();
    }
    assert_eq!(
        outcomes,
        std::fs::read_to_string(kept("outcomes.txt")).unwrap()
    );
}
