//! What goes wrong around a worker: for each fault a clear line about what and where, nothing
//! lost, the others go on, and, where the fault passes, recovery without a person.

mod damage;
mod disk;
mod input;
mod output;
mod signals;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Workdir, wait_for};

/// Each of `in/*.log` to `out/all.log`.
const COPY: &str = "\
sources:
  in: { type: file, include: 'in/*.log', topic: lines }
sinks:
  out: { type: file, topics: lines, path: out/all.log }
";

fn workdir() -> Workdir {
    let workdir = Workdir::new();
    workdir.write("copy.yaml", COPY);
    workdir.write("in/good.log", "good 1\ngood 2\n");
    workdir
}

/// What `status` says of one connector, once it says something that `wanted` likes.
#[track_caller]
fn wait_for_status(workdir: &Workdir, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let seen = wait_for_or(&mut last, |last| {
        let finished = workdir.towpath(&["status", "--json"]);
        let status: Value = serde_json::from_str(&finished.stdout).unwrap_or_default();
        let connectors = status["data"]["connectors"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        *last = connectors
            .into_iter()
            .find(|one| one["name"] == name)
            .unwrap_or_default();
        wanted(last)
    });
    assert!(
        seen,
        "{name} never came to the wanted state; it is {last:#}"
    );
    last
}

fn wait_for_or(last: &mut Value, mut wanted: impl FnMut(&mut Value) -> bool) -> bool {
    let started = std::time::Instant::now();
    while !wanted(last) {
        if started.elapsed() > crate::harness::DEADLINE {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    true
}

/// Whether a connector has a problem whose place and text hold `texts`.
fn has_problem(connector: &Value, texts: &[&str]) -> bool {
    let tasks = connector["tasks"].as_array().cloned().unwrap_or_default();
    let mut shown: Vec<String> = tasks
        .iter()
        .flat_map(|task| task["problems"].as_array().cloned().unwrap_or_default())
        .map(|problem| problem.to_string())
        .collect();
    shown.extend(tasks.iter().map(|task| task["reason"].to_string()));
    shown.push(connector["reason"].to_string());
    shown
        .iter()
        .any(|line| texts.iter().all(|text| line.contains(text)))
}

/// Waits until `out/all.log` is `expected`.
#[track_caller]
fn wait_for_output(workdir: &Workdir, expected: &[u8]) {
    let read = || fs::read(workdir.path("out/all.log")).unwrap_or_default();
    wait_for("the whole output", || {
        (read().len() >= expected.len()).then_some(())
    });
    assert!(
        read() == expected,
        "the output differs: {} bytes",
        read().len()
    );
}

/// `out/all.log` must hold the lines of `expected`, each once, in any order of the files.
#[track_caller]
fn assert_same_lines(workdir: &Workdir, expected: &str) {
    let output = String::from_utf8(workdir.read("out/all.log")).unwrap();
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&output), sorted(expected));
}

/// A small file system on `directory`, gone when dropped. Needs root.
struct SmallDisk<'a> {
    directory: &'a Path,
}

impl<'a> SmallDisk<'a> {
    fn mount(directory: &'a Path, size: &str) -> Self {
        fs::create_dir_all(directory).unwrap();
        let options = format!("size={size},mode=0700");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(directory));
        Self { directory }
    }

    fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        run(Command::new("mount")
            .args(["-o", &options])
            .arg(self.directory));
    }

    fn make_read_only(&self, read_only: bool) {
        let options = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        run(Command::new("mount")
            .args(["-o", options])
            .arg(self.directory));
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(self.directory));
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Whether a file system can be mounted here; says *skipped* when not.
fn can_mount(test: &str) -> bool {
    let probe = Workdir::new();
    let can = crate::harness::is_root()
        && Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(probe.root())
            .status()
            .is_ok_and(|status| status.success());
    if can {
        run(Command::new("umount").arg(probe.root()));
    } else {
        crate::harness::skip(test, "needs root and the right to mount a tmpfs");
    }
    can
}
