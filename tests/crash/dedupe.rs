//! kill -9 while `dedupe` drops what was there before: whatever its window reaches must be in the
//! output once. The window is small, so that it moves on all the time.

use std::time::Duration;

use super::{kills_per_shape, output_bytes};
use crate::harness::{Random, Trickle, Workdir, read_lines};

/// What comes again was among so many new ones before; `window` is a little more.
const REACH: u64 = 900;

/// What a source drops goes with its position.
#[test]
fn in_a_source() {
    check(
        "
        sources:
          in:
            type: file
            include: in/*.log
            topic: lines
            format: json
            transforms: [{ type: dedupe, by: value.id, window: 1000 }]
        sinks:
          out: { type: file, topics: lines, path: out/all.txt }
        ",
    );
}

/// What is dropped on the way to a sink goes with its offsets.
#[test]
fn in_a_sink() {
    check(
        "
        topics:
          lines: { partitions: 2 }
        sources:
          in: { type: file, include: in/*.log, topic: lines, format: json, key: '{value.id}' }
        sinks:
          out:
            type: file
            topics: lines
            path: 'out/{partition}.txt'
            transforms: [{ type: dedupe, window: 1000 }]
        ",
    );
}

#[track_caller]
fn check(pipeline: &str) {
    let mut random = Random::new();
    let workdir = Workdir::new();
    workdir.write("pipeline.yaml", pipeline);
    let trickle = Trickle::start(workdir.path("in/a.log"), random.fork(), 0, next_line);
    let kills = kills_per_shape();
    let mut alive = 0;
    for kill in 0..kills {
        let before = output_bytes(&workdir.path("out"));
        let worker = workdir.start(&["pipeline.yaml"]);
        std::thread::sleep(Duration::from_micros(random.between(1_000, 500_000)));
        println!("kill {kill} of {}", worker.pid());
        worker.kill_9();
        alive += u64::from(output_bytes(&workdir.path("out")) > before);
    }
    let numbers = trickle.finish();
    workdir.drain("pipeline.yaml", 0);
    // Kills of a worker that does nothing would show nothing.
    assert!(
        alive * 3 >= kills,
        "only {alive} of {kills} kills met records under way"
    );
    let lines = read_lines(&workdir.path("out")).into_iter();
    let number = |line: Vec<u8>| {
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        value["id"].as_u64().unwrap()
    };
    let mut found: Vec<u64> = lines.flat_map(|(_, lines)| lines).map(number).collect();
    found.sort_unstable();
    let wrong = (0..numbers)
        .zip(&found)
        .find(|(expected, found)| expected != *found);
    assert!(
        wrong.is_none() && found.len() as u64 == numbers,
        "{} lines instead of {numbers}: {wrong:?}",
        found.len()
    );
}

/// A number that is new, or one that came before.
fn next_line(numbers: &mut u64, random: &mut Random) -> Vec<u8> {
    let number = match *numbers > 0 && random.chance(40) {
        true => random.between(numbers.saturating_sub(REACH), *numbers - 1),
        false => {
            *numbers += 1;
            *numbers - 1
        }
    };
    format!("{{\"id\":{number}}}").into_bytes()
}
