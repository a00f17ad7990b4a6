//! kill -9 at random moments of a running file -> log -> file pipeline, while threads append to
//! and rotate its input. In the end every line must be in the output exactly once, in order, byte
//! for byte. The oracle is what the threads remember to have written; nothing that the program
//! says about itself is believed.
//!
//! 200 kills, over six shapes of pipeline; `TOWPATH_KILLS=N` sets how many. `dead_letters.rs` does
//! the same to pipelines with bad records, `retry.rs` to those that try these again, `dedupe.rs` to
//! those that remember, `objects.rs` to those into object storage.

mod dead_letters;
mod dedupe;
mod objects;
mod retry;
mod schemas;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Appender, Random, Workdir, read_lines, wait_for};

const SHAPES: u64 = 6;

fn kills() -> u64 {
    let kills = std::env::var("TOWPATH_KILLS").ok();
    kills.map_or(200, |kills| {
        kills.parse().expect("TOWPATH_KILLS must be a number")
    })
}

fn kills_per_shape() -> u64 {
    kills() / SHAPES
}

/// A pipeline that is killed again and again.
struct Shape {
    pipeline: &'static str,
    streams: &'static [&'static str],
    /// Whether the output wants lines that are UTF-8.
    plain: bool,
    /// Output directories, each with how a line of the input is found in a line there.
    outputs: &'static [(&'static str, LineOf)],
}

/// The line of the input that is in a line of the output.
type LineOf = fn(&[u8]) -> Vec<u8>;

fn as_it_is(line: &[u8]) -> Vec<u8> {
    line.to_vec()
}

fn json_string(line: &[u8]) -> Vec<u8> {
    let text: String = serde_json::from_slice(line).expect("a JSON string");
    text.into_bytes()
}

fn json_value_field(line: &[u8]) -> Vec<u8> {
    let object: serde_json::Value = serde_json::from_slice(line).expect("a JSON object");
    object["value"]
        .as_str()
        .expect("a string")
        .as_bytes()
        .to_vec()
}

#[test]
fn one_partition_one_file() {
    survives(&Shape {
        pipeline: "
            sources:
              in: { type: file, include: 'in/*.log*', topic: lines }
            sinks:
              out: { type: file, topics: lines, path: out/plain/all.log }
            ",
        streams: &["a"],
        plain: false,
        outputs: &[("out/plain", as_it_is)],
    });
}

#[test]
fn four_partitions_an_output_for_each() {
    survives(&Shape {
        pipeline: "
            topics:
              lines: { partitions: 4 }
            sources:
              in: { type: file, include: 'in/*.log*', topic: lines, tasks: 2 }
            sinks:
              out: { type: file, topics: lines, path: 'out/parts/{partition}.log', tasks: 2 }
            ",
        streams: &["a", "b", "c"],
        plain: false,
        outputs: &[("out/parts", as_it_is)],
    });
}

#[test]
fn compressed_outputs() {
    survives(&Shape {
        pipeline: "
            topics:
              lines: { partitions: 2 }
            sources:
              in: { type: file, include: 'in/*.log*', topic: lines }
            sinks:
              gzip:
                type: file
                topics: lines
                path: 'out/gzip/{partition}.log.gz'
                compression: gzip
              zstd:
                type: file
                topics: lines
                path: 'out/zstd/{partition}.log.zst'
                compression: zstd
            ",
        streams: &["a", "b"],
        plain: false,
        outputs: &[("out/gzip", as_it_is), ("out/zstd", as_it_is)],
    });
}

#[test]
fn json_outputs() {
    survives(&Shape {
        pipeline: "
            sources:
              in: { type: file, include: 'in/*.log*', topic: lines }
            sinks:
              bare: { type: file, topics: lines, path: out/bare/all.jsonl, format: json }
              rich:
                type: file
                topics: lines
                path: 'out/rich/{partition}.jsonl'
                format: json
                fields: [offset, partition, value]
            ",
        streams: &["a", "b"],
        plain: true,
        outputs: &[("out/bare", json_string), ("out/rich", json_value_field)],
    });
}

#[test]
fn rotated_outputs() {
    survives(&Shape {
        pipeline: "
            topics:
              lines: { partitions: 2 }
            sources:
              in: { type: file, include: 'in/*.log*', topic: lines }
            sinks:
              plain:
                type: file
                topics: lines
                path: 'out/plain/{partition}-{start_offset:020}.log'
                rotate: { size: 256KiB }
              gzip:
                type: file
                topics: lines
                path: 'out/gzip/{partition}-{start_offset:020}.log.gz'
                compression: gzip
                rotate: { size: 128KiB, time: 1s }
            ",
        streams: &["a", "b"],
        plain: false,
        outputs: &[("out/plain", as_it_is), ("out/gzip", as_it_is)],
    });
}

/// Each line goes through the log twice: as it is, and as a stream makes it JSON.
#[test]
fn a_stream_between_topics() {
    survives(&Shape {
        pipeline: "
            topics:
              raw: { partitions: 2 }
              parsed: { partitions: 2 }
            sources:
              in: { type: file, include: 'in/*.log*', topic: raw }
            streams:
              parse:
                topics: raw
                topic: parsed
                tasks: 2
                transforms: { type: hoist_field, field: value }
            sinks:
              out: { type: file, topics: parsed, path: 'out/json/{partition}.jsonl' }
              raw: { type: file, topics: raw, path: 'out/plain/{partition}.log' }
            ",
        streams: &["a", "b"],
        plain: true,
        outputs: &[("out/json", json_value_field), ("out/plain", as_it_is)],
    });
}

/// The whole story of one shape.
fn survives(shape: &Shape) {
    let mut random = Random::new();
    let workdir = Workdir::new();
    workdir.write("pipeline.yaml", shape.pipeline);
    let appender = Appender::start(workdir.path("in"), shape.streams, shape.plain, &mut random);
    let mut alive = 0;
    let kills = kills_per_shape();
    for kill in 0..kills {
        let before = output_bytes(&workdir.path("out"));
        let worker = workdir.start(&["pipeline.yaml"]);
        std::thread::sleep(Duration::from_micros(random.between(1_000, 500_000)));
        println!("kill {kill} of {}", worker.pid());
        worker.kill_9();
        alive += u64::from(output_bytes(&workdir.path("out")) > before);
    }
    let written = appender.finish();
    workdir.drain("pipeline.yaml", 0);
    // Kills of a worker that does nothing would show nothing.
    assert!(
        alive * 3 >= kills,
        "only {alive} of {kills} kills met a pipeline at work"
    );
    for (directory, line_of) in shape.outputs {
        compare(&written, &workdir.path(directory), *line_of);
    }
    let outputs = output_bytes(&workdir.path("out"));
    workdir.drain("pipeline.yaml", 0);
    assert_eq!(
        output_bytes(&workdir.path("out")),
        outputs,
        "a second drain has nothing to do"
    );
}

fn output_bytes(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let kind = entry.metadata().unwrap();
            if kind.is_dir() {
                output_bytes(&entry.path())
            } else {
                kind.len()
            }
        })
        .sum()
}

/// Every line of every written file must be in `directory` exactly once, the lines of one file in
/// their order and in one partition.
#[track_caller]
fn compare(written: &BTreeMap<String, Vec<u8>>, directory: &Path, line_of: LineOf) {
    let mut found: BTreeMap<String, (String, Vec<Vec<u8>>)> = BTreeMap::new();
    for (file, lines) in read_lines(directory) {
        let partition = file
            .split(['-', '.'])
            .next()
            .expect("split gives one")
            .to_owned();
        for line in lines {
            let line = line_of(&line);
            let label = line
                .split(|&byte| byte == b' ')
                .next()
                .expect("split gives one");
            let label = String::from_utf8_lossy(label).into_owned();
            let (home, lines) = found
                .entry(label)
                .or_insert((partition.clone(), Vec::new()));
            assert_eq!(*home, partition, "one input file in two partitions");
            lines.push(line);
        }
    }
    let directory = directory.display();
    for (label, content) in written {
        let whole = content.strip_suffix(b"\n").unwrap_or(content);
        let expected: Vec<_> = whole.split(|&byte| byte == b'\n').collect();
        let (_, lines) = found.remove(label).unwrap_or_default();
        let first_difference = (0..expected.len().max(lines.len()))
            .find(|&at| expected.get(at).copied() != lines.get(at).map(Vec::as_slice));
        if let Some(at) = first_difference {
            let shown = |line: Option<&[u8]>| {
                line.map_or("nothing".to_owned(), |line| line.escape_ascii().to_string())
            };
            panic!(
                "{directory}, input {label}: {} lines instead of {}; line {at} is\n  {}\nnot\n  {}",
                lines.len(),
                expected.len(),
                shown(lines.get(at).map(Vec::as_slice)),
                shown(expected.get(at).copied()),
            );
        }
    }
    assert!(
        found.is_empty(),
        "{directory}: lines nobody wrote: {:?}",
        found.keys()
    );
}

/// Without its data directory the program cannot know which records an output file holds: it must
/// touch no such file, and say what to do. What it says is then done.
#[test]
fn a_lost_data_directory_never_costs_an_output_file() {
    let mut random = Random::new();
    let workdir = Workdir::new();
    workdir.write(
        "pipeline.yaml",
        "
        sources:
          in: { type: file, include: 'in/*.log*', topic: lines }
        sinks:
          out: { type: file, topics: lines, path: out/all.log }
        ",
    );
    let appender = Appender::start(workdir.path("in"), &["a"], false, &mut random);
    for _ in 0..4 {
        let worker = workdir.start(&["pipeline.yaml"]);
        wait_for("some output", || {
            (output_bytes(&workdir.path("out")) > 0).then_some(())
        });
        std::thread::sleep(Duration::from_micros(random.between(1_000, 300_000)));
        worker.kill_9();
    }
    fs::remove_dir_all(workdir.path("towpath-data")).unwrap();
    let before = workdir.read("out/all.log");

    // A worker that is not told to drain goes on with what it can, and says so.
    let mut worker = workdir.start(&["pipeline.yaml"]);
    worker.wait_for_stderr("out/all.log");
    let sink = wait_for("the sink's failure", || {
        let status = workdir.json(&["status"]);
        let connectors = status["connectors"].as_array().expect("a list").clone();
        connectors
            .into_iter()
            .find(|one| one["name"] == "pipeline.out" && one["state"] == "failed")
    });
    let reason = sink["reason"].as_str().expect("a failure has a reason");
    assert!(reason.contains("out/all.log"), "{reason}");
    assert!(
        reason.contains("if_exists: append"),
        "no remedy in: {reason}"
    );
    worker.stop();
    assert!(
        workdir.read("out/all.log") == before,
        "the unknown file was changed"
    );

    let written = appender.finish();
    let finished = workdir
        .drain("pipeline.yaml", 1)
        .expect_stderr(&["out/all.log"]);
    assert!(
        finished.stderr.contains("if_exists: append"),
        "no remedy in: {}",
        finished.stderr
    );
    assert!(
        workdir.read("out/all.log") == before,
        "the unknown file was changed"
    );

    // The remedy: move it away. The log and the input still hold everything.
    fs::rename(workdir.path("out/all.log"), workdir.path("moved.log")).unwrap();
    workdir.drain("pipeline.yaml", 0);
    compare(&written, &workdir.path("out"), as_it_is);
}
