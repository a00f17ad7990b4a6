//! Snapshots of what a command prints: `tests/snapshots/NAME.txt` holds the command, its exit
//! code, standard output and standard error, with what differs from run to run replaced.
//! `TOWPATH_UPDATE=1` writes them anew; read the diff before you commit it.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::{Finished, Workdir};

/// Compares what `args` printed with the snapshot of that name.
#[track_caller]
pub fn assert_snapshot(name: &str, workdir: &Workdir, args: &[&str], finished: &Finished) {
    let actual = normalised(
        workdir,
        &format!(
            "$ towpath {}\nexit code {}\n--- stdout\n{}--- stderr\n{}",
            args.join(" "),
            finished.code,
            finished.stdout,
            finished.stderr
        ),
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.txt"));
    if std::env::var_os("TOWPATH_UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("it has one")).unwrap();
        return fs::write(path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == expected,
        "{name} changed (TOWPATH_UPDATE=1 takes the new one over)\n\
         ======== expected\n{expected}\n======== actual\n{actual}"
    );
}

fn normalised(workdir: &Workdir, text: &str) -> String {
    static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", "[UUID]"),
            (
                r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?Z|\+00:00)?",
                "[TIME]",
            ),
            (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
            (r"\bpid(:? ?|=)\d+", "pid$1[PID]"),
            (r#""(\w+_ms)": ?\d{13}"#, "\"$1\":[TIME]"),
            (r#""pid": ?\d+"#, "\"pid\":[PID]"),
            (
                r#""(seconds|\w+_per_second)": ?[\d.e-]+"#,
                "\"$1\":[NUMBER]",
            ),
            (r"\bprocess \d+", "process [PID]"),
            (r"SECONDS +RECORDS/S +SKIPPED", "SECONDS RECORDS/S SKIPPED"),
            (
                r"( \w+ +[\d,]+ +[\d,]+) +\d+\.\d+ +[\d,]+ +(\d+)\n",
                "$1 [SECONDS] [RATE] $2\n",
            ),
            (r"peak memory [\d.]+ MiB", "peak memory [SIZE]"),
            (r"[ \t]+\n", "\n"),
        ]
        .map(|(pattern, with)| (Regex::new(pattern).expect("a fixed pattern"), with))
        .into()
    });
    let root = workdir.root();
    let root = root.to_string_lossy();
    let mut text = text.replace(root.trim_end_matches('/'), "[DIR]");
    for (pattern, with) in VARYING.iter() {
        text = pattern.replace_all(&text, *with).into_owned();
    }
    text
}
