//! Dead letters that are retried: each goes on at the stage that refused it, once, whatever happens.

mod readers;

use towpath_log::ReadTo;
use towpath_record::Batch;

use super::*;
use crate::assignment::partitions;
use crate::control::{Control, Retried, RetryRequest};
use crate::health::TaskHealth;
use crate::reading::Reading;
use crate::schemas::SchemaRegistry;
use crate::spec::ConnectorSpec;
use crate::supervisor::TaskContext;

impl Scene {
    /// Retries the letters of `topic`, `limit` at most.
    fn retry(&self, topic: &str, limit: Option<u64>) -> Retried {
        let control = Control::new(self.log.clone(), None, 1 << 20);
        let request = RetryRequest {
            limit,
            ..RetryRequest::default()
        };
        tokio::task::block_in_place(|| control.retry_dead_letters(topic, &request))
            .expect("it is retried")
    }

    /// The values of all partitions of `topic`, sorted.
    fn values(&self, topic: &str) -> Vec<String> {
        let mut values = Vec::new();
        let info = self.log.topic(topic).expect("the topic is there");
        for held in info.partitions {
            let reader = self.log.reader(topic, held.partition, 0, ReadTo::Committed);
            let mut reader = reader.expect("it can be read");
            while let Some(batches) = reader.next(1 << 20).expect("it can be read") {
                for record in batches.iter().flat_map(Batch::records) {
                    let value = record.expect("a sound record").value.expect("a value");
                    values.push(String::from_utf8_lossy(value).into_owned());
                }
            }
        }
        values.sort();
        values
    }

    /// Each number from 0 was delivered once, in any order.
    #[track_caller]
    fn assert_delivered_once(&self, count: u64) {
        self.assert_delivered_once_if(count, |_| true);
    }

    #[track_caller]
    fn assert_delivered_once_if(&self, count: u64, good: impl Fn(&u64) -> bool) {
        let mut delivered = self.world.delivered.lock().expect("not poisoned").clone();
        delivered.sort_unstable();
        assert_eq!(delivered, (0..count).filter(good).collect::<Vec<_>>());
    }
}

fn letters(retried: &Retried) -> u64 {
    assert_eq!(retried.left, []);
    retried.groups.iter().map(|group| group.letters).sum()
}

/// What refuses some of 700 records, and which option is mended.
struct Case {
    connectors: &'static str,
    mended: (&'static str, &'static str),
    letters: u64,
    stage: &'static str,
}

const CASES: &[Case] = &[
    // A transform of a source.
    Case {
        connectors: "
sources:
  x: { type: numbers, topic: t, count: 700, on_error: { action: dead_letter, topic: bad },
       transforms: { type: pick, refuse_every: 7 } }
",
        mended: ("refuse_every: 7", "refuse_every: 1000"),
        letters: 100,
        stage: "TRANSFORMATION",
    },
    // A topic that is known before the transforms, which are still to come.
    Case {
        connectors: "
sources:
  x: { type: numbers, topic: '{key}', count: 700, on_error: { action: dead_letter, topic: bad },
       transforms: { type: pick, drop_every: 1000 } }
",
        mended: ("{key}", "{source|t}"),
        letters: 700,
        stage: "KAFKA_PRODUCE",
    },
    // One that is known behind them: what they have dropped and doubled is so.
    Case {
        connectors: "
sources:
  x: { type: numbers, topic: '{headers.none}', count: 350, on_error: { action: dead_letter, topic: bad },
       transforms: { type: pick, twice: true } }
",
        mended: ("{headers.none}", "t"),
        letters: 700,
        stage: "KAFKA_PRODUCE",
    },
    Case {
        connectors: "
sources:
  in: { type: numbers, topic: s, count: 700 }
streams:
  x: { topics: s, topic: t, on_error: { action: dead_letter, topic: bad },
       transforms: { type: pick, refuse_every: 7 } }
",
        mended: ("refuse_every: 7", "refuse_every: 1000"),
        letters: 100,
        stage: "TRANSFORMATION",
    },
    Case {
        connectors: "
sources:
  in: { type: numbers, topic: s, count: 350 }
streams:
  x: { topics: s, topic: '{headers.none}', on_error: { action: dead_letter, topic: bad },
       transforms: { type: pick, twice: true } }
",
        mended: ("{headers.none}", "t"),
        letters: 700,
        stage: "KAFKA_PRODUCE",
    },
    Case {
        connectors: "
sources:
  in: { type: numbers, topic: t, count: 700 }
sinks:
  x: { type: memory, topics: t, on_error: { action: dead_letter, topic: bad },
       transforms: { type: pick, refuse_every: 7 } }
",
        mended: ("refuse_every: 7", "refuse_every: 1000"),
        letters: 100,
        stage: "TRANSFORMATION",
    },
    Case {
        connectors: "
sources:
  in: { type: numbers, topic: t, count: 700 }
sinks:
  x: { type: memory, topics: t, on_error: { action: dead_letter, topic: bad },
       transforms: { type: pick, drop_every: 1000 }, bad_every: 7 }
",
        // The transforms are behind it.
        mended: ("drop_every: 1000 }, bad_every: 7", "drop_every: 1 }, bad_every: 1000"),
        letters: 100,
        stage: "TASK_PUT",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn each_stage_goes_on_where_it_refused() {
    for case in CASES {
        let name = case.connectors;
        let scene = Scene::new();
        assert_eq!(scene.drain(case.connectors).await, Vec::<String>::new());
        let retried = scene.retry("bad", None);
        assert_eq!(letters(&retried), case.letters, "{name}");
        assert_eq!(retried.groups[0].stage, case.stage, "{name}");
        assert_eq!(letters(&scene.retry("bad", None)), 0, "once is enough");
        let mended = case.connectors.replace(case.mended.0, case.mended.1);
        // The second time there is nothing left to do.
        for _ in 0..2 {
            assert_eq!(scene.drain(&mended).await, Vec::<String>::new());
        }
        assert_eq!(letters(&scene.retry("bad", None)), 0, "none is new: {name}");
        let delivered = scene.world.delivered_count();
        let found = match name.contains("sinks:") {
            true => delivered,
            false => scene
                .values(if name.contains("{key}") {
                    "numbers"
                } else {
                    "t"
                })
                .len(),
        };
        assert_eq!(found, 700, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_could_not_decode_is_decoded_anew() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 20, bad_every: 7, on_error: dead_letter }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    assert_eq!(letters(&scene.retry("p.in.dead-letters", None)), 2);
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    let values = scene.values("t");
    assert_eq!(values.len(), 20);
    assert_eq!(values[18..], ["bad 13", "bad 6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_retried_is_taken_batch_by_batch() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 3000, on_error: { action: dead_letter, topic: bad },
        transforms: { type: pick, refuse_every: 1 } }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    assert_eq!(letters(&scene.retry("bad", None)), 3_000);
    let config = load_worker_config(None, &ProcessEnvironment).expect("defaults");
    let spec = &ConnectorSpec::all(&scene.load(yaml), &config)[0];
    let context = TaskContext {
        connector: spec.name.clone(),
        task: 0,
        tasks: 1,
        drain: false,
        health: Arc::new(TaskHealth::new("p.in", 0, TaskState::Starting)),
        stats: Arc::default(),
        schemas: Arc::new(SchemaRegistry::new(scene.log.clone())),
    };
    let writer = scene.log.open_writer("p.in", 0).expect("a writer");
    let assigned = partitions(spec, &scene.log);
    let reading = Reading::open(spec, &assigned, &scene.log, ReadTo::Committed, &writer);
    let mut reading = reading.await.expect("it can be read");
    let mut taken = Vec::new();
    loop {
        let read = reading.next(&context).expect("it can be read");
        if read.is_empty() {
            break;
        }
        let batches = read.iter().flat_map(|read| &read.batch.batches);
        taken.push(batches.map(Batch::len).collect::<Vec<_>>());
    }
    assert!(taken.len() > 2, "{taken:?}");
    assert!(taken.iter().all(|read| read.len() == 1), "{taken:?}");
    assert_eq!(taken.iter().flatten().sum::<usize>(), 3_000);
}

/// A transform that has seen a record, and one behind it that refused it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_before_is_not_dropped() {
    for (source, sink) in [
        ("", "[once, { type: pick, refuse_every: 7 }]"),
        ("[once, { type: pick, refuse_every: 7 }]", ""),
    ] {
        let transforms = |list: &str| match list {
            "" => String::new(),
            list => {
                format!(", on_error: {{ action: dead_letter, topic: bad }}, transforms: {list}")
            }
        };
        let yaml = format!(
            "
sources:
  in: {{ type: numbers, topic: t, count: 700{} }}
sinks:
  out: {{ type: memory, topics: t{} }}
",
            transforms(source),
            transforms(sink)
        );
        let scene = Scene::new();
        assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
        assert_eq!(letters(&scene.retry("bad", None)), 100);
        let mended = yaml.replace("refuse_every: 7", "refuse_every: 1000");
        assert_eq!(scene.drain(&mended).await, Vec::<String>::new());
        scene.assert_delivered_once(700);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_again_is_a_letter_that_tells_where_it_was_at_first() {
    let sides = [
        "sinks:
  x: { type: memory, topics: t, bad_every: 7, on_error: { action: dead_letter, topic: bad } }",
        "sinks:
  x: { type: memory, topics: t, on_error: { action: dead_letter, topic: bad }, transforms: { type: pick, refuse_every: 7 } }",
        "streams:
  x: { topics: t, topic: u, on_error: { action: dead_letter, topic: bad }, transforms: { type: pick, refuse_every: 7 } }",
        "streams:
  x: { topics: t, topic: '{headers.none}', on_error: { action: dead_letter, topic: bad } }",
    ];
    for side in sides {
        let scene = Scene::new();
        let yaml = format!(
            "
topics: {{ t: {{ partitions: 3 }} }}
sources:
  in: {{ type: numbers, topic: t, count: 700, partition_by: round_robin }}
{side}
"
        );
        assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
        let places = |letters: &[(String, Vec<(String, String)>)]| {
            let place = |(value, headers): &(String, Vec<(String, String)>)| {
                let kept = headers
                    .iter()
                    .filter(|(name, _)| !name.ends_with(".message"));
                (value.clone(), kept.cloned().collect::<Vec<_>>())
            };
            let mut places: Vec<_> = letters.iter().map(place).collect();
            places.sort();
            places
        };
        let first = places(&scene.letters("bad"));
        let count = first.len() as u64;
        assert_eq!(letters(&scene.retry("bad", None)), count);
        assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
        let all = scene.letters("bad");
        assert_eq!(places(&all[first.len()..]), first, "{side}");
        assert_eq!(letters(&scene.retry("bad", None)), count, "{side}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_around_a_retry_lose_and_double_nothing() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 10000, bad_every: 7, on_error: dead_letter, retry: { first: 1ms } }
streams:
  s: { topics: t, topic: u, retry: { first: 1ms }, on_error: dead_letter,
       transforms: { type: pick, refuse_every: 5 } }
sinks:
  out: { type: memory, topics: u, retry: { first: 1ms } }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    let (of_source, of_stream) = (10_000 / 7, scene.values("p.s.dead-letters").len() as u64);
    scene.world.sink_fails_every.store(2, SeqCst);
    let mended = yaml.replace("refuse_every: 5", "refuse_every: 100000");
    let worker = scene.start(&mended, false).await;
    let (mut done, mut of) = ([0, 0], 0);
    while done != [of_source, of_stream] {
        let topic = ["p.in.dead-letters", "p.s.dead-letters"][of];
        done[of] += letters(&scene.retry(topic, Some(500)));
        of = 1 - of;
        worker.restart("p.in").await.expect("it restarts");
        worker.restart("p.s").await.expect("it restarts");
    }
    assert!(worker.stop(DEADLINE).await);
    // `bad N` is no number: the sink would refuse it.
    let undecoded = mended.replace(
        "topics: u,",
        "topics: u, on_error: { action: dead_letter, topic: worst },",
    );
    assert_eq!(scene.drain(&undecoded).await, Vec::<String>::new());
    scene.assert_delivered_once_if(10_000, |number| number % 7 != 6);
    assert_eq!(scene.values("worst").len() as u64, of_source);
    assert!(scene.world.sink_lives.load(SeqCst) > 2, "it never failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_up_what_is_retried_while_it_runs() {
    for ends in [false, true] {
        let scene = Scene::new();
        let yaml = format!(
            "
sources:
  in: {{ type: numbers, topic: t, count: 700, ends: {ends}, on_error: {{ action: dead_letter, topic: bad }},
        transforms: {{ type: pick, refuse_every: 7 }} }}
sinks:
  out: {{ type: memory, topics: t }}
"
        );
        assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
        let mended = yaml.replace("refuse_every: 7", "refuse_every: 1000");
        let worker = scene.start(&mended, false).await;
        let state = if ends {
            TaskState::Done
        } else {
            TaskState::Running
        };
        for round in 1..=4 {
            scene.until(&worker, "p.in", state).await;
            assert_eq!(letters(&scene.retry("bad", Some(25))), 25);
            scene.world.delivered(600 + 25 * round).await;
        }
        worker.stop(DEADLINE).await;
        scene.assert_delivered_once(700);
    }
}

/// One task of a source has come to its end, while another one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_has_ended_takes_up_what_is_retried() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 700, tasks: 2, on_error: { action: dead_letter, topic: bad },
        transforms: { type: pick, refuse_every: 7 } }
";
    let first = yaml.replace("tasks: 2, ", "");
    assert_eq!(scene.drain(&first).await, Vec::<String>::new());
    let mended = yaml
        .replace("refuse_every: 7", "refuse_every: 1000")
        .replace("count: 700,", "count: 700, ends: true, first_stays: true,");
    let worker = scene.start(&mended, false).await;
    let all_are = |states: [TaskState; 2]| {
        let status = worker.status();
        let source = status.connectors.iter().find(|one| one.name == "p.in");
        source.is_some_and(|one| one.tasks.iter().map(|task| task.state).eq(states))
    };
    for round in 1..=4 {
        wait(|| all_are([TaskState::Running, TaskState::Done])).await;
        assert_eq!(letters(&scene.retry("bad", Some(25))), 25);
        wait(|| scene.values("t").len() == 600 + 25 * round).await;
    }
    assert!(worker.stop(DEADLINE).await);
}

async fn wait(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .expect("it becomes so");
}
