//! Numbered lines that come while the worker is killed, and the object store killed and started
//! again, end up in one object each, in order, whatever rule closes objects; and no upload is left.
//!
//! A tenth of the kills of the other suites (200 of `run --full crash`), with 25,000 lines for each,
//! against each server there is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::io::Read;
use std::time::Duration;

use towpath_rig::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};

use super::kills;
use crate::harness::{Random, Workdir};

/// The sinks by name, which is also where their objects are, and what each has of its own.
const SINKS: [(&str, &str); 4] = [
    (
        "size",
        "path: 'size/{partition}-{start_offset:020}.log', rotate: { size: 256KiB }",
    ),
    (
        "records",
        "path: 'records/{partition}-{start_offset:020}.log.gz', rotate: { records: 7000 }, \
         compression: { type: gzip, level: 1 }, tasks: 2",
    ),
    (
        "time",
        "path: 'time/{partition}-{start_offset:020}.log.zst', rotate: { time: 150ms }, \
         compression: zstd",
    ),
    (
        "schedule",
        "path: 'schedule/{partition}-{start_offset:020}-{now:%S}.log', rotate: { schedule: 1s }",
    ),
];

/// Two of them share a partition.
const FILES: [&str; 3] = ["a", "b", "c"];
const LINES_PER_KILL: u64 = 25_000;

fn pipeline(endpoint: &str) -> String {
    let mut pipeline = "
        topics:
          lines: { partitions: 2 }
        sources:
          in: { type: file, include: 'in/*.log', topic: lines }
        sinks:
"
    .to_owned();
    for (name, own) in SINKS {
        let credentials = format!("{{ access_key: {ACCESS_KEY}, secret_key: {SECRET_KEY} }}");
        pipeline += &format!(
            "          {name}: {{ type: s3, topics: lines, bucket: {BUCKET}, endpoint: '{endpoint}', \
             credentials: {credentials}, timeout: 2s, retry: {{ first: 20ms, max: 100ms }}, {own} }}\n"
        );
    }
    pipeline
}

/// The line of that number in a file: a different length for each of some.
fn put_line(file: &str, number: u64, out: &mut String) {
    let padding = (number % 61) as usize;
    // Writing to a string does not fail.
    let _ = writeln!(out, "{file} {number} {:.<padding$}", "");
}

/// What is in the input: as many lines in each file, numbered from 0.
struct Input<'a> {
    workdir: &'a Workdir,
    lines: u64,
}

impl Input<'_> {
    fn grow(&mut self, lines: u64) {
        for file in FILES {
            let mut text = String::new();
            (self.lines..self.lines + lines).for_each(|number| put_line(file, number, &mut text));
            self.workdir.append(&format!("in/{file}.log"), text);
        }
        self.lines += lines;
    }

    /// The objects of `sink` hold each line once, those of a file in their order and in one partition.
    #[track_caller]
    fn check(&self, store: &Store, sink: &str) {
        let mut next: BTreeMap<&str, (u64, String)> = BTreeMap::new();
        let prefix = format!("{sink}/");
        let (mut line, mut partition, mut text) = (String::new(), String::new(), String::new());
        let keys = store.keys();
        for key in keys.iter().filter(|key| key.starts_with(&prefix)) {
            let (home, _) = key[prefix.len()..].split_once('-').expect("a partition");
            home.clone_into(&mut partition);
            text.clear();
            let content = store.get(key).expect("it was listed").bytes;
            plain(key, &content).read_to_string(&mut text).unwrap();
            for found in text.split_inclusive('\n') {
                let file = FILES.iter().find(|file| found.starts_with(**file));
                let file = file.unwrap_or_else(|| panic!("{key}: nobody wrote {found:?}"));
                let (number, home) = next.entry(*file).or_insert((0, partition.clone()));
                line.clear();
                put_line(file, *number, &mut line);
                assert_eq!(found, line, "{key}: line {number} of {file} was due");
                assert_eq!(*home, partition, "{key}: {file} is in two partitions");
                *number += 1;
            }
        }
        for file in FILES {
            let found = next.get(file).map_or(0, |(number, _)| *number);
            assert_eq!(found, self.lines, "{}: {sink}: lines of {file}", store.name);
        }
    }
}

/// The content of an object, not compressed any more.
fn plain<'a>(key: &str, content: &'a [u8]) -> Box<dyn Read + 'a> {
    match key.rsplit_once('.') {
        Some((_, "gz")) => Box::new(flate2::read::MultiGzDecoder::new(content)),
        Some((_, "zst")) => Box::new(zstd::Decoder::new(content).unwrap()),
        _ => Box::new(content),
    }
}

#[test]
fn every_line_is_in_one_object_over_kills_of_worker_and_store() {
    for mut store in Store::all() {
        let mut random = Random::new();
        let workdir = Workdir::new();
        workdir.write("pipeline.yaml", pipeline(&store.endpoint()));
        fs::create_dir(workdir.path("in")).unwrap();
        for file in FILES {
            File::create(workdir.path(&format!("in/{file}.log"))).unwrap();
        }
        let (workdir, lines) = (&workdir, 0);
        let mut input = Input { workdir, lines };
        let kills = (kills() / 10).max(1);
        let (mut alive, mut restarts) = (0, 0);
        for kill in 0..kills {
            let before = store.keys().len();
            let worker = workdir.start(&["pipeline.yaml"]);
            input.grow(LINES_PER_KILL.div_ceil(FILES.len() as u64));
            if random.chance(30) {
                std::thread::sleep(Duration::from_micros(random.between(1_000, 600_000)));
                store.stop();
                store.start();
                restarts += 1;
            }
            std::thread::sleep(Duration::from_micros(random.between(1_000, 1_500_000)));
            println!("kill {kill} of {}", worker.pid());
            worker.kill_9();
            alive += u64::from(store.keys().len() > before);
        }
        println!("{}: {restarts} restarts", store.name);
        workdir.drain("pipeline.yaml", 0);
        // Kills of a worker that does nothing would show nothing.
        assert!(
            alive * 2 >= kills,
            "only {alive} of {kills} kills met a pipeline at work"
        );
        assert_eq!(store.uploads(), 0, "uploads are left");
        SINKS.iter().for_each(|(sink, _)| input.check(&store, sink));
        let keys = store.keys();
        workdir.drain("pipeline.yaml", 0);
        assert_eq!(store.keys(), keys, "a second drain has nothing to do");
    }
}
