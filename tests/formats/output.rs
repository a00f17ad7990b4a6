//! What sinks write as CSV and Avro is read again, by us and by others.

use std::path::Path;
use std::process::Command;

use crate::harness::{Workdir, skip, wait_for};

const SCHEMA: &str = "schema: { type: record, name: Event, fields: [{ name: id, type: long }, \
     { name: text, type: [\"null\", string] }, { name: tags, type: { type: array, items: string } }] }";
const COLUMNS: &str = "columns: [id, text, \"tags[0]\"]";

/// A pipeline of JSON lines to files of every kind.
fn writing() -> String {
    let sink = |name: &str, path: &str, format: &str, others: &str| {
        format!(
            "  {name}: {{ type: file, topics: rows, path: '{path}', format: {{ {format} }}{others} }}\n"
        )
    };
    let csv = format!("type: csv, {COLUMNS}");
    let avro = format!("type: avro, codec: deflate, {SCHEMA}");
    let rotate = ", rotate: { size: 40KiB }";
    [
        "sources:\n  in: { type: file, include: 'in/*', topic: rows, format: json }\nsinks:\n",
        &sink("csv", "csv/out.csv", &csv, ""),
        &sink(
            "csv_gz",
            "csv/{start_offset:09}.csv.gz",
            &csv,
            &format!(", compression: gzip{rotate}"),
        ),
        &sink("csv_sz", "csv/out.csv.sz", &csv, ", compression: snappy"),
        &sink("avro", "avro/out.avro", &avro, ""),
        &sink("avro_many", "avro/{start_offset:09}.avro", &avro, rotate),
    ]
    .concat()
}

/// A pipeline that reads all of it again, each kind to a file of JSON lines.
const READING: &str = "
sources:
  csv: { type: file, include: csv/out.csv, topic: csv, format: &csv { type: csv, columns: { id: int }, empty_is_null: true } }
  csv_gz: { type: file, include: csv/*.gz, topic: csv_gz, format: *csv }
  csv_sz: { type: file, include: csv/*.sz, topic: csv_sz, format: *csv }
  avro: { type: file, include: avro/out.avro, topic: avro, format: avro, framing: whole, max_line: 64MiB }
  avro_many: { type: file, include: avro/0*, topic: avro_many, format: avro, framing: whole, max_line: 64MiB }
sinks:
  out: { type: file, topics: [csv, csv_gz, csv_sz, avro, avro_many], path: 'again/{topic}' }
";

fn record(id: usize) -> (String, String) {
    let text = match id % 5 {
        0 => "null",
        1 => r#""a; \"b\", c""#,
        2 => r#""""#,
        _ => r#""plain ü""#,
    };
    let json = format!(r#"{{"id":{id},"text":{text},"tags":["t{id}"]}}"#);
    let csv = format!(r#"{{"id":{id},"text":{text},"tags[0]":"t{id}"}}"#);
    (json, csv)
}

/// Whether all files hold records `0..count`, once each and in order within a file.
fn check_files(workdir: &Workdir, count: usize) {
    workdir.write("reading/again.yaml", READING);
    let args = [
        "run",
        "reading/again.yaml",
        "--drain",
        "--data-dir",
        "again-data",
    ];
    workdir.towpath(&args).expect_code(0);
    for topic in ["csv", "csv_gz", "csv_sz", "avro", "avro_many"] {
        let found = String::from_utf8(workdir.read(&format!("again/{topic}"))).unwrap();
        let mut found: Vec<&str> = found.lines().collect();
        // Files of one topic are read beside each other.
        found.sort_by_key(|line| {
            line[6..]
                .split(',')
                .next()
                .unwrap()
                .parse::<usize>()
                .unwrap()
        });
        assert_eq!(found.len(), count, "{topic}");
        for (id, line) in found.into_iter().enumerate() {
            let (json, csv) = record(id);
            assert_eq!(
                line,
                if topic.starts_with("csv") { csv } else { json },
                "{topic}"
            );
        }
    }
}

#[test]
fn csv_and_avro_are_written_once_over_kills() {
    let workdir = Workdir::new();
    workdir.write("p.yaml", writing());
    workdir.write("in/input", "");
    let mut count = 0;
    for _ in 0..4 {
        let worker = workdir.start(&["p.yaml"]);
        let lines = (count..count + 10_000).map(|id| record(id).0 + "\n");
        workdir.append("in/input", lines.collect::<String>());
        count += 10_000;
        let written =
            || std::fs::metadata(workdir.path("avro/out.avro")).map_or(0, |file| file.len());
        let before = written();
        wait_for("output", || (written() > before).then_some(()));
        worker.kill_9();
    }
    workdir.drain("p.yaml", 0);
    // However much a life has written to one file, that is full now, and the next one begins another.
    let lines = (count..count + 10_000).map(|id| record(id).0 + "\n");
    workdir.append("in/input", lines.collect::<String>());
    count += 10_000;
    workdir.drain("p.yaml", 0);
    check_files(&workdir, count);
    let rotated = |listing: Vec<String>| {
        listing
            .iter()
            .filter(|path| path.contains("avro/0"))
            .count()
    };
    assert!(rotated(workdir.listing()) > 1, "nothing was rotated");
    read_with_fastavro(&workdir, count);
    read_with_snappy(&workdir);
}

/// The file in Snappy's framing format as another program reads it.
fn read_with_snappy(workdir: &Workdir) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("target/python/bin/python"))
        .arg(root.join("tests/formats/snappy.py"))
        .arg(workdir.path("csv/out.csv.sz"))
        .output();
    let Some(output) = output.ok().filter(|_| has_python("pyarrow")) else {
        let test = "formats::output::csv_and_avro_are_written_once_over_kills";
        return skip(test, "pyarrow is not installed");
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout == workdir.read("csv/out.csv"), "{said}");
}

/// Whether another program's reader is there.
fn has_python(module: &str) -> bool {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let program = format!("import {module}");
    let ran = Command::new(python).args(["-c", &program]).output();
    ran.is_ok_and(|ran| ran.status.success())
}

/// The Avro files as another program reads them.
fn read_with_fastavro(workdir: &Workdir, count: usize) {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    if !has_python("fastavro") {
        return skip(
            "formats::output::csv_and_avro_are_written_once_over_kills",
            "fastavro is not installed",
        );
    }
    let program = "import fastavro, json, sys\n\
        for record in fastavro.reader(open(sys.argv[1], 'rb')):\n  \
        print(json.dumps(record, separators=(',', ':'), ensure_ascii=False))";
    let output = Command::new(python)
        .args(["-c", program, "avro/out.avro"])
        .current_dir(workdir.root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(found.lines().eq((0..count).map(|id| record(id).0)));
}

#[test]
fn several_fields_are_columns_and_standard_output_has_one_header() {
    let workdir = Workdir::new();
    workdir.write(
        "p.yaml",
        "sources:\n  in: { type: stdin, topic: rows }\n\
         sinks:\n  out: { type: stdout, topics: rows, fields: [value, offset], \
         format: { type: csv, columns: [offset, value], delimiter: ';' } }\n",
    );
    let finished = workdir.towpath_with_input(&["run", "p.yaml", "--drain"], "a\nb;c\n");
    assert_eq!(
        finished.expect_code(0).stdout,
        "offset;value\n0;a\n1;\"b;c\"\n"
    );
}

#[test]
fn what_has_no_such_columns_or_types_is_refused() {
    for (format, told) in [
        (
            format!("type: csv, {COLUMNS}"),
            "cannot write as CSV the record at offset 0 of rows-0: no object, so it has no columns at byte 0",
        ),
        (
            format!("type: avro, {SCHEMA}"),
            "cannot write as Avro the record at offset 0 of rows-0: a value of another type than the schema's",
        ),
    ] {
        let workdir = Workdir::new();
        workdir.write("in/input", "[1]\n{\"id\":1,\"tags\":[]}\n");
        workdir.write("p.yaml", writing_one(&format, "json", "on_error: skip, "));
        workdir.drain("p.yaml", 0).expect_stderr(&[told]);
        assert!(!workdir.read("out").is_empty());
    }
    let workdir = Workdir::new();
    workdir.write("in/input", "{\"id\":1,\"tags\":[\"a\",7]}\n");
    workdir.write(
        "p.yaml",
        writing_one(&format!("type: avro, {SCHEMA}"), "json", ""),
    );
    let told = "a number where the schema has another type, at `tags[1]`";
    workdir.drain("p.yaml", 1).expect_stderr(&[told]);
}

fn writing_one(format: &str, read: &str, others: &str) -> String {
    format!(
        "sources:\n  in: {{ type: file, include: 'in/*', topic: rows, format: {read} }}\n\
         sinks:\n  out: {{ type: file, topics: rows, path: out, {others}format: {{ {format} }} }}\n"
    )
}

#[test]
fn check_refuses_what_cannot_be_written() {
    for (format, read, told) in [
        (
            "type: csv",
            "json",
            ["CSV needs its `columns`", "add `columns: [id"],
        ),
        (
            "type: avro",
            "json",
            ["Avro needs a `schema`", "schema: ${file:event.avsc}"],
        ),
        (
            "type: avro, schema: { type: strnig }",
            "json",
            ["unknown type `strnig`", "write it as JSON or YAML"],
        ),
        (
            "type: avro, schema: long",
            "bytes",
            [
                "avro needs JSON, but the values of `rows` are bytes",
                "`parse_json`",
            ],
        ),
        (
            "type: csv, columns: [a]",
            "text",
            [
                "csv needs JSON, but the values of `rows` are text",
                "`parse_json`",
            ],
        ),
        (
            "type: json, array: true",
            "json",
            [
                "a list of JSON cannot be written to what grows",
                "leave it out",
            ],
        ),
    ] {
        let workdir = Workdir::new();
        workdir.write("p.yaml", writing_one(format, read, ""));
        let checked = workdir.towpath(&["check", "p.yaml"]).expect_code(2);
        let [message, help] = told;
        checked.expect_stderr(&["p.yaml:4:", message, help]);
    }
}

#[test]
fn a_schema_may_stand_in_a_file() {
    let workdir = Workdir::new();
    workdir.write("in/input", "1\n2\n");
    workdir.write("number.avsc", "\"long\"");
    workdir.write(
        "p.yaml",
        writing_one("type: avro, schema: '${file:number.avsc}'", "json", ""),
    );
    workdir.drain("p.yaml", 0);
    let printed = workdir
        .towpath(&["check", "--print", "p.yaml"])
        .expect_code(0);
    assert!(
        printed.stdout.contains("${file:number.avsc}"),
        "{}",
        printed.stdout
    );
    workdir.write("number.avsc", "\"int\"");
    workdir.append("in/input", "3\n");
    let finished = workdir.drain("p.yaml", 1);
    finished.expect_stderr(&[
        "cannot go on with out: it does not begin as `format` and `compression` say",
    ]);
}
