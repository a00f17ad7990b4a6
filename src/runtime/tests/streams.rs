//! Streams: each record once and in order, whatever fails, with its dead letters and offsets.

use towpath_log::{Retention, TopicConfig};

use super::transforms::topics;
use super::*;
use crate::control::Control;

const THROUGH: &str = "
topics:
  t: { partitions: 3 }
  u: { partitions: 3 }
sources:
  in: { type: numbers, topic: t, count: 10000 }
streams:
  s: { topics: t, topic: u, retry: { first: 1ms } }
sinks:
  out: { type: memory, topics: u, retry: { first: 1ms } }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_streams_between_sources_and_sinks() {
    let scene = Scene::new();
    assert_eq!(scene.drain(THROUGH).await, Vec::<String>::new());
    scene.world.assert_delivered(10_000);
    let held = |topic: &str| -> Vec<u64> {
        let partitions = scene.log.topic(topic).expect("it is there").partitions;
        partitions
            .iter()
            .map(|partition| partition.end_offset)
            .collect()
    };
    assert_eq!(
        held("t"),
        held("u"),
        "without a key in the partition of the same number"
    );
    let more = THROUGH.replace("10000", "12000");
    assert_eq!(scene.drain(&more).await, Vec::<String>::new());
    scene.world.assert_delivered(12_000);
    assert_eq!(held("u").iter().sum::<u64>(), 12_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_around_a_stream_loses_and_doubles_nothing() {
    let scene = Scene::new();
    scene.world.source_fails_every.store(7, SeqCst);
    scene.world.sink_fails_every.store(3, SeqCst);
    let yaml = THROUGH
        .replace(
            "topic: u,",
            "topic: u, transforms: { type: pick, refuse_every: 7 }, on_error: dead_letter,",
        )
        .replace("topic: t, count", "topic: t, retry: { first: 1ms }, count");
    let worker = scene.start(&yaml, false).await;
    for part in 1..=5 {
        scene.world.delivered(part * 1000).await;
        worker.restart("p.s").await.expect("it restarts");
    }
    assert!(worker.stop(DEADLINE).await);
    assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
    scene
        .world
        .assert_delivered_if(10_000, |number| number % 7 != 6);
    let bad = (0..10_000).filter(|number| number % 7 == 6);
    scene.assert_letters("p.s.dead-letters", bad.map(|number| number.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_a_stream_tells_where_the_record_is() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 20 }
streams:
  s: { topics: t, topic: u, transforms: { type: pick, refuse_every: 20 }, on_error: dead_letter }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    let (_, headers) = scene.letters("p.s.dead-letters").remove(0);
    let expected = [
        ("__connect.errors.topic", "t"),
        ("__connect.errors.partition", "0"),
        ("__connect.errors.offset", "19"),
        ("__connect.errors.connector.name", "p.s"),
        ("__connect.errors.class.name", "stream"),
    ];
    for (name, value) in expected {
        let found = headers.iter().find(|(key, _)| key == name);
        assert_eq!(found.map(|(_, value)| &**value), Some(value), "{name}");
    }
    let (_, message) = headers
        .iter()
        .find(|(key, _)| key.ends_with(".message"))
        .expect("a message");
    assert!(message.contains("p.s.transforms[0] (pick at "), "{message}");
    assert!(message.contains("t-0 offset 19"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_feed_streams_split_and_route() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 1000 }
streams:
  last: { topics: twice, topic: '{topic}-dropped', transforms: { type: pick, drop_every: 10 } }
  twice: { topics: t, topic: twice, transforms: { type: pick, twice: true } }
  routes: { topics: t, topic: odd, transforms: { type: pick, even_to: even } }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    let expected = [
        ("even", 500),
        ("odd", 500),
        ("t", 1000),
        ("twice", 2000),
        ("twice-dropped", 1800),
    ];
    assert_eq!(
        topics(&scene),
        expected
            .map(|(name, records)| (name.to_owned(), records))
            .into()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_in_the_midst_of_a_batch() {
    for transforms in ["[]", "{ type: pick, drop_every: 1000 }"] {
        let scene = Scene::new();
        let yaml = "
sources:
  in: { type: numbers, topic: t, count: 100 }
";
        assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
        scene
            .log
            .reset_offsets("p.s", &[("t".to_owned(), 0, Some(95))])
            .expect("an offset of its own");
        let stream =
            format!("{yaml}streams: {{ s: {{ topics: t, topic: u, transforms: {transforms} }} }}");
        assert_eq!(scene.drain(&stream).await, Vec::<String>::new());
        scene.assert_letters("u", (95..100).map(|number| number.to_string()));
        let offsets = Control::new(scene.log.clone(), None, 0)
            .offsets_of("p.s")
            .expect("known");
        assert_eq!(offsets.offsets[0].offset, Some(100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_come_back_to_a_stream_is_a_bad_record() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 10 }
streams:
  s: { topics: /t.*/, topic: '{topic}2', on_error: dead_letter }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    let letters = scene.letters("p.s.dead-letters");
    assert_eq!(letters.len(), 10);
    let (_, headers) = &letters[0];
    let why = headers.iter().find(|(name, _)| name.ends_with(".message"));
    let (_, why) = why.expect("a message");
    assert!(why.contains("would come back to it"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_two_formats_are_not_mixed() {
    let scene = Scene::new();
    let json = TopicConfig {
        format: "json".to_owned(),
        partitions: 1,
        cleanup: towpath_log::Cleanup::Delete,
        retention: Retention {
            time_ms: None,
            bytes: None,
        },
    };
    scene.log.create_topic("t-json", &json).expect("a topic");
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 10 }
streams:
  s: { topics: /t.*/, topic: u }
";
    let worker = scene.start(yaml, false).await;
    scene.until(&worker, "p.s", TaskState::Failed).await;
    let status = worker.status();
    let reason = status.connectors.iter().find_map(|one| one.reason.clone());
    let reason = reason.expect("a reason");
    assert!(
        reason.contains("t-json") && reason.contains("json of them, not text"),
        "{reason}"
    );
    assert!(worker.stop(DEADLINE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_when_it_is_known_what_goes_there() {
    for drain in [true, false] {
        for selector in ["/made-.*/", "made-numbers"] {
            let scene = Scene::new();
            let yaml = format!(
                "
topics:
  u: {{ partitions: 3 }}
sources:
  in: {{ type: numbers, topic: 'made-{{source}}', count: 500, transforms: {{ type: pick, json: true }} }}
streams:
  s: {{ topics: '{selector}', topic: u }}
  further: {{ topics: u, topic: v }}
sinks:
  out: {{ type: memory, topics: v }}
"
            );
            if drain {
                assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
            } else {
                let worker = scene.start(&yaml, false).await;
                scene.world.delivered(500).await;
                assert!(worker.stop(DEADLINE).await);
            }
            scene.world.assert_delivered(500);
            for (name, partitions) in [("u", 3), ("v", 1)] {
                let config = scene.log.topic(name).expect("it is there").config;
                assert_eq!((&*config.format, config.partitions), ("json", partitions));
            }
        }
    }
}
