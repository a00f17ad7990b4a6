//! What changes while there are positions to lose: names, patterns, beginnings, configurations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::watch;
use towpath_sdk::Error;

use super::{DEADLINE, ONE_TO_ONE, Scene};
use crate::control::{Control, paused};
use crate::health::TaskHealth;
use crate::retry::Backoff;
use crate::schemas::SchemaRegistry;
use crate::status::TaskState;
use crate::supervisor::{Ended, Signal, Stop, TaskContext, supervise};

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_renamed_while_it_runs_repeats_nothing() {
    let scene = Scene::new();
    // What is stopped before it leaves it time to go on under its old name.
    let yaml = "
sources:
  aside: { type: numbers, topic: u, count: 1, close_ms: 200 }
  in: { type: numbers, topic: t, count: 1000000, retry: { first: 1ms } }
sinks:
  out: { type: memory, topics: t }
";
    let worker = scene.start(yaml, false).await;
    scene.world.delivered(1).await;
    let renamed = yaml
        .replace("  aside", "  besides")
        .replace("  in: {", "  other: { formerly: p.in,");
    let renamed = renamed.replace("besides: {", "besides: { formerly: p.aside,");
    worker
        .apply(&scene.load(&renamed))
        .await
        .expect("it applies");
    scene.world.delivered(1_000_000).await;
    worker.stop(DEADLINE).await;
    scene.world.assert_delivered(1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_connector_that_runs_is_not_taken_over() {
    let scene = Scene::new();
    assert_eq!(scene.drain(ONE_TO_ONE).await, Vec::<String>::new());
    let copies = [
        "  in: { type: numbers, topic: t, count: 10000 }\n  copy: { formerly: p.in,",
        "  copy: { formerly: p.in, type: numbers, topic: t, count: 10000 }\n  more: { formerly: p.in,",
    ];
    for copy in copies {
        let text = scene.refused(&ONE_TO_ONE.replace("  in: {", copy)).await;
        assert!(text.contains("formerly: p.in"), "{text}");
    }
    // A slip in the name is no reason to begin anew either.
    let slip = ONE_TO_ONE.replace("  in: {", "  renamed: { formerly: p.inn,");
    let text = scene.refused(&slip).await;
    assert!(text.contains("formerly: p.in`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_misses_nothing_of_topics_that_come_later() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: 'made-{source}', count: 500 }
sinks:
  out: { type: memory, topics: /made-.*/, start: latest }
";
    let worker = scene.start(yaml, false).await;
    scene.world.delivered(500).await;
    worker.stop(DEADLINE).await;
    scene.world.assert_delivered(500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_follows_a_connector_to_its_new_name() {
    let scene = Scene::new();
    let worker = scene.start(ONE_TO_ONE, false).await;
    let control = Control::new(scene.log.clone(), Some(worker.clone()), 1 << 20);
    control.pause("p.out").await.expect("it pauses");
    let renamed = ONE_TO_ONE.replace("  out: {", "  other: { formerly: p.out,");
    worker
        .apply(&scene.load(&renamed))
        .await
        .expect("it applies");
    scene.until(&worker, "p.other", TaskState::Paused).await;
    worker.stop(DEADLINE).await;
    // The next worker knows it too, and of no pause under the old name.
    assert_eq!(paused(&scene.log), ["p.other".to_owned()].into());
    let worker = scene.start(&renamed, false).await;
    scene.until(&worker, "p.other", TaskState::Paused).await;
    worker.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beginning_at_the_end_of_an_empty_topic_stays_there() {
    let scene = Scene::new();
    let sink = "
topics: { t: {} }
sinks: { out: { type: memory, topics: t, start: latest } }
";
    let worker = scene.start(sink, false).await;
    scene.until(&worker, "p.out", TaskState::Running).await;
    worker.stop(DEADLINE).await;
    let source = "sources: { in: { type: numbers, topic: t, count: 500 } }";
    assert_eq!(scene.drain(source).await, Vec::<String>::new());
    assert_eq!(scene.drain(sink).await, Vec::<String>::new());
    scene.world.assert_delivered(500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_takes_no_changes() {
    let scene = Scene::new();
    let worker = scene
        .start(&ONE_TO_ONE.replace("10000", "1000000"), true)
        .await;
    let changed = scene.load(&ONE_TO_ONE.replace("10000", "1000001"));
    let refused = worker.apply(&changed).await.expect_err("it is refused");
    assert!(refused.to_string().contains("drain"), "{refused}");
    let outcome = tokio::time::timeout(DEADLINE, worker.finished())
        .await
        .expect("an end");
    assert_eq!(outcome.failed, Vec::<String>::new());
    scene.world.assert_delivered(1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_far_apart_are_no_row_of_failures() {
    let longest = Duration::from_millis(40);
    let backoff = Backoff {
        first: Duration::from_millis(1),
        max: longest,
        limit: Some(2 * longest),
    };
    let health = Arc::new(TaskHealth::new("p.c", 0, TaskState::Starting));
    let context = TaskContext {
        connector: "p.c".into(),
        task: 0,
        tasks: 1,
        drain: false,
        health: health.clone(),
        stats: Arc::default(),
        schemas: Arc::new(SchemaRegistry::new(Scene::new().log)),
    };
    let lives = Arc::new(AtomicU32::new(0));
    let signals = watch::Sender::new(Signal::Run);
    let life = move |context: TaskContext, _: Stop| {
        let lives = lives.clone();
        async move {
            if lives.fetch_add(1, SeqCst) == 3 {
                return Ok(Ended::Done);
            }
            context.health.set(TaskState::Running, None);
            tokio::time::sleep(2 * longest).await;
            Err(Error::transient("go on", "").because("told to fail"))
        }
    };
    supervise(context, backoff, Stop::new(signals.subscribe()), life).await;
    assert_eq!(health.state(), TaskState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_of_different_topics_are_not_taken_for_each_other() {
    let scene = Scene::new();
    let one = "sources: { in: { type: numbers, topic: one, count: 10 } }\n\
               sinks: { out: { type: memory, topics: one } }";
    assert_eq!(scene.drain(one).await, Vec::<String>::new());
    let other = one
        .replace("one", "two")
        .replace("in:", "in2:")
        .replace("out:", "out2:");
    assert_eq!(scene.drain(&other).await, Vec::<String>::new());
    let same = one.replace("in:", "in3:");
    assert!(scene.refused(&same).await.contains("did the same work"));
}

/// Flips a bit inside a record at about six tenths of the only segment of `partition`: far from its
/// first record, far from its last.
fn damage(scene: &Scene, partition: &str) {
    let folder = scene.dir.path().join("data/topics").join(partition);
    let segment = std::fs::read_dir(folder)
        .expect("the partition's folder")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|end| end == "log"))
        .expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("the segment");
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("records");
    bytes[used * 6 / 10] ^= 1;
    std::fs::write(&segment, bytes).expect("damage");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_before_a_damaged_place_is_delivered() {
    let scene = Scene::new();
    let source = "sources: { in: { type: numbers, topic: t, count: 1000 } }";
    assert_eq!(scene.drain(source).await, Vec::<String>::new());
    damage(&scene, "t-0");
    let sink = "topics: { t: {} }\nsinks: { out: { type: memory, topics: t } }";
    assert_eq!(scene.drain(sink).await, ["p.out"]);
    let delivered = scene.world.delivered_count();
    assert!(
        (300..900).contains(&delivered),
        "{delivered} records were delivered"
    );
    scene.world.assert_delivered(delivered as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_partition_does_not_stop_the_others_of_its_task() {
    let scene = Scene::new();
    let topics = "topics: { t: { partitions: 2 } }\n";
    let source = "sources: { in: { type: numbers, topic: t, count: 2000, \
                  partition_by: round_robin } }";
    assert_eq!(
        scene.drain(&format!("{topics}{source}")).await,
        Vec::<String>::new()
    );
    damage(&scene, "t-0");
    let sink = "sinks: { out: { type: memory, topics: t } }";
    assert_eq!(scene.drain(&format!("{topics}{sink}")).await, ["p.out"]);
    let delivered = scene.world.delivered_count();
    assert!(
        (1300..1900).contains(&delivered),
        "all of one partition, and the other up to the damage: {delivered}"
    );
}
