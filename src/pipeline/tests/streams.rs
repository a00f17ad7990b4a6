//! Streams: what is read, what their topics hold, and what must not come back.

use towpath_sdk::config::Format;

use super::{check, defaults, load};
use crate::{STREAM, picture};

/// A pipeline whose file goes into topic `raw`, and `streams`, each on a line.
fn with(streams: &[&str]) -> String {
    let streams: String = streams.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "sources: {{ in: {{ type: file, include: in/*.log, topic: raw }} }}\nstreams:\n{streams}"
    )
}

const PARSED: &str = "parsed: { topics: raw, topic: parsed, transforms: { type: fake, field: a } }";

#[test]
fn a_stream_is_a_connector_between_topics() {
    let copy = "copy: { topics: parsed, topic: copy, group: g, start: latest, tasks: 2 }";
    let loaded = load(&[&with(&[copy, PARSED])]).expect("nothing is wrong");
    let pipeline = &loaded.pipelines[0];
    let [copy, parsed] = &pipeline.streams[..] else {
        panic!("two streams: {:?}", pipeline.streams);
    };
    assert_eq!(&*parsed.connector.full_name, "a.parsed");
    assert_eq!(&*parsed.connector.type_name, STREAM);
    assert_eq!(copy.input.group.as_deref(), Some("g"));
    assert_eq!(copy.connector.tasks.get(), 2);
    let format = |topic: &str| loaded.topics[topic].format;
    let formats = ["raw", "parsed", "copy"].map(format);
    let expected = [Format::Text, Format::Json, Format::Json];
    assert_eq!(formats, expected.map(Some), "from topic to topic");
    assert_eq!(
        picture(&loaded, pipeline, &defaults()),
        [
            "in (file) -> raw [1] -> parsed (stream)",
            "copy (stream) -> copy [1]",
            "parsed (stream) -> parsed [1] -> copy (stream)",
        ]
    );
}

#[test]
fn options_are_those_of_both_sides() {
    check(
        &[&with(&["s: { topics: rwa, topic: out, type: x }"])],
        &[
            "a.yaml:3:16: nothing writes the topic `rwa`, and it is not declared",
            "a.yaml:3:33: unknown option `type`",
        ],
    );
    check(
        &[&with(&["s: { topic: 'out-{path}', tasks: 0 }"])],
        &[
            "a.yaml:3:6: missing option `topics` (topic or `/regex/` or list of topic or `/regex/`)",
            "a.yaml:3:21: unknown name `{path}`",
            "a.yaml:3:36: expected a whole number from 1 to 4294967295, found the number 0",
        ],
    );
    check(
        &[&with(&[
            "s: { topics: [], topic: out }",
            "in: { topics: raw, topic: x }",
        ])],
        &[
            "a.yaml:3:16: it reads no topic: name at least one",
            "a.yaml:4:3: a second connector named `a.in`",
        ],
    );
    check(
        &[&with(&[
            "s: { topics: /raw-.*/, topic: '{topic}.copy', key: '{headers.k}' }",
        ])],
        &[],
    );
    check(
        &[&with(&["s: { topics: raw, topic: '{value.kind}' }"])],
        &["a.yaml:3:30: `{value.kind}` needs JSON, but the values of `raw` are text"],
    );
    check(
        &[&with(&["s: x"])],
        &["a.yaml:3:6: expected the options of a connector, found the text `x`"],
    );
}

#[test]
fn one_format_is_written() {
    check(
        &[&with(&[
            PARSED,
            "s: { topics: [raw, parsed], topic: both }",
        ])],
        &["a.yaml:4:16: `s` would write json made of `parsed`, and text made of `raw`"],
    );
    check(
        &[&with(&[PARSED, "s: { topics: raw, topic: parsed }"])],
        &["a.yaml:4:28: `s` writes text to `parsed`, but `parsed` writes json"],
    );
    check(
        &[&format!(
            "topics: {{ parsed: {{ format: text }} }}\n{}",
            with(&[PARSED])
        )],
        &["a.yaml:4:33: `parsed` writes json to `parsed`, whose values are text"],
    );
    check(
        &[&with(&[
            "s: { topics: existing, topic: out }",
            "t: { topics: out, topic: lines }",
        ])],
        &[],
    );
}

#[test]
fn nothing_comes_back_to_where_it_was_read() {
    check(
        &[&with(&["s: { topics: /.*/, topic: out }"])],
        &["a.yaml:3:29: `s` reads what it writes: `out`"],
    );
    check(
        &[&with(&[
            "one: { topics: [raw, y], topic: x }",
            "two: { topics: x, topic: y }",
            "three: { topics: /./, topic: other }",
        ])],
        &["a.yaml:3:35: what `one` writes comes back to it: x -> two (stream) -> y"],
    );
    check(
        &[&with(&[
            "s: { topics: raw, topic: raw-2 }",
            "t: { topics: raw-2, topic: raw }",
        ])],
        &["a.yaml:3:28: what `s` writes comes back to it: raw-2 -> t (stream) -> raw"],
    );
    check(
        &[&with(&[
            "s: { topics: raw, topic: x, on_error: { action: dead_letter, topic: raw } }",
        ])],
        &["a.yaml:3:41: `s` reads `raw`, where its dead letters would go"],
    );
}
