//! How many log lines a second parsers take, on one thread:
//! `cargo run --release -p towpath-transforms --example logs [SECONDS [NAME]]`. A working
//! batch takes lines, one transform parses them, and what is left goes into a record batch.

use std::time::{Duration, Instant};

use towpath_record::{Batch, BatchBuilder};
use towpath_sdk::config::{Format, Problems};
use towpath_sdk::{Error, Result, Transform, TransformContext, WorkingBatch};

#[path = "../testing/yaml.rs"]
#[allow(dead_code, reason = "the tests read JSON with it, too")]
mod yaml;

const RECORDS: u32 = 5_000;
const COMBINED: &str = r#"pattern: '^(?<client>\S+) (?<ident>\S+) (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>\S+) (?<path>\S+) (?<protocol>[^"]+)" (?<status>\d{3}) (?<bytes>\d+|-) "(?<referrer>[^"]*)" "(?<agent>[^"]*)"$'"#;

/// Makes line number `n`.
type Line = fn(u32) -> String;

/// What is measured: transform, options, lines.
#[rustfmt::skip]
const CASES: &[(&str, &str, Line)] = &[
    ("parse_regex", COMBINED, combined),
    ("parse_grok", "pattern: '^%{COMBINEDAPACHELOG}$'", combined),
    ("parse_csv", "columns: [id, at, method, path, status, ms, agent]", csv),
    ("parse_logfmt", "", logfmt),
    ("parse_syslog", "", syslog),
    ("parse_user_agent", "", |_| "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36".to_owned()),
    ("redact", "find: [email, card, ip]", combined),
    ("sample", "one_in: 2", combined),
    ("throttle", "records: 1000000000", combined),
];

fn combined(n: u32) -> String {
    format!(
        r#"10.{}.{}.7 - - [17/May/2026:08:{:02}:{:02} +0000] "GET /api/orders/{n}?page=2 HTTP/1.1" 200 {} "https://example.com/shop" "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0""#,
        n % 200,
        n % 250,
        n % 60,
        n % 59,
        n * 7919 % 100_000,
    )
}

fn csv(n: u32) -> String {
    format!(
        r#"{n},2026-05-17T08:05:32.123Z,GET,/api/orders/{n}?page=2,200,{},"Mozilla/5.0 (X11; Linux x86_64), ""Firefox"" 143.0""#,
        n % 300
    )
}

fn logfmt(n: u32) -> String {
    format!(
        r#"ts=2026-05-17T08:05:32.123Z level=info caller=http.go:212 method=GET path=/api/orders/{n} status=200 ms={} msg="request is done" agent="Firefox 143""#,
        n % 300
    )
}

fn syslog(n: u32) -> String {
    format!(
        r#"<165>1 2026-05-17T08:05:32.123Z web1 nginx 812 ID47 [req id="{n}" path="/api/orders"] upstream took {} ms to answer, which is slow"#,
        n % 300
    )
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(2));
    let only = arguments.next();
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    for (name, options, line) in CASES.iter().filter(|(name, ..)| wanted(name)) {
        let batch = lines(*line)?;
        let bytes = batch.as_bytes().len() / RECORDS as usize;
        let (rate, left) = measure(&batch, name, options, time)?;
        let thousands = rate / 1_000;
        println!("{name:18} {thousands:6} thousand/s, {bytes} bytes come, {left} leave");
    }
    Ok(())
}

fn lines(line: Line) -> Result<Batch> {
    let mut builder = BatchBuilder::default();
    for number in 0..RECORDS {
        let line = line(number);
        builder
            .push(0, None, Some(line.as_bytes()), &[])
            .map_err(too_large)?;
    }
    builder
        .finish()
        .ok_or_else(|| Error::fatal("build", "a batch"))
}

/// Records a second, and the bytes of one that leaves.
fn measure(batch: &Batch, name: &str, options: &str, time: Duration) -> Result<(u128, usize)> {
    let types = towpath_transforms::types();
    let kind = types.iter().find(|kind| kind.name == name);
    let parse = kind.expect("a transform").parse;
    let config = parse(&yaml::options(options), &mut Problems::new()).expect("options");
    let format = config.output(Format::Text);
    let mut transform: Box<dyn Transform> = config.transform();
    let context = TransformContext { now_ms: 0 };
    let mut working = WorkingBatch::default();
    let mut builder = BatchBuilder::with_capacity(batch.as_bytes().len() * 2);
    let mut bytes = 0;
    let (mut rounds, started) = (0, Instant::now());
    while started.elapsed() < time {
        working.load(batch, Format::Text, 0)?;
        transform.apply(&mut working, &context)?;
        working.emit(format, |row| row.push_to(&mut builder).map_err(too_large))?;
        assert!(working.refused().is_empty(), "{:?}", working.refused());
        let left = builder.finish();
        bytes = left.map_or(0, |batch| batch.as_bytes().len() / batch.len());
        rounds += 1;
    }
    let records = u128::from(RECORDS) * rounds;
    Ok((
        records * 1_000_000_000 / started.elapsed().as_nanos(),
        bytes,
    ))
}

fn too_large(error: towpath_record::BatchError) -> Error {
    Error::fatal("build", "a batch").because(error)
}
