//! `towpath test`: cases are played through the real decoders, transforms, routing and encoders,
//! touch nothing, and show what differs.

use super::{snapshot, workdir};
use crate::harness::Workdir;

/// Text in, JSON on its way, by a key of it into one of four partitions.
const PIPELINE: &str = "\
topics:
  people: { partitions: 4, format: json }
sources:
  in:
    type: file
    include: nowhere/*.log
    topic: people
    key: '{value.name}'
    transforms: [parse_json, { type: filter, drop: 'default(value.hidden, false)' }]
    on_error: skip
sinks:
  out:
    type: file
    topics: people
    path: nowhere/out.jsonl
    fields: [value, key, partition, timestamp]
    format: json
";

fn with_cases(cases: &str) -> Workdir {
    let workdir = Workdir::new();
    workdir.write("people.yaml", PIPELINE);
    workdir.write("people.test.yaml", cases);
    workdir
}

const RIGHT: &str = "\
tests:
  - name: a person gets a key, a partition and a time
    now: 2026-01-01T00:00:00Z
    input:
      sources:
        in:
          - '{\"name\":\"Ada\", \"price\": 1.50}'
          - { value: '{\"name\":\"Bob\"}', timestamp: 1970-01-01T00:00:01Z }
    expect:
      topics:
        people:
          - { value: '{\"name\":\"Ada\", \"price\": 1.50}', key: Ada, partition: 3 }
          - { value: { name: Bob }, key: Bob, timestamp: 1970-01-01T00:00:01Z }
      sinks:
        out:
          - value: { value: { price: 1.50, name: Ada }, key: Ada, partition: 3, timestamp: 2026-01-01T00:00:00.000Z }
          - key: Bob
  - name: who is hidden goes nowhere, and what is no JSON is refused
    input: { sources: { in: ['{\"hidden\":true}', 'no', '{\"name\":1}', '{}'] } }
    expect:
      topics: { people: { key: '1' } }
      refused: { in: [parse_json at people.yaml, name] }
";

#[test]
fn cases_that_pass_touch_nothing() {
    let workdir = with_cases(RIGHT);
    let before = workdir.listing();
    snapshot("test-passed", &workdir, &["test", "people.yaml"]);
    snapshot(
        "test-passed-json",
        &workdir,
        &["--json", "test", "people.yaml"],
    );
    assert_eq!(workdir.listing(), before);
}

#[test]
fn cases_that_fail_show_what_came_and_what_was_expected() {
    let workdir = with_cases(
        "\
tests:
  - name: too much is expected
    input: { sources: { in: ['{\"name\":\"Ada\"}', no] } }
    expect:
      topics:
        people:
          - { value: { name: Ada, age: 36 }, key: ada }
          - { name: Bob }
      refused: {}
",
    );
    // What is no option is found before anything is played.
    workdir.towpath(&["test", "people.yaml"]).expect_code(2);
    let cases = String::from_utf8(workdir.read("people.test.yaml")).unwrap();
    workdir.write("people.test.yaml", cases.replace("{ name: Bob }", "Bob"));
    snapshot("test-failed", &workdir, &["test", "people.yaml"]);
    snapshot(
        "test-failed-json",
        &workdir,
        &["--json", "test", "people.yaml"],
    );
}

#[test]
fn records_go_where_templates_and_patterns_lead_them() {
    let workdir = Workdir::new();
    workdir.write(
        "kinds.yaml",
        "\
sources:
  in:
    type: file
    include: nowhere/*.log
    format: json
    topic: 'kind-{value.kind}'
    key: '{path} {now:%Y}'
sinks:
  all:
    type: stdout
    topics: /kind-.*/
    transforms: { type: filter, keep: value.n > 1 }
    on_error: dead_letter
  refused: { type: stdout, topics: kinds.all.dead-letters }
tests:
  - name: one kind to its topic, dead letters to theirs
    now: 2031-05-06T00:00:00Z
    input:
      sources:
        in:
          - { value: { kind: a, n: 1 }, origin: { path: x.log } }
          - { value: { kind: b, n: 2 }, origin: { path: y.log }, headers: { h: v } }
          - { value: { kind: b, n: many }, origin: { path: y.log } }
      topics:
        kind-c: { value: { n: 3 }, key: c, timestamp: 2020-01-01T00:00:00Z }
    expect:
      topics:
        kind-a: { value: { kind: a, n: 1 }, key: x.log 2031 }
        kind-b:
          - { value: { kind: b, n: 2 }, key: y.log 2031, headers: { h: v, other: null } }
          - { value: { kind: b, n: many } }
        kind-c: { key: c }
        kinds.all.dead-letters:
          value: { kind: b, n: many }
          timestamp: 2031-05-06T00:00:00Z
          headers: { __connect.errors.topic: kind-b, __connect.errors.offset: '1' }
      sinks:
        all:
          - { value: { kind: b, n: 2 }, key: y.log 2031 }
          - { value: { n: 3 }, timestamp: 2020-01-01T00:00:00Z }
        refused: { value: { kind: b, n: many } }
      refused: { all: kind-b-0 offset 1 }
",
    );
    let finished = workdir.towpath(&["test", "kinds.yaml"]);
    assert_eq!(finished.code, 0, "{}{}", finished.stdout, finished.stderr);
}

#[test]
fn where_bad_records_end_a_connector_nothing_comes_behind() {
    let workdir = with_cases(
        "\
tests:
  - name: the second is bad
    input: { sources: { in: ['{\"name\":\"Ada\"}', no, '{\"name\":\"Bob\"}'] } }
    expect:
      topics: { people: { key: Ada } }
      refused: { in: cannot read the value as JSON }
",
    );
    workdir.write(
        "people.yaml",
        PIPELINE.replace("on_error: skip", "on_error: fail"),
    );
    let finished = workdir.towpath(&["test", "people.yaml"]);
    assert_eq!(finished.code, 0, "{}", finished.stdout);
}

#[test]
fn without_cases_there_is_nothing_to_pass() {
    let workdir = workdir();
    snapshot("test-none", &workdir, &["test", "copy.yaml"]);
}

#[test]
fn cases_in_the_pipeline_are_checked_by_every_command() {
    let workdir = workdir();
    let cases = "tests: [{ name: x, input: { sources: { inn: x } }, expect: {} }]\n";
    workdir.write("copy.yaml", format!("{}{cases}", super::COPY));
    let finished = workdir.towpath(&["check", "copy.yaml"]).expect_code(2);
    assert!(
        finished.stderr.contains("did you mean `in`?"),
        "{}",
        finished.stderr
    );
}
