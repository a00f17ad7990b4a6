//! kill -9 while sources register schemas: two sources write to one topic, and the files they read
//! gain a column again and again, so that both bring the same versions at about the same time. In
//! the end every row is there once, and refers to the schema that has its columns.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::kills_per_shape;
use crate::harness::{Random, Workdir};

const PIPELINE: &str = "
sources:
  a:
    type: file
    include: a/*.csv
    topic: rows
    format: { type: csv, columns: { n: int }, empty_is_null: true }
  b:
    type: file
    include: b/*.csv
    topic: rows
    format: { type: csv, columns: { n: int }, empty_is_null: true }
";

#[test]
fn no_record_is_without_its_schema() {
    let mut random = Random::new();
    let workdir = Workdir::new();
    workdir.write("pipeline.yaml", PIPELINE);
    let writer = Writer::start(workdir.root(), random.fork());
    for kill in 0..kills_per_shape() {
        let worker = workdir.start(&["pipeline.yaml"]);
        std::thread::sleep(Duration::from_micros(random.between(1_000, 400_000)));
        println!("kill {kill} of {}", worker.pid());
        worker.kill_9();
    }
    let files = writer.finish();
    workdir.drain("pipeline.yaml", 0);

    let mut columns = BTreeMap::new();
    let list = workdir.json(&["schemas", "list"]);
    for version in list[0]["versions"].as_array().expect("versions") {
        let id = version["id"].as_str().expect("an id").to_owned();
        let known = columns.insert(id, version["fields"].as_array().expect("fields").len());
        assert_eq!(known, None, "a schema is a version once");
    }
    let tail = workdir.towpath(&["--json", "tail", "rows", "--from", "earliest"]);
    let mut rows: BTreeMap<u64, u64> = BTreeMap::new();
    let mut used = BTreeMap::new();
    for line in tail.expect_code(0).stdout.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let id = record["headers"][0][1].as_str().expect("an id").to_owned();
        let row: Value = serde_json::from_str(record["value"].as_str().expect("text")).unwrap();
        let row = row.as_object().expect("an object");
        assert_eq!(columns.get(&id), Some(&row.len()), "{record}");
        used.insert(id, row.len());
        *rows
            .entry(row["n"].as_u64().expect("a number"))
            .or_default() += 1;
    }
    assert_eq!(used, columns, "no version is there for nothing");
    assert_eq!(columns.len() as u64, files, "one for each file of a source");
    assert!(
        rows.values().all(|times| *times == 2),
        "once from each source"
    );
    assert_eq!(rows.len() as u64, files * 10);
}

/// Puts a file with one more column into both folders, until it is told to finish.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Writer {
    fn start(root: PathBuf, mut random: Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        fs::create_dir_all(root.join("a")).unwrap();
        fs::create_dir_all(root.join("b")).unwrap();
        let thread = std::thread::spawn(move || {
            let mut files = 0;
            while !told.load(Ordering::Relaxed) && files < 200 {
                let columns: String = (0..files).map(|column| format!(",c{column}")).collect();
                let values = ",x".repeat(files as usize);
                let rows = (0..10).map(|row| format!("{}{values}\n", files * 10 + row));
                let text = format!("n{columns}\n{}", rows.collect::<String>());
                for folder in ["a", "b"] {
                    let name = format!("{files}.csv");
                    fs::write(root.join(&name), &text).unwrap();
                    fs::rename(root.join(&name), root.join(folder).join(&name)).unwrap();
                }
                files += 1;
                std::thread::sleep(Duration::from_micros(random.between(1_000, 60_000)));
            }
            files
        });
        Self { stop, thread }
    }

    fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
