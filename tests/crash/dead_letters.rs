//! kill -9 while bad records become dead letters: every good line must be in the output once, every
//! bad one once in the topic of dead letters, both in their order. A second sink writes that topic
//! to a file, so that both can be compared with what was written to the input.

use std::time::Duration;

use super::{kills_per_shape, output_bytes};
use crate::harness::{Random, Trickle, Workdir, read_lines};

/// What the source cannot decode goes with its position.
#[test]
fn of_a_source() {
    check(
        "
        sources:
          in: { type: file, include: in/*.log, topic: lines, format: json, on_error: dead_letter }
        sinks:
          out: { type: file, topics: lines, path: out/good/all.txt }
          bad: { type: file, topics: pipeline.in.dead-letters, path: out/bad/all.txt }
        ",
        |line| line.to_vec(),
    );
}

/// So does what a transform cannot take.
#[test]
fn of_a_transform_of_a_source() {
    check(
        "
        sources:
          in:
            type: file
            include: in/*.log
            topic: lines
            transforms: [parse_json]
            on_error: { action: dead_letter, topic: bad }
        sinks:
          out: { type: file, topics: lines, path: out/good/all.txt }
          bad: { type: file, topics: bad, path: out/bad/all.txt }
        ",
        |line| line.to_vec(),
    );
}

/// What a transform cannot take on the way to a sink goes with the sink's offset.
#[test]
fn of_a_transform_of_a_sink() {
    check(
        "
        sources:
          in: { type: file, include: in/*.log, topic: lines }
        sinks:
          out:
            type: file
            topics: lines
            path: out/good/all.txt
            transforms: [parse_json]
            on_error: dead_letter
          bad: { type: file, topics: pipeline.out.dead-letters, path: out/bad/all.txt }
        ",
        |line| line.to_vec(),
    );
}

/// So does what the sink cannot encode.
#[test]
fn of_a_sink() {
    check(
        "
        topics:
          bad: { partitions: 2 }
        sources:
          in: { type: file, include: in/*.log, topic: lines }
        sinks:
          out:
            type: file
            topics: lines
            path: out/good/all.txt
            format: json
            on_error: { action: dead_letter, topic: bad }
          bad: { type: file, topics: bad, path: out/bad/all.txt }
        ",
        super::json_string,
    );
}

/// `line_of` finds the line of the input in a good line of the output.
fn check(pipeline: &str, line_of: super::LineOf) {
    let mut random = Random::new();
    let workdir = Workdir::new();
    workdir.write("pipeline.yaml", pipeline);
    let lines = Lines::default();
    let trickle = Trickle::start(workdir.path("in/a.log"), random.fork(), lines, next_line);
    let kills = kills_per_shape();
    let mut alive = 0;
    for kill in 0..kills {
        let before = output_bytes(&workdir.path("out/bad"));
        let worker = workdir.start(&["pipeline.yaml"]);
        std::thread::sleep(Duration::from_micros(random.between(1_000, 500_000)));
        println!("kill {kill} of {}", worker.pid());
        worker.kill_9();
        alive += u64::from(output_bytes(&workdir.path("out/bad")) > before);
    }
    let (good, bad) = trickle.finish();
    workdir.drain("pipeline.yaml", 0);
    // Kills of a worker that does nothing would show nothing.
    assert!(
        alive * 3 >= kills,
        "only {alive} of {kills} kills met dead letters under way"
    );
    let lines = |directory: &str| -> Vec<Vec<u8>> {
        let files = read_lines(&workdir.path(directory));
        files.into_iter().flat_map(|(_, lines)| lines).collect()
    };
    let written: Vec<_> = lines("out/good").iter().map(|line| line_of(line)).collect();
    compare("good", &written, &good);
    compare("bad", &lines("out/bad"), &bad);
}

#[track_caller]
fn compare(what: &str, found: &[Vec<u8>], expected: &[Vec<u8>]) {
    let all = 0..found.len().max(expected.len());
    let wrong = all
        .into_iter()
        .find(|&at| found.get(at) != expected.get(at));
    if let Some(at) = wrong {
        let shown = |line: Option<&Vec<u8>>| line.map(|line| line.escape_ascii().to_string());
        panic!(
            "{} {what} lines instead of {}; line {at} is {:?}, not {:?}",
            found.len(),
            expected.len(),
            shown(found.get(at)),
            shown(expected.get(at)),
        );
    }
}

/// Good and bad lines.
type Lines = (Vec<Vec<u8>>, Vec<Vec<u8>>);

/// A good line, or now and then a bad one.
fn next_line((good, bad): &mut Lines, random: &mut Random) -> Vec<u8> {
    let number = good.len() + bad.len();
    let (line, lines) = match random.chance(30) {
        true => ([format!("bad {number} ").as_bytes(), b"\xff"].concat(), bad),
        false => (format!("{{\"number\":{number}}}").into_bytes(), good),
    };
    lines.push(line.clone());
    line
}
