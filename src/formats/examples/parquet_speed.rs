//! MB of JSON a second that one core makes Parquet of, and where the time goes. The file that it
//! makes last is kept when a path is given.
//!
//! `cargo run --release -p towpath-formats --example parquet_speed [FILE]`

use std::time::Instant;

use towpath_formats::encoder;
use towpath_record::{Batch, BatchBuilder};
use towpath_sdk::config::{AvroSchema, Compression, Fields, Format, OutputFormat, ParquetOutput};
use towpath_sdk::{Block, Error, Result, SinkBatch, SinkTopic};

const RECORDS: u64 = 500_000;
const RUNS: usize = 5;
const SCHEMA: &str = r#"{"type": "record", "name": "Access", "fields": [
    {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "client", "type": ["null", "string"]},
    {"name": "method", "type": ["null", "string"]},
    {"name": "path", "type": ["null", "string"]},
    {"name": "status", "type": ["null", "long"]},
    {"name": "bytes", "type": ["null", "long"]},
    {"name": "seconds", "type": ["null", "double"]},
    {"name": "agent", "type": ["null", "string"]}]}"#;

fn main() -> Result<()> {
    let batches = batches()?;
    let topic = SinkTopic {
        name: "access".to_owned(),
        id: "1".to_owned(),
        format: Format::Json,
    };
    let batch = SinkBatch::new(topic.into(), 0, 0, batches);
    let bytes: usize = batch
        .batches
        .iter()
        .map(|batch| batch.as_bytes().len())
        .sum();
    let mut kept = Vec::new();
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let (file, encoded, made) = file(&batch)?;
        kept = file;
        runs.push((begun.elapsed().as_secs_f64(), encoded, made));
    }
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (seconds, encoded, made) = runs[RUNS / 2];
    println!(
        "{:.0} MB/s of JSON: {bytes} bytes in {seconds:.3} s (records {encoded:.3} s, row groups \
         {made:.3} s), {} bytes of Parquet",
        bytes as f64 / seconds / 1e6,
        kept.len()
    );
    if let Some(path) = std::env::args().nth(1) {
        std::fs::write(&path, kept).map_err(|error| Error::fatal("write", path).because(error))?;
    }
    Ok(())
}

/// A file of all records, and the seconds that encoding them and making row groups took.
fn file(batch: &SinkBatch) -> Result<(Vec<u8>, f64, f64)> {
    let schema = AvroSchema::parse(SCHEMA);
    let output = ParquetOutput {
        schema: Some(
            schema.map_err(|why| Error::configuration("read", "the schema").because(why))?,
        ),
        leaves_out: false,
        compression: Compression::ZSTD,
    };
    let mut encoder = encoder(Some(OutputFormat::Parquet(output)), &Fields::default())?;
    let most = encoder.block_bytes().unwrap_or(usize::MAX);
    let mut file = encoder.head().to_vec();
    let (mut blocks, mut buffer, mut records) = (Vec::new(), Vec::new(), 0);
    let (mut made, begun) = (0.0, Instant::now());
    let mut rows = batch.records().peekable();
    while let Some(record) = rows.next() {
        encoder.encode(batch, &record?, &mut buffer)?;
        records += 1;
        if buffer.len() >= most || rows.peek().is_none() {
            let begun = Instant::now();
            let note = encoder.block(std::mem::take(&mut records), &mut buffer)?;
            made += begun.elapsed().as_secs_f64();
            let position = file.len() as u64;
            blocks.push(Block { position, note });
            file.append(&mut buffer);
        }
    }
    file.extend(encoder.end(&blocks)?);
    let all = begun.elapsed().as_secs_f64();
    Ok((file, all - made, made))
}

/// Records such as an access log has, of about 200 bytes.
fn batches() -> Result<Vec<Batch>> {
    let mut batches = Vec::new();
    let mut builder = BatchBuilder::default();
    let mut seed = 7_u64;
    for n in 0..RECORDS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let random = seed >> 33;
        let value = format!(
            r#"{{"time":"2026-10-10T13:{:02}:{:02}.{:03}Z","client":"203.0.{}.{}","method":"{}","path":"/articles/{}/view?page={}","status":{},"bytes":{},"seconds":0.{:03},"agent":"Mozilla/5.0 (X11; Linux x86_64) Chrome/{}.0"}}"#,
            n / 60_000 % 60,
            n / 1000 % 60,
            n % 1000,
            random % 200,
            random / 200 % 250,
            ["GET", "POST", "HEAD"][(random % 3) as usize],
            random % 5000,
            random % 9,
            [200, 200, 200, 304, 404, 500][(random % 6) as usize],
            random % 60_000,
            random % 1000,
            100 + random % 20,
        );
        let pushed = builder.push(n as i64, None, Some(value.as_bytes()), &[]);
        pushed.map_err(|error| Error::fatal("make", "records").because(error))?;
        if builder.size_bytes() > 1 << 20 || n + 1 == RECORDS {
            batches.extend(builder.finish_at(n as i64));
        }
    }
    Ok(batches)
}
