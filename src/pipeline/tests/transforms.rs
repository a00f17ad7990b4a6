//! Transforms: what is read, and what is refused where.

use std::sync::Arc;

use towpath_sdk::config::{Format, Node, Problems, options};
use towpath_sdk::{Path, Transform, TransformConfig, TransformType};

use super::{RIGHT, check, load};

options! {
    struct Options {
        /// A path.
        field: Path,
        /// Whether it changes places.
        moves: bool = false,
        /// Whether it needs the offset.
        offset: bool = false,
        /// Whether it gives keys.
        keys: bool = false,
        /// Where it looks records up.
        table: Option<String>,
    }
}

#[derive(Debug)]
struct Fake(Options);

impl TransformConfig for Fake {
    fn output(&self, _: Format) -> Format {
        Format::Json
    }

    fn changes_places(&self) -> bool {
        self.0.moves
    }

    fn needs_offset(&self) -> bool {
        self.0.offset
    }

    fn makes_keys(&self) -> bool {
        self.0.keys
    }

    fn table_topic(&self) -> Option<&str> {
        self.0.table.as_deref()
    }

    fn transform(&self) -> Box<dyn Transform> {
        panic!("no task is made here")
    }
}

/// The one type there is in these tests.
pub(super) fn fake_type() -> TransformType {
    TransformType {
        name: "fake",
        summary: "In tests.",
        spec: Options::spec,
        parse: |node: &Node, problems: &mut Problems| {
            Options::parse(node, problems).map(|options| Arc::new(Fake(options)) as _)
        },
        examples: &[],
    }
}

/// `RIGHT` with `transforms` in its source.
fn in_source(transforms: &str) -> String {
    let topic = "    topic: lines\n";
    RIGHT.replacen(topic, &format!("{topic}    transforms: {transforms}\n"), 1)
}

#[test]
fn transforms_are_read_with_their_places() {
    let text =
        in_source("[{ type: fake, field: a.b, when: key == 'c' }, { type: fake, field: d }]");
    let loaded = load(&[&text]).expect("nothing is wrong");
    let source = &loaded.pipelines[0].sources[0];
    let [first, second] = &source.connector.transforms[..] else {
        panic!("two transforms: {:?}", source.connector.transforms);
    };
    for (transform, start) in [
        (first, "a.in.transforms[0] (fake at "),
        (second, "a.in.transforms[1] (fake at "),
    ] {
        let place = &transform.place;
        assert!(place.starts_with(start), "{place}");
        assert!(place.ends_with("a.yaml:6)"), "{place}");
    }
    assert!(first.when.is_some() && second.when.is_none());
    let format = loaded.topics["lines"].format;
    assert_eq!(format, Some(Format::Json), "the topic holds what comes out");
    check(&[&in_source("{ type: fake, field: one }")], &[]);
}

#[test]
fn mistakes_are_pointed_at() {
    check(
        &[&in_source("[{ type: fale, field: a }]")],
        &["a.yaml:6:26: unknown transform `fale`"],
    );
    check(
        &[&in_source("[fake, 7]")],
        &[
            "a.yaml:6:18: missing option `field` (path)",
            "a.yaml:6:24: expected a transform, found the number 7",
        ],
    );
    check(
        &[&in_source(
            "[{ type: fake, field: 'a b', wen: x, when: 'value.' }]",
        )],
        &[
            "a.yaml:6:41: not a path: expected `.`, `[` or the end of the path",
            "a.yaml:6:46: unknown option `wen`",
            "a.yaml:6:67: expected a field or function, found the end",
        ],
    );
    check(
        &[&in_source("{ type: fake, field: a, offset: true }")],
        &["a.yaml:6:25: this `fake` cannot be in a source"],
    );
    let in_sink = RIGHT.replacen(
        "    topics: lines\n",
        "    topics: lines\n    transforms: { type: fake, field: a, moves: true }\n",
        1,
    );
    check(
        &[&in_sink],
        &["a.yaml:10:25: this `fake` cannot be in a sink"],
    );
}

#[test]
fn a_mistake_in_a_block_is_pointed_at_in_its_line() {
    let block = "\n      - type: fake\n        field: a\n        when: |\n          true\n\n            && valeu.a";
    check(
        &[&in_source(block)],
        &["a.yaml:12:16: unknown name `valeu`"],
    );
}

#[test]
fn a_type_is_no_option() {
    check(
        &[&in_source("[fake: { field: a }]")],
        &["a.yaml:6:18: `fake` is a type of transforms, and no option"],
    );
}

#[test]
fn fields_are_asked_for_where_there_are_some() {
    check(
        &[&in_source("{ type: fake, field: a, when: value.b }")],
        &["a.yaml:6:25: this asks for fields of the value, but the values of `in` are text here"],
    );
    check(
        &[&in_source(
            "[{ type: fake, field: a }, { type: fake, field: a, when: value.b }]",
        )],
        &[],
    );
    check(
        &[&in_source("{ type: fake, field: value.a }")],
        &["a.yaml:6:38: `value.a`: a path is already inside the value"],
    );
}

#[test]
fn several_fields_need_json() {
    let sink = "    topics: lines\n";
    let text = RIGHT.replacen(sink, &format!("{sink}    fields: [key, value]\n"), 1);
    check(
        &[&text],
        &["a.yaml:10:13: only JSON, CSV, Avro and Parquet have names for several fields"],
    );
}

#[test]
fn a_table_is_a_topic_that_keeps_its_rows() {
    let in_source = in_source("{ type: fake, field: a, table: users }");
    check(
        &[&in_source],
        &["a.yaml:6:25: nothing writes the topic `users`, and it is not declared"],
    );
    let declared = |options: &str| format!("{in_source}topics: {{ users: {{ {options} }} }}\n");
    check(&[&declared("cleanup: compact")], &[]);
    check(
        &[&declared("")],
        &["a.yaml:6:25: retention would drop rows of the table `users`"],
    );
}
