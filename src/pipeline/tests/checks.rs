//! What is refused, and where it is pointed at.

use super::{RIGHT, check, load};

/// `RIGHT` with `from` replaced.
fn with(from: &str, to: &str) -> String {
    assert!(RIGHT.contains(from), "{from}");
    RIGHT.replacen(from, to, 1)
}

#[test]
fn right_pipelines() {
    check(&[RIGHT], &[]);
    let loaded = load(&[RIGHT]).unwrap();
    let pipeline = &loaded.pipelines[0];
    assert_eq!(
        (
            &*pipeline.name,
            pipeline.sources.len(),
            pipeline.sinks.len()
        ),
        ("a", 1, 1)
    );
    let source = &pipeline.sources[0];
    assert_eq!(
        (&*source.connector.full_name, source.output.constant_topic()),
        ("a.in", Some("lines"))
    );
    assert_eq!(
        loaded.topics["lines"].format.map(|format| format.as_str()),
        Some("text")
    );
    assert!(loaded.warnings.is_empty());
}

#[test]
fn anchors_merges_and_x_keys() {
    let text = "\
x-retry: &retry { first: 1s, unknown: 1 }
x-sink: &sink
  type: file
  topics: lines
  retry: { <<: *retry, max: 30s }
sinks:
  one: { <<: *sink, path: one.txt }
  two:
    <<: *sink
    path: two.txt
topics: { lines: }
";
    check(
        &[text],
        &[
            "a.yaml:1:30: unknown option `unknown`",
            "a.yaml:11:16: expected a map, found nothing",
        ],
    );
}

#[test]
fn later_features_are_named() {
    let text = with(
        "    topic: lines",
        "    topic: lines\n    transforms: [wasm]",
    );
    check(
        &[&text],
        &["a.yaml:6:18: the transform `wasm` is not supported yet"],
    );
    check(
        &[&with(
            "    topic: lines",
            "    topic: lines\n    transforms: []\n    on_error: { action: skip }",
        )],
        &[],
    );
    check(
        &[&with("sources:", "plugins: {}\nsources:")],
        &["a.yaml:1:1: `plugins` is not supported yet"],
    );
    check(
        &[&with("type: file", "type: http_server")],
        &["a.yaml:3:11: the connector type `http_server` is not supported yet"],
    );
    check(
        &[&with("type: file", "type: plugin.x")],
        &["a.yaml:3:11: the plugin connector `plugin.x` is not supported yet"],
    );
    check(
        &[&with("type: file", "type: stdout")],
        &["a.yaml:3:11: `stdout` cannot be a source"],
    );
}

#[test]
fn a_format_of_edges_is_none_of_topics() {
    check(
        &[&with(
            "    topic: lines",
            "    topic: lines\n    format: csv",
        )],
        &["a.yaml:6:13: no values of a topic are csv"],
    );
}

#[test]
fn topics_that_nobody_fills() {
    check(
        &[&with("topics: lines", "topics: linse")],
        &["a.yaml:9:13: nothing writes the topic `linse`, and it is not declared"],
    );
    check(&[&with("topics: lines", "topics: existing")], &[]);
    check(&[&with("topics: lines", "topics: [lines, /li.*/]")], &[]);
    check(&[&with("topic: lines", "topic: li{key}")], &[]);
    check(
        &[&with("topic: lines", "topic: xx{key}")],
        &["a.yaml:9:13: nothing writes the topic `lines`, and it is not declared"],
    );
    check(
        &[&with("topics: lines", "topics: /(/")],
        &["a.yaml:9:13: not a regular expression: unclosed group"],
    );
    let warned = load(&[&with("topics: lines", "topics: /other/")]).unwrap();
    assert_eq!(warned.warnings.len(), 1);
}

#[test]
fn a_broken_source_still_fills_its_topic() {
    check(
        &[&with("include: in/*.log", "includ: x")],
        &["a.yaml:4:5: unknown option `includ`"],
    );
    check(
        &[&with("type: file", "tpye: file")],
        &["a.yaml:3:5: unknown option `tpye`"],
    );
    check(
        &[&with("topic: lines", "topc: { lines: }")],
        &[
            "a.yaml:5:5: unknown option `topc`",
            "a.yaml:5:11: expected text, found a map",
        ],
    );
    check(
        &[&with("topic: lines", "topic: [lines]")],
        &["a.yaml:5:12: expected text, found a list"],
    );
}

#[test]
fn names_and_collisions() {
    check(
        &[&with("  in:", "  in put:")],
        &["a.yaml:2:3: `in put` cannot be the name of a connector: it has a space"],
    );
    check(
        &[&with("topic: lines", "topic: a/b")],
        &["a.yaml:5:12: `a/b` cannot be the name of a topic: it has `/`"],
    );
    check(
        &[&with("  out:", "  in:")],
        &["a.yaml:7:3: a second connector named `a.in`"],
    );
    check(
        &[
            RIGHT,
            &format!(
                "name: a\n{}",
                RIGHT
                    .replace("  in:", "  i:")
                    .replace("  out:", "  o:")
                    .replace("out/", "o/")
            ),
        ],
        &["b.yaml:1:7: a second pipeline named `a`"],
    );
    let declares = "topics: { lines: { partitions: 2 } }\n";
    check(
        &[&format!("{declares}{RIGHT}"), declares],
        &["b.yaml:1:11: the topic `lines` is declared twice"],
    );
}

#[test]
fn formats_that_differ() {
    let second = "sources: { two: { type: file, include: x, topic: lines, format: json } }";
    check(
        &[RIGHT, second],
        &["b.yaml:1:50: `two` writes json to `lines`, but `in` writes text"],
    );
    let template = "sources: { zero: { type: file, include: x, topic: 'li{key}', format: json } }";
    check(&[template, RIGHT], &[]);
    let declared = format!("topics: {{ lines: {{ format: json }} }}\n{RIGHT}");
    check(
        &[&declared],
        &["a.yaml:6:12: `in` writes text to `lines`, whose values are json"],
    );
}

#[test]
fn templates() {
    check(
        &[&with(
            "topic: lines",
            "topic: lines\n    key: '{path}-{value.id}'\n    format: json",
        )],
        &[],
    );
    check(
        &[&with("topic: lines", "topic: lines\n    key: '{offset}'")],
        &["a.yaml:6:12: `{offset}` is not known here"],
    );
    check(
        &[&with("{topic}", "{topci}")],
        &["a.yaml:10:16: unknown name `{topci}`"],
    );
}

#[test]
fn fields_of_what_has_none() {
    check(
        &[&with(
            "topic: lines",
            "topic: 'l{value.id}'\n    key: \"{path}-{value.id|none}\"",
        )],
        &[
            "a.yaml:5:15: `{value.id}` needs JSON, but the values of `in` are text",
            "a.yaml:6:19: `{value.id}` needs JSON, but the values of `in` are text",
        ],
    );
    let by_field = with("{topic}", "{topic}-{value.`a b`}-{headers.x}");
    let refused = "a.yaml:10:24: `{value.`a b`}` needs JSON, but the values of `lines` are text";
    check(&[&by_field], &[refused]);
    let json = "topic: lines\n    format: json";
    check(&[&by_field.replace("topic: lines", json)], &[]);
    let held = by_field.replace("topics: lines", "topics: [/exi.*/]");
    check(
        &[&held],
        &["a.yaml:10:24: `{value.`a b`}` needs JSON, but the values of `existing` are bytes"],
    );
    // What a broken source writes may be JSON.
    let broken = by_field.replace("include: in/*.log", "include: a\n    format: jsn");
    let declared = format!("topics: {{ lines: {{}} }}\n{broken}");
    check(
        &[&declared],
        &["a.yaml:6:13: expected one of `text`, `bytes`, `json`, found the text `jsn`"],
    );
}

#[test]
fn a_topic_that_is_there_stays_as_it_is() {
    check(
        &[&with("topic: lines", "topic: existing").replace("topics: lines", "topics: existing")],
        &["a.yaml:5:12: `in` writes text to `existing`, which the data directory holds as bytes"],
    );
    let declared = |options: &str| format!("topics: {{ existing: {{ {options} }} }}\n{RIGHT}");
    check(
        &[&declared("format: json, partitions: 3")],
        &[
            "a.yaml:1:11: `existing` has 4 partitions in the data directory, which cannot become 3",
            "a.yaml:1:11: `existing` is declared json, but the data directory holds it as bytes",
        ],
    );
    check(&[&declared("partitions: 4")], &[]);
    check(&[&declared("partitions: 5")], &[]);
    let loaded = load(&[&declared("")]).unwrap();
    let topic = &loaded.topics["existing"];
    assert_eq!(topic.partitions.map(crate::Partitions::get), Some(4));
    assert_eq!(topic.format.map(|format| format.as_str()), Some("bytes"));
}

#[test]
fn a_sink_sees_its_topics() {
    let wide = format!("topics: {{ lines: {{ partitions: 9 }} }}\n{RIGHT}");
    check(&[&wide], &["a.yaml:8:3: `lines` has 9 partitions"]);
    check(
        &[&format!(
            "topics: {{ lines: {{ partitions: 0 }} }}\n{RIGHT}"
        )],
        &["a.yaml:1:32: expected a whole number from 1 to 4096, found the number 0"],
    );
}

#[test]
fn the_frame_of_a_file() {
    check(
        &[""],
        &["a.yaml:1:1: the pipeline has no sources, sinks or topics"],
    );
    check(
        &["# only a comment\n"],
        &["a.yaml:1:1: the pipeline has no sources, sinks or topics"],
    );
    check(&["[]"], &["a.yaml:1:1: expected a map, found a list"]);
    check(
        &["sources: {}\nsinks: {}"],
        &["a.yaml:1:1: the pipeline has no sources, sinks or topics"],
    );
    let topics = "topics: { spare: {} }";
    check(&[topics], &[]);
    check(&[topics, RIGHT], &[]);
    check(
        &["name: x"],
        &["a.yaml:1:1: the pipeline has no sources, sinks or topics"],
    );
    check(
        &["name: 7\nsink: {}\nsinks: { out: 1 }"],
        &[
            "a.yaml:1:7: expected text, found the number 7",
            "a.yaml:2:1: unknown option `sink`",
            "a.yaml:3:15: expected the options of a connector, found the number 1",
        ],
    );
    check(
        &[&format!("{RIGHT}---\nx: 1\n")],
        &["a.yaml:11:1: a second document in one file"],
    );
}

#[test]
fn a_syntax_error_does_not_hide_what_stands_before() {
    let text = "sources:\n  in:\n    type: flie\n    include: [a\nsinks: }\n";
    let shown = load(&[text]).unwrap_err();
    let lines = super::short(&shown);
    assert_eq!(lines.len(), 2, "{shown}");
    assert_eq!(lines[0], "a.yaml:3:11: unknown connector type `flie`");
    assert!(lines[1].contains("this is not YAML"), "{shown}");
}

#[test]
fn more_tasks_than_useful_is_a_warning() {
    let text = with("    topic: lines", "    topic: lines\n    tasks: 9");
    let loaded = load(&[&text]).unwrap();
    let warned = loaded.warnings.render_warnings(false);
    assert!(
        warned.starts_with("warning: 9 tasks, but it has use for 8\n"),
        "{warned}"
    );
    check(
        &[&with(
            "    topic: lines",
            "    topic: lines\n    tasks: 2000",
        )],
        &["a.yaml:6:12: a connector has at most 1024 tasks"],
    );
}

#[test]
fn a_group_has_one_owner() {
    let second = "    group: g
  second: { type: file, topics: lines, path: out/second.txt, group: g }
";
    let text = format!("{RIGHT}{second}");
    check(&[&text], &["a.yaml:12:3: the group `g` has another owner"]);
    let of_a_source = format!("{RIGHT}    group: a.in\n");
    check(
        &[&of_a_source],
        &["a.yaml:7:3: the group `a.in` has another owner"],
    );
    let of_the_worker = format!("{RIGHT}    group: towpath\n");
    check(
        &[&of_the_worker],
        &["a.yaml:7:3: the group `towpath` is the worker's own"],
    );
}

#[test]
fn a_compacted_topic_has_no_retention() {
    let topic = |options: &str| format!("{RIGHT}\ntopics: {{ more: {{ {options} }} }}\n");
    check(&[&topic("cleanup: compact")], &[]);
    let loaded = load(&[&topic("cleanup: compact")]).unwrap();
    assert_eq!(loaded.topics["more"].cleanup, crate::Cleanup::Compact);
    assert_eq!(loaded.topics["lines"].cleanup, crate::Cleanup::Delete);
    let problems = load(&[&topic("cleanup: compact, retention: { time: 1d }")]).unwrap_err();
    let why = "a topic with `cleanup: compact` keeps the newest record of each key for ever";
    assert!(problems.contains(why), "{problems}");
}

#[test]
fn what_is_written_has_one_writer() {
    let two = |path: &str, topic: &str| {
        let first = RIGHT.replace("out/{topic}.txt", path);
        format!("{first}  second: {{ path: '{path}', type: file, topics: {topic} }}\n")
    };
    let same = "a.yaml:11:19: `second` would write to the same places as `a.out`";
    check(&[&two("out/{topic}.txt", "lines")], &[same]);
    check(&[&two("out/{topic}.txt", "/l.*/")], &[same]);
    check(&[&two("out/{topic}.txt", "existing")], &[]);
    check(&[&two("out/{key}.txt", "existing")], &[same]);
    let off = two("out/x.txt", "lines").replace("second: {", "second: { enabled: false,");
    check(&[&off], &[]);

    let by_connector = two("out/{connector}.txt", "lines");
    check(&[&by_connector], &[]);
    let of_both = [
        "b.yaml:10:11: `out` would write to the same places as `a.out`",
        "b.yaml:11:19: `second` would write to the same places as `a.second`",
    ];
    check(&[&by_connector, &by_connector], &of_both);
    let by_both = two("out/{pipeline}-{connector}.txt", "lines");
    check(&[&by_both, &by_both], &[]);
}

#[test]
fn a_compacted_topic_wants_keys() {
    let warnings = |text: &str| {
        let loaded = load(&[text]).unwrap();
        loaded.warnings.render_warnings(false)
    };
    let compacted = format!("{RIGHT}topics: {{ lines: {{ cleanup: compact }} }}\n");
    let warned = warnings(&compacted);
    let expected =
        "warning: nothing gives the records of `in` a key, and `lines` takes none without";
    assert!(warned.starts_with(expected), "{warned}");
    let line = "    topic: lines\n";
    for option in [
        "key: '{path}'",
        "transforms: { type: fake, field: a, keys: true }",
    ] {
        let keyed = compacted.replacen(line, &format!("{line}    {option}\n"), 1);
        assert_eq!(warnings(&keyed), "", "{option}");
    }
}

#[test]
fn more_partitions_move_keys() {
    for (options, what) in [
        ("", "`dedupe` does not know them"),
        (", cleanup: compact", "stays there for ever"),
    ] {
        let declared = |partitions| {
            let topic = format!("existing: {{ partitions: {partitions}, format: bytes{options} }}");
            load(&[&format!("{RIGHT}topics: {{ {topic} }}\n")])
                .unwrap()
                .warnings
        };
        assert!(declared(4).is_empty());
        let warned = declared(6).render_warnings(false);
        assert!(
            warned.contains("`existing` gets 2 more partitions"),
            "{warned}"
        );
        assert!(warned.contains(what), "{warned}");
    }
}
