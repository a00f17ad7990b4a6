//! How long chains of transforms take for a record, on one thread:
//! `cargo run --release -p towpath-transforms --example chain [SECONDS [NAME]]`. A working
//! batch takes 180-byte JSON lines, transforms change them, and what is left goes into a record
//! batch.

use std::time::{Duration, Instant};

use towpath_record::{Batch, BatchBuilder};
use towpath_sdk::config::{Format, Problems};
use towpath_sdk::{Error, Result, Transform, TransformContext, WorkingBatch};

#[path = "../testing/yaml.rs"]
#[allow(dead_code, reason = "the tests read JSON with it, too")]
mod yaml;

const RECORDS: usize = 5_000;
const CONTEXT: TransformContext = TransformContext {
    now_ms: 1_577_934_245_678,
};

/// Transforms and their options.
const CHAINS: &[(&str, &[(&str, &str)])] = &[
    ("nothing", &[]),
    (
        "headers and topics only",
        &[
            ("insert_header", "{ header: origin, value: eu-1 }"),
            ("route", "{ regex: '(.*)', replacement: eu-$1 }"),
        ],
    ),
    ("parse", &[("parse_json", "")]),
    (
        "parse, exclude",
        &[("parse_json", ""), ("replace_field", "exclude: agent")],
    ),
    (
        "parse, set, exclude, filter",
        &[
            ("parse_json", ""),
            ("set", "fields: { slow: value.ms > 100 }"),
            ("replace_field", "exclude: agent"),
            ("filter", "drop: value.status == 404"),
        ],
    ),
    (
        "parse, include, insert",
        &[
            ("parse_json", ""),
            ("replace_field", "include: [time, method, status, user.id]"),
            ("insert_field", "{ topic: source, timestamp: at }"),
        ],
    ),
];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok());
    let wanted = arguments.next().unwrap_or_default();
    let time = Duration::from_secs(seconds.unwrap_or(2));
    let batch = lines()?;
    println!("{} bytes a record", batch.as_bytes().len() / RECORDS);
    for (name, steps) in CHAINS.iter().filter(|(name, _)| name.contains(&wanted)) {
        let (format, mut chain) = chain(steps);
        let (nanoseconds, bytes) = measure(&batch, format, &mut chain, time)?;
        println!("{name:30} {nanoseconds:4} ns a record, {bytes} bytes leave");
    }
    Ok(())
}

/// Log lines, one in ten with the status 404.
fn lines() -> Result<Batch> {
    let mut builder = BatchBuilder::default();
    for number in 0..RECORDS {
        let status = if number % 10 == 3 { 404 } else { 200 };
        let line = format!(
            r#"{{"time":"2026-01-02T03:04:05.{:03}Z","method":"GET","path":"/api/orders/{number}","status":{status},"ms":{},"user":{{"id":{},"plan":"free"}},"agent":"Mozilla/5.0 (X11; Linux) Firefox/140.0"}}"#,
            number % 1000,
            number % 250,
            number * 7919 % 100_000,
        );
        builder
            .push(CONTEXT.now_ms, None, Some(line.as_bytes()), &[])
            .map_err(too_large)?;
    }
    builder
        .finish()
        .ok_or_else(|| Error::fatal("build", "a batch"))
}

/// The transforms, and the format of what leaves them.
fn chain(steps: &[(&str, &str)]) -> (Format, Vec<Box<dyn Transform>>) {
    let mut format = Format::Text;
    let types = towpath_transforms::types();
    let transforms = steps.iter().map(|(name, options)| {
        let kind = types.iter().find(|kind| kind.name == *name);
        let parse = kind.expect("a transform").parse;
        let config = parse(&yaml::options(options), &mut Problems::new()).expect("options");
        format = config.output(format);
        config.transform()
    });
    let transforms = transforms.collect();
    (format, transforms)
}

/// Nanoseconds for each record that comes, in the fastest round, and the size of the batch that
/// leaves.
fn measure(
    batch: &Batch,
    format: Format,
    chain: &mut [Box<dyn Transform>],
    time: Duration,
) -> Result<(u128, usize)> {
    let mut working = WorkingBatch::default();
    let mut builder = BatchBuilder::with_capacity(batch.as_bytes().len() * 2);
    let mut bytes = 0;
    let mut fastest = Duration::MAX;
    let started = Instant::now();
    while started.elapsed() < time {
        let round = Instant::now();
        working.load(batch, Format::Text, 0)?;
        working.set_place(Some("orders".into()), Some(0));
        for transform in &mut *chain {
            transform.apply(&mut working, &CONTEXT)?;
        }
        working.emit(format, |row| row.push_to(&mut builder).map_err(too_large))?;
        assert!(working.refused().is_empty(), "{:?}", working.refused());
        bytes = builder.finish().map_or(0, |batch| batch.as_bytes().len());
        fastest = fastest.min(round.elapsed());
    }
    Ok((fastest.as_nanos() / RECORDS as u128, bytes))
}

fn too_large(error: towpath_record::BatchError) -> Error {
    Error::fatal("build", "a batch").because(error)
}
