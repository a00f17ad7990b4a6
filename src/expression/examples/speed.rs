//! How long an expression takes for a record, without the time to decode it.
//!
//! `cargo run --release -p towpath-expression --example speed ['EXPRESSION' ...]`

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use towpath_record::BatchBuilder;
use towpath_sdk::config::Format;
use towpath_sdk::{Side, WorkingBatch};

const RECORDS: usize = 10_000;
const ROUNDS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let mut expressions: Vec<String> = std::env::args().skip(1).collect();
    if expressions.is_empty() {
        expressions = [
            r#"value.status >= 500 && value.path.startsWith("/api")"#,
            r#"value.method in ["GET", "HEAD"]"#,
            r#"value.path.matches("^/api/v[0-9]+/")"#,
            r#"topic == "access""#,
            "value.status",
            "value.bytes * 2 + 1",
            "value.path.lowerAscii()",
        ]
        .map(str::to_owned)
        .to_vec();
    }
    let mut builder = BatchBuilder::default();
    for index in 0..RECORDS {
        builder.push(index as i64, None, Some(&record(index)), &[])?;
    }
    let batch = builder.finish().ok_or("no records")?;
    println!(
        "{:>9} {:>9}  ns per record: as a condition, as a value",
        "test", "value"
    );
    for source in expressions {
        let expression = towpath_expression::compile(&source)?;
        let mut working = WorkingBatch::default();
        let mut test_time = Duration::MAX;
        let mut value_time = Duration::MAX;
        let mut is_condition = true;
        for _ in 0..ROUNDS {
            working.load(&batch, Format::Json, 0)?;
            working.set_place(Some("access".into()), Some(0));
            for row in 0..RECORDS {
                working.root(row, Side::Value)?;
            }
            let begin = Instant::now();
            for row in 0..RECORDS {
                is_condition &= black_box(expression.test(&mut working, row)).is_ok();
                if !is_condition {
                    break;
                }
            }
            test_time = test_time.min(begin.elapsed());
            let begin = Instant::now();
            for row in 0..RECORDS {
                black_box(expression.value(&mut working, row)?);
            }
            value_time = value_time.min(begin.elapsed());
        }
        let per_record = |time: Duration| time.as_nanos() as f64 / RECORDS as f64;
        let test = match is_condition {
            true => format!("{:.1}", per_record(test_time)),
            false => "-".to_owned(),
        };
        println!("{test:>9} {:>9.1}  {source}", per_record(value_time));
    }
    Ok(())
}

/// A line of an access log: about 200 bytes, a fifth of them failures.
fn record(index: usize) -> Vec<u8> {
    let status = [200, 200, 304, 404, 503][index % 5];
    format!(
        r#"{{"time":"2026-01-01T00:00:{:02}Z","client":"10.0.{}.{}","method":"GET","path":"/api/v1/orders/{index}","status":{status},"bytes":{},"referer":"https://example.org/","agent":"Mozilla/5.0 (X11; Linux x86_64)"}}"#,
        index % 60,
        index / 250 % 250,
        index % 250,
        index * 37 % 100_000,
    )
    .into_bytes()
}
