//! Disks that are full.

use std::fs;

use super::{SmallDisk, can_mount, has_problem, wait_for_output, wait_for_status, workdir};
use crate::harness::Workdir;

/// A workdir with `mebibytes` of input in 100-byte lines.
fn workdir_with_input(mebibytes: usize) -> (Workdir, Vec<u8>) {
    let workdir = workdir();
    let lines = mebibytes * 1024 * 1024 / 100;
    let line = |number: usize| format!("{number:08} {}\n", "y".repeat(90));
    let input: String = (0..lines).map(line).collect();
    workdir.write("in/good.log", &input);
    (workdir, input.into_bytes())
}

#[test]
fn a_full_output_disk_holds_the_sink_until_there_is_room() {
    if !can_mount("a_full_output_disk_holds_the_sink_until_there_is_room") {
        return;
    }
    let (workdir, input) = workdir_with_input(8);
    let directory = workdir.path("out");
    let disk = SmallDisk::mount(&directory, "2m");
    let mut worker = workdir.start(&["copy.yaml"]);
    let sink = wait_for_status(&workdir, "copy.out", |sink| {
        sink["state"] == "retrying" && has_problem(sink, &["out/all.log", "No space left"])
    });
    assert!(
        sink["tasks"][0]["next_attempt_ms"].is_u64(),
        "no next attempt: {sink}"
    );
    // The source has gone on to the end: a full output disk is the sink's trouble alone.
    let source = wait_for_status(&workdir, "copy.in", |source| {
        source["records"] == input.len() / 100
    });
    assert_eq!(source["state"], "running");
    assert!(worker.exited().is_none());
    worker.wait_for_stderr("No space left");
    disk.grow("64m");
    wait_for_output(&workdir, &input);
    worker.stop();
    assert!(workdir.read("out/all.log") == input);
}

#[test]
fn a_full_log_disk_holds_the_source_until_there_is_room() {
    if !can_mount("a_full_log_disk_holds_the_source_until_there_is_room") {
        return;
    }
    let (workdir, input) = workdir_with_input(48);
    let directory = workdir.path("towpath-data");
    let disk = SmallDisk::mount(&directory, "32m");
    let mut worker = workdir.start(&["copy.yaml"]);
    wait_for_status(&workdir, "copy.in", |source| {
        source["state"] == "retrying" && has_problem(source, &["No space left"])
    });
    // What was committed is delivered meanwhile.
    wait_for_status(&workdir, "copy.out", |sink| {
        sink["lag_records"] == 0 && sink["records"].as_u64().is_some_and(|records| records > 0)
    });
    assert!(worker.exited().is_none(), "{}", worker.stderr());
    worker.wait_for_stderr("No space left");
    disk.grow("256m");
    wait_for_output(&workdir, &input);
    worker.stop();
    assert!(workdir.read("out/all.log") == input);
    drop(disk);
}

/// Not even the directory can be set up: refused with the place, and nothing hangs.
#[test]
fn a_log_disk_that_is_full_from_the_start_is_an_error_of_the_environment() {
    if !can_mount("a_log_disk_that_is_full_from_the_start_is_an_error_of_the_environment") {
        return;
    }
    let (workdir, _) = workdir_with_input(1);
    let directory = workdir.path("towpath-data");
    let _disk = SmallDisk::mount(&directory, "64k");
    fs::write(directory.join("ballast"), vec![0; 64 * 1024]).unwrap();
    let finished = workdir.drain("copy.yaml", 3);
    assert!(
        finished.stderr.contains("No space left"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("towpath-data"),
        "{}",
        finished.stderr
    );
}
