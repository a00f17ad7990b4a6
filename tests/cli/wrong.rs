//! Wrong input and a wrong environment: refused before anything is created, all mistakes at once,
//! and in words that help.

use super::{snapshot, workdir};
use crate::harness::{Workdir, assert_snapshot};

/// Unknown key, wrong type, bad duration, missing key, duplicate key, unknown connector, unset
/// variable, unreadable `${file:}`.
const EIGHT_MISTAKES: &str = "\
topics:
  lines: { partitions: four }
sources:
  in:
    type: file
    includes: in/*.log
    topic: lines
    poll_interval: 5 parsecs
  lost:
    type: flie
    topic: lines
  named:
    type: file
    include: ${env:THE_VARIABLE_NOBODY_SET}
sinks:
  out:
    type: file
    topics: lines
    path: out/a.log
    path: out/b.log
  secret:
    type: file
    topics: lines
    path: ${file:not/there}
";

#[test]
fn eight_mistakes_in_one_document_are_reported_in_one_go() {
    let workdir = Workdir::new();
    workdir.write("wrong.yaml", EIGHT_MISTAKES);
    let before = workdir.listing();
    for args in [
        &["check", "wrong.yaml"][..],
        &["run", "wrong.yaml"],
        &["run", "--drain", "--fresh", "wrong.yaml"],
    ] {
        let finished = workdir.towpath(args).expect_code(2);
        assert_eq!(finished.stdout, "", "{args:?}");
        for (place, mistake) in [
            ("wrong.yaml:2:24", "four"),
            ("wrong.yaml:6:5", "did you mean `include`"),
            ("wrong.yaml:12:", "`topic`"),
            ("wrong.yaml:8:20", "5 parsecs"),
            ("wrong.yaml:10:11", "did you mean `file`"),
            ("wrong.yaml:14:14", "THE_VARIABLE_NOBODY_SET"),
            ("wrong.yaml:20:5", "`path`"),
            ("wrong.yaml:24:11", "not/there"),
        ] {
            assert!(
                finished.stderr.contains(place),
                "{args:?}: no {place} in\n{}",
                finished.stderr
            );
            assert!(
                finished.stderr.contains(mistake),
                "{args:?}: {mistake}\n{}",
                finished.stderr
            );
        }
        assert_eq!(workdir.listing(), before, "{args:?} created something");
    }
    snapshot("eight-mistakes", &workdir, &["check", "wrong.yaml"]);
    snapshot(
        "eight-mistakes-json",
        &workdir,
        &["check", "--json", "wrong.yaml"],
    );
}

#[test]
fn a_secret_file_is_never_shown() {
    let workdir = workdir();
    workdir.write("hidden", "c4n4ry");
    workdir.write(
        "secret.yaml",
        "sources:
  in: { type: file, include: \"${file:hidden}\", max_line: \"${file:hidden}\", topic: lines }
sinks:
  out: { type: file, topics: lines, path: \"out/${file:hidden}\" }
",
    );
    let wrong = workdir.towpath(&["check", "secret.yaml"]).expect_code(2);
    let right = std::fs::read_to_string(workdir.path("secret.yaml")).unwrap();
    workdir.write(
        "secret.yaml",
        right.replace(" max_line: \"${file:hidden}\",", ""),
    );
    let checked = workdir.towpath(&["check", "secret.yaml"]).expect_code(0);
    let printed = workdir
        .towpath(&["check", "--print", "secret.yaml"])
        .expect_code(0);
    for finished in [wrong, checked, printed] {
        let all = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!all.contains("c4n4ry"), "{all}");
    }
}

#[test]
fn a_missing_pipeline_is_named() {
    let workdir = Workdir::new();
    let before = workdir.listing();
    for args in [["check", "no.yaml"], ["run", "no.yaml"]] {
        workdir
            .towpath(&args)
            .expect_code(2)
            .expect_stderr(&["no.yaml"]);
    }
    assert_eq!(workdir.listing(), before);
    snapshot("run-missing", &workdir, &["run", "no.yaml"]);
    snapshot("run-nothing", &workdir, &["run"]);
}

#[test]
fn unknown_commands_and_options_are_wrong_input() {
    let workdir = Workdir::new();
    snapshot("unknown-command", &workdir, &["chekc", "a.yaml"]);
    snapshot("unknown-option", &workdir, &["run", "--drian", "a.yaml"]);
}

#[test]
fn a_wrong_worker_configuration_is_refused_in_the_same_way() {
    let workdir = workdir();
    workdir.write(
        "towpath.yaml",
        "data_dri: elsewhere\ndurability: sometimes\n",
    );
    let before = workdir.listing();
    snapshot("wrong-config", &workdir, &["run", "--drain", "copy.yaml"]);
    assert_eq!(workdir.listing(), before);
}

#[test]
fn what_comes_later_is_refused_by_name() {
    for (name, line) in [
        ("wasm", "    transforms: [{ type: wasm }]"),
        ("lz4", "    compression: lz4"),
    ] {
        let workdir = workdir();
        workdir.write(
            "later.yaml",
            format!(
                "sources:\n  in: {{ type: file, include: in/*.log, topic: lines }}\n\
                 sinks:\n  out:\n    type: file\n    topics: lines\n    path: out/a\n{line}\n"
            ),
        );
        let finished = workdir.towpath(&["check", "later.yaml"]).expect_code(2);
        assert!(
            finished.stderr.contains("later.yaml:8:"),
            "{name}: {}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains("not supported yet"),
            "{name}: {}",
            finished.stderr
        );
    }
}

#[test]
fn a_source_without_an_end_is_not_drained() {
    let workdir = Workdir::new();
    workdir.write(
        "endless.yaml",
        "sources:\n  numbers: { type: generate, topic: made, rate: 10 }\n\
         sinks:\n  out: { type: file, topics: made, path: out/a }\n",
    );
    let before = workdir.listing();
    let finished = workdir
        .drain("endless.yaml", 2)
        .expect_stderr(&["endless.numbers"]);
    assert_snapshot(
        "drain-endless",
        &workdir,
        &["run", "--drain", "endless.yaml"],
        &finished,
    );
    assert_eq!(workdir.listing(), before, "it created something");
}

#[test]
fn what_cannot_go_together_is_refused() {
    let workdir = workdir();
    let before = workdir.listing();
    workdir
        .towpath(&["run", "--drain", "--watch", "copy.yaml"])
        .expect_code(2)
        .expect_stderr(&["--watch", "--drain"]);
    workdir.write("empty.yaml", "sources: {}\nsinks: {}\n");
    workdir
        .towpath(&["check", "empty.yaml"])
        .expect_code(2)
        .expect_stderr(&["no sources, sinks or topics"]);
    std::fs::remove_file(workdir.path("empty.yaml")).unwrap();
    assert_eq!(workdir.listing(), before);
}

#[test]
fn a_topic_keeps_its_format() {
    let workdir = workdir();
    workdir.drain("copy.yaml", 0);
    let copy = std::fs::read_to_string(workdir.path("copy.yaml")).unwrap();
    let json = copy.replace("topic: lines }", "topic: lines, format: json }");
    workdir.write("copy.yaml", json);
    for args in [
        &["check", "copy.yaml"][..],
        &["run", "--drain", "copy.yaml"],
    ] {
        workdir.towpath(args).expect_code(2).expect_stderr(&[
            "copy.yaml:2:",
            "`lines`",
            "writes json",
            "as text",
        ]);
    }
}

#[test]
fn a_second_worker_is_refused_with_the_first_ones_pid() {
    let workdir = workdir();
    let mut first = workdir.start(&["copy.yaml"]);
    crate::harness::wait_for("the first worker at work", || {
        (std::fs::read(workdir.path("out/all.log"))
            .unwrap_or_default()
            .len()
            == 14)
            .then_some(())
    });
    let pid = first.pid().to_string();
    for args in [&["run", "copy.yaml"][..], &["run", "--drain", "copy.yaml"]] {
        workdir
            .towpath(args)
            .expect_code(3)
            .expect_stderr(&[&pid, "towpath-data"]);
    }
    snapshot("second-worker", &workdir, &["run", "copy.yaml"]);
    assert!(
        first.exited().is_none(),
        "the first one was disturbed: {}",
        first.stderr()
    );
    first.stop();
    workdir.drain("copy.yaml", 0);
    assert_eq!(workdir.read("out/all.log"), b"one\ntwo\nthree\n");
}

#[test]
fn without_a_data_directory_commands_say_so_and_create_none() {
    let workdir = workdir();
    let before = workdir.listing();
    for args in [
        &["topics"][..],
        &["status"],
        &["tail", "lines"],
        &["offsets", "show"],
        &["pause", "copy.out"],
        &["log", "verify"],
        &["log", "dump"],
    ] {
        let finished = workdir.towpath(args);
        assert_eq!(finished.code, 3, "{args:?}: {}", finished.stderr);
        assert!(
            finished.stderr.contains("towpath-data"),
            "{args:?}: {}",
            finished.stderr
        );
    }
    snapshot("no-data-directory", &workdir, &["topics"]);
    assert_eq!(workdir.listing(), before);
}

#[test]
fn a_secret_is_not_shown_by_a_run_either() {
    let workdir = workdir();
    workdir.write("hidden", "c4n4ry");
    workdir.write(
        "secret.yaml",
        "sources:
  in: { type: file, include: 'in/*.log', topic: lines }
sinks:
  out: { type: file, topics: lines, path: \"out/${file:hidden}/all.log\" }
",
    );
    // In the way of the output: what is said of it must not name the secret part.
    workdir.write("out", "in the way");
    let args = ["run", "--drain", "--timeout", "1s", "secret.yaml"];
    let run = workdir.towpath(&args).expect_code(1);
    let show = workdir.towpath(&["offsets", "show"]).expect_code(0);
    let status = workdir.towpath(&["status", "--json"]).expect_code(0);
    for finished in [run, show, status] {
        let all = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!all.contains("c4n4ry"), "{all}");
    }
}
