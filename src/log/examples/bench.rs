//! What this machine's disk and this log reach: `cargo run --release -p towpath-log --example
//! bench [GiB] [partitions] [os]`. Appends 1 MiB batches of 170-byte records with four sets in
//! flight, then reads them back.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use towpath_log::{
    AppendSet, Cleanup, Durability, Log, LogConfig, LogError, ReadTo, Retention, TopicBatch,
    TopicConfig,
};
use towpath_record::{Batch, BatchBuilder};

const IN_FLIGHT: usize = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| {
        arguments
            .get(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (gib, partitions) = (number(0, 1), number(1, 1) as u32);
    let os = arguments.iter().any(|argument| argument == "os");
    let dir = std::env::current_dir()?.join(format!("bench-log-{}", std::process::id()));
    let result = run(&dir, gib << 30, partitions, os);
    std::fs::remove_dir_all(&dir)?;
    Ok(result?)
}

fn run(dir: &std::path::Path, bytes: u64, partitions: u32, os: bool) -> Result<(), LogError> {
    let started = Instant::now();
    let durability = if os {
        Durability::Os
    } else {
        Durability::Fsync
    };
    let (log, _) = Log::open_disk(
        dir,
        LogConfig {
            durability,
            ..LogConfig::default()
        },
    )?;
    println!("open: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let retention = Retention::default();
    log.create_topic(
        "bench",
        &TopicConfig {
            partitions,
            format: "bytes".into(),
            cleanup: Cleanup::Delete,
            retention,
        },
    )?;
    let writer = log.open_writer("bench.source", 0)?;
    println!(
        "first writer: {:.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    let batch = sample();
    let topic: Arc<str> = Arc::from("bench");
    let (sent, answered) = sync_channel(IN_FLIGHT);
    let begun = Instant::now();
    let count = bytes / batch.as_bytes().len() as u64;
    for n in 0..count + IN_FLIGHT as u64 {
        if n >= IN_FLIGHT as u64 {
            let answer: Result<_, LogError> = answered
                .recv()
                .unwrap_or_else(|_| unreachable!("each set is answered"));
            let _committed: towpath_log::Committed = answer?;
        }
        if n < count {
            let partition = (n % u64::from(partitions)) as u32;
            let batch = TopicBatch {
                topic: Arc::clone(&topic),
                partition,
                batch: batch.clone(),
            };
            let set = AppendSet {
                batches: vec![batch],
                ..AppendSet::default()
            };
            let sent = sent.clone();
            writer.submit(set, Box::new(move |result| drop(sent.send(result))));
        }
    }
    report("append", begun, bytes, count * batch.len() as u64);
    let begun = Instant::now();
    let mut records = 0;
    for partition in 0..partitions {
        let mut reader = log.reader("bench", partition, 0, ReadTo::Committed)?;
        while let Some(batches) = reader.next(1 << 20)? {
            records += batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
        }
    }
    report("read", begun, bytes, records);
    log.close()
}

fn report(what: &str, begun: Instant, bytes: u64, records: u64) {
    let seconds = begun.elapsed().as_secs_f64();
    let (megabytes, millions) = (bytes as f64 / 1e6, records as f64 / 1e6);
    println!(
        "{what}: {:.0} MB/s, {:.2} million records/s",
        megabytes / seconds,
        millions / seconds
    );
}

fn sample() -> Batch {
    let mut builder = BatchBuilder::with_capacity(1 << 20);
    let line = [b'x'; 170];
    while builder.size_bytes() < (1 << 20) - 256 {
        let pushed = builder.push(1_700_000_000_000, None, Some(&line), &[]);
        assert!(pushed.is_ok(), "a record of 170 bytes fits");
    }
    builder
        .finish()
        .unwrap_or_else(|| unreachable!("the loop pushes records"))
}
