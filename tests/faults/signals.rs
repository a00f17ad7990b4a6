//! Ctrl-C and SIGTERM.

use rustix::process::Signal;

use super::{wait_for_output, workdir};
use crate::harness::{Workdir, read_lines, wait_for};

#[test]
fn ctrl_c_and_sigterm_end_in_order() {
    for signal in [Signal::INT, Signal::TERM] {
        let workdir = workdir();
        let worker = workdir.start(&["copy.yaml"]);
        wait_for_output(&workdir, b"good 1\ngood 2\n");
        worker.signal(signal);
        let stderr = {
            let mut worker = worker;
            wait_for("an orderly end", || worker.exited());
            let stderr = worker.stderr();
            assert_eq!(worker.wait(), 0, "{stderr}");
            stderr
        };
        assert!(
            stderr.to_lowercase().contains("stop"),
            "says nothing of stopping: {stderr}"
        );
        assert!(
            !workdir.path("towpath-data/towpath.sock").exists(),
            "the socket was left"
        );
    }
}

/// Whatever the second one cuts off, nothing is lost or doubled by it.
#[test]
fn a_second_ctrl_c_stops_at_once_and_loses_nothing() {
    let workdir = Workdir::new();
    workdir.write(
        "gen.yaml",
        "sources:\n  made: { type: generate, topic: made, count: 2000000, size: 60B, seed: 1 }\n\
         sinks:\n  out: { type: file, topics: made, path: out/all.log }\n",
    );
    let mut worker = workdir.start(&["gen.yaml"]);
    wait_for("some output", || {
        assert!(worker.exited().is_none(), "{}", worker.stderr());
        let length = std::fs::metadata(workdir.path("out/all.log")).map_or(0, |file| file.len());
        (length > 0).then_some(())
    });
    worker.signal(Signal::INT);
    worker.signal(Signal::INT);
    worker.wait();
    workdir.drain("gen.yaml", 0);

    let oracle = Workdir::new();
    oracle.write("gen.yaml", workdir.read("gen.yaml"));
    oracle.drain("gen.yaml", 0);
    let output = |workdir: &Workdir| read_lines(&workdir.path("out")).remove(0).1;
    assert_eq!(output(&workdir).len(), 2_000_000);
    assert!(
        output(&workdir) == output(&oracle),
        "not what an undisturbed run writes"
    );
}

#[test]
fn a_drain_that_takes_too_long_ends_at_its_timeout() {
    let workdir = workdir();
    // Nothing can be written below a file.
    workdir.write("out", "in the way");
    let args = ["run", "--drain", "--timeout", "1s", "copy.yaml"];
    let finished = workdir.towpath(&args).expect_code(1);
    assert!(
        finished.stderr.contains("copy.out"),
        "who was late: {}",
        finished.stderr
    );
    std::fs::remove_file(workdir.path("out")).unwrap();
    workdir.drain("copy.yaml", 0);
    wait_for_output(&workdir, b"good 1\ngood 2\n");
}
