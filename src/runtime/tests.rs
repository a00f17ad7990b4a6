//! Whole workers over a real log, with connectors that live in memory and fail on command.

mod changes;
mod dead_letters;
mod fakes;
mod large;
mod remembering;
mod retried;
mod schemas;
mod streams;
mod transforms;
mod undecoded;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use towpath_log::{Log, LogConfig};
use towpath_pipeline::{Loaded, ProcessEnvironment, Surroundings, load, load_worker_config};

use crate::status::TaskState;
use crate::{Worker, WorkerOptions};
use fakes::World;

/// Everything of a test must be over by then.
const DEADLINE: Duration = Duration::from_secs(30);

struct Scene {
    world: Arc<World>,
    dir: tempfile::TempDir,
    log: Log,
}

impl Scene {
    fn new() -> Self {
        Self::with(LogConfig::default())
    }

    fn with(config: LogConfig) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (log, _) = Log::open_disk(&dir.path().join("data"), config).expect("a log");
        Self {
            world: Arc::default(),
            dir,
            log,
        }
    }

    fn load(&self, yaml: &str) -> Loaded {
        let file = self.dir.path().join("p.yaml");
        std::fs::write(&file, yaml).expect("a pipeline file");
        let config = load_worker_config(None, &ProcessEnvironment).expect("defaults");
        let surroundings = Surroundings {
            registry: &self.world.registry(),
            environment: &ProcessEnvironment,
            existing_topics: &BTreeMap::new(),
            topic_defaults: &config.topic_defaults,
        };
        load(&[file], &surroundings).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    async fn start(&self, yaml: &str, drain: bool) -> Arc<Worker> {
        let config = load_worker_config(None, &ProcessEnvironment).expect("defaults");
        let options = WorkerOptions {
            drain,
            fresh: false,
            config,
        };
        let loaded = self.load(yaml);
        Worker::start(self.log.clone(), &loaded, options)
            .await
            .expect("a worker")
    }

    /// Why a drain of `yaml` does not start.
    async fn refused(&self, yaml: &str) -> String {
        let config = load_worker_config(None, &ProcessEnvironment).expect("defaults");
        let options = WorkerOptions {
            drain: true,
            fresh: false,
            config,
        };
        let started = Worker::start(self.log.clone(), &self.load(yaml), options).await;
        started.err().expect("it is refused").to_string()
    }

    /// Runs a drain to its end and returns the connectors that failed.
    async fn drain(&self, yaml: &str) -> Vec<String> {
        let worker = self.start(yaml, true).await;
        let outcome = tokio::time::timeout(DEADLINE, worker.finished())
            .await
            .expect("an end");
        outcome.failed
    }

    /// Waits until `connector` is in `state`.
    async fn until(&self, worker: &Worker, connector: &str, state: TaskState) {
        let reached = async {
            loop {
                let status = worker.status();
                let found = status.connectors.iter().find(|c| c.name == connector);
                if found.is_some_and(|connector| connector.state == state) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, reached)
            .await
            .expect("the state is reached");
    }
}

const ONE_TO_ONE: &str = "
sources:
  in: { type: numbers, topic: t, count: 10000, retry: { first: 1ms } }
sinks:
  out: { type: memory, topics: t, retry: { first: 1ms } }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_delivers_every_record_once_and_in_order() {
    let scene = Scene::new();
    assert_eq!(scene.drain(ONE_TO_ONE).await, Vec::<String>::new());
    scene.world.assert_delivered(10_000);
    // The second run finds nothing new.
    assert_eq!(scene.drain(ONE_TO_ONE).await, Vec::<String>::new());
    scene.world.assert_delivered(10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn transient_errors_on_both_sides_lose_and_double_nothing() {
    for (source, sink) in [(7, 0), (0, 5), (7, 5)] {
        let scene = Scene::new();
        scene.world.source_fails_every.store(source, SeqCst);
        scene.world.sink_fails_every.store(sink, SeqCst);
        assert_eq!(scene.drain(ONE_TO_ONE).await, Vec::<String>::new());
        scene.world.assert_delivered(10_000);
        assert!(
            source == 0 || scene.world.source_lives.load(SeqCst) > 1,
            "the source never failed"
        );
        assert!(
            sink == 0 || scene.world.sink_lives.load(SeqCst) > 1,
            "the sink never failed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_follow_durability_also_without_fsync() {
    let os = LogConfig {
        durability: towpath_log::Durability::Os,
        checkpoint_ms: 50,
        ..LogConfig::default()
    };
    let scene = Scene::with(os);
    assert_eq!(scene.drain(ONE_TO_ONE).await, Vec::<String>::new());
    scene.world.assert_delivered(10_000);
    let (read, acked) = (
        scene.world.batches.load(SeqCst),
        scene.world.acked.load(SeqCst),
    );
    assert_eq!(
        read, acked,
        "a drain ends when every batch is durable and acknowledged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_one_connector_and_disturbs_no_other() {
    let scene = Scene::new();
    scene.world.source_panics.store(true, SeqCst);
    let yaml = "
sources:
  bad: { type: numbers, topic: u, count: 10 }
  good: { type: numbers, topic: t, count: 100, sound: true }
sinks:
  out: { type: memory, topics: t }
";
    assert_eq!(scene.drain(yaml).await, ["p.bad"]);
    scene.world.assert_delivered(100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_error_parks_and_restart_tries_again() {
    let scene = Scene::new();
    scene.world.sink_refuses.store(true, SeqCst);
    let worker = scene.start(ONE_TO_ONE, false).await;
    scene.until(&worker, "p.out", TaskState::Failed).await;
    scene.world.sink_refuses.store(false, SeqCst);
    worker.restart("p.out").await.expect("it restarts");
    scene.world.delivered(10_000).await;
    assert!(worker.stop(DEADLINE).await, "an orderly stop");
    scene.world.assert_delivered(10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_sink_waits_and_goes_on_where_it_was() {
    let scene = Scene::new();
    let worker = scene.start(ONE_TO_ONE, false).await;
    worker.pause("p.out").await.expect("it pauses");
    scene.until(&worker, "p.out", TaskState::Paused).await;
    worker.resume("p.out").await.expect("it resumes");
    scene.world.delivered(10_000).await;
    worker.stop(DEADLINE).await;
    scene.world.assert_delivered(10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn round_robin_spreads_evenly_and_a_key_stays_in_its_partition() {
    let scene = Scene::new();
    let yaml = "
topics:
  even: { partitions: 4 }
  long: { partitions: 4 }
  keyed: { partitions: 4 }
sources:
  lots: { type: numbers, topic: long, count: 100000, partition_by: round_robin }
  in: { type: numbers, topic: even, count: 1000, partition_by: round_robin }
  by_key: { type: numbers, topic: keyed, count: 1000, key: 'k{value}' }
";
    let yaml = yaml.replace("'k{value}'", "'{source}'");
    assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
    let ends = |topic: &str| -> Vec<u64> {
        let topic = scene.log.topic(topic).expect("the topic");
        topic
            .partitions
            .iter()
            .map(|partition| partition.end_offset)
            .collect()
    };
    assert_eq!(ends("even"), [250, 250, 250, 250]);
    let long = ends("long");
    assert_eq!(long.iter().sum::<u64>(), 100_000);
    let (least, most) = (long.iter().min(), long.iter().max());
    assert!(
        most.expect("four") - least.expect("four") <= 100_000 / 4 / 8,
        "whole batches leave the partitions about even: {long:?}"
    );
    let keyed = ends("keyed");
    assert_eq!(keyed.iter().sum::<u64>(), 1000);
    assert_eq!(
        keyed.iter().filter(|end| **end > 0).count(),
        1,
        "one key, one partition"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_made_from_records_are_created_and_found_by_a_pattern() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: 'made-{source}', count: 500 }
sinks:
  out: { type: memory, topics: /made-.*/ }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    scene.world.assert_delivered(500);
    // What was found is pinned too.
    let known = scene.log.registrations();
    let sink = known
        .iter()
        .find(|known| known.registration.name == "p.out");
    assert_eq!(
        sink.expect("it is registered").registration.topics,
        ["made-numbers", "__towpath.retry.p.out"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_make_topics_only_up_to_a_bound() {
    let scene = Scene::new();
    // One partition is left, for the first.
    let first = "
topics:
  large: { partitions: 4095 }
sources:
  first: { type: numbers, topic: 'made-{connector}', count: 5 }
";
    assert_eq!(scene.drain(first).await, Vec::<String>::new());
    let both =
        format!("{first}  more: {{ type: numbers, topic: 'made-{{connector}}', count: 5 }}\n");
    assert_eq!(scene.drain(&both).await, ["p.more"]);
    assert!(scene.log.topic("made-more").is_none());
    // A topic that was declared is written to, bound or not.
    let declared = both.replace("  large:", "  made-more: {}\n  large:");
    assert_eq!(scene.drain(&declared).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connector_beside_orphaned_state_is_refused_unless_told() {
    let scene = Scene::new();
    assert_eq!(scene.drain(ONE_TO_ONE).await, Vec::<String>::new());
    let renamed = ONE_TO_ONE.replace("  in:", "  renamed:");
    let text = scene.refused(&renamed).await;
    assert!(
        text.contains("formerly: p.in") && text.contains("--fresh"),
        "{text}"
    );
    // With `formerly` it continues: nothing is read twice.
    let moved = renamed.replace("count: 10000,", "count: 10000, formerly: p.in,");
    assert_eq!(scene.drain(&moved).await, Vec::<String>::new());
    scene.world.assert_delivered(10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_restarts_only_what_changed() {
    let scene = Scene::new();
    let worker = scene.start(ONE_TO_ONE, false).await;
    let unchanged = worker
        .apply(&scene.load(ONE_TO_ONE))
        .await
        .expect("it applies");
    assert_eq!(unchanged, Vec::<String>::new());
    let more = ONE_TO_ONE.replace("count: 10000", "count: 12000");
    let done = worker.apply(&scene.load(&more)).await.expect("it applies");
    assert_eq!(done, ["restarted p.in"]);
    scene.world.delivered(12_000).await;
    worker.stop(DEADLINE).await;
    scene.world.assert_delivered(12_000);
}
