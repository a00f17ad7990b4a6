//! What transforms remember: over lives, wherever a sink's offset lies, and when it is forgotten.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use towpath_sdk::config::{Node, Problems, options};
use towpath_sdk::{
    Result, Side, StateChange, Transform, TransformChanges, TransformConfig, TransformContext,
    TransformType, WorkingBatch,
};

use super::Scene;
use crate::control::{Control, ResetRequest};

options! {
    /// Drops numbers that came before.
    struct Options {
        /// Another one begins anew.
        meaning: String = "",
    }
}

pub(super) fn once() -> TransformType {
    TransformType {
        name: "once",
        summary: "",
        spec: Options::spec,
        parse: |node: &Node, problems: &mut Problems| {
            let options = Options::parse(node, problems)?;
            Some(Arc::new(Once {
                meaning: options.meaning,
                ..Once::default()
            }))
        },
        examples: &[],
    }
}

/// Its state is all numbers below the offset, one behind the other.
#[derive(Debug, Clone, Default)]
struct Once {
    meaning: String,
    known: BTreeSet<u64>,
    durable: Vec<u8>,
    pending: VecDeque<(i64, u64)>,
}

impl TransformConfig for Once {
    fn state_name(&self) -> Option<String> {
        Some(format!("once{}", self.meaning))
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Once {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let text = batch.text(row, Side::Value)?.unwrap_or_default();
            let number = text.parse().unwrap_or(0);
            if self.known.insert(number) {
                self.pending
                    .push_back((batch.offset(row).unwrap_or(0), number));
            } else {
                batch.drop_row(row);
            }
            Ok(())
        })
    }

    fn restore(&mut self, state: &[(Bytes, Bytes)]) -> Result<()> {
        for (key, value) in state {
            assert_eq!(key, "all");
            self.durable = value.to_vec();
            let numbers = value.as_chunks().0.iter();
            self.known = numbers.map(|number| u64::from_le_bytes(*number)).collect();
        }
        Ok(())
    }

    fn changes(&mut self, below: i64) -> TransformChanges {
        let count = self.pending.partition_point(|(offset, _)| *offset < below);
        if count == 0 {
            return TransformChanges::default();
        }
        for (_, number) in self.pending.drain(..count) {
            self.durable.extend(number.to_le_bytes());
        }
        TransformChanges {
            ahead: Vec::new(),
            last: Some(StateChange::put("all", self.durable.clone())),
        }
    }
}

/// A second source, of the same numbers.
const AGAIN: &str = "sources:
  again: { type: numbers, topic: t, count: 2000 }";

/// Each number from 0 on of which `good` holds was delivered once, in any order.
#[track_caller]
fn assert_delivered_once(scene: &Scene, count: u64, good: impl Fn(&u64) -> bool) {
    let mut delivered = scene.world.delivered.lock().expect("not poisoned").clone();
    delivered.sort_unstable();
    assert_eq!(delivered, (0..count).filter(good).collect::<Vec<_>>());
}

fn remembered_keys(scene: &Scene, owner: &str) -> usize {
    let keys = scene.log.state(owner).into_keys();
    keys.filter(|key| crate::step::remembered(key).is_some())
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_remembers_what_is_in_the_log() {
    let scene = Scene::new();
    scene.world.source_fails_every.store(3, SeqCst);
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 2000, retry: { first: 1ms, max: 2ms },
        transforms: [{ type: pick, twice: true }, once] }
sinks:
  out: { type: memory, topics: t }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    scene.world.assert_delivered(2000);
    assert!(scene.world.source_lives.load(SeqCst) > 1, "opened anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_fails_remembers_what_it_delivered() {
    let scene = Scene::new();
    scene.world.sink_fails_every.store(3, SeqCst);
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 2000, sound: true,
        transforms: [{ type: pick, twice: true }] }
sinks:
  out: { type: memory, topics: t, transforms: [once], retry: { first: 1ms, max: 2ms } }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    assert!(scene.world.sink_lives.load(SeqCst) > 1, "opened anew");
    let again = yaml.replace("sources:", AGAIN);
    assert_eq!(scene.drain(&again).await, Vec::<String>::new());
    assert_delivered_once(&scene, 2000, |_| true);
}

/// A bad record that ends a task leaves the offset within a batch.
#[tokio::test(flavor = "multi_thread")]
async fn what_stood_behind_a_bad_record_is_not_remembered() {
    for bad in [
        "transforms: [once, { type: pick, refuse_every: 345 }]",
        "transforms: [once], bad_every: 345",
    ] {
        let scene = Scene::new();
        let yaml = format!(
            "
sources:
  in: {{ type: numbers, topic: t, count: 2000 }}
sinks:
  out: {{ type: memory, topics: t, {bad} }}
"
        );
        assert_eq!(scene.drain(&yaml).await, ["p.out"]);
        scene.world.assert_delivered(344);
        let skip = yaml.replace("topics: t,", "topics: t, on_error: skip,");
        let again = skip.replace("sources:", AGAIN);
        assert_eq!(scene.drain(&again).await, Vec::<String>::new());
        assert_delivered_once(&scene, 2000, |number| number % 345 != 344);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_forgets_and_so_does_another_transform() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 100, transforms: [once] }
sinks:
  out: { type: memory, topics: t, transforms: [once, { type: once }] }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    assert_eq!(
        (
            remembered_keys(&scene, "p.in"),
            remembered_keys(&scene, "p.out")
        ),
        (1, 2)
    );
    let log = scene.log.clone();
    let request = ResetRequest {
        to: Some("50".to_owned()),
        ..ResetRequest::default()
    };
    let reset = tokio::task::spawn_blocking(move || {
        let control = Control::new(log, None, 0);
        let shown = control.offsets_of("p.out").expect("it is known");
        let keys: Vec<_> = shown.state.into_iter().map(|state| state.key).collect();
        assert_eq!(
            keys,
            [
                "once.0 of t partition 0",
                "once.1 of t partition 0",
                "count"
            ]
        );
        control.reset_offsets("p.out", &request).map(|_| ())
    });
    reset.await.expect("no panic").expect("it does not run");
    assert_eq!(remembered_keys(&scene, "p.out"), 0);
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    let delivered = scene.world.delivered.lock().expect("not poisoned").clone();
    assert_eq!(delivered, (0..100).chain(50..100).collect::<Vec<_>>());
    let other = yaml.replace("{ type: once }", "{ type: once, meaning: other }");
    assert_eq!(scene.drain(&other).await, Vec::<String>::new());
    assert_eq!(remembered_keys(&scene, "p.out"), 1, "once.1 is no more");
    let without = yaml.replace("transforms: [once, { type: once }]", "");
    assert_eq!(scene.drain(&without).await, Vec::<String>::new());
    assert_eq!(remembered_keys(&scene, "p.out"), 0);
}
