//! Bad records are counted, shown and put aside: without a worker, and asked of one that runs.

use std::path::Path;

use super::{snapshot, workdir};
use crate::harness::{Workdir, wait_for};

/// A workdir whose two bad lines of four are dead letters.
fn with_dead_letters() -> Workdir {
    let workdir = workdir();
    workdir.write("bad/in.log", b"{\"n\": 1}\nno JSON\n2\n\xff\n");
    workdir.write(
        "bad.yaml",
        "
        sources:
          in: { type: file, include: bad/*.log, topic: numbers, format: json, on_error: dead_letter }
        sinks:
          out: { type: file, topics: numbers, path: out/numbers.jsonl }
        ",
    );
    let finished = workdir.drain("bad.yaml", 0);
    let told = "bad.in: kept 2 dead letters: see `towpath dlq list`";
    assert!(finished.stderr.contains(told), "{}", finished.stderr);
    workdir
}

#[test]
fn dead_letters_are_listed_shown_and_dropped() {
    let workdir = with_dead_letters();
    let topic = "bad.in.dead-letters";
    snapshot("dlq-list", &workdir, &["dlq", "list"]);
    snapshot("dlq-show", &workdir, &["dlq", "show", topic]);
    let only = [
        "dlq",
        "show",
        topic,
        "--filter",
        "no JSON",
        "--filter",
        "connector=bad.in",
    ];
    let shown = workdir.towpath(&only).expect_code(0).stdout;
    assert_eq!(shown.matches("refused").count(), 1, "{shown}");
    let none = ["dlq", "list", "--filter", "stage=TASK_PUT"];
    assert_eq!(
        workdir.towpath(&none).expect_code(0).stdout,
        "no dead letters\n"
    );
    snapshot(
        "dlq-filter",
        &workdir,
        &["dlq", "list", "--filter", "stagge=x"],
    );

    let before = workdir.listing();
    snapshot(
        "dlq-drop-dry",
        &workdir,
        &["dlq", "drop", topic, "--before", "latest", "--dry-run"],
    );
    assert_eq!(workdir.listing(), before);
    let worker = workdir.start(&["bad.yaml"]);
    wait_for("the worker", || {
        workdir.json(&["status"])["pid"].is_number().then_some(())
    });
    snapshot(
        "dlq-drop",
        &workdir,
        &["dlq", "drop", topic, "--before", "1"],
    );
    let shown = workdir
        .towpath(&["--json", "dlq", "show", topic])
        .expect_code(0)
        .stdout;
    let letter: serde_json::Value = serde_json::from_str(shown.trim()).expect("one line of JSON");
    assert_eq!(letter["value"]["base64"], "/w==", "the bytes as they came");
    assert_eq!(letter["reason"]["stage"], "VALUE_CONVERTER");
    worker.stop();
    workdir
        .towpath(&["dlq", "drop", topic, "--before", "latest"])
        .expect_code(0);
    assert_eq!(
        workdir.towpath(&["dlq", "list"]).expect_code(0).stdout,
        "no dead letters\n"
    );
}

#[test]
fn a_retry_does_not_chase_what_is_refused_again() {
    let workdir = with_dead_letters();
    let worker = workdir.start(&["bad.yaml"]);
    wait_for("the worker", || {
        workdir.json(&["status"])["pid"].is_number().then_some(())
    });
    // Slowly, so that each is refused again before the next is retried.
    let topic = "bad.in.dead-letters";
    let retried = workdir.json(&["dlq", "retry", topic, "--rate", "2", "--limit", "5"]);
    assert_eq!(retried["letters"], 2, "{retried}");
    wait_for("the letters", || {
        let listed = workdir.json(&["dlq", "list"]);
        (listed[0]["letters"] == 2).then_some(())
    });
    worker.stop();
}

#[test]
fn dead_letters_are_retried_without_a_worker_and_with_one() {
    let workdir = with_dead_letters();
    let topic = "bad.in.dead-letters";
    let before = workdir.listing();
    snapshot(
        "dlq-retry-dry",
        &workdir,
        &["dlq", "retry", topic, "--dry-run"],
    );
    assert_eq!(workdir.listing(), before);
    snapshot(
        "dlq-retry-unknown",
        &workdir,
        &["dlq", "retry", "bad.in.dead-letter"],
    );
    snapshot(
        "dlq-retry-no-letters",
        &workdir,
        &["dlq", "retry", "numbers"],
    );
    snapshot(
        "dlq-retry-one",
        &workdir,
        &["dlq", "retry", topic, "--filter", "no JSON"],
    );
    let listed = workdir.json(&["dlq", "list"]);
    assert_eq!(listed[0]["letters"], 1, "{listed}");
    // Not mended: it is refused again.
    workdir.drain("bad.yaml", 0);
    let listed = workdir.json(&["dlq", "list"]);
    assert_eq!(listed[0]["letters"], 2, "{listed}");
    // Mended: what was no JSON is logfmt.
    let pipeline = String::from_utf8(workdir.read("bad.yaml")).expect("text");
    workdir.write(
        "bad.yaml",
        pipeline.replace("format: json", "format: logfmt"),
    );
    let worker = workdir.start(&["bad.yaml"]);
    wait_for("the worker", || {
        workdir.json(&["status"])["pid"].is_number().then_some(())
    });
    let retry = [
        "dlq", "retry", topic, "--rate", "5", "--limit", "1", "--filter", "no JSON",
    ];
    let retried = workdir.json(&retry);
    assert_eq!(
        (&retried["letters"], &retried["left"]),
        (&1.into(), &serde_json::json!([]))
    );
    let delivered = wait_for("the letter", || {
        let output = String::from_utf8_lossy(&workdir.read("out/numbers.jsonl")).into_owned();
        (output.lines().count() == 3).then_some(output)
    });
    assert!(
        delivered.ends_with("{\"no\":true,\"JSON\":true}\n"),
        "{delivered}"
    );
    snapshot("dlq-retry-rest", &workdir, &["dlq", "retry", topic]);
    snapshot(
        "dlq-retry-nothing",
        &workdir,
        &["dlq", "retry", topic, "--filter", "no JSON"],
    );
    worker.stop();
}

/// Files of other programs that were read in a wrong format, and a torn one, which stays bad.
#[test]
fn whole_files_are_retried() {
    for (format, file) in [("avro", "snappy.avro"), ("parquet", "zstd.parquet")] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/formats/tests");
        let folder = folder.join(format);
        let whole = std::fs::read(folder.join(file)).expect("a file of another program");
        let workdir = Workdir::new();
        workdir.write("in/whole", &whole);
        workdir.write("in/torn", &whole[..whole.len() - 10]);
        let pipeline = |format: &str| {
            format!(
                "
                topics: {{ t: {{ format: json }} }}
                sources:
                  in:
                    type: file
                    include: in/*
                    format: {format}
                    framing: whole
                    topic: t
                    on_error: {{ action: dead_letter, topic: bad }}
                sinks:
                  out: {{ type: file, topics: t, path: out/all.jsonl }}
                "
            )
        };
        workdir.write("files.yaml", pipeline("json"));
        workdir.drain("files.yaml", 0);
        let letters = || workdir.json(&["dlq", "list"])[0]["letters"].clone();
        assert_eq!(letters(), 2, "{format}");
        workdir.write("files.yaml", pipeline(format));
        let expected = std::fs::read_to_string(folder.join("records.jsonl")).expect("its records");
        for _ in 0..2 {
            let retried = workdir.json(&["dlq", "retry", "bad"]);
            assert_eq!(retried["left"], serde_json::json!([]), "{retried}");
            workdir.drain("files.yaml", 0);
            let made = String::from_utf8(workdir.read("out/all.jsonl")).expect("text");
            let values = |lines: &str| -> Vec<serde_json::Value> {
                let lines = lines.lines().map(serde_json::from_str);
                lines.collect::<Result<_, _>>().expect("JSON")
            };
            assert_eq!(values(&made), values(&expected), "{format}");
            assert_eq!(letters(), 1, "the torn one, {format}");
        }
        let schemas = workdir.towpath(&["schemas", "list"]).expect_code(0).stdout;
        assert!(schemas.contains("t "), "{schemas}");
        let shown = workdir
            .towpath(&["--json", "dlq", "show", "bad"])
            .expect_code(0);
        let letter: serde_json::Value =
            serde_json::from_str(shown.stdout.trim()).expect("one letter");
        let message = letter["reason"]["exception.message"].as_str();
        assert!(
            message.is_some_and(|why| why.contains("in/torn")),
            "{letter}"
        );
    }
}
