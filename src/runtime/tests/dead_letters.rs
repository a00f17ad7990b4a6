//! What becomes of bad records: kept once each, in order, as they came; and how many are borne.

use towpath_log::ReadTo;
use towpath_record::Batch;

use super::*;

/// A record of a topic: its value and headers.
type Letter = (String, Vec<(String, String)>);

impl Scene {
    /// All records of `topic`, which has one partition.
    pub(super) fn letters(&self, topic: &str) -> Vec<Letter> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let mut reader = self
            .log
            .reader(topic, 0, 0, ReadTo::Committed)
            .expect("the topic is there");
        let mut letters = Vec::new();
        while let Some(batches) = reader.next(1 << 20).expect("it can be read") {
            for record in batches.iter().flat_map(Batch::records) {
                let record = record.expect("a sound record");
                let headers = record.headers.iter().map(|header| {
                    let header = header.expect("a sound header");
                    (text(header.key), text(header.value.expect("a value")))
                });
                letters.push((text(record.value.expect("a value")), headers.collect()));
            }
        }
        letters
    }

    /// The values of `topic`; the first one that is not as expected is shown.
    #[track_caller]
    pub(super) fn assert_letters(&self, topic: &str, expected: impl Iterator<Item = String>) {
        let found = self.letters(topic).into_iter().map(|(value, _)| value);
        let (found, expected): (Vec<_>, Vec<_>) = (found.collect(), expected.collect());
        let all = 0..found.len().max(expected.len());
        let wrong = all
            .into_iter()
            .find(|&at| found.get(at) != expected.get(at));
        let shown = wrong.map(|at| (at, found.get(at), expected.get(at)));
        assert_eq!(shown, None, "{} of {}", found.len(), expected.len());
    }
}

fn is_good(number: &u64) -> bool {
    number % 7 != 6
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_refuses_is_kept_once() {
    for fails in [0, 5] {
        let scene = Scene::new();
        scene.world.source_fails_every.store(fails, SeqCst);
        let yaml = "
sources:
  in: { type: numbers, topic: t, count: 1000, bad_every: 7, retry: { first: 1ms }, on_error: dead_letter }
sinks:
  out: { type: memory, topics: t }
";
        assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
        scene.world.assert_delivered_if(1000, is_good);
        let bad = (0..1000).filter(|number| !is_good(number));
        scene.assert_letters(
            "p.in.dead-letters",
            bad.map(|number| format!("bad {number}")),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_refuses_is_kept_once_its_offset_is_behind() {
    for (fails, holds) in [(0, false), (5, false), (0, true), (3, true)] {
        let scene = Scene::new();
        scene.world.sink_fails_every.store(fails, SeqCst);
        let yaml = format!(
            "
sources:
  in: {{ type: numbers, topic: t, count: 10000 }}
sinks:
  out:
    type: memory
    topics: t
    bad_every: 7
    holds: {holds}
    retry: {{ first: 1ms }}
    on_error: {{ action: dead_letter, topic: bad }}
"
        );
        assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
        scene.world.assert_delivered_if(10_000, is_good);
        let bad = (0..10_000).filter(|number| !is_good(number));
        scene.assert_letters("bad", bad.map(|number| number.to_string()));
        assert!(
            fails == 0 || scene.world.sink_lives.load(SeqCst) > 1,
            "it never failed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_has_the_headers_of_kafka_connect() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 20, bad_every: 20, on_error: { action: dead_letter, topic: of-source } }
sinks:
  out: { type: memory, topics: t, bad_every: 9, on_error: { action: dead_letter, topic: of-sink } }
";
    assert_eq!(scene.drain(yaml).await, Vec::<String>::new());
    let headers = |topic: &str| {
        let (value, headers) = scene.letters(topic).swap_remove(0);
        let lines = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"));
        format!("{value}\n{}", lines.collect::<String>())
    };
    let expected = "\
8
__towpath.letter.reached: transformed text
__connect.errors.topic: t
__connect.errors.partition: 0
__connect.errors.offset: 8
__connect.errors.connector.name: p.out
__connect.errors.task.id: 0
__connect.errors.stage: TASK_PUT
__connect.errors.class.name: memory
__connect.errors.exception.class.name: RecordError
__connect.errors.exception.message: cannot write offset 8
__towpath.timestamp: 0
";
    assert_eq!(headers("of-sink"), expected);
    let expected = "\
bad 19
__towpath.letter.reached: undecoded
__towpath.letter.origin: numbers
__towpath.letter.origin.source: numbers
__connect.errors.connector.name: p.in
__connect.errors.task.id: 0
__connect.errors.stage: VALUE_CONVERTER
__connect.errors.class.name: numbers
__connect.errors.exception.class.name: RecordError
__connect.errors.exception.message: cannot decode number 19
__towpath.timestamp: 5
";
    assert_eq!(headers("of-source"), expected);
    let topic = scene.log.topic("of-sink").expect("it was made");
    assert_eq!(
        (topic.config.partitions, &*topic.config.format),
        (1, "bytes")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_record_too_many_stops_the_task_behind_what_came_before() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 1000 }
sinks:
  out: { type: memory, topics: t, bad_every: 7, on_error: { action: dead_letter, topic: bad, max_count: 3 } }
";
    let worker = scene.start(yaml, false).await;
    for restarts in 1..4 {
        scene.until(&worker, "p.out", TaskState::Failed).await;
        // The next bad one stands in the way, and nothing behind it is delivered.
        let next_bad = 7 * (3 * restarts + 1) - 1;
        scene.world.assert_delivered_if(next_bad, is_good);
        let bad = (0..next_bad).filter(|number| !is_good(number));
        scene.assert_letters("bad", bad.map(|number| number.to_string()));
        let status = worker.status();
        let sink = status.connectors.iter().find(|sink| sink.name == "p.out");
        let sink = sink.expect("it is there");
        let reason = sink.reason.clone().unwrap_or_default();
        assert!(reason.contains("as many as `max_count`"), "{reason}");
        assert!(
            reason.contains(&format!("cannot write offset {next_bad}")),
            "{reason}"
        );
        assert_eq!((sink.dead_letters, sink.skipped), (3 * restarts, 0));
        worker.restart("p.out").await.expect("a restart");
    }
    worker.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_bad_records_stops_a_source_too() {
    let scene = Scene::new();
    let yaml = "
sources:
  in: { type: numbers, topic: t, count: 1000, bad_every: 7, on_error: { action: skip, max_rate: 0.02 } }
sinks:
  out: { type: memory, topics: t }
";
    assert_eq!(scene.drain(yaml).await, ["p.in"]);
    // 20 of 1000 are borne; the 21st is number 146, in the second batch of 100.
    scene.world.assert_delivered_if(100, is_good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_takes_no_record_without_a_key() {
    for (key, taken) in [("", 0), (", key: some", 100)] {
        let scene = Scene::new();
        let yaml = format!(
            "
topics: {{ t: {{ cleanup: compact }} }}
sources:
  in: {{ type: numbers, topic: t, count: 100, on_error: dead_letter{key} }}
sinks:
  out: {{ type: memory, topics: t }}
"
        );
        assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
        scene.world.assert_delivered(taken);
        if taken == 0 {
            let letters = scene.letters("p.in.dead-letters");
            let (value, headers) = &letters[0];
            let mut texts = headers.iter().map(|(_, text)| text);
            assert_eq!((letters.len(), &**value), (100, "0"));
            assert!(texts.any(|text| text.contains("compacted")), "{headers:?}");
        }
    }
}

/// Topics that need no value are given before the transforms: these have not refused anything then.
#[tokio::test(flavor = "multi_thread")]
async fn what_gets_no_topic_is_refused_at_that_stage() {
    for transforms in ["[]", "[pick]"] {
        let scene = Scene::new();
        let yaml = format!(
            "
sources:
  in: {{ type: numbers, topic: '{{key}}', count: 10, on_error: dead_letter, transforms: {transforms} }}
"
        );
        assert_eq!(scene.drain(&yaml).await, Vec::<String>::new());
        let letters = scene.letters("p.in.dead-letters");
        assert_eq!(letters.len(), 10);
        let stage = ("__connect.errors.stage".into(), "KAFKA_PRODUCE".into());
        assert!(letters[0].1.contains(&stage), "{:?}", letters[0]);
    }
}
