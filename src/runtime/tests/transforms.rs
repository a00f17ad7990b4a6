//! Chains of transforms in sources and sinks: what goes on, where to, and what a restart finds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use towpath_sdk::config::{Format, Node, Problems, options};
use towpath_sdk::{
    Cell, Error, Result, Side, Transform, TransformConfig, TransformContext, TransformType,
    WorkingBatch,
};

use super::Scene;

options! {
    /// Of the numbers that come.
    struct Options {
        /// Drops every so manieth.
        drop_every: Option<u64>,
        /// Refuses every so manieth.
        refuse_every: Option<u64>,
        /// Sends the even ones here.
        even_to: Option<String>,
        /// Makes two of each.
        twice: bool = false,
        /// Makes JSON of each.
        json: bool = false,
        /// Gives each a header of so many bytes.
        pad: u64 = 0,
    }
}

/// The one transform type of these tests.
pub(super) fn pick() -> TransformType {
    TransformType {
        name: "pick",
        summary: "",
        spec: Options::spec,
        parse: |node: &Node, problems: &mut Problems| {
            Options::parse(node, problems).map(|options| Arc::new(Pick(options)) as _)
        },
        examples: &[],
    }
}

#[derive(Debug, Clone)]
struct Pick(Options);

impl TransformConfig for Pick {
    fn output(&self, format: Format) -> Format {
        match self.0.json {
            true => Format::Json,
            false => format,
        }
    }

    fn changes_places(&self) -> bool {
        self.0.twice || self.0.even_to.is_some()
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Pick {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        let Pick(options) = self;
        batch.each(|batch, row| {
            let text = batch.text(row, Side::Value)?.unwrap_or_default();
            let number: u64 = text.parse().unwrap_or(0);
            let is_one =
                |every: Option<u64>| every.is_some_and(|every| number % every == every - 1);
            if is_one(options.refuse_every) {
                return Err(Error::record("pick", number));
            }
            if let (true, Cell::Text(span)) = (options.json, batch.cell(row, Side::Value)) {
                batch.set_cell(row, Side::Value, Cell::Json(span));
            }
            if options.pad > 0 {
                let pad = vec![b'x'; options.pad as usize];
                batch.add_header(row, "pad", Some(&pad));
            }
            if is_one(options.drop_every) {
                batch.drop_row(row);
            } else if options.twice {
                let cell: Cell = batch.cell(row, Side::Value);
                batch.split(row, [cell, cell])?;
            } else if let Some(topic) = options
                .even_to
                .as_ref()
                .filter(|_| number.is_multiple_of(2))
            {
                batch.set_topic(row, topic)?;
            }
            Ok(())
        })
    }
}

/// How many records each topic holds.
pub(super) fn topics(scene: &Scene) -> BTreeMap<String, u64> {
    let topics = scene.log.topics().into_iter();
    let records = topics.map(|topic| {
        let ends = topic
            .partitions
            .iter()
            .map(|partition| partition.end_offset);
        (topic.name.clone(), ends.sum())
    });
    records.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_drops_routes_and_splits() {
    let scene = Scene::new();
    let yaml = "
sources:
  drops: { type: numbers, topic: some, count: 1000, transforms: { type: pick, drop_every: 10 } }
  routes: { type: numbers, topic: odd, count: 1000, transforms: { type: pick, even_to: even } }
  splits: { type: numbers, topic: twice, count: 500, transforms: { type: pick, twice: true } }
sinks:
  out: { type: memory, topics: some }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    let expected = [("even", 500), ("odd", 500), ("some", 900), ("twice", 1000)];
    assert_eq!(
        topics(&scene),
        expected
            .map(|(name, records)| (name.to_owned(), records))
            .into()
    );
    scene
        .world
        .assert_delivered_if(1000, |number| number % 10 != 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_topic_waits_until_there_is_one() {
    let scene = Scene::new();
    let yaml = "
sources:
  early: { type: numbers, topic: 'a-{source}', key: '{topic}', count: 100,
           transforms: { type: pick, drop_every: 10 } }
  late: { type: numbers, topic: 'b-{headers.x|none}', key: '{topic}', count: 100,
          transforms: { type: pick, drop_every: 10 } }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    let expected = [("a-numbers", 90), ("b-none", 90)];
    assert_eq!(
        topics(&scene),
        expected
            .map(|(name, records)| (name.to_owned(), records))
            .into()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_chooses_the_records_a_transform_is_for() {
    let scene = Scene::new();
    let yaml = "
sources:
  in:
    type: numbers
    topic: t
    count: 1000
    transforms: { type: pick, drop_every: 10, when: \"value.endsWith('19')\" }
sinks:
  out: { type: memory, topics: t }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    scene
        .world
        .assert_delivered_if(1000, |number| number % 100 != 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_drops_goes_on_where_it_was() {
    let scene = Scene::new();
    scene.world.sink_fails_every.store(3, SeqCst);
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 5000, sound: true }
sinks:
  out: { type: memory, topics: t, transforms: { type: pick, drop_every: 7 },
         retry: { first: 1ms, max: 2ms } }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    scene
        .world
        .assert_delivered_if(5000, |number| number % 7 != 6);
    assert!(
        scene.world.sink_lives.load(SeqCst) > 1,
        "it was opened anew"
    );
    let more = yaml.replace("5000", "6000");
    assert_eq!(scene.drain(&more).await, Vec::<String>::new());
    scene
        .world
        .assert_delivered_if(6000, |number| number % 7 != 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_ends_a_sink_behind_what_came_before_and_is_named() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 1000 }
sinks:
  out: { type: memory, topics: t, transforms: { type: pick, refuse_every: 345 } }
";
    assert_eq!(scene.drain(yaml).await, ["p.out"]);
    scene.world.assert_delivered(344);
    let skip = yaml.replace("topics: t,", "topics: t, on_error: skip,");
    assert_eq!(scene.drain(&skip).await, Vec::<String>::new());
    scene
        .world
        .assert_delivered_if(1000, |number| number % 345 != 344);
}
