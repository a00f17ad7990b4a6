//! What this machine's disk and this log reach: `cargo run --release -p towpath-log --example
//! bench [GiB] [partitions] [os]`. Appends 1 MiB batches of 170-byte records with four sets in
//! flight, then reads them back. Then the same again with keys, each about ten times, and compacts
//! that. Then the same as one set with a lease, while another writer commits small sets, against
//! writing it to a file and no more.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use towpath_log::{
    AppendSet, Cleanup, Durability, Log, LogConfig, LogError, ReadTo, Retention, TopicBatch,
    TopicConfig, Writer,
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
    let mut config = TopicConfig {
        partitions,
        format: "bytes".into(),
        cleanup: Cleanup::Delete,
        retention,
    };
    log.create_topic("bench", &config)?;
    config.cleanup = Cleanup::Compact;
    log.create_topic("rows", &config)?;
    drop(log.open_writer("bench.source", 0)?);
    println!(
        "first writer: {:.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    append(&log, "bench", bytes, partitions, |_| None)?;
    let begun = Instant::now();
    let mut records = 0;
    for partition in 0..partitions {
        let mut reader = log.reader("bench", partition, 0, ReadTo::Committed)?;
        while let Some(batches) = reader.next(1 << 20)? {
            records += batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
        }
    }
    report("read", begun, bytes, records);
    let keys = bytes / 200 / 10;
    append(&log, "rows", bytes, partitions, |n| {
        Some(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys)
    })?;
    let held = |log: &Log| {
        let partitions = log.topic("rows").map(|topic| topic.partitions);
        let partitions = partitions.unwrap_or_default();
        (
            partitions.iter().map(|held| held.bytes).sum::<u64>(),
            partitions.iter().map(|held| held.records).sum::<u64>(),
        )
    };
    let ((before, records), begun) = (held(&log), Instant::now());
    reset_peak();
    let compacted = log.run_compaction();
    report("compact", begun, before, records);
    if let Some(error) = compacted.failed.into_iter().next() {
        return Err(error);
    }
    println!(
        "compacted: {:.0} MB became {:.0} MB, {keys} keys, peak memory {}",
        before as f64 / 1e6,
        held(&log).0 as f64 / 1e6,
        peak()
    );
    lease(&log, bytes, partitions)?;
    log.close()
}

/// Writes `bytes` as one set, and as a plain file.
fn lease(log: &Log, bytes: u64, partitions: u32) -> Result<(), LogError> {
    let batch = sample(0, |_| None);
    let count = bytes / batch.as_bytes().len() as u64;
    let (begun, plain) = (Instant::now(), log.dir().join("plain"));
    let copied = copy(&plain, batch.as_bytes(), count);
    report("plain file", begun, bytes, count * batch.len() as u64);
    if copied.and_then(|()| std::fs::remove_file(&plain)).is_err() {
        println!("the plain file could not be written");
    }
    let writer = log.open_writer("bench.large", 0)?;
    let topic: Arc<str> = Arc::from("bench");
    let places = (0..partitions).map(|partition| (Arc::clone(&topic), partition));
    let places = places.collect();
    let (small, ended) = (log.open_writer("bench.small", 0)?, AtomicBool::new(false));
    reset_peak();
    let before = peak();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| beside(&small, &ended));
        let written = (|| {
            let mut lease = writer.lease(&places)?;
            for n in 0..count {
                lease.append(&TopicBatch {
                    topic: Arc::clone(&topic),
                    partition: (n % u64::from(partitions)) as u32,
                    batch: batch.clone(),
                })?;
            }
            lease.commit(vec![])
        })();
        report("lease", begun, bytes, count * batch.len() as u64);
        ended.store(true, Ordering::Relaxed);
        let mut waited = beside.join().unwrap_or_default();
        waited.sort();
        let at = |percent: usize| waited.get(waited.len() * percent / 100).copied();
        println!(
            "beside it {} small sets: half within {:?}, 99 % within {:?}; memory {before}, at most {}",
            waited.len(),
            at(50).unwrap_or_default(),
            at(99).unwrap_or_default(),
            peak()
        );
        written
    })
}

fn copy(path: &std::path::Path, batch: &[u8], count: u64) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    for _ in 0..count {
        file.write_all(batch)?;
    }
    file.sync_data()
}

/// How long each of some small sets took, one after the other.
fn beside(writer: &Writer, ended: &AtomicBool) -> Vec<Duration> {
    let mut waited = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let mut builder = BatchBuilder::default();
        let pushed = builder.push(0, None, Some(b"a small record"), &[]);
        let Some(batch) = builder.finish().filter(|_| pushed.is_ok()) else {
            return waited;
        };
        let batch = TopicBatch {
            topic: "rows".into(),
            partition: 0,
            batch,
        };
        let set = AppendSet {
            batches: vec![batch],
            ..AppendSet::default()
        };
        let (sent, answered) = sync_channel(1);
        let begun = Instant::now();
        writer.submit(set, Box::new(move |result| drop(sent.send(result))));
        if !matches!(answered.recv(), Ok(Ok(_))) {
            return waited;
        }
        waited.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(1));
    }
    waited
}

/// Appends `bytes` of records to a topic; `key` says the key of the record with a number.
fn append(
    log: &Log,
    topic: &str,
    bytes: u64,
    partitions: u32,
    key: impl Fn(u64) -> Option<u64>,
) -> Result<(), LogError> {
    let writer = log.open_writer("bench.source", 0)?;
    let mut batch = sample(0, &key);
    let each = batch.len() as u64;
    let keyed = key(0).is_some();
    let topic: Arc<str> = Arc::from(topic);
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
            if keyed {
                batch = sample(n * each, &key);
            }
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
    report("append", begun, bytes, count * each);
    Ok(())
}

/// The most memory that the process has held since [`reset_peak`], as the system says it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let peak = lines.find_map(|line| line.strip_prefix("VmHWM:"));
    peak.unwrap_or("unknown").trim().to_owned()
}

fn reset_peak() {
    // Without it the peak is that of the whole run.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
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

/// A batch of records from number `first` on.
fn sample(first: u64, key: impl Fn(u64) -> Option<u64>) -> Batch {
    let mut builder = BatchBuilder::with_capacity(1 << 20);
    let line = [b'x'; 170];
    while builder.size_bytes() < (1 << 20) - 256 {
        let key = key(first + builder.len() as u64).map(u64::to_le_bytes);
        let key = key.as_ref().map(<[u8; 8]>::as_slice);
        let pushed = builder.push(1_700_000_000_000, key, Some(&line), &[]);
        assert!(pushed.is_ok(), "a record of 170 bytes fits");
    }
    builder
        .finish()
        .unwrap_or_else(|| unreachable!("the loop pushes records"))
}
