//! Lines per second of each parser on one core: the median of several runs.
//!
//! `cargo run --release -p towpath-formats --example parse_speed`

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use towpath_formats::{Csv, Logfmt, Parser, Pattern, Syslog, UserAgent, grok};
use towpath_sdk::config::{CsvOptions, TextType};

const RUNS: usize = 9;
const RUN: Duration = Duration::from_millis(200);

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0 Safari/537.36";
const COMBINED: &str = r#"^(?<client>\S+) (?<ident>\S+) (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>\S+) (?<path>\S+) (?<protocol>[^"]+)" (?<status>\d+) (?<bytes>\d+|-) "(?<referrer>[^"]*)" "(?<agent>[^"]*)"$"#;

fn main() -> Result<(), String> {
    let access = format!(
        "203.0.113.45 - frank [10/Oct/2026:13:55:36 -0700] \"GET /apache_pb.gif?size=large HTTP/1.1\" 200 2326 \"https://www.example.com/start.html\" \"{AGENT}\""
    );
    let own = HashMap::new();
    let columns = [
        ("id", TextType::Integer),
        ("name", TextType::String),
        ("price", TextType::Float),
        ("sold", TextType::Boolean),
        ("note", TextType::String),
    ];
    let csv = Csv::new(CsvOptions {
        header: false,
        columns: columns
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec(),
        ..CsvOptions::default()
    })?;
    let unanchored = COMBINED.trim_start_matches('^').trim_end_matches('$');
    let mut parsers: Vec<(&str, &str, Box<dyn Parser>)> = vec![
        (
            "regex, combined log",
            &access,
            Box::new(Pattern::new(COMBINED)?),
        ),
        (
            "regex, without ^ and $",
            &access,
            Box::new(Pattern::new(unanchored)?),
        ),
        (
            "grok, combined log",
            &access,
            Box::new(grok("%{COMBINEDAPACHELOG}", &own)?),
        ),
        (
            "csv, 5 typed columns",
            "4711,\"a, name\",12.50,true,some more text that goes on for a while",
            Box::new(csv),
        ),
        (
            "logfmt",
            "ts=2026-10-11T22:14:15.123Z level=info msg=\"request done\" path=/api/v1/orders status=200 took=17ms cached",
            Box::new(Logfmt::new(false)),
        ),
        (
            "syslog, RFC 5424",
            "<165>1 2026-10-11T22:14:15.003Z web-1 app 17 ID47 [a@1 k=\"v\" l=\"w\"] An application event of some length",
            Box::new(Syslog::new(false)),
        ),
        (
            "syslog, RFC 3164",
            "<34>Oct 11 22:14:15 mymachine su[17]: 'su root' failed for lonvick on /dev/pts/8",
            Box::new(Syslog::new(false)),
        ),
        ("user agent", AGENT, Box::new(UserAgent)),
    ];
    for (name, line, parser) in &mut parsers {
        parser.set_reference_ms(1_795_000_000_000);
        let mut rates: Vec<f64> = (0..RUNS).map(|_| rate(parser.as_mut(), line)).collect();
        rates.sort_by(f64::total_cmp);
        let (median, bytes) = (rates[RUNS / 2], line.len());
        println!(
            "{name:24} {bytes:4} bytes  {:8.0} lines/s  {:6.0} ns",
            median,
            1e9 / median
        );
    }
    Ok(())
}

/// Lines per second over one run.
fn rate(parser: &mut dyn Parser, line: &str) -> f64 {
    let mut out = Vec::new();
    let begun = Instant::now();
    let mut lines = 0u32;
    while begun.elapsed() < RUN {
        for _ in 0..1_000 {
            out.clear();
            let parsed = parser.parse(black_box(line.as_bytes()), &mut out);
            assert!(parsed.is_ok() && !black_box(&out).is_empty());
        }
        lines += 1_000;
    }
    f64::from(lines) / begun.elapsed().as_secs_f64()
}
