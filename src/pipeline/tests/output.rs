//! What is printed about a pipeline.

use super::{RIGHT, defaults, load, registry};

#[test]
fn every_default_is_printed_and_read_again() {
    let text = RIGHT.replace(
        "topic: lines",
        "topic: lines\n    password: ${file:secret.txt}\n    exclude: ['7', 'no', 'a: b', \"\\t\"]\n    description: http://u:pw@host/x",
    );
    let loaded = load(&[&text]).unwrap();
    let printed = crate::print(&loaded.pipelines[0], &registry());
    let expected = "\
name: a
sources:
  in:
    type: file
    include: \"in/*.log\"
    topic: lines
    password: \"${file:secret.txt}\"
    exclude:
      - \"7\"
      - \"no\"
      - \"a: b\"
      - \"\\t\"
    description: \"http://u:***@host/x\"
    enabled: true
    tasks: 1
    transforms: []
    on_error: fail
    retry:
      first: 250ms
      max: 60s
      limit: forever
    format: text
    max_line: 1MiB
sinks:
  out:
    type: file
    topics: lines
    path: \"out/{topic}.txt\"
    enabled: true
    tasks: 1
    transforms: []
    on_error: fail
    retry:
      first: 250ms
      max: 60s
      limit: forever
    start: earliest
    compression: none
    fields:
      - value
topics: {}
streams: {}
";
    assert_eq!(printed, expected);
    let again = load(&[&printed]).unwrap();
    assert_eq!(crate::print(&again.pipelines[0], &registry()), printed);
    let (one, two) = (
        &loaded.pipelines[0].sinks[0],
        &load(&[RIGHT]).unwrap().pipelines[0].sinks[0],
    );
    assert!(one.connector.same_configuration(&two.connector));
    let changed = &loaded.pipelines[0].sources[0].connector;
    assert!(
        !changed.same_configuration(&load(&[RIGHT]).unwrap().pipelines[0].sources[0].connector)
    );
}

#[test]
fn the_picture() {
    let text = format!(
        "{RIGHT}  off: {{ type: stdout, topics: /.*/, path: x, enabled: false }}\ntopics: {{ lines: {{ partitions: 4 }}, spare: {{}} }}\n"
    );
    let loaded = load(&[&text]).unwrap();
    assert_eq!(
        crate::picture(&loaded, &loaded.pipelines[0], &defaults()),
        [
            "in (file) -> lines [4] -> out (file), off (stdout, off)",
            "spare [1] -> off (stdout, off)"
        ],
    );
    let loaded = load(&["sources: { s: { type: file, include: x, topic: 'a-{key}' } }"]).unwrap();
    assert_eq!(
        crate::picture(&loaded, &loaded.pipelines[0], &defaults()),
        ["s (file) -> a-{key}"]
    );
}

#[test]
fn problems_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    std::fs::write(&path, "sources: 7\n").unwrap();
    let surroundings = crate::Surroundings {
        registry: &registry(),
        environment: &super::fake(),
        existing_topics: &Default::default(),
        topic_defaults: &defaults(),
    };
    let missing = folder.path().join("missing.yaml");
    let found = crate::load(&[path, missing], &surroundings)
        .unwrap_err()
        .to_json();
    assert_eq!(found.len(), 2);
    assert_eq!(
        (
            &found[0]["line"],
            &found[0]["column"],
            &found[0]["end_column"]
        ),
        (&1.into(), &10.into(), &11.into())
    );
    assert_eq!(
        found[0]["message"],
        "expected a map of names, found the number 7"
    );
    assert!(found[1]["file"].is_null());
}

#[test]
fn the_schema_has_every_option() {
    let schema = crate::json_schema(&registry());
    let sources = &schema["properties"]["sources"]["additionalProperties"]["oneOf"];
    assert_eq!(sources[0]["properties"]["type"]["const"], "file");
    assert_eq!(
        sources[0]["required"],
        serde_json::json!(["type", "topic", "include"])
    );
    assert_eq!(sources[0]["properties"]["max_line"]["default"], "1MiB");
    assert_eq!(sources.as_array().map(Vec::len), Some(2));
    let partitions =
        &schema["properties"]["topics"]["additionalProperties"]["properties"]["partitions"];
    assert_eq!(partitions["anyOf"][0]["minimum"], 1);
    let transform = serde_json::json!({ "$ref": "#/$defs/transform" });
    let transforms = &sources[0]["properties"]["transforms"]["anyOf"];
    assert_eq!(transforms[1], transform);
    let alternatives = schema["$defs"]["transform"]["anyOf"].as_array().unwrap();
    let maps = &alternatives.last().unwrap()["oneOf"];
    assert_eq!(maps[0]["properties"]["type"]["const"], "fake");
    assert_eq!(maps[0]["properties"]["when"]["type"], "string");
    assert_eq!(
        crate::worker_schema()["properties"]["durability"]["default"],
        "fsync"
    );
}
