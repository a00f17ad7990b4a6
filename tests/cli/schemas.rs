//! Schemas as a user meets them: what is shown of them, what stays over a restart, and what becomes
//! of records whose schema does not go with the one before.

use std::collections::BTreeSet;

use serde_json::Value;

use super::snapshot;
use crate::harness::Workdir;

#[test]
fn the_schema_of_an_avro_file_is_shown() {
    let workdir = Workdir::new();
    let pipeline = "sources:\n  in: { type: file, include: in/*.avro, topic: events, format: avro, framing: whole }\n";
    workdir.write("p.yaml", pipeline);
    workdir.write(
        "in/a.avro",
        std::fs::read("src/formats/tests/avro/null.avro").unwrap(),
    );
    workdir.drain("p.yaml", 0);
    let shown = ["schemas", "show", "events"];
    snapshot("schemas-show", &workdir, &shown);
    // A running worker answers the same, and another file of the same type adds nothing.
    workdir.write(
        "in/b.avro",
        std::fs::read("src/formats/tests/avro/zstandard.avro").unwrap(),
    );
    workdir.drain("p.yaml", 0);
    let worker = workdir.start(&["p.yaml"]);
    snapshot("schemas-show", &workdir, &shown);
    snapshot("schemas-list", &workdir, &["schemas", "list"]);
    worker.stop();
    assert_eq!(ids(&workdir, "events").len(), 1);
    snapshot("schemas-unknown", &workdir, &["schemas", "show", "event"]);
    let wanted = ["schemas", "show", "events", "--version", "2"];
    snapshot("schemas-no-version", &workdir, &wanted);
}

/// The ids in the headers of all records of `topic`.
fn ids(workdir: &Workdir, topic: &str) -> BTreeSet<String> {
    let tail = workdir.towpath(&["--json", "tail", topic, "--from", "earliest"]);
    let tail = tail.expect_code(0).stdout;
    let records = tail
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let id = |record: Value| {
        let header = &record["headers"][0];
        assert_eq!(header[0], "towpath.schema.id", "{record}");
        header[1].as_str().expect("an id").to_owned()
    };
    records.map(id).collect()
}

/// Rows whose `n` is of type `of`.
fn rows(of: &str, options: &str) -> String {
    format!(
        "sources:
  in:
    type: file
    include: in/*.csv
    topic: rows
    format: {{ type: csv, columns: {{ n: {of} }}, empty_is_null: true }}
    {options}
"
    )
}

#[test]
fn a_schema_evolves_and_its_versions_stay() {
    let workdir = Workdir::new();
    workdir.write("p.yaml", rows("int", ""));
    workdir.write("in/a.csv", "n\n1\n");
    workdir.drain("p.yaml", 0);
    let first = ids(&workdir, "rows");
    workdir.write("in/b.csv", "n,note\n2,more\n");
    workdir.drain("p.yaml", 0);
    workdir.append("in/a.csv", "3\n");
    workdir.drain("p.yaml", 0);
    let both = ids(&workdir, "rows");
    assert!(both.len() == 2 && both.is_superset(&first), "{both:?}");
    let shown = workdir.json(&["schemas", "show", "rows", "--version", "1"]);
    assert_eq!(first, [shown["id"].as_str().unwrap().to_owned()].into());
    snapshot(
        "schemas-evolved",
        &workdir,
        &["--json", "schemas", "show", "rows"],
    );
    snapshot("schemas-versions", &workdir, &["schemas", "list"]);
}

#[test]
fn an_incompatible_schema_is_refused_evolved_or_kept_aside() {
    let settings = [
        ("fail", "on_schema_change: fail"),
        ("evolve", "on_schema_change: evolve"),
        (
            "dead-letter",
            "on_schema_change: dead_letter\n    on_error: dead_letter",
        ),
    ];
    for (name, options) in settings {
        let workdir = Workdir::new();
        workdir.write("p.yaml", rows("int", options));
        workdir.write("in/a.csv", "n\n1\n");
        workdir.drain("p.yaml", 0);
        workdir.write("p.yaml", rows("timestamp", options));
        workdir.write("in/b.csv", "n\n2026-10-11\n");
        snapshot(
            &format!("schemas-{name}"),
            &workdir,
            &["run", "p.yaml", "--drain"],
        );
        snapshot(
            &format!("schemas-{name}-list"),
            &workdir,
            &["schemas", "list"],
        );
    }
}

#[test]
fn an_option_that_could_do_nothing_is_refused() {
    let workdir = Workdir::new();
    let untyped = "sources:\n  in: { type: file, include: x, topic: t, format: csv, on_schema_change: evolve }\n";
    workdir.write("untyped.yaml", untyped);
    workdir.write("aside.yaml", rows("int", "on_schema_change: dead_letter"));
    workdir.write(
        "own.yaml",
        untyped.replace("topic: t,", "topic: __towpath.schemas,"),
    );
    snapshot(
        "schemas-options",
        &workdir,
        &["check", "untyped.yaml", "aside.yaml", "own.yaml"],
    );
}
