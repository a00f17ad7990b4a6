//! kill -9 while dead letters are retried: of the worker that delivers them, and of a command that
//! retries them without one. In the end every line must be in the output once or be a dead letter
//! once: half of them are refused again, and so again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kills_per_shape;
use crate::harness::{Random, Workdir, Worker, read_lines, wait_for};

const LINES: u64 = 4_000;

/// What refuses all lines at first, and the odd ones once it is mended.
const BROKEN: &str = "parse_json";
const MENDED: &str = "{ type: parse_regex, pattern: '^line (?<n>[0-9]*[02468])$' }";

#[test]
fn of_a_source() {
    check(
        "
        topics: { t: { format: json } }
        sources:
          in:
            type: file
            include: in/*.log
            topic: t
            transforms: [TRANSFORM]
            on_error: { action: dead_letter, topic: bad }
        sinks:
          out: { type: file, topics: t, path: out/all.jsonl }
        ",
    );
}

#[test]
fn of_a_stream() {
    check(
        "
        sources:
          in: { type: file, include: in/*.log, topic: lines }
        streams:
          s:
            topics: lines
            topic: t
            transforms: [TRANSFORM]
            on_error: { action: dead_letter, topic: bad }
        sinks:
          out: { type: file, topics: t, path: out/all.jsonl }
        ",
    );
}

#[test]
fn of_a_sink() {
    check(
        "
        topics: { lines: { partitions: 6 } }
        sources:
          in: { type: file, include: in/*.log, topic: lines, partition_by: round_robin }
        sinks:
          out:
            type: file
            topics: lines
            tasks: 2
            path: 'out/{partition}.jsonl'
            transforms: [TRANSFORM]
            on_error: { action: dead_letter, topic: bad }
        ",
    );
}

fn check(pipeline: &str) {
    let mut random = Random::new();
    let workdir = Workdir::new();
    let lines = (0..LINES).map(|number| format!("line {number}\n"));
    workdir.write("in/a.log", lines.collect::<String>());
    workdir.write("pipeline.yaml", pipeline.replace("TRANSFORM", BROKEN));
    workdir.drain("pipeline.yaml", 0);
    assert_eq!(letters(&workdir).len() as u64, LINES, "all are refused");
    workdir.write("pipeline.yaml", pipeline.replace("TRANSFORM", MENDED));
    for kill in 0..kills_per_shape() {
        let worker = random.chance(70).then(|| workdir.start(&["pipeline.yaml"]));
        if let Some(worker) = &worker {
            // Otherwise most are killed before they have done anything.
            wait_for("a worker", || {
                worker.stderr().contains("admin port").then_some(())
            });
        }
        let rate = random.between(1_000, 40_000).to_string();
        let command = workdir.command(&["dlq", "retry", "bad", "--rate", &rate]);
        let mut retry = Worker::start(command, workdir.root());
        std::thread::sleep(Duration::from_micros(random.between(1_000, 300_000)));
        println!("kill {kill}, with a worker: {}", worker.is_some());
        match worker {
            // The command ends with an error, or was through before.
            Some(worker) => {
                worker.kill_9();
                retry.wait();
            }
            None if retry.exited().is_some() => {}
            None => retry.signal(rustix::process::Signal::KILL),
        }
    }
    workdir.drain("pipeline.yaml", 0);
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for (_, lines) in read_lines(&workdir.path("out")) {
        for line in lines {
            let value: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
            let number = value["n"].as_str().expect("a number");
            *found.entry(format!("line {number}")).or_default() += 1;
        }
    }
    let delivered = found.len();
    for line in letters(&workdir) {
        *found.entry(line).or_default() += 1;
    }
    let expected = (0..LINES).map(|number| format!("line {number}"));
    let wrong: Vec<_> = expected
        .map(|line| (found.get(&line).copied().unwrap_or(0), line))
        .filter(|(count, _)| *count != 1)
        .collect();
    assert_eq!(wrong, [], "lost or doubled, of {delivered} delivered ones");
    // Retries that never came to anything would show nothing.
    assert!(delivered > 0, "nothing was ever delivered");
    let topic = workdir.json(&["topics", "describe", "bad"]);
    let refused = topic["records"].as_u64().expect("a count");
    assert!(refused > 2 * LINES, "only {refused} refusals");
}

/// The values of all dead letters.
fn letters(workdir: &Workdir) -> Vec<String> {
    let limit = (10 * LINES).to_string();
    let shown = workdir.towpath(&["--json", "dlq", "show", "bad", "--limit", &limit]);
    let lines = shown.expect_code(0).stdout;
    let value = |line: &str| {
        let letter: serde_json::Value = serde_json::from_str(line).expect("JSON");
        letter["value"].as_str().expect("text").to_owned()
    };
    lines.lines().map(value).collect()
}
