//! `lookup` in a topic, and `dedupe`: as cases, and in a worker that goes on while rows come.

use crate::harness::{Workdir, wait_for};

const PIPELINE: &str = "\
topics:
  users: { cleanup: compact, format: json }
  orders: { format: json }
sinks:
  out:
    type: file
    topics: orders
    path: out/orders.jsonl
    transforms:
      - { type: dedupe, by: value.id }
      - { type: lookup, topic: users, by: value.user, into: user }
tests:
  - name: the newest row counts, and what comes twice is dropped
    input:
      topics:
        orders:
          - value: { id: 1, user: 7 }
          - value: { id: 2, user: 8 }
          - value: { id: 1, user: 9 }
        users:
          - { key: '7', value: { name: Ida } }
          - { key: '7', value: { name: Ada } }
          - { key: '8', value: { name: Bob } }
          - { key: '8', value: null }
    expect:
      sinks:
        out:
          - value: { id: 1, user: { name: Ada } }
          - value: { id: 2, user: 8 }
";

#[test]
fn cases_have_rows() {
    let workdir = Workdir::new();
    workdir.write("orders.yaml", PIPELINE);
    workdir.towpath(&["test", "orders.yaml"]).expect_code(0);
    let wrong = PIPELINE.replace("cleanup: compact, ", "");
    workdir.write("orders.yaml", wrong);
    let finished = workdir.towpath(&["check", "orders.yaml"]).expect_code(2);
    finished.expect_stderr(&[
        "retention would drop rows of the table `users`",
        "cleanup: compact",
    ]);
    workdir.write(
        "orders.yaml",
        PIPELINE.replace("topic: users", "topic: usres"),
    );
    let finished = workdir.towpath(&["check", "orders.yaml"]).expect_code(2);
    finished.expect_stderr(&["nothing writes the topic `usres`", "did you mean `users`?"]);
}

#[test]
fn rows_count_from_when_they_come() {
    let workdir = Workdir::new();
    workdir.write("orders.yaml", PIPELINE);
    let produce = |topic: &str, line: &str| {
        let args: &[&str] = match topic {
            "users" => &["produce", "users", "--key-separator", "="],
            _ => &["produce", topic],
        };
        workdir.towpath_with_input(args, line).expect_code(0);
    };
    let start = || {
        let worker = workdir.start(&["orders.yaml"]);
        wait_for("the worker", || {
            let status = workdir.towpath(&["status"]);
            status.stdout.contains("process").then_some(())
        });
        worker
    };
    let written = |count: usize| {
        wait_for("the orders", || {
            let text = std::fs::read_to_string(workdir.path("out/orders.jsonl")).ok()?;
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            (lines.len() == count).then_some(lines)
        })
    };
    let worker = start();
    produce("users", "7={\"name\":\"Ada\"}\n");
    produce("orders", "{\"id\":1,\"user\":7}\n{\"id\":1,\"user\":7}\n");
    assert_eq!(written(1), [r#"{"id":1,"user":{"name":"Ada"}}"#]);
    produce("users", "7={\"name\":\"Eve\"}\n8={\"name\":\"Bob\"}\n");
    produce("orders", "{\"id\":2,\"user\":7}\n");
    assert_eq!(written(2)[1], r#"{"id":2,"user":{"name":"Eve"}}"#);
    worker.stop();

    let worker = start();
    produce("orders", "{\"id\":2,\"user\":7}\n{\"id\":3,\"user\":8}\n");
    assert_eq!(written(3)[2], r#"{"id":3,"user":{"name":"Bob"}}"#);
    let shown = workdir
        .towpath(&["offsets", "show", "orders.out"])
        .expect_code(0);
    assert!(
        shown.stdout.contains("of orders partition 0"),
        "{}",
        shown.stdout
    );
    worker.stop();

    // A table that is too large says so.
    workdir.write(
        "orders.yaml",
        PIPELINE.replace("into: user }", "into: user, memory: 1B }"),
    );
    let worker = start();
    let reason = wait_for("the failure", || {
        let status = workdir.json(&["status"]);
        let connectors = status["connectors"].as_array()?.clone();
        let failed = connectors
            .into_iter()
            .find(|one| one["state"] == "failed")?;
        failed["reason"].as_str().map(str::to_owned)
    });
    assert!(reason.contains("its rows take more than 1B"), "{reason}");
    assert!(reason.contains("raise `memory`"), "{reason}");
    worker.stop();
}
