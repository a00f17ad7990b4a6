//! Looking into topics and moving offsets, with a worker running and without one: the same
//! commands, the same answers.

use std::os::unix::fs::PermissionsExt;

use super::{snapshot, workdir};
use crate::harness::{Workdir, Worker, wait_for};

/// Runs `test` twice on a workdir whose three lines are delivered: without a worker, and beside
/// one that runs.
fn without_and_with_a_worker(test: impl Fn(&Workdir)) {
    let idle = workdir();
    idle.drain("copy.yaml", 0);
    test(&idle);
    let busy = workdir();
    let worker = start_and_deliver(&busy);
    test(&busy);
    worker.stop();
}

fn start_and_deliver(workdir: &Workdir) -> Worker {
    let worker = workdir.start(&["copy.yaml"]);
    wait_for("three lines", || {
        (output(workdir) == b"one\ntwo\nthree\n").then_some(())
    });
    // The offset is committed a moment after the lines are in the file.
    wait_for("their committed offset", || {
        let offsets = workdir.json(&["offsets", "show", "copy.out"]);
        offsets
            .to_string()
            .contains("\"lag_records\":0")
            .then_some(())
    });
    worker
}

fn output(workdir: &Workdir) -> Vec<u8> {
    std::fs::read(workdir.path("out/all.log")).unwrap_or_default()
}

#[test]
fn topics() {
    without_and_with_a_worker(|workdir| {
        snapshot("topics", workdir, &["topics"]);
        snapshot("topics-describe", workdir, &["topics", "describe", "lines"]);
        let finished = workdir.towpath(&["topics", "describe", "liens"]);
        assert_eq!(finished.code, 2, "{}", finished.stderr);
        assert!(finished.stderr.contains("liens"), "{}", finished.stderr);
        let topics = workdir.json(&["topics"]);
        assert!(topics.to_string().contains("\"lines\""), "{topics}");
    });
}

/// Every file of the data directory, with its content and when it was changed.
fn data_files(workdir: &Workdir) -> Vec<(String, Vec<u8>, std::time::SystemTime)> {
    let listing = workdir.listing().into_iter();
    let of_data = listing.filter(|path| path.starts_with("towpath-data"));
    let file = |path: String| {
        let changed = std::fs::metadata(workdir.path(&path)).unwrap().modified();
        let content = std::fs::read(workdir.path(&path)).unwrap_or_default();
        (path, content, changed.unwrap())
    };
    of_data.map(file).collect()
}

#[test]
fn looking_changes_nothing() {
    let workdir = workdir();
    workdir.drain("copy.yaml", 0);
    let before = data_files(&workdir);
    for args in [
        &["topics"][..],
        &["topics", "describe", "lines"],
        &["tail", "lines"],
        &["offsets", "show"],
        &["offsets", "show", "copy.out"],
        &["status"],
        &["check", "copy.yaml"],
        &["log", "verify"],
        &["log", "dump"],
    ] {
        workdir.towpath(args).expect_code(0);
        assert!(data_files(&workdir) == before, "{args:?} changed something");
    }
    let status = workdir.json(&["status"]);
    assert!(status["pid"].is_null() && status["started_ms"].is_null());
}

/// As while a worker recovers its log: it could tell better, and no socket is there yet.
#[test]
fn a_log_that_another_process_holds_is_not_looked_at() {
    use rustix::fs::{FlockOperation, flock};
    let workdir = workdir();
    workdir.drain("copy.yaml", 0);
    let lock = std::fs::File::open(workdir.path("towpath-data/lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    workdir
        .towpath(&["status"])
        .expect_code(3)
        .expect_stderr(&["towpath-data", "holds it"]);
    drop(lock);
    workdir.towpath(&["status"]).expect_code(0);
}

#[test]
fn that_all_sources_are_done_is_told() {
    let workdir = Workdir::new();
    workdir.write(
        "made.yaml",
        "sources:\n  three: { type: generate, count: 3, topic: made }\n\
         sinks:\n  out: { type: file, topics: made, path: out/made }\n",
    );
    let worker = workdir.start(&["made.yaml"]);
    wait_for("word of the sources' end", || {
        worker
            .stderr()
            .contains("every source has come to its end")
            .then_some(())
    });
    worker.stop();
}

#[test]
fn tail_prints_values_and_nothing_else_on_stdout() {
    without_and_with_a_worker(|workdir| {
        let tail = |args: &[&str]| {
            let mut all = vec!["tail", "lines"];
            all.extend(args);
            workdir.towpath(&all).expect_code(0).stdout
        };
        assert_eq!(tail(&["--from", "earliest"]), "one\ntwo\nthree\n");
        assert_eq!(tail(&["--from", "1", "--partition", "0"]), "two\nthree\n");
        assert_eq!(tail(&["--from", "earliest", "--limit", "2"]), "one\ntwo\n");
        assert_eq!(tail(&["--from", "1h"]), "one\ntwo\nthree\n");
        let json = tail(&["--from", "earliest", "--json"]);
        let offsets: Vec<_> = json
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|record| record["offset"].as_u64().expect("an offset"))
            .collect();
        assert_eq!(offsets, [0, 1, 2]);
        workdir
            .towpath(&["tail", "liens"])
            .expect_code(2)
            .expect_stderr(&["liens"]);
    });
}

#[test]
fn tail_follows_a_running_worker() {
    let workdir = workdir();
    let worker = start_and_deliver(&workdir);
    let mut command = workdir.command(&[
        "tail", "lines", "--from", "earliest", "--follow", "--limit", "5",
    ]);
    let into = |name: &str| std::fs::File::create(workdir.path(name)).unwrap();
    command.stdout(into("tail.out")).stderr(into("tail.err"));
    let mut tail = command.spawn().unwrap();
    wait_for("what is there", || {
        (workdir.read("tail.out").len() == 14).then_some(())
    });
    workdir.append("in/a.log", "four\nfive\nsix\n");
    let status = wait_for("tail's end at its limit", || tail.try_wait().unwrap());
    assert!(
        status.success(),
        "{}",
        String::from_utf8_lossy(&workdir.read("tail.err"))
    );
    assert_eq!(workdir.read("tail.out"), b"one\ntwo\nthree\nfour\nfive\n");
    worker.stop();
}

#[test]
fn what_is_produced_is_delivered() {
    without_and_with_a_worker(|workdir| {
        workdir
            .towpath_with_input(&["produce", "lines"], "four\nfive")
            .expect_code(0);
        let tail = workdir
            .towpath(&["tail", "lines", "--from", "3"])
            .expect_code(0)
            .stdout;
        assert_eq!(tail, "four\nfive\n");
        let missing = workdir.towpath_with_input(&["produce", "liens"], "x\n");
        assert_eq!(missing.code, 2, "{}", missing.stderr);
        let expected = b"one\ntwo\nthree\nfour\nfive\n";
        if workdir.path("towpath-data/towpath.sock").exists() {
            wait_for("five lines", || (output(workdir) == expected).then_some(()));
        } else {
            workdir.drain("copy.yaml", 0);
            assert_eq!(output(workdir), expected);
        }
    });
}

#[test]
fn what_tail_prints_can_be_produced() {
    let workdir = Workdir::new();
    workdir.write("t.yaml", "topics: { t: { cleanup: compact }, u: {} }\n");
    workdir.drain("t.yaml", 0);
    let lines = "\
{\"key\":\"7\",\"value\":\"one\",\"headers\":[[\"h\",\"x\"],[\"h\",null]],\"timestamp_ms\":5}
{\"key\":\"7\",\"value\":null}
{\"key\":{\"base64\":\"/w==\"},\"value\":\"\"}
{\"key\":\"8\"}
{\"key\":\"9\",\"value\":\"never\"}
";
    let produced = workdir.towpath_with_input(&["produce", "t", "--records"], lines);
    produced.expect_code(2).expect_stderr(&[
        "line 4 is no record: missing field `value`",
        "written before it: 3",
    ]);
    let all = |topic: &str| {
        let args = ["tail", topic, "--from", "earliest", "--json"];
        workdir.towpath(&args).expect_code(0).stdout
    };
    let copied = workdir.towpath_with_input(&["produce", "u", "--records"], all("t"));
    copied.expect_code(0);
    assert_eq!(all("u").replace("\"u\"", "\"t\""), all("t"));
    let first: serde_json::Value = serde_json::from_str(all("u").lines().next().unwrap()).unwrap();
    assert_eq!(first["timestamp_ms"], 5);
    assert_eq!(
        first["headers"],
        serde_json::json!([["h", "x"], ["h", null]])
    );
    let second = all("u").lines().nth(1).unwrap().to_owned();
    assert!(second.contains("\"value\":null"), "{second}");
}

#[test]
fn keys_choose_the_partition_as_kafka_does() {
    let workdir = Workdir::new();
    workdir.write(
        "keyed.yaml",
        "topics:\n  keyed: { partitions: 6, format: text }\n\
         sinks:\n  out: { type: file, topics: keyed, path: 'out/{partition}.log' }\n",
    );
    workdir.drain("keyed.yaml", 0);
    // Kafka's DefaultPartitioner: toPositive(murmur2(key)) % 6. The hashes are those of Kafka's
    // own UtilsTest.
    let known = [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        (
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
        ),
    ];
    for (key, hash) in known {
        let input = format!("{key}:value of {key}\n");
        let args = ["produce", "keyed", "--key-separator", ":"];
        workdir.towpath_with_input(&args, input).expect_code(0);
        let partition = (hash & i32::MAX) % 6;
        let partition = partition.to_string();
        let args = [
            "tail",
            "keyed",
            "--from",
            "earliest",
            "--partition",
            &partition,
        ];
        let tail = workdir.towpath(&args).expect_code(0).stdout;
        assert!(
            tail.contains(&format!("value of {key}\n")),
            "{key} is not in {partition}: {tail}"
        );
    }
}

#[test]
fn offsets_of_a_running_connector_are_shown_and_not_moved() {
    let workdir = workdir();
    let worker = start_and_deliver(&workdir);
    wait_for("the committed offset", || {
        let shown = workdir
            .towpath(&["offsets", "show", "copy.out"])
            .expect_code(0)
            .stdout;
        shown.contains('3').then_some(())
    });
    snapshot("offsets-show", &workdir, &["offsets", "show", "copy.out"]);
    let refused = workdir.towpath(&["offsets", "reset", "copy.out", "--to", "earliest"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("towpath pause copy.out"),
        "no remedy: {}",
        refused.stderr
    );
    worker.stop();
    assert_eq!(output(&workdir), b"one\ntwo\nthree\n");
}

#[test]
fn a_reset_sink_delivers_again_and_a_reset_source_reads_again() {
    let workdir = workdir();
    workdir.drain("copy.yaml", 0);
    workdir
        .towpath(&["offsets", "reset", "copy.out", "--to", "1"])
        .expect_code(0);
    workdir.drain("copy.yaml", 0);
    assert_eq!(output(&workdir), b"one\ntwo\nthree\ntwo\nthree\n");

    workdir
        .towpath(&["offsets", "reset", "copy.in"])
        .expect_code(0);
    workdir.drain("copy.yaml", 0);
    assert_eq!(
        output(&workdir),
        b"one\ntwo\nthree\ntwo\nthree\none\ntwo\nthree\n"
    );
    let unknown = workdir.towpath(&["offsets", "reset", "copy.uot", "--to", "earliest"]);
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("copy.uot"), "{}", unknown.stderr);
}

#[test]
fn a_pause_holds_over_a_restart_until_resume() {
    let workdir = workdir();
    let worker = start_and_deliver(&workdir);
    workdir.towpath(&["pause", "copy.out"]).expect_code(0);
    workdir.append("in/a.log", "four\n");
    wait_for("the source goes on", || {
        let tail = workdir.towpath(&["tail", "lines", "--from", "3"]).stdout;
        (tail == "four\n").then_some(())
    });
    worker.stop();

    let worker = workdir.start(&["copy.yaml"]);
    let state_of = |name: &str| {
        let status = workdir.towpath(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap_or_default();
        let connectors = status["data"]["connectors"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = connectors.into_iter().find(|one| one["name"] == name);
        found.map_or(String::new(), |one| {
            one["state"].as_str().unwrap_or_default().to_owned()
        })
    };
    wait_for("a running source", || {
        (state_of("copy.in") == "running").then_some(())
    });
    assert_eq!(state_of("copy.out"), "paused");
    assert_eq!(output(&workdir), b"one\ntwo\nthree\n");
    workdir.towpath(&["resume", "copy.out"]).expect_code(0);
    wait_for("the rest", || {
        (output(&workdir) == b"one\ntwo\nthree\nfour\n").then_some(())
    });
    workdir.towpath(&["restart", "copy.out"]).expect_code(0);
    workdir.append("in/a.log", "five\n");
    wait_for("more", || {
        output(&workdir).ends_with(b"four\nfive\n").then_some(())
    });
    worker.stop();
}

#[test]
fn status_of_a_running_worker() {
    let workdir = workdir();
    let worker = start_and_deliver(&workdir);
    wait_for("no lag", || {
        let status = workdir.json(&["status"]);
        let sink = status["connectors"]
            .as_array()
            .expect("a list")
            .last()
            .cloned()?;
        (sink["lag_records"] == 0 && sink["records"] == 3).then_some(())
    });
    let status = workdir.json(&["status"]);
    assert_eq!(status["pid"], worker.pid());
    for connector in status["connectors"].as_array().expect("a list") {
        assert_eq!(connector["state"], "running", "{connector}");
        assert_eq!(
            connector["tasks"].as_array().map(Vec::len),
            Some(1),
            "{connector}"
        );
    }
    let human = workdir.towpath(&["status"]).expect_code(0).stdout;
    assert!(
        human.contains("copy.in") && human.contains("copy.out"),
        "{human}"
    );
    worker.stop();
}

#[test]
fn the_log_is_verified_and_dumped_beside_a_worker_and_without_one() {
    without_and_with_a_worker(|workdir| {
        workdir.towpath(&["log", "verify"]).expect_code(0);
        let dump = workdir.towpath(&["log", "dump"]).expect_code(0).stdout;
        assert!(dump.contains("lines-0"), "{dump}");
        assert!(dump.contains("topic lines is made"), "{dump}");
    });
}

#[test]
fn what_a_worker_writes_is_its_own() {
    let workdir = workdir();
    let worker = start_and_deliver(&workdir);
    for path in workdir.listing() {
        if !path.starts_with("towpath-data") && !path.starts_with("out") {
            continue;
        }
        let metadata = std::fs::metadata(workdir.path(&path)).unwrap();
        let allowed = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, allowed, "{path}");
    }
    assert!(workdir.path("towpath-data/towpath.sock").exists());
    worker.stop();
}
