//! The examples that use object storage, as their user runs them: what they write is read by other
//! programs, read back into a topic, and compacted.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use towpath_rig::Store;

use super::workdir_with;
use crate::harness::{Workdir, read_lines, skip, wait_for};

/// A workdir that looks like the repository's root to these examples.
fn examples(store: &Store) -> Workdir {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workdir = workdir_with(&store.endpoint());
    for name in [
        "pipelines/archive.yaml",
        "pipelines/replay.yaml",
        "pipelines/compact.yaml",
        "pipelines/quickstart/access.log",
    ] {
        workdir.write(name, std::fs::read(repository.join(name)).unwrap());
    }
    workdir
}

/// The lines of the objects below `prefix`, which are gzip.
fn archived_lines(store: &Store, prefix: &str) -> Vec<String> {
    let keys = store.keys().into_iter();
    let mut text = String::new();
    for key in keys.filter(|key| key.starts_with(prefix)) {
        let content = store.get(&key).expect("it was listed");
        assert!(store.name != "MinIO" || content.content_type == "application/gzip");
        let mut plain = flate2::read::MultiGzDecoder::new(&content.bytes[..]);
        plain.read_to_string(&mut text).unwrap();
    }
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_archive_is_read_by_others_and_replayed() {
    for store in Store::all() {
        let workdir = examples(&store);
        workdir.drain("pipelines/archive.yaml", 0);
        let lines = archived_lines(&store, "nginx/");
        let letters = workdir.json(&["dlq", "list"])[0]["letters"].as_u64();
        let letters = letters.expect("a number") as usize;
        assert_eq!(lines.len() + letters, 3_000, "lines of the log");
        assert_eq!(store.uploads(), 0);

        let parquet = |key: &String| key.starts_with("requests/");
        let keys: Vec<_> = store.keys().into_iter().filter(parquet).collect();
        let folders = keys
            .iter()
            .map(|key| key.rsplit_once('/').expect("a folder").0);
        let folders: BTreeSet<_> = folders.collect();
        assert!(folders.len() > 1, "{keys:?}");
        for key in &keys {
            workdir.write(key, store.get(key).expect("it was listed").bytes);
        }
        read_with_others(&workdir.root(), lines.len(), folders.len());

        workdir.drain("pipelines/replay.yaml", 0);
        let failed = |line: &String| {
            let request: serde_json::Value = serde_json::from_str(line).unwrap();
            request["status"].as_u64().expect("a number") >= 250
        };
        let mut failed: Vec<_> = lines
            .into_iter()
            .filter(failed)
            .map(String::into_bytes)
            .collect();
        let replayed = read_lines(&workdir.path("out/replay")).into_iter();
        let mut replayed: Vec<_> = replayed.flat_map(|(_, lines)| lines).collect();
        failed.sort();
        replayed.sort();
        assert!(!failed.is_empty());
        assert!(replayed == failed, "{} of {}", replayed.len(), failed.len());
    }
}

/// The Parquet files below `root` as other programs read them.
fn read_with_others(root: &Path, lines: usize, folders: usize) {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let pyarrow = "import pyarrow.dataset as d\n\
        rows = d.dataset('requests', partitioning='hive').to_table()\n\
        print(rows.schema.field('time').type, rows.schema.field('status').type)\n\
        print(rows.num_rows, len(set(zip(rows['dt'].to_pylist(), rows['hr'].to_pylist()))))";
    let duckdb = "import duckdb\n\
        rows = \"read_parquet('requests/**/*.parquet', hive_partitioning = true)\"\n\
        print(*duckdb.sql(f'SELECT typeof(any_value(time)), typeof(any_value(status)) FROM {rows}').fetchall()[0])\n\
        print(*duckdb.sql(f'SELECT count(*), count(DISTINCT (dt, hr)) FROM {rows}').fetchall()[0])";
    for (module, program, types) in [
        ("pyarrow", pyarrow, "timestamp[us, tz=UTC] int64"),
        ("duckdb", duckdb, "TIMESTAMP WITH TIME ZONE BIGINT"),
    ] {
        let run = |program: &str| {
            let mut command = Command::new(&python);
            command.args(["-c", program]).current_dir(root).output()
        };
        if !run(&format!("import {module}")).is_ok_and(|ran| ran.status.success()) {
            let why = format!("{module} is not installed");
            skip(
                "s3::pipelines::the_archive_is_read_by_others_and_replayed",
                &why,
            );
            continue;
        }
        let output = run(program).unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        let expected = format!("{types}\n{lines} {folders}\n");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(found, expected, "{module}: {said}");
    }
}

const SMALL_OBJECTS: usize = 300;
const HOURS: [&str; 3] = ["05", "06", "07"];

/// Kills while small objects are read and large ones written; then the run that ends.
#[test]
fn small_objects_become_large_ones_over_kills() {
    for store in Store::all() {
        let workdir = examples(&store);
        let mut expected = Vec::new();
        for number in 0..SMALL_OBJECTS {
            let hour = HOURS[number % HOURS.len()];
            let mut small = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            for line in 0..10 {
                let line =
                    format!("{{\"time\":\"2026-02-14T{hour}:00:00Z\",\"n\":\"{number}-{line}\"}}");
                writeln!(small, "{line}").unwrap();
                expected.push(line);
            }
            let key = format!("nginx/dt=2026-02-14/hr={hour}/{number:020}.json.gz");
            store.put(&key, small.finish().unwrap());
        }
        let small = || {
            store
                .keys()
                .iter()
                .filter(|key| key.starts_with("nginx/"))
                .count()
        };
        for _ in 0..3 {
            let before = small();
            let worker = workdir.start(&["pipelines/compact.yaml"]);
            wait_for("small objects that are gone", || {
                (small() < before || before == 0).then_some(())
            });
            worker.kill_9();
        }
        workdir.drain("pipelines/compact.yaml", 0);
        assert_eq!(small(), 0);
        assert_eq!(store.uploads(), 0);
        assert_eq!(store.keys().len(), HOURS.len(), "{:?}", store.keys());
        let mut found = archived_lines(&store, "compacted/");
        found.sort();
        expected.sort();
        assert!(found == expected, "{} of {}", found.len(), expected.len());
    }
}
