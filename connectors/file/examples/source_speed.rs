//! How fast the file source is alone: a file to batches in memory, which are dropped.
//!
//! `cargo run --release -p connector-file --example source_speed [FILE]`; without a file, 1 GiB of
//! lines of 170 bytes is written to the temporary folder first. Reads it three times; the first
//! time warms up. Run under `time` for the CPU seconds.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use towpath_sdk::config::{Key, Node, NodeValue, Problems, Span};
use towpath_sdk::testing::{FakeState, source_context};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = match std::env::args_os().nth(1) {
        Some(file) => PathBuf::from(file),
        None => lines()?,
    };
    for _ in 0..3 {
        let begin = Instant::now();
        let (records, bytes) = read(&file).await?;
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "{records} records, {:.0} MB in {seconds:.3} s: {:.2} million records/s, {:.0} MB/s",
            bytes / 1e6,
            records as f64 / seconds / 1e6,
            bytes / seconds / 1e6,
        );
    }
    Ok(())
}

async fn read(file: &std::path::Path) -> Result<(usize, f64), Box<dyn std::error::Error>> {
    let include = Key {
        name: "include".to_owned(),
        span: Span::NONE,
    };
    let path = Node::new(
        Span::NONE,
        NodeValue::String(file.to_string_lossy().into_owned()),
    );
    let options = Node::new(Span::NONE, NodeValue::Map(vec![(include, path)]));
    let source_type = connector_file::connector_type()
        .source
        .ok_or("there is no source")?;
    let mut problems = Problems::new();
    let config = (source_type.parse)(&options, &mut problems).ok_or("the options are wrong")?;
    let mut source = config.source();
    source
        .open(source_context(Arc::new(FakeState::default()), true))
        .await?;
    let (mut records, mut bytes, mut batches) = (0, 0, 0);
    while let Some(batch) = source.read().await? {
        for part in &batch.parts {
            records += part.batch.len();
            bytes += part.batch.as_bytes().len();
        }
        batches += 1;
        source.ack(batches).await?;
    }
    source.close().await?;
    Ok((records, bytes as f64))
}

fn lines() -> std::io::Result<PathBuf> {
    let path = std::env::temp_dir().join("towpath-source-speed.log");
    if path.exists() {
        return Ok(path);
    }
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(&path)?);
    for number in 0..(1u64 << 30) / 170 {
        writeln!(
            out,
            "{number:012} {}",
            "a line of an access log ".repeat(7).split_at(156).0
        )?;
    }
    out.flush()?;
    Ok(path)
}
