//! The command line as a user meets it: what each command prints, where, and its exit code
//! (0 done, 1 failed, 2 wrong input, 3 environment).

mod cases;
mod data;
mod dlq;
mod http;
mod lookup;
mod schemas;
mod wrong;

use std::fs;

use crate::harness::{Workdir, assert_snapshot};

/// A pipeline that copies `in/*.log` to `out/all.log` through the topic `lines`.
const COPY: &str = "\
sources:
  in: { type: file, include: 'in/*.log', topic: lines }
sinks:
  out: { type: file, topics: lines, path: out/all.log }
";

/// A workdir with that pipeline and three lines of input.
fn workdir() -> Workdir {
    let workdir = Workdir::new();
    workdir.write("copy.yaml", COPY);
    workdir.write("in/a.log", "one\ntwo\nthree\n");
    workdir
}

/// Runs `args`, compares with the snapshot `name`.
#[track_caller]
fn snapshot(name: &str, workdir: &Workdir, args: &[&str]) {
    let finished = workdir.towpath(args);
    assert_snapshot(name, workdir, args, &finished);
}

#[test]
fn help_names_every_command() {
    let workdir = Workdir::new();
    snapshot("help", &workdir, &["--help"]);
    let help = workdir.towpath(&["--help"]).expect_code(0).stdout;
    let commands = [
        "run",
        "check",
        "test",
        "connectors",
        "schema",
        "schemas",
        "topics",
        "tail",
        "produce",
        "offsets",
        "status",
        "pause",
        "resume",
        "restart",
        "log",
        "init",
        "bench",
    ];
    for command in commands {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command} is not in:\n{help}"
        );
        let finished = workdir.towpath(&[command, "--help"]).expect_code(0);
        assert!(
            finished.stdout.contains("Usage: towpath"),
            "{command}: {}",
            finished.stdout
        );
    }
}

#[test]
fn version() {
    let finished = Workdir::new().towpath(&["--version"]).expect_code(0);
    assert_eq!(
        finished.stdout,
        concat!("towpath ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn check_shows_the_picture_and_creates_nothing() {
    let workdir = workdir();
    let before = workdir.listing();
    snapshot("check", &workdir, &["check", "copy.yaml"]);
    snapshot("check-print", &workdir, &["check", "--print", "copy.yaml"]);
    assert_eq!(workdir.listing(), before);
}

#[test]
fn check_of_a_folder_notes_what_is_perhaps_not_meant() {
    let workdir = workdir();
    workdir.write(
        "pipelines/nothing-yet.yaml",
        "sources:\n  in:\n    type: file\n    include: no/such-*.log\n    topic: lines\n    \
         format: json\n    on_error: dead_letter\n    \
         transforms: { type: lookup, file: no/table.csv, column: id, by: value.id, into: row }\n",
    );
    // The worker's settings, no pipeline.
    workdir.write("pipelines/towpath.yaml", "data_dir: data\n");
    snapshot("check-notes", &workdir, &["check", "pipelines"]);
}

#[test]
fn what_check_prints_is_a_pipeline_that_checks() {
    let workdir = workdir();
    let printed = workdir
        .towpath(&["check", "--print", "copy.yaml"])
        .expect_code(0)
        .stdout;
    fs::remove_file(workdir.path("copy.yaml")).unwrap();
    workdir.write("copy.yaml", &printed);
    let again = workdir
        .towpath(&["check", "--print", "copy.yaml"])
        .expect_code(0)
        .stdout;
    assert_eq!(again, printed);
}

#[test]
fn drain_ends_with_a_summary_on_stderr() {
    let workdir = workdir();
    snapshot("drain", &workdir, &["run", "--drain", "copy.yaml"]);
    assert_eq!(workdir.read("out/all.log"), b"one\ntwo\nthree\n");
    snapshot("drain-again", &workdir, &["run", "--drain", "copy.yaml"]);
}

#[test]
fn connectors_are_listed_with_their_options() {
    let workdir = Workdir::new();
    snapshot("connectors", &workdir, &["connectors"]);
    for (connector, options) in [
        (
            "file",
            &[
                "include",
                "max_line",
                "oversize",
                "{path}",
                "if_exists",
                "rotate",
            ][..],
        ),
        ("generate", &["rate", "count", "size", "seed"]),
        ("stdin", &[]),
        ("stdout", &[]),
    ] {
        let shown = workdir
            .towpath(&["connectors", connector])
            .expect_code(0)
            .stdout;
        let everywhere = ["on_error", "retry.max", "{value.PATH}", "64MiB"];
        for option in options.iter().chain(&everywhere) {
            assert!(
                shown.contains(option),
                "{connector}: no {option} in:\n{shown}"
            );
        }
    }
    snapshot("connectors-unknown", &workdir, &["connectors", "fiel"]);
}

#[test]
fn the_schema_is_json_and_knows_every_connector() {
    let workdir = Workdir::new();
    let schema = workdir.towpath(&["schema"]).expect_code(0).stdout;
    let parsed: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert!(
        parsed["$schema"]
            .as_str()
            .is_some_and(|uri| uri.contains("2020-12"))
    );
    for word in [
        "\"file\"",
        "\"generate\"",
        "\"stdin\"",
        "\"stdout\"",
        "max_line",
        "if_exists",
    ] {
        assert!(schema.contains(word), "the schema does not know {word}");
    }
}

#[test]
fn init_writes_a_pipeline_that_checks_and_overwrites_nothing() {
    let workdir = Workdir::new();
    let before = workdir.listing();
    workdir.towpath(&["init"]).expect_code(0);
    let made: Vec<_> = workdir
        .listing()
        .into_iter()
        .filter(|new| !before.contains(new))
        .collect();
    let [starter] = &made[..] else {
        panic!("init made {made:?}")
    };
    workdir.towpath(&["check", starter]).expect_code(0);
    workdir.write(starter, "mine");
    let again = workdir.towpath(&["init"]);
    assert_ne!(again.code, 0);
    assert!(again.stderr.contains(starter.as_str()), "{}", again.stderr);
    assert_eq!(workdir.read(starter), b"mine");
}

#[test]
fn generated_records_reach_standard_output_and_nothing_else_does() {
    let workdir = Workdir::new();
    workdir.write(
        "gen.yaml",
        "sources:
  numbers: { type: generate, topic: made, count: 500, size: 40B, seed: 7 }
sinks:
  shown: { type: stdout, topics: made }
",
    );
    let finished = workdir.drain("gen.yaml", 0);
    assert_eq!(finished.stdout.lines().count(), 500);
    assert!(
        finished.stdout.lines().all(|line| line.len() == 40),
        "{}",
        finished.stdout
    );
    let again = workdir.drain("gen.yaml", 0);
    assert_eq!(again.stdout, "", "all 500 are delivered");
}

#[test]
fn standard_input_is_a_source_that_ends() {
    let workdir = Workdir::new();
    workdir.write(
        "pipe.yaml",
        "sources:
  typed: { type: stdin, topic: typed }
sinks:
  kept: { type: file, topics: typed, path: out/kept.log }
",
    );
    let args = ["run", "--drain", "pipe.yaml"];
    workdir
        .towpath_with_input(&args, b"first\r\n\nthird\0\xff")
        .expect_code(0);
    assert_eq!(workdir.read("out/kept.log"), b"first\r\n\nthird\0\xff\n");
    workdir.towpath_with_input(&args, "more\n").expect_code(0);
    assert!(workdir.read("out/kept.log").ends_with(b"\nmore\n"));
}
