//! What the log does alone: batches of about 1 MiB, appended and synced, and read again.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use towpath_log::{
    AppendSet, Cleanup, Committed, Log, LogConfig, LogError, ReadTo, Retention, TopicBatch,
    TopicConfig, Writer,
};
use towpath_record::{Batch, BatchBuilder};

use super::super::failure::Failure;
use super::lines::Input;
use super::{Figure, cannot};

const TOPIC: &str = "bench";
const BATCH_BYTES: usize = 1 << 20;
/// Sets on their way at once, as a source task has them.
const IN_FLIGHT: usize = 4;

type Outcome = Receiver<Result<Committed, LogError>>;

/// Appends the input's lines to a new log in `dir`, then reads them.
pub fn append_and_read(dir: &Path, input: &Input) -> Result<[Figure; 2], Failure> {
    let failed = |error: LogError| Failure::log(dir, &error);
    let (log, _) = Log::open_disk(dir, LogConfig::default()).map_err(failed)?;
    let config = TopicConfig {
        partitions: 1,
        format: "text".to_owned(),
        cleanup: Cleanup::Delete,
        retention: Retention::default(),
    };
    log.create_topic(TOPIC, &config).map_err(failed)?;
    let started = Instant::now();
    append(&log, input)?;
    let appended = started.elapsed();
    let started = Instant::now();
    let mut reader = log.reader(TOPIC, 0, 0, ReadTo::Durable).map_err(failed)?;
    let mut records = 0;
    while let Some(batches) = reader.next(BATCH_BYTES).map_err(failed)? {
        for record in batches.iter().flat_map(Batch::records) {
            records += u64::from(record.is_ok());
        }
    }
    let read = started.elapsed();
    log.close().map_err(failed)?;
    if records != input.records {
        let message = format!("the log gave {records} records of {}", input.records);
        return Err(Failure::failed(message));
    }
    std::fs::remove_dir_all(dir).map_err(|error| cannot("remove", dir, &error))?;
    Ok([
        Figure::new(
            "log: lines to batches, append, fdatasync",
            appended,
            input.bytes,
            records,
        ),
        Figure::new("log: read, check, every record", read, input.bytes, records),
    ])
}

fn append(log: &Log, input: &Input) -> Result<(), Failure> {
    let failed = |error: LogError| Failure::failed(error.to_string());
    let writer = log.open_writer("bench.source", 0).map_err(failed)?;
    let mut waiting: std::collections::VecDeque<Outcome> = std::collections::VecDeque::new();
    let mut builder = BatchBuilder::with_capacity(BATCH_BYTES);
    for path in &input.files {
        let cannot_read = |error: std::io::Error| cannot("read", path, &error);
        let mut lines =
            BufReader::with_capacity(BATCH_BYTES, File::open(path).map_err(cannot_read)?);
        let mut line = Vec::new();
        loop {
            line.clear();
            let end = lines.read_until(b'\n', &mut line).map_err(cannot_read)? == 0;
            if !end {
                let value = line.strip_suffix(b"\n").unwrap_or(&line);
                builder
                    .push(0, None, Some(value), &[])
                    .map_err(|error| Failure::failed(error.to_string()))?;
            }
            if end || builder.size_bytes() >= BATCH_BYTES - 1024 {
                waiting.extend(builder.finish().map(|batch| submit(&writer, batch)));
            }
            let most = if end { 0 } else { IN_FLIGHT };
            while waiting.len() > most
                && let Some(outcome) = waiting.pop_front()
            {
                let ended = |_| Failure::failed("the log ended in the midst");
                outcome.recv().map_err(ended)?.map_err(failed)?;
            }
            if end {
                break;
            }
        }
    }
    Ok(())
}

fn submit(writer: &Writer, batch: Batch) -> Outcome {
    let (tell, outcome) = sync_channel(1);
    let batches = vec![TopicBatch {
        topic: TOPIC.into(),
        partition: 0,
        batch,
    }];
    // The receiver is only dropped after a failure, which is told then.
    let done = Box::new(move |result| drop(tell.send(result)));
    writer.submit(
        AppendSet {
            batches,
            ..AppendSet::default()
        },
        done,
    );
    outcome
}
