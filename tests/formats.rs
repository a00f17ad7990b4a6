//! The formats that sources read and sinks write, through the real program: what stands in the file,
//! what comes out as JSON lines, what becomes of a bad record, and whether what is written can be
//! read, also over kills.

mod hostile;
mod output;

use crate::harness::{Workdir, wait_for};

/// A pipeline that reads `in/*` with `options` and writes JSON lines.
fn pipeline(options: &str) -> String {
    format!(
        "sources:\n  in: {{ type: file, include: 'in/*', topic: rows, on_error: skip, {options} }}\n\
         sinks:\n  out: {{ type: file, topics: rows, path: out.jsonl }}\n"
    )
}

/// What `content` becomes, and what is said about what is refused.
#[track_caller]
fn check(options: &str, content: &[u8], expected: &[&str], refused: &[&str]) {
    let workdir = Workdir::new();
    workdir.write("p.yaml", pipeline(options));
    workdir.write("in/input", content);
    let finished = workdir.drain("p.yaml", 0).expect_stderr(refused);
    assert_eq!(finished.stderr.matches("left out: ").count(), refused.len());
    let found = std::fs::read_to_string(workdir.path("out.jsonl")).unwrap_or_default();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn csv_with_a_header() {
    check(
        "format: { type: csv, delimiter: ';', columns: { n: int }, empty_is_null: true }",
        b"name;n;note\r\n\"Lovelace; Ada\";1;\r\nTuring;one;\r\n\r\nHopper;3;\"\"\r\n",
        &[
            r#"{"name":"Lovelace; Ada","n":1,"note":null}"#,
            r#"{"name":"Hopper","n":3,"note":""}"#,
        ],
        &["in/input at byte 33: cannot read CSV: expected a whole number at byte 7"],
    );
}

#[test]
fn csv_without_a_header() {
    check(
        "format: { type: csv, header: false, columns: [a, b] }",
        b"1,2\n3,4\n",
        &[r#"{"a":"1","b":"2"}"#, r#"{"a":"3","b":"4"}"#],
        &[],
    );
}

#[test]
fn logfmt_and_syslog() {
    check(
        "format: logfmt",
        b"level=info msg=\"it is\" fast\nlevel=\"x\n",
        &[r#"{"level":"info","msg":"it is","fast":true}"#],
        &["in/input at byte 28: cannot read logfmt: a quote that is never closed at byte 6"],
    );
    check(
        "format: { type: syslog, mode: lenient }",
        b"<34>1 2026-10-11T22:14:15Z host su - ID47 - failed\nhello\n",
        &[
            r#"{"facility":"auth","severity":"crit","version":1,"timestamp":"2026-10-11T22:14:15Z","hostname":"host","appname":"su","msgid":"ID47","message":"failed"}"#,
            r#"{"message":"hello"}"#,
        ],
        &[],
    );
}

#[test]
fn whole_files_of_many_records() {
    let avro = std::fs::read("src/formats/tests/avro/zstandard.avro").unwrap();
    let records = std::fs::read_to_string("src/formats/tests/avro/records.jsonl").unwrap();
    let expected: Vec<&str> = records.lines().collect();
    check("format: avro, framing: whole", &avro, &expected, &[]);
    check(
        "format: { type: json, array: true }, framing: whole",
        b"[1, {\"a\": [ ]},\n\"x\"]",
        &["1", "{\"a\": [ ]}", "\"x\""],
        &[],
    );
    check(
        "format: avro, framing: whole, max_line: 100B",
        &avro,
        &[],
        &["longer than `max_line`, 100 bytes; raise `max_line`, or set `oversize` to skip"],
    );
}

#[test]
fn standard_input_has_the_same_formats() {
    let workdir = Workdir::new();
    let pipeline = "sources:\n  in: { type: stdin, topic: rows, format: csv }\n\
                    sinks:\n  out: { type: stdout, topics: rows }\n";
    workdir.write("p.yaml", pipeline);
    let finished = workdir.towpath_with_input(&["run", "p.yaml", "--drain"], "a\n1\n2\n");
    let finished = finished.expect_code(0);
    assert_eq!(finished.stdout, "{\"a\":\"1\"}\n{\"a\":\"2\"}\n");
}

#[test]
fn what_must_be_whole_is_refused_in_lines() {
    for (kind, format) in [
        ("file, include: x", "avro"),
        ("stdin", "{ type: json, array: true }"),
    ] {
        let workdir = Workdir::new();
        let source = format!("sources:\n  in: {{ type: {kind}, topic: t, format: {format} }}\n");
        workdir.write("p.yaml", source);
        let checked = workdir.towpath(&["check", "p.yaml"]).expect_code(2);
        checked.expect_stderr(&["cannot be read line by line", "add `framing: whole`"]);
    }
}

#[test]
fn what_check_prints_is_a_pipeline() {
    for format in [
        "csv",
        "{ type: csv, quote: x }",
        "{ type: json, array: false }",
    ] {
        let workdir = Workdir::new();
        workdir.write("p.yaml", pipeline(&format!("format: {format}")));
        let printed = workdir.towpath(&["check", "--print", "p.yaml"]);
        workdir.write("p.yaml", printed.expect_code(0).stdout);
        workdir.towpath(&["check", "p.yaml"]).expect_code(0);
    }
}

#[test]
fn a_killed_worker_knows_the_header_again() {
    let workdir = Workdir::new();
    workdir.write("p.yaml", pipeline("format: csv"));
    workdir.write("in/input", "id,name\n");
    let mut lines = 0;
    for _ in 0..5 {
        let worker = workdir.start(&["p.yaml"]);
        let rows = (lines..lines + 20_000).map(|line| format!("{line},n{line}\n"));
        workdir.append("in/input", rows.collect::<String>());
        lines += 20_000;
        let path = workdir.path("out.jsonl");
        let written = || std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let before = written();
        wait_for("output", || (written() > before).then_some(()));
        worker.kill_9();
    }
    workdir.drain("p.yaml", 0);
    let expected = (0..lines).map(|line| format!(r#"{{"id":"{line}","name":"n{line}"}}"#));
    let found = String::from_utf8(workdir.read("out.jsonl")).unwrap();
    assert_eq!(found.lines().count(), lines);
    assert!(expected.eq(found.lines()));
}
