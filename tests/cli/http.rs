//! The admin port: health and metrics, and what happens when it is taken.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::workdir;
use crate::harness::{Workdir, wait_for};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn listen_on(workdir: &Workdir, port: u16) {
    workdir.write(
        "towpath.yaml",
        format!("admin: {{ listen: \"127.0.0.1:{port}\" }}\n"),
    );
}

/// Status line, headers and body of one GET; `None` while nobody listens.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn health_and_metrics_are_there_from_the_start() {
    let workdir = workdir();
    // Any that is free: which one, the worker tells.
    listen_on(&workdir, 0);
    let worker = workdir.start(&["copy.yaml"]);
    let port = wait_for("the port", || {
        let told = worker.stderr();
        let (_, behind) = told.split_once("admin port http://127.0.0.1:")?;
        behind.lines().next()?.parse().ok()
    });
    let live = wait_for("an answer", || get(port, "/health/live"));
    assert!(live.starts_with("HTTP/1.1 200"), "{live}");
    wait_for("readiness", || {
        get(port, "/health/ready").filter(|answer| answer.starts_with("HTTP/1.1 200"))
    });
    let metrics = wait_for("three records in the metrics", || {
        get(port, "/metrics").filter(|metrics| {
            let counted = |line: &str| line.contains("copy.out") && line.ends_with(" 3");
            metrics.lines().any(counted)
        })
    });
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    for line in metrics.split("\r\n\r\n").nth(1).expect("a body").lines() {
        let is_sample = line
            .rsplit(' ')
            .next()
            .is_some_and(|value| value.parse::<f64>().is_ok());
        assert!(
            line.is_empty() || line.starts_with('#') || is_sample,
            "no metric: {line}"
        );
    }
    let missing = get(port, "/nothing").expect("an answer");
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    worker.stop();
}

#[test]
fn a_taken_port_is_an_error_that_names_the_address_and_the_setting() {
    let workdir = workdir();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    listen_on(&workdir, taken.local_addr().unwrap().port());
    let before = workdir.listing();
    for args in [&["run", "copy.yaml"][..], &["run", "--drain", "copy.yaml"]] {
        let finished = workdir.towpath(args);
        assert_eq!(finished.code, 3, "{args:?}: {}", finished.stderr);
        for text in [address.as_str(), "admin"] {
            assert!(
                finished.stderr.contains(text),
                "{args:?}: no {text} in {}",
                finished.stderr
            );
        }
    }
    assert_eq!(workdir.listing(), before, "it created something");
}

/// Anyone's first drain must not fail because something else has the default port.
#[test]
fn a_drain_goes_on_without_the_default_port() {
    let workdir = workdir();
    std::fs::remove_file(workdir.path("towpath.yaml")).unwrap();
    // Taken by this test, by another one, or by whatever else runs here: all the same.
    let _taken = TcpListener::bind("127.0.0.1:8083");
    let finished = workdir
        .drain("copy.yaml", 0)
        .expect_stderr(&["127.0.0.1:8083"]);
    assert_eq!(
        workdir.read("out/all.log"),
        b"one\ntwo\nthree\n",
        "{}",
        finished.stderr
    );
}

#[test]
fn the_port_serves_health_and_metrics_and_no_data() {
    let workdir = workdir();
    let port = free_port();
    listen_on(&workdir, port);
    let worker = workdir.start(&["copy.yaml"]);
    wait_for("an answer", || get(port, "/health/live"));
    for path in [
        "/topics",
        "/status",
        "/v1/status",
        "/v1/topics/lines/records",
    ] {
        let answer = get(port, path).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    worker.stop();
}
