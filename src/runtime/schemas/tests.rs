//! What may follow what, and what the registry keeps.

mod changes;

use towpath_log::LogConfig;
use towpath_sdk::{ErrorKind, Field, FieldType};

use super::*;

fn schema(name: &str, fields: &[(&str, FieldType)]) -> Schema {
    let field = |(name, of): &(&str, FieldType)| Field::required(*name, of.clone());
    Schema {
        name: name.to_owned(),
        fields: fields.iter().map(field).collect(),
    }
}

fn numbers(of: FieldType) -> Schema {
    schema("numbers", &[("n", of)])
}

struct Bench {
    log: Log,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (log, _) = Log::open_disk(dir.path(), LogConfig::default()).expect("a log");
        Self { log, _dir: dir }
    }

    fn append(&self, batch: TopicBatch) {
        let set = towpath_log::AppendSet {
            batches: vec![batch],
            ..Default::default()
        };
        let writer = self.log.open_writer("test", 0).expect("a writer");
        let outcome = crate::commit::hand_over(&writer, set);
        outcome
            .blocking_recv()
            .expect("an answer")
            .expect("it is committed");
    }

    /// Commits what `registry` wants to be committed with records of these versions.
    fn commit(&self, registry: &SchemaRegistry, used: &[(&str, u32)]) -> usize {
        let used = used
            .iter()
            .map(|(subject, version)| ((*subject).to_owned(), *version));
        let registration = registry.registration(used.collect(), 7);
        let Some((batch, versions)) = registration.expect("registers") else {
            return 0;
        };
        self.append(batch);
        registry.committed(&versions);
        versions.len()
    }
}

#[test]
fn ids_come_from_the_content_and_stay() {
    let bench = Bench::new();
    let registry = SchemaRegistry::new(bench.log.clone());
    let id = registry.id_of(numbers(FieldType::Int32)).expect("an id");
    // Another id for the same schema would part new records from old ones.
    assert_eq!(id.to_string(), "c40b66108221cf1e");
    assert_eq!(
        registry.id_of(numbers(FieldType::Int32)).expect("an id"),
        id
    );
    let other = SchemaRegistry::new(Bench::new().log.clone());
    assert_eq!(other.id_of(numbers(FieldType::Int32)).expect("an id"), id);
    assert_ne!(other.id_of(numbers(FieldType::Int64)).expect("an id"), id);
    let renamed = schema("others", &[("n", FieldType::Int32)]);
    assert_ne!(other.id_of(renamed).expect("an id"), id);
}

#[test]
fn versions_are_kept_with_all_below_them() {
    let bench = Bench::new();
    let registry = SchemaRegistry::new(bench.log.clone());
    let types = [FieldType::Int16, FieldType::Int32, FieldType::Int64];
    let ids = types
        .clone()
        .map(|of| registry.id_of(numbers(of)).expect("an id"));
    let admit = |registry: &SchemaRegistry, subject, id| {
        registry
            .admit(subject, id, OnSchemaChange::Fail)
            .expect("it goes with the others")
    };
    for (version, id) in (1..).zip(ids) {
        assert_eq!(admit(&registry, "t", id), Some(version));
        assert_eq!(admit(&registry, "t", ids[0]), Some(1), "old ones stay");
    }
    assert_eq!(
        admit(&registry, "u/key", ids[1]),
        Some(1),
        "every subject counts alone"
    );
    assert_eq!(admit(&registry, "t", SchemaId::new(7)), None);
    // Who uses version 2 first brings version 1 along.
    assert_eq!(bench.commit(&registry, &[("t", 2)]), 2);
    assert_eq!(bench.commit(&registry, &[("t", 2)]), 0);
    assert_eq!(bench.commit(&registry, &[("t", 3), ("u/key", 1)]), 2);

    let again = SchemaRegistry::new(bench.log.clone());
    let held = again.subjects().expect("subjects");
    assert_eq!(held, registry.subjects().expect("subjects"));
    assert_eq!(held["t"].iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
    assert_eq!(admit(&again, "t", ids[2]), Some(3));
    let found = again
        .get(ids[1])
        .expect("it can be read")
        .expect("it is known");
    assert_eq!(*found, numbers(FieldType::Int32));
    assert_eq!(
        bench.commit(&again, &[("t", 3)]),
        0,
        "nothing is kept twice"
    );
}

#[test]
fn what_two_tasks_bring_is_there_once() {
    let bench = Bench::new();
    let registry = SchemaRegistry::new(bench.log.clone());
    let id = registry.id_of(numbers(FieldType::Int32)).expect("an id");
    let admitted = registry.admit("t", id, OnSchemaChange::Fail);
    assert_eq!(admitted.expect("the first"), Some(1));
    let used = || BTreeMap::from([("t".to_owned(), 1)]);
    let first = registry
        .registration(used(), 7)
        .expect("registers")
        .expect("it is new");
    let second = registry
        .registration(used(), 7)
        .expect("registers")
        .expect("still");
    assert_eq!(first.0.batch.as_bytes(), second.0.batch.as_bytes());
    bench.append(second.0);
    bench.append(first.0);
    let held = SchemaRegistry::new(bench.log.clone())
        .subjects()
        .expect("subjects");
    assert_eq!(held, registry.subjects().expect("subjects"));
}

#[test]
fn an_incompatible_schema_is_what_the_source_says() {
    let bench = Bench::new();
    let registry = SchemaRegistry::new(bench.log.clone());
    let admit = |subject: &str, of, on_change| {
        let id = registry.id_of(numbers(of)).expect("an id");
        registry.admit(subject, id, on_change)
    };
    admit("t", FieldType::Int64, OnSchemaChange::Fail).expect("the first");
    let refused = admit("t", FieldType::String, OnSchemaChange::Fail).expect_err("incompatible");
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    assert_eq!(
        refused.to_string(),
        "cannot take a new schema for topic t: version 2 would not go with version 1: field `n` \
         was int64 and is string; set `on_schema_change: evolve` to take it all the same, or \
         `dead_letter` to keep such records aside; or write to another topic"
    );
    let bad = admit("t", FieldType::String, OnSchemaChange::DeadLetter).expect_err("incompatible");
    assert_eq!(bad.kind(), ErrorKind::Record);
    assert_eq!(
        bad.to_string(),
        "cannot take a new schema for topic t: version 2 would not go with version 1: field `n` \
         was int64 and is string"
    );
    let taken = admit("t", FieldType::String, OnSchemaChange::Evolve).expect("taken");
    assert_eq!(taken, Some(2));
    let back = admit("t", FieldType::Int64, OnSchemaChange::Fail).expect("known");
    assert_eq!(back, Some(1), "records of an old version go on");
    let keys = admit("t/key", FieldType::Int64, OnSchemaChange::Fail).expect("the first");
    assert_eq!(keys, Some(1));
    let refused = admit("t/key", FieldType::Date, OnSchemaChange::Fail).expect_err("incompatible");
    assert!(
        refused.to_string().contains("for the keys of topic t:"),
        "{refused}"
    );
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let bench = Bench::new();
    let registry = SchemaRegistry::new(bench.log.clone());
    let refused = |schema| {
        let error = registry.id_of(schema).expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::Record);
        error.to_string()
    };
    let deep = (0..80).fold(FieldType::Int16, |inner, _| {
        FieldType::Object(vec![Field::required("f", inner)])
    });
    assert!(refused(numbers(deep)).contains("nested too deep"));
    let long = schema(&"x".repeat(SCHEMA_BYTES_MAX), &[]);
    assert!(refused(long).contains("more than 1 MiB"));
}

#[test]
fn versions_may_stand_in_any_order_but_none_may_be_missing() {
    let bench = Bench::new();
    SchemaRegistry::new(bench.log.clone())
        .create_topic()
        .expect("created");
    let write = |version: u32| {
        let mut builder = BatchBuilder::default();
        let text = schema("x", &[]);
        let id = SchemaId::new(version.into());
        put(&mut builder, "t", version, id, &text, 0).expect("a small record");
        bench.append(TopicBatch {
            topic: TOPIC.into(),
            partition: 0,
            batch: builder.finish().expect("a record"),
        });
    };
    write(2);
    let error = SchemaRegistry::new(bench.log.clone())
        .subjects()
        .expect_err("a hole");
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(
        error
            .to_string()
            .contains("version 2 is without those before it"),
        "{error}"
    );
    // Two tasks have brought it, and compaction has left what the second one wrote.
    write(1);
    let held = SchemaRegistry::new(bench.log.clone());
    let held = held.subjects().expect("subjects");
    let ids = held["t"].iter().map(|(id, _)| *id);
    assert!(ids.eq([SchemaId::new(1), SchemaId::new(2)]));
}
