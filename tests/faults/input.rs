//! Inputs that cannot be read, change while they are read, or hold what nobody expects.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use super::{COPY, assert_same_lines, has_problem, run, wait_for_output, wait_for_status, workdir};
use crate::harness::{Finished, Workdir, read_lines, wait_for};

fn finish(mut command: Command) -> Finished {
    let output = command.output().unwrap();
    Finished {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().expect("an exit code"),
    }
}

#[test]
fn an_unreadable_file_stops_only_itself() {
    let workdir = Workdir::for_nobody();
    workdir.write("copy.yaml", COPY);
    workdir.write("in/good.log", "good 1\ngood 2\n");
    workdir.write("in/bad.log", "bad 1\n");
    let bad = workdir.path("in/bad.log");
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o000)).unwrap();

    workdir
        .drain("copy.yaml", 1)
        .expect_stderr(&["in/bad.log", "Permission denied"]);
    assert_eq!(workdir.read("out/all.log"), b"good 1\ngood 2\n");

    let mut worker = workdir.start(&["copy.yaml"]);
    let source = wait_for_status(&workdir, "copy.in", |source| {
        has_problem(source, &["in/bad.log", "Permission denied"])
    });
    assert_eq!(
        source["state"], "running",
        "one bad file stopped the source: {source}"
    );
    workdir.append("in/good.log", "good 3\n");
    wait_for_output(&workdir, b"good 1\ngood 2\ngood 3\n");
    // It heals by itself.
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o644)).unwrap();
    wait_for_output(&workdir, b"good 1\ngood 2\ngood 3\nbad 1\n");
    wait_for_status(&workdir, "copy.in", |source| {
        !has_problem(source, &["in/bad.log"])
    });
    assert!(worker.exited().is_none());
    worker.stop();
}

#[test]
fn what_is_no_regular_file_is_passed_over() {
    let workdir = workdir();
    fs::create_dir(workdir.path("in/directory.log")).unwrap();
    run(Command::new("mkfifo").arg(workdir.path("in/fifo.log")));
    symlink("loop.log", workdir.path("in/loop.log")).unwrap();
    symlink("nowhere", workdir.path("in/dangling.log")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(workdir.path("in/s.log")).unwrap();
    let worker = workdir.start(&["copy.yaml"]);
    wait_for_output(&workdir, b"good 1\ngood 2\n");
    wait_for_status(&workdir, "copy.in", |source| {
        has_problem(source, &["in/fifo.log"])
    });
    workdir.append("in/good.log", "good 3\n");
    wait_for_output(&workdir, b"good 1\ngood 2\ngood 3\n");
    worker.stop();
    let drained = workdir.towpath(&["run", "--drain", "--timeout", "20s", "copy.yaml"]);
    assert!(drained.stderr.contains("in/fifo.log"), "{}", drained.stderr);
}

#[test]
fn an_input_truncated_under_us_is_told_and_its_new_content_read() {
    let workdir = workdir();
    let mut worker = workdir.start(&["copy.yaml"]);
    wait_for_output(&workdir, b"good 1\ngood 2\n");
    fs::File::create(workdir.path("in/good.log")).unwrap();
    worker.wait_for_stderr("in/good.log");
    assert!(worker.stderr().contains("truncated"), "{}", worker.stderr());
    workdir.append("in/good.log", "new 1\n");
    wait_for_output(&workdir, b"good 1\ngood 2\nnew 1\n");
    // Rewritten at once, longer than before.
    workdir.write("in/good.log", "rewritten 1\nrewritten 2\nrewritten 3\n");
    let all = b"good 1\ngood 2\nnew 1\nrewritten 1\nrewritten 2\nrewritten 3\n";
    wait_for_output(&workdir, all);
    worker.stop();
    workdir.drain("copy.yaml", 0);
    assert_eq!(workdir.read("out/all.log"), all);
}

#[test]
fn a_file_deleted_while_it_is_read_is_read_to_its_end() {
    let workdir = workdir();
    let worker = workdir.start(&["copy.yaml"]);
    wait_for_output(&workdir, b"good 1\ngood 2\n");
    let mut open = fs::File::options()
        .append(true)
        .open(workdir.path("in/good.log"))
        .unwrap();
    std::io::Write::write_all(&mut open, b"good 3\n").unwrap();
    fs::remove_file(workdir.path("in/good.log")).unwrap();
    wait_for_output(&workdir, b"good 1\ngood 2\ngood 3\n");
    worker.stop();
}

#[test]
fn an_input_directory_that_comes_later_is_found() {
    let workdir = workdir();
    fs::rename(workdir.path("in"), workdir.path("later")).unwrap();
    let worker = workdir.start(&["copy.yaml"]);
    wait_for_status(&workdir, "copy.in", |source| source["state"] == "running");
    fs::rename(workdir.path("later"), workdir.path("in")).unwrap();
    wait_for_output(&workdir, b"good 1\ngood 2\n");
    worker.stop();
}

/// The most memory a process ever had resident, in MiB.
fn peak_mebibytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("Linux has it");
    let kibibytes = line.split_whitespace().nth(1).expect("a number");
    kibibytes.parse::<u64>().expect("a number") / 1024
}

#[test]
fn a_line_of_100_megabytes_does_not_fill_the_memory() {
    for (oversize, expected) in [("truncate", 1024 * 1024), ("skip", 0)] {
        let workdir = workdir();
        let huge = vec![b'z'; 100_000_000];
        workdir.write(
            "in/good.log",
            [b"before\n", &huge[..], b"\nafter\n"].concat(),
        );
        let options = format!("'in/*.log', oversize: {oversize}, topic");
        workdir.write("copy.yaml", COPY.replace("'in/*.log', topic", &options));
        let worker = workdir.start(&["copy.yaml"]);
        wait_for("the line after it", || {
            let output = fs::read(workdir.path("out/all.log")).unwrap_or_default();
            output.ends_with(b"after\n").then_some(())
        });
        let peak = peak_mebibytes(worker.pid());
        assert!(
            peak < 90,
            "{oversize}: {peak} MiB for a limit of 1 MiB a line"
        );
        worker.stop();
        let (_, lines) = read_lines(&workdir.path("out")).remove(0);
        let lengths: Vec<_> = lines.iter().map(Vec::len).collect();
        let wanted: Vec<_> = [6, expected, 5]
            .into_iter()
            .filter(|&length| length > 0)
            .collect();
        assert_eq!(lengths, wanted, "{oversize}");
    }
}

#[test]
fn a_line_that_is_too_long_fails_with_its_place_when_told_so() {
    let workdir = workdir();
    workdir.write(
        "in/good.log",
        format!("before\n{}\nafter\n", "z".repeat(3000)),
    );
    let options = "'in/*.log', max_line: 1KiB, oversize: fail, topic";
    workdir.write("copy.yaml", COPY.replace("'in/*.log', topic", options));
    // Byte 7 is where the line begins.
    workdir
        .drain("copy.yaml", 1)
        .expect_stderr(&["in/good.log", "byte 7", "max_line"]);
    assert_eq!(workdir.read("out/all.log"), b"before\n");
}

#[test]
fn odd_bytes_pass_unchanged() {
    let workdir = Workdir::new();
    workdir.write("copy.yaml", COPY);
    let odd: &[u8] = b"\n\n\r\n\0\0nul\0\n\xff\xfe\xc3\x28 not utf-8\ncrlf\r\n\xef\xbb\xbfbom\n\x1b[31mred\nlast";
    workdir.write("in/a.log", odd);
    workdir.write("in/empty.log", "");
    workdir.write("in/newline.log", "\n");
    workdir.drain("copy.yaml", 0);
    let output = workdir.read("out/all.log");
    let expected = [odd, b"\n\n"].concat();
    assert_eq!(
        output.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

#[test]
fn a_record_that_cannot_become_json_is_named_and_left_out_only_when_told() {
    let workdir = Workdir::new();
    workdir.write("in/a.log", b"fine\nbad \xff\nfine too\n");
    let json = COPY.replace("all.log }", "all.log, format: json }");
    workdir.write("copy.yaml", &json);
    workdir
        .drain("copy.yaml", 1)
        .expect_stderr(&["copy.out", "lines", "offset 1", "UTF-8"]);
    assert_eq!(workdir.read("out/all.log"), b"\"fine\"\n");
    workdir.write(
        "copy.yaml",
        json.replace("json }", "json, on_error: skip }"),
    );
    let finished = workdir.drain("copy.yaml", 0);
    assert_eq!(workdir.read("out/all.log"), b"\"fine\"\n\"fine too\"\n");
    let row = finished
        .stderr
        .lines()
        .find(|line| line.starts_with("copy.out"));
    assert!(
        row.is_some_and(|row| row.ends_with(" 1")),
        "not counted: {}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("left out"),
        "nobody says so: {}",
        finished.stderr
    );
}

#[test]
fn a_line_that_is_no_json_is_named_and_left_out_only_when_told() {
    let workdir = Workdir::new();
    workdir.write("in/a.log", "{\"a\":1}\n{\"a\":\n[2]\n");
    let json = COPY.replace("topic: lines }", "topic: lines, format: json }");
    workdir.write("copy.yaml", &json);
    workdir
        .drain("copy.yaml", 1)
        .expect_stderr(&["copy.in", "in/a.log", "8"]);
    assert_eq!(workdir.read("out/all.log"), b"{\"a\":1}\n");
    workdir.write(
        "copy.yaml",
        json.replace("format: json }", "format: json, on_error: skip }"),
    );
    workdir.drain("copy.yaml", 0);
    assert_eq!(workdir.read("out/all.log"), b"{\"a\":1}\n[2]\n");
}

/// With as many file handles as Debian allows by default.
#[test]
fn ten_thousand_files() {
    let workdir = Workdir::new();
    workdir.write("copy.yaml", COPY);
    let mut expected = String::new();
    for file in 0..10_000 {
        let lines = format!("{file} one\n{file} two\n");
        workdir.write(&format!("in/{file}.log"), &lines);
        expected.push_str(&lines);
    }
    let mut command = Command::new("prlimit");
    command.args(["--nofile=1024:1024", env!("CARGO_BIN_EXE_towpath")]);
    command
        .args(["run", "--drain", "copy.yaml"])
        .current_dir(workdir.root());
    finish(command).expect_code(0);
    assert_same_lines(&workdir, &expected);
    let (_, lines) = read_lines(&workdir.path("out")).remove(0);
    for pair in lines.chunks(2) {
        assert!(
            pair[0].ends_with(b"one") && pair[1].ends_with(b"two"),
            "a file's lines in order"
        );
    }
}
