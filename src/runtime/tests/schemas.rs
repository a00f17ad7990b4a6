//! Records with schemas through whole workers: what topics and sinks get, when tasks fail, when
//! several bring the same, and when a schema changes so that it does not go with the one before.

use std::collections::BTreeSet;

use towpath_log::ReadTo;
use towpath_record::{Batch, BatchBuilder, Header};
use towpath_sdk::config::{Fields, InputFormat, Node, OutputFormat, Problems};
use towpath_sdk::{
    ConnectorType, Error, Field, FieldType, Flushed, Origin, Part, Result, Schema, SchemaHeaders,
    SchemaId, Schemas, Sink, SinkBatch, SinkConfig, SinkContext, SinkProgress, SinkType, Source,
    SourceBatch, SourceConfig, SourceContext, SourceType, StateChange, Tolerance, async_trait,
};

use super::fakes::{World, world};
use super::*;
use crate::schemas::SchemaRegistry;

towpath_sdk::options! {
    /// Records `{"n":0}`, `{"n":1}` and so on.
    struct TypedOptions {
        /// How many.
        count: u64,
        /// The types that `n` has, one after the other.
        types: Vec<String>,
        /// The first number with the next type.
        each: u64 = 250,
    }

    struct CheckingOptions {}
}

/// A source that knows types, and a sink that wants them.
pub(super) fn connectors() -> [ConnectorType; 2] {
    let typed = SourceType {
        spec: TypedOptions::spec,
        parse: |node: &Node, problems: &mut Problems| {
            let options = TypedOptions::parse(node, problems)?;
            Some(Arc::new(Typed(world(), options)))
        },
        template_names: &[],
    };
    let checking = SinkType {
        spec: CheckingOptions::spec,
        parse: |node: &Node, problems: &mut Problems| {
            CheckingOptions::parse(node, problems)?;
            Some(Arc::new(Checking))
        },
    };
    let connector = |name, source, sink| ConnectorType {
        name,
        summary: "",
        source,
        sink,
    };
    [
        connector("typed", Some(typed), None),
        connector("checking", None, Some(checking)),
    ]
}

#[derive(Debug, Clone)]
struct Typed(Arc<World>, TypedOptions);

impl SourceConfig for Typed {
    fn far_side(&self) -> String {
        "typed".to_owned()
    }
    fn has_end(&self) -> bool {
        true
    }
    fn format(&self) -> InputFormat {
        InputFormat::Json
    }
    fn knows_types(&self) -> bool {
        true
    }
    fn tasks_max(&self) -> u32 {
        1
    }
    fn source(&self) -> Box<dyn Source> {
        Box::new(TypedSource {
            config: self.clone(),
            schemas: None,
            next: 0,
            drain: false,
        })
    }
}

struct TypedSource {
    config: Typed,
    schemas: Option<Arc<dyn Schemas>>,
    next: u64,
    drain: bool,
}

fn schema_of(word: &str) -> Schema {
    let text = |name: &str| FieldType::String.as_str() == name;
    let field_type = match word {
        "int16" => FieldType::Int16,
        "int32" => FieldType::Int32,
        "int64" => FieldType::Int64,
        word => {
            assert!(text(word), "no type of these tests");
            FieldType::String
        }
    };
    Schema {
        name: "numbers".to_owned(),
        fields: vec![Field::required("n", field_type)],
    }
}

#[async_trait]
impl Source for TypedSource {
    async fn open(&mut self, context: SourceContext) -> Result<()> {
        self.config.0.source_lives.fetch_add(1, SeqCst);
        self.schemas = Some(context.schemas);
        self.drain = context.drain;
        if let Some(next) = context.state.get(b"next") {
            let next = std::str::from_utf8(&next)
                .ok()
                .and_then(|next| next.parse().ok());
            self.next = next.ok_or_else(|| Error::fatal("read", "the position"))?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<SourceBatch>> {
        let Typed(world, options) = &self.config;
        if self.next >= options.count {
            return match self.drain {
                true => Ok(None),
                false => std::future::pending().await,
            };
        }
        if world.fails(&world.source_fails_every) {
            return Err(Error::transient("count", "").because("told to fail"));
        }
        let mut builder = BatchBuilder::default();
        let end = (self.next + 100).min(options.count);
        for number in self.next..end {
            let word = &options.types[(number / options.each) as usize % options.types.len()];
            let schemas = self.schemas.as_ref().expect("it was opened");
            let id = schemas.id_of(schema_of(word))?;
            let header = Header {
                key: SchemaHeaders::VALUE.id.as_bytes(),
                value: Some(id.as_bytes()),
            };
            let value = match word.as_str() {
                "string" => format!("{{\"n\":\"{number}\"}}"),
                _ => format!("{{\"n\":{number}}}"),
            };
            builder
                .push(0, None, Some(value.as_bytes()), &[header])
                .map_err(|error| Error::fatal("build", "").because(error))?;
        }
        self.next = end;
        let origin = Arc::new(Origin {
            name: "typed".to_owned(),
            fields: Vec::new(),
        });
        let part = builder.finish().map(|batch| Part {
            origin,
            keyed: false,
            batch,
            positions: Vec::new(),
        });
        Ok(Some(SourceBatch {
            parts: part.into_iter().collect(),
            state: vec![StateChange::put(&b"next"[..], end.to_string())],
            refused: Vec::new(),
        }))
    }
}

/// Fails where the schema of a record is not known or says something else than its value.
#[derive(Debug, Clone)]
struct Checking;

impl SinkConfig for Checking {
    fn far_side(&self) -> String {
        "checking".to_owned()
    }
    fn format(&self) -> (Option<OutputFormat>, Fields) {
        (None, Fields::default())
    }
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(CheckingSink {
            schemas: None,
            progress: SinkProgress::new(Tolerance::default()),
        })
    }
}

struct CheckingSink {
    schemas: Option<Arc<dyn Schemas>>,
    progress: SinkProgress,
}

#[async_trait]
impl Sink for CheckingSink {
    async fn open(&mut self, context: SinkContext) -> Result<()> {
        self.schemas = Some(context.schemas);
        Ok(())
    }

    async fn write(&mut self, batches: Vec<SinkBatch>) -> Result<()> {
        let schemas = self.schemas.as_ref().expect("it was opened");
        for batch in batches {
            for record in batch.records() {
                let record = record?;
                let id = SchemaHeaders::VALUE.id_in(record.headers);
                let schema = id.map_or(Ok(None), |id| schemas.get(id))?;
                let unknown = || Error::fatal("find", "a schema");
                let fits = towpath_sdk::testing::fits(
                    &*schema.ok_or_else(unknown)?,
                    record.value.unwrap_or_default(),
                );
                fits.map_err(|why| Error::fatal("check", "a record").because(why))?;
            }
            self.progress.reached(&batch, batch.next_offset);
        }
        Ok(())
    }

    async fn flush(&mut self, _: bool) -> Result<Flushed> {
        Ok(self.progress.report(Vec::new()))
    }
}

/// The id that the schema has anywhere.
fn id_of(word: &str) -> SchemaId {
    let scene = Scene::new();
    let registry = SchemaRegistry::new(scene.log.clone());
    registry.id_of(schema_of(word)).expect("an id")
}

impl Scene {
    /// The types of `n` in the versions of `subject`, as the log has them.
    fn versions(&self, subject: &str) -> Vec<String> {
        let mut subjects = SchemaRegistry::new(self.log.clone())
            .subjects()
            .expect("sound");
        let versions = subjects.remove(subject).unwrap_or_default();
        let n = |(_, schema): (SchemaId, Arc<Schema>)| schema.fields[0].field_type.to_string();
        versions.into_iter().map(n).collect()
    }

    /// How many records `topic` has, and how many schemas they refer to.
    fn records(&self, topic: &str) -> (usize, usize) {
        let mut reader = self
            .log
            .reader(topic, 0, 0, ReadTo::Committed)
            .expect("the topic");
        let (mut count, mut ids) = (0, BTreeSet::new());
        while let Some(batches) = reader.next(1 << 20).expect("it can be read") {
            for record in batches.iter().flat_map(Batch::records) {
                count += 1;
                ids.extend(SchemaHeaders::VALUE.id_in(record.expect("sound").headers));
            }
        }
        (count, ids.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_a_sink_gets_has_a_schema_whatever_fails() {
    for (topic, fails) in [("t", 0), ("t", 3), ("'t{headers.towpath.schema.id}'", 5)] {
        let scene = Scene::new();
        scene.world.source_fails_every.store(fails, SeqCst);
        let yaml = format!(
            "
sources:
  in: {{ type: typed, topic: {topic}, count: 1000, types: [int16, int32, int64], retry: {{ first: 1ms }} }}
sinks:
  out: {{ type: checking, topics: /t.*/ }}
"
        );
        assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
        match topic {
            "t" => {
                assert_eq!(scene.records("t"), (1000, 3));
                assert_eq!(scene.versions("t"), ["int16", "int32", "int64"]);
            }
            // Each topic is a subject of its own.
            _ => assert_eq!(scene.versions(&format!("t{}", id_of("int64"))), ["int64"]),
        }
        let lives = scene.world.source_lives.load(SeqCst);
        assert_eq!(lives > 1, fails > 0, "{lives} lives");
        // A life brings a version again while it does not know that it is committed.
        let registrations = scene.records(crate::schemas::TOPIC).0;
        assert!((3..=6 * lives as usize).contains(&registrations));
        // The next run finds the versions, and adds none.
        scene.world.source_fails_every.store(0, SeqCst);
        let more = yaml.replace("count: 1000", "count: 2000");
        assert_eq!(scene.drain(&more).await, Vec::<String>::new());
        if topic == "t" {
            assert_eq!(scene.records("t"), (2000, 3));
            assert_eq!(scene.versions("t"), ["int16", "int32", "int64"]);
        }
        assert_eq!(scene.records(crate::schemas::TOPIC).0, registrations);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sources_of_one_topic_share_its_versions() {
    let scene = Scene::new();
    scene.world.source_fails_every.store(3, SeqCst);
    let yaml = "
sources:
  a: { type: typed, topic: t, count: 2000, types: [int16, int32, int64], retry: { first: 1ms } }
  b: { type: typed, topic: t, count: 2000, types: [int16, int32, int64], retry: { first: 1ms } }
sinks:
  out: { type: checking, topics: t }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    assert_eq!(scene.records("t"), (4000, 3));
    assert_eq!(scene.versions("t"), ["int16", "int32", "int64"]);
}

/// A topic whose type becomes string at record 250, with this option.
fn changing(option: &str) -> String {
    format!(
        "
sources:
  in: {{ type: typed, topic: t, count: 500, types: [int16, string], {option} retry: {{ first: 1ms }} }}
sinks:
  out: {{ type: checking, topics: t }}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incompatible_change_stops_the_source() {
    let scene = Scene::new();
    assert_eq!(scene.drain(&changing("")).await, ["p.in"]);
    // The batch of the change is read again, once somebody has decided.
    assert_eq!(scene.records("t"), (200, 1));
    assert_eq!(scene.versions("t"), ["int16"]);
    let evolve = changing("on_schema_change: evolve,");
    assert_eq!(scene.drain(&evolve).await, Vec::<String>::new());
    assert_eq!(scene.records("t"), (500, 2));
    assert_eq!(scene.versions("t"), ["int16", "string"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn incompatible_records_can_be_kept_aside() {
    let scene = Scene::new();
    let option = "on_schema_change: dead_letter, on_error: { action: dead_letter, topic: bad },";
    assert_eq!(scene.drain(&changing(option)).await, Vec::<String>::new());
    assert_eq!(scene.records("t"), (250, 1));
    assert_eq!(scene.versions("t"), ["int16"]);
    assert_eq!(scene.records("bad"), (250, 1));
    assert_eq!(
        scene.versions("bad"),
        ["string"],
        "letters keep their schema"
    );
}
