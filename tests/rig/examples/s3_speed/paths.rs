//! Records to 2,000 paths in turn: memory, and whether an object is smaller than the rule says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::input::{Input, Random};
use crate::server::Server;
use crate::worker::Worker;

const PATHS: u64 = 2_000;
/// When an object is full, as stored.
const SIZE: u64 = 64 << 10;
const PATH: &str = "sites/{value.site}/{start_offset:020}";
const OPTIONS: &str =
    "format: json, compression: { type: gzip, level: 1 }, rotate: { size: 64KiB }";

pub fn measure(dir: &Path, server: &Server, records: u64) {
    let dir = dir.join("paths");
    std::fs::create_dir(&dir).unwrap();
    let input = write(&dir, records);
    let worker = Worker::new(&dir, server);
    worker.load("sites", "json", &input);
    let run = worker.sink("sites", PATH, OPTIONS);
    let mut sizes: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    // In the order of their keys, and so of their records.
    for (key, size) in server.objects() {
        let (path, _) = key.rsplit_once('/').unwrap();
        sizes.entry(path.to_owned()).or_default().push(size);
    }
    let full = sizes.values().flat_map(|sizes| &sizes[..sizes.len() - 1]);
    let small = full.filter(|size| **size < SIZE).count();
    println!(
        "{:38} {:5.0} MB/s {:5.0} MiB   {records} records, {} paths, {} objects, {small} of them smaller \
         than {SIZE} bytes that are not the last of their path (goal 256 MiB, 0)",
        "topic -> 2,000 paths, gzip 1",
        input.bytes as f64 / 1e6 / run.seconds,
        run.memory as f64 / f64::from(1 << 20),
        sizes.len(),
        sizes.values().map(Vec::len).sum::<usize>(),
    );
}

fn write(dir: &Path, records: u64) -> Input {
    let path = dir.join("sites.log");
    let mut file = BufWriter::with_capacity(1 << 20, File::create_new(&path).unwrap());
    let mut random = Random::default();
    for number in 0..records {
        let (site, id) = (random.next() % PATHS, random.next());
        writeln!(
            file,
            r#"{{"site":"s{site:04}","number":{number},"id":"{id:016x}","status":200}}"#
        )
        .unwrap();
    }
    file.into_inner().unwrap();
    let bytes = path.metadata().unwrap().len();
    Input {
        path,
        bytes,
        records,
    }
}
