//! A corrupt byte in a segment: nothing behind it is handed out, and every such byte is found.

use std::fs;
use std::path::PathBuf;

use super::{wait_for_status, workdir};
use crate::harness::{Random, Workdir};

const LINES: usize = 60_000;

/// A workdir whose log holds [`LINES`] lines of 100 bytes that no sink has read, and its segment.
fn log_without_a_sink() -> (Workdir, PathBuf) {
    let workdir = workdir();
    let line = |number: usize| format!("{number:08} {}\n", "x".repeat(90));
    workdir.write("in/good.log", (0..LINES).map(line).collect::<String>());
    workdir.write(
        "load.yaml",
        "sources:\n  in: { type: file, include: 'in/*.log', topic: lines }\n",
    );
    workdir.drain("load.yaml", 0);
    workdir.write(
        "copy.yaml",
        "topics:\n  lines: { format: text }\n\
         sinks:\n  out: { type: file, topics: lines, path: out/all.log }\n",
    );
    let segment = workdir
        .listing()
        .into_iter()
        .find(|path| path.contains("lines-0/") && path.ends_with(".log"))
        .expect("the topic has a segment");
    let segment = workdir.path(&segment);
    (workdir, segment)
}

fn flip(segment: &PathBuf, byte: usize) {
    let mut content = fs::read(segment).unwrap();
    assert!(
        byte < content.len(),
        "the segment has only {} bytes",
        content.len()
    );
    content[byte] ^= 0x10;
    fs::write(segment, content).unwrap();
}

/// Where each batch of the segment begins: by Kafka's own layout, length in bytes 8 to 12.
fn batch_starts(segment: &PathBuf) -> Vec<usize> {
    let content = fs::read(segment).unwrap();
    let mut starts = Vec::new();
    let mut at = 0;
    while content.len() >= at + 61 && content[at + 16] == 2 {
        starts.push(at);
        let length = content[at + 8..at + 12].try_into().expect("four bytes");
        at += 12 + u32::from_be_bytes(length) as usize;
    }
    starts
}

#[test]
fn a_sink_stops_at_a_corrupt_byte_and_says_where() {
    let mut random = Random::new();
    let (workdir, segment) = log_without_a_sink();
    let starts = batch_starts(&segment);
    assert!(starts.len() > 3, "only {} batches", starts.len());
    let batch = starts[2];
    let at = batch + 100 + random.between(0, 10_000) as usize;
    flip(&segment, at);

    let finished = workdir.drain("copy.yaml", 1);
    let name = segment
        .file_name()
        .expect("it has one")
        .to_string_lossy()
        .into_owned();
    for text in [
        name.as_str(),
        "lines-0",
        &format!("byte {batch}"),
        "offset",
        "towpath log verify",
    ] {
        assert!(
            finished.stderr.contains(text),
            "no {text:?} in {}",
            finished.stderr
        );
    }
    // What stands before it was delivered, nothing from behind it.
    let output = workdir.read("out/all.log");
    let input = workdir.read("in/good.log");
    assert!(!output.is_empty() && output.len() < input.len());
    assert!(
        input.starts_with(&output),
        "what was delivered is not what stood before the damage"
    );
    let delivered = output.iter().filter(|&&byte| byte == b'\n').count();
    assert!(
        finished.stderr.contains(&format!("offset {delivered}")),
        "{}",
        finished.stderr
    );

    // The worker stays up, shows it, and everything else can be looked at.
    let worker = workdir.start(&["copy.yaml"]);
    let sink = wait_for_status(&workdir, "copy.out", |sink| sink["state"] == "failed");
    assert!(
        sink["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains(&name)),
        "{sink}"
    );
    worker.stop();
    assert!(workdir.read("out/all.log") == output);
}

#[test]
fn verify_finds_every_corrupt_byte() {
    let mut random = Random::new();
    let (workdir, segment) = log_without_a_sink();
    workdir.towpath(&["log", "verify"]).expect_code(0);
    let starts = batch_starts(&segment);
    let damaged = [1, 2, starts.len() - 1];
    for batch in damaged {
        flip(
            &segment,
            starts[batch] + 61 + random.between(0, 5_000) as usize,
        );
    }
    let before = fs::read(&segment).unwrap();
    let finished = workdir.towpath(&["log", "verify"]).expect_code(1);
    let told = format!("{}{}", finished.stdout, finished.stderr);
    let name = segment
        .file_name()
        .expect("it has one")
        .to_string_lossy()
        .into_owned();
    assert!(told.contains(&name), "{told}");
    for batch in damaged {
        assert!(
            told.contains(&format!("byte {}", starts[batch])),
            "batch {batch}: {told}"
        );
    }
    for batch in (0..starts.len()).filter(|batch| !damaged.contains(batch)) {
        assert!(
            !told.contains(&format!("byte {}:", starts[batch])),
            "batch {batch} is fine: {told}"
        );
    }
    assert!(
        fs::read(&segment).unwrap() == before,
        "verify changed the segment"
    );
}

/// A neighbour's damage is the neighbour's.
#[test]
fn other_topics_go_on_beside_a_damaged_one() {
    let (workdir, segment) = log_without_a_sink();
    flip(&segment, 70);
    workdir.write("in2/a.log", "fine\n");
    workdir.write(
        "other.yaml",
        "sources:\n  in: { type: file, include: 'in2/*.log', topic: other }\n\
         sinks:\n  out: { type: file, topics: other, path: out/other.log }\n",
    );
    let args = ["run", "--drain", "copy.yaml", "other.yaml"];
    workdir
        .towpath(&args)
        .expect_code(1)
        .expect_stderr(&["copy.out"]);
    assert_eq!(workdir.read("out/other.log"), b"fine\n");
}
