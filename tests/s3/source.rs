//! The source: objects that come while the worker is killed, and the store restarted, end up in the
//! log once each.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use towpath_rig::Store;
use towpath_sdk::config::OutputFormat;

use super::files::{avro, parquet, parts};
use super::workdir_with;
use crate::harness::{Random, read_lines};

const PIPELINE: &str = "
topics:
  lines: { partitions: 3 }
sources:
  archive:
    type: s3
    bucket: ${env:S3_BUCKET}
    endpoint: ${env:S3_ENDPOINT}
    prefix: in/
    format: FORMAT
    topic: lines
    tasks: 2
    after: AFTER
    poll_interval: 50ms
    timeout: 2s
sinks:
  out: { type: file, topics: lines, path: 'out/{partition}.log' }
";

fn kills() -> u64 {
    let kills = std::env::var("TOWPATH_KILLS").ok();
    let kills = kills.map(|kills| kills.parse().expect("TOWPATH_KILLS must be a number"));
    // Each costs a restart of the worker, and some a restart of the server.
    kills.unwrap_or(200) / 20
}

/// Puts an object of numbered lines at a key that may sort anywhere, plain or compressed; or a file
/// of `format` with several blocks of them.
fn put(
    store: &Store,
    random: &mut Random,
    format: Option<OutputFormat>,
    number: usize,
) -> (String, Vec<String>) {
    let lines = random.between(1, 20_000);
    let line = |line| format!("object {number} line {line} {}", "x".repeat(line % 200));
    let lines: Vec<String> = (0..lines as usize).map(line).collect();
    let name = format!("object {number} ");
    if let Some(format) = format {
        let values: Vec<_> = lines
            .iter()
            .map(|line| format!("{{\"text\":\"{line}\"}}"))
            .collect();
        let blocks = random.between(1, 3) as usize;
        let content: Vec<Vec<u8>> = parts(Some(format), &values, blocks).collect();
        let key = format!("in/{:04}/{number}", random.between(0, 9999));
        store.put(&key, content.concat());
        return (name, vec![lines; blocks].concat());
    }
    let content = lines.join("\n").into_bytes();
    let (content, ending) = match random.between(0, 2) {
        0 => (content, ""),
        1 => {
            let level = flate2::Compression::fast();
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
            gzip.write_all(&content).unwrap();
            (gzip.finish().unwrap(), ".gz")
        }
        _ => (zstd::encode_all(&content[..], 1).unwrap(), ".zst"),
    };
    let key = format!("in/{:04}/{number}{ending}", random.between(0, 9999));
    store.put(&key, content);
    (name, lines)
}

fn survives(after: &str, word: &str, format: Option<&OutputFormat>) {
    let mut random = Random::new();
    for mut store in Store::all() {
        let workdir = workdir_with(&store.endpoint());
        workdir.write(
            "in.yaml",
            PIPELINE.replace("AFTER", after).replace("FORMAT", word),
        );
        let mut expected = BTreeMap::new();
        for round in 0..kills() {
            let worker = workdir.start(&["in.yaml"]);
            for _ in 0..random.between(0, 3) {
                let (object, lines) = put(&store, &mut random, format.cloned(), expected.len());
                expected.insert(object, lines);
            }
            // The random moment is what is tested.
            std::thread::sleep(Duration::from_millis(random.between(20, 600)));
            if round % 5 == 4 {
                store.stop();
                std::thread::sleep(Duration::from_millis(random.between(0, 300)));
                store.start();
            }
            worker.kill_9();
        }
        workdir.drain("in.yaml", 0);
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, lines) in read_lines(&workdir.path("out")) {
            for line in lines {
                let mut line = String::from_utf8(line).unwrap();
                if format.is_some() {
                    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
                    line = value["text"].as_str().expect("a text").to_owned();
                }
                let (object, _) = line.split_once("line").expect("a line of ours");
                found.entry(object.to_owned()).or_default().push(line);
            }
        }
        for (object, lines) in &expected {
            let found = found.get(object).map_or(&[][..], |lines| lines);
            assert!(
                found == lines,
                "{}: {object}: {} of {}",
                store.name,
                found.len(),
                lines.len()
            );
        }
        assert_eq!(found.len(), expected.len());
        if after == "delete" {
            assert_eq!(store.keys(), [""; 0]);
        }
    }
}

#[test]
fn killed_while_objects_come() {
    survives("keep", "text", None);
}

#[test]
fn killed_while_objects_come_and_go() {
    survives("delete", "text", None);
}

#[test]
fn killed_while_avro_is_read() {
    survives("keep", "avro", Some(&avro()));
}

#[test]
fn killed_while_parquet_is_read() {
    survives("keep", "parquet", Some(&parquet()));
}
