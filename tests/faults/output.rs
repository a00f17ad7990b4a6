//! Outputs that cannot be written, or are not what they were.

use std::fs;

use super::{SmallDisk, can_mount, has_problem, wait_for_output, wait_for_status, workdir};
use crate::harness::Workdir;

#[test]
fn a_read_only_output_directory_holds_the_sink_until_it_is_writable() {
    if !can_mount("a_read_only_output_directory_holds_the_sink_until_it_is_writable") {
        return;
    }
    let workdir = workdir();
    let directory = workdir.path("out");
    let disk = SmallDisk::mount(&directory, "1m");
    disk.make_read_only(true);
    let worker = workdir.start(&["copy.yaml"]);
    wait_for_status(&workdir, "copy.out", |sink| {
        sink["state"] == "retrying" && has_problem(sink, &["out/all.log", "Read-only file system"])
    });
    disk.make_read_only(false);
    wait_for_output(&workdir, b"good 1\ngood 2\n");
    worker.stop();
}

#[test]
fn an_output_directory_that_goes_and_comes_back_is_taken_up_again() {
    let workdir = workdir();
    workdir.drain("copy.yaml", 0);
    fs::rename(workdir.path("out"), workdir.path("away")).unwrap();
    workdir.append("in/good.log", "good 3\n");
    let worker = workdir.start(&["copy.yaml"]);
    wait_for_status(&workdir, "copy.out", |sink| {
        has_problem(sink, &["out/all.log"])
    });
    wait_for_status(&workdir, "copy.in", |source| source["records"] == 1);
    assert!(
        !workdir.path("out/all.log").exists(),
        "a second beginning of a file that is elsewhere"
    );
    fs::rename(workdir.path("away"), workdir.path("out")).unwrap();
    wait_for_output(&workdir, b"good 1\ngood 2\ngood 3\n");
    worker.stop();
}

#[test]
fn something_in_the_way_of_the_output_is_named_and_left_alone() {
    let workdir = workdir();
    workdir.write("out", "in the way");
    let worker = workdir.start(&["copy.yaml"]);
    wait_for_status(&workdir, "copy.out", |sink| {
        has_problem(sink, &["out", "directory"])
    });
    assert_eq!(workdir.read("out"), b"in the way");
    worker.stop();
}

/// `change` is done to a delivered output between two runs; the second must fail, name the file,
/// and leave it as it is.
fn refuses_after(change: impl Fn(&Workdir)) {
    let workdir = workdir();
    workdir.drain("copy.yaml", 0);
    change(&workdir);
    let before = fs::read(workdir.path("out/all.log")).ok();
    workdir.append("in/good.log", "good 3\n");
    workdir
        .drain("copy.yaml", 1)
        .expect_stderr(&["out/all.log", "copy.out"]);
    assert_eq!(
        fs::read(workdir.path("out/all.log")).ok(),
        before,
        "the file was changed"
    );
}

#[test]
fn an_output_that_is_not_the_committed_one_is_never_changed() {
    // Shorter than what is committed.
    refuses_after(|workdir| {
        let file = fs::File::options()
            .write(true)
            .open(workdir.path("out/all.log"))
            .unwrap();
        file.set_len(7).unwrap();
    });
    // Another file of the same name and content.
    refuses_after(|workdir| {
        let content = workdir.read("out/all.log");
        workdir.write("out/new", &content);
        fs::rename(workdir.path("out/new"), workdir.path("out/all.log")).unwrap();
    });
    // The same file with another beginning.
    refuses_after(|workdir| workdir.write("out/all.log", "evil 1\nevil 2\nevil 3\n"));
    // A directory.
    refuses_after(|workdir| {
        fs::remove_file(workdir.path("out/all.log")).unwrap();
        fs::create_dir(workdir.path("out/all.log")).unwrap();
    });
}

#[test]
fn a_file_that_was_there_before_is_kept_or_continued_as_told() {
    let workdir = workdir();
    workdir.write("out/all.log", "mine, without an end");
    workdir
        .drain("copy.yaml", 1)
        .expect_stderr(&["out/all.log", "if_exists: append"]);
    assert_eq!(workdir.read("out/all.log"), b"mine, without an end");
    workdir.write(
        "copy.yaml",
        super::COPY.replace("all.log }", "all.log, if_exists: append }"),
    );
    workdir.drain("copy.yaml", 0);
    assert_eq!(
        workdir.read("out/all.log"),
        b"mine, without an end\ngood 1\ngood 2\n"
    );
}

/// What a crash left behind the committed end is cut, and written again from the log.
#[test]
fn what_was_written_beyond_the_committed_end_is_cut() {
    let workdir = workdir();
    workdir.drain("copy.yaml", 0);
    workdir.append("out/all.log", "half a li");
    workdir.append("in/good.log", "good 3\n");
    workdir.drain("copy.yaml", 0);
    assert_eq!(workdir.read("out/all.log"), b"good 1\ngood 2\ngood 3\n");
}

/// A pipeline that fails leaves its neighbour alone.
#[test]
fn a_failed_sink_disturbs_no_other() {
    let workdir = workdir();
    workdir.write("out/all.log", "unknown");
    workdir.write(
        "both.yaml",
        super::COPY.to_owned() + "  second: { type: file, topics: lines, path: out/second.log }\n",
    );
    workdir.drain("both.yaml", 1).expect_stderr(&["both.out"]);
    assert_eq!(workdir.read("out/second.log"), b"good 1\ngood 2\n");
    assert_eq!(workdir.read("out/all.log"), b"unknown");
}
