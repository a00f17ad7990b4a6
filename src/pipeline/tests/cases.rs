//! Cases of `tests:`.

use super::{RIGHT, check, defaults, fake, load, registry, short};
use crate::{Brief, Case, Content, InputRecord};

/// The cases of the pipeline that is right, with `tests`.
fn cases(tests: &str) -> Vec<Case> {
    let mut loaded = load(&[&format!("{RIGHT}{tests}")]).unwrap();
    loaded.pipelines.remove(0).cases
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn json(json: &str) -> Content {
    Content::Json(json.to_owned())
}

#[test]
fn a_case_says_what_comes_in_and_what_shall_come_of_it() {
    let cases = cases(
        "\
tests:
  - name: everything
    now: 2026-01-01T00:00:00Z
    input:
      sources:
        in:
          - one
          - { value: 7 }
          - value: { b: 1.50, a: [null, 'x'] }
            key: k
            headers: { h: v, none: null }
            timestamp: 1970-01-01T00:00:01Z
            origin: { path: in/a.log }
          - { value: null }
      topics:
        lines: { value: [1] }
    expect:
      topics:
        lines: [one, { key: null, partition: 3 }]
      sinks:
        out: []
      refused:
        in: not JSON
  - name: little
    input: {}
    expect: {}
",
    );
    let record = |value| InputRecord {
        value,
        key: Content::Null,
        headers: Vec::new(),
        timestamp_ms: 1_767_225_600_000,
        origin: Vec::new(),
    };
    let full = InputRecord {
        key: text("k"),
        headers: vec![
            ("h".to_owned(), text("v")),
            ("none".to_owned(), Content::Null),
        ],
        timestamp_ms: 1_000,
        origin: vec![("path", "in/a.log".to_owned())],
        ..record(json(r#"{"b":1.50,"a":[null,"x"]}"#))
    };
    let [everything, little] = &cases[..] else {
        panic!("{} cases", cases.len())
    };
    assert_eq!(everything.name, "everything");
    assert!(everything.file.ends_with("a.yaml"));
    assert_eq!(everything.line, RIGHT.lines().count() + 2);
    assert_eq!(everything.now_ms, 1_767_225_600_000);
    let records = vec![
        record(text("one")),
        record(json("7")),
        full,
        record(Content::Null),
    ];
    assert_eq!(everything.sources, [("in".to_owned(), records)]);
    let records = vec![record(json("[1]"))];
    assert_eq!(everything.topics, [("lines".to_owned(), records)]);

    let [(topic, expected)] = &everything.expected.topics.0[..] else {
        panic!("one topic")
    };
    let [Brief(first), Brief(second)] = &expected[..] else {
        panic!("two records")
    };
    assert_eq!(topic, "lines");
    assert_eq!(first.value, Some(text("one")));
    assert_eq!(first.key, None, "not looked at");
    assert_eq!(second.value, None, "not looked at");
    assert_eq!(second.key, Some(Content::Null));
    assert_eq!(second.partition, Some(3));
    assert_eq!(everything.expected.sinks.0[0].1.len(), 0);
    assert_eq!(*everything.expected.refused.0[0].1, ["not JSON"]);

    assert_eq!(little.now_ms, 946_684_800_000, "the same time always");
    assert!(little.sources.is_empty() && little.expected.topics.0.is_empty());
}

#[test]
fn what_means_nothing_in_a_case_is_found_where_it_stands() {
    let start = RIGHT.lines().count();
    let tests = "\
tests:
  - name: names
    now: yesterday
    input:
      sources:
        on: [{ value: x, origin: { path: p } }]
        in: [{ value: x, origin: { pth: p } }, { valu: x }, 7]
      topics: { liness: [x] }
    expect:
      sinks: { our: x }
      refused: { in: x, out: x, nobody: x }
      topics: { any: [{ partition: -1 }] }
  - input: {}
    expect: {}
    expected: {}
";
    let problem = |line: usize, column: usize, message: &str| {
        format!("a.yaml:{}:{column}: {message}", start + line)
    };
    let expected = [
        problem(3, 10, "expected a time, found the text `yesterday`"),
        problem(6, 9, "the pipeline has no source `on`"),
        problem(7, 36, "the source has no name `pth`"),
        problem(7, 50, "unknown option `valu`"),
        problem(7, 61, "expected a record, found the number 7"),
        problem(8, 17, "nothing here reads the topic `liness`"),
        problem(10, 16, "the pipeline has no sink `our`"),
        problem(11, 33, "the pipeline has no connector `nobody`"),
        problem(
            12,
            36,
            "expected a whole number from 0 to 4294967295, found the number -1",
        ),
        problem(13, 5, "missing option `name` (text)"),
        problem(15, 5, "unknown option `expected`"),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(&[&format!("{RIGHT}{tests}")], &expected);
    check(
        &[&format!("{RIGHT}tests: {{ name: x }}\n")],
        &[&format!(
            "a.yaml:{}:8: expected a list of cases, found a map",
            start + 1
        )],
    );
}

/// Loads a folder of these files with the cases beside pipelines: their names, or the problems.
fn load_folder(files: &[(&str, &str)]) -> Result<Vec<String>, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let surroundings = crate::Surroundings {
        registry: &registry(),
        environment: &fake(),
        existing_topics: &Default::default(),
        topic_defaults: &defaults(),
    };
    let loaded = crate::load_with_cases(&[folder.path().to_owned()], &surroundings);
    let prefix = format!("{}/", folder.path().display());
    let loaded = loaded.map_err(|problems| short(&problems.render(false).replace(&prefix, "")))?;
    let cases = loaded.pipelines.iter().flat_map(|pipeline| {
        let of = |case: &Case| format!("{}: {}", pipeline.name, case.name);
        pipeline.cases.iter().map(of)
    });
    Ok(cases.collect())
}

#[test]
fn cases_may_stand_beside_their_pipeline() {
    let inside = format!("{RIGHT}tests: [{{ name: inside, input: {{}}, expect: {{}} }}]\n");
    let beside = "tests: [{ name: beside, input: {}, expect: {} }]\n";
    let found = load_folder(&[("p.yaml", &inside), ("p.test.yaml", beside)]);
    assert_eq!(
        found,
        Ok(vec!["p: inside".to_owned(), "p: beside".to_owned()])
    );
    let found = load_folder(&[("p.yml", RIGHT), ("p.test.yml", beside)]);
    assert_eq!(found, Ok(vec!["p: beside".to_owned()]));

    let wrong = "test: []\ntests: [{ name: x, input: { sources: { inn: x } }, expect: {} }]\n";
    let found = load_folder(&[("p.yaml", RIGHT), ("p.test.yaml", wrong)]);
    let expected = [
        "p.test.yaml:1:1: unknown option `test`",
        "p.test.yaml:2:40: the pipeline has no source `inn`",
    ];
    assert_eq!(found, Err(expected.map(str::to_owned).to_vec()));

    let found = load_folder(&[("p.yaml", RIGHT), ("q.test.yaml", beside)]);
    let expected = "`q.test.yaml` holds cases, but their pipeline `q.yaml` is not there";
    assert_eq!(found, Err(vec![expected.to_owned()]));
}
