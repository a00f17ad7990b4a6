//! The operations on a data directory that no worker holds.

mod retry;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use towpath_log::{
    Cleanup, ConnectorKind, GroupOffset, LogConfig, Registration, Retention, TopicBatch,
    TopicConfig,
};
use towpath_record::BatchBuilder;

use super::offsets::Place;
use super::*;
use crate::status::TaskState;

const TOPIC: &str = "lines";

struct Bench {
    control: Arc<Control>,
    _dir: TempDir,
}

/// A log with topic `lines`, source `p.in` and sink `p.out`.
fn bench(partitions: u32, format: &str) -> Bench {
    let dir = TempDir::new().expect("a directory");
    let (log, _) = Log::open_disk(dir.path(), LogConfig::default()).expect("opens");
    let config = TopicConfig {
        partitions,
        format: format.to_owned(),
        cleanup: Cleanup::Delete,
        retention: Retention::default(),
    };
    log.create_topic(TOPIC, &config).expect("creates");
    for (name, kind) in [
        ("p.in", ConnectorKind::Source),
        ("p.out", ConnectorKind::Sink),
    ] {
        let registration = Registration {
            name: name.to_owned(),
            kind,
            connector_type: "file".to_owned(),
            far_side: name.to_owned(),
            group: None,
            topics: vec![TOPIC.to_owned()],
        };
        log.register(&registration).expect("registers");
    }
    Bench {
        control: Arc::new(Control::new(log, None, 100)),
        _dir: dir,
    }
}

fn record(value: &str) -> NewRecord {
    NewRecord {
        value: Some(Payload::Text(value.to_owned())),
        ..NewRecord::default()
    }
}

fn keyed(key: &str, value: &str) -> NewRecord {
    NewRecord {
        key: Some(Payload::Text(key.to_owned())),
        ..record(value)
    }
}

impl Bench {
    fn produce(&self, records: Vec<NewRecord>) -> Result<Produced> {
        tokio::task::block_in_place(|| self.control.produce(TOPIC, &ProduceRequest { records }))
    }

    fn produce_numbers(&self, numbers: std::ops::Range<u32>) {
        let records = numbers.map(|number| record(&number.to_string())).collect();
        self.produce(records).expect("produces");
    }

    async fn page(&self, request: RecordsRequest) -> RecordsPage {
        self.control.records(TOPIC, &request).await.expect("a page")
    }

    fn reset(&self, connector: &str, to: Option<&str>) -> Result<ResetAnswer> {
        let request = ResetRequest {
            to: to.map(str::to_owned),
            ..ResetRequest::default()
        };
        self.control.reset_offsets(connector, &request)
    }

    /// Where sink `p.out` is in partition 0.
    fn offset(&self) -> Option<u64> {
        self.control
            .offsets_of("p.out")
            .expect("is registered")
            .offsets[0]
            .offset
    }
}

fn values(page: &RecordsPage) -> Vec<String> {
    let text = |record: &TailRecord| match &record.value {
        Some(Payload::Text(text)) => text.clone(),
        other => panic!("{other:?} is no text"),
    };
    page.records.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_give_every_record_once() {
    let bench = bench(3, "text");
    for first in 0..10 {
        bench.produce_numbers(first * 10..first * 10 + 10);
    }
    for limit in 1..40 {
        let mut all = Vec::new();
        let mut request = RecordsRequest {
            limit: Some(limit),
            ..RecordsRequest::default()
        };
        loop {
            let page = bench.page(request.clone()).await;
            assert!(page.records.len() as u64 <= limit);
            all.extend(values(&page));
            request.cursor = Some(page.cursor);
            if page.at_end {
                break;
            }
        }
        all.sort_by_key(|text| text.parse::<u32>().expect("a number"));
        let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(all, expected, "{limit} at a time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_order_partitions_but_never_records_within_one() {
    let bench = bench(2, "text");
    let batch = |partition, timestamps: &[i64]| {
        let mut builder = BatchBuilder::default();
        for time_ms in timestamps {
            let value = time_ms.to_string();
            let pushed = builder.push(*time_ms, None, Some(value.as_bytes()), &[]);
            pushed.expect("takes");
        }
        let batch = builder.finish().expect("a batch");
        TopicBatch {
            topic: TOPIC.into(),
            partition,
            batch,
        }
    };
    let batches = vec![batch(0, &[5, 1, 9]), batch(1, &[2, 6])];
    let set = AppendSet {
        batches,
        ..AppendSet::default()
    };
    tokio::task::block_in_place(|| bench.control.commit(set)).expect("commits");
    let page = bench.page(RecordsRequest::default()).await;
    assert_eq!(values(&page), ["2", "5", "1", "6", "9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_may_begin_anywhere() {
    let bench = bench(1, "text");
    bench.produce_numbers(0..10);
    for (from, expected) in [
        ("earliest", &["0", "1"][..]),
        ("8", &["8", "9"]),
        ("-1", &["9"]),
        ("latest", &[]),
        ("2000-01-01T00:00:00Z", &["0", "1"]),
        ("1h", &["0", "1"]),
        ("2100-01-01T00:00:00Z", &[]),
    ] {
        let request = RecordsRequest {
            from: Some(from.to_owned()),
            limit: Some(2),
            ..RecordsRequest::default()
        };
        assert_eq!(values(&bench.page(request).await), expected, "{from}");
    }
    for from in ["11", "yesterday", ""] {
        let request = RecordsRequest {
            from: Some(from.to_owned()),
            ..RecordsRequest::default()
        };
        let refused = bench.control.records(TOPIC, &request).await;
        assert!(refused.is_err(), "{from:?} was taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_at_the_end_is_woken_by_the_next_record() {
    let bench = bench(2, "text");
    let control = Arc::clone(&bench.control);
    let waiting = tokio::spawn(async move {
        let request = RecordsRequest {
            wait_ms: Some(60_000),
            ..RecordsRequest::default()
        };
        control.records(TOPIC, &request).await
    });
    let started = Instant::now();
    bench.produce_numbers(0..1);
    let page = waiting.await.expect("ends").expect("a page");
    assert_eq!(values(&page), ["0"]);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "it waited to the end"
    );
    let request = RecordsRequest {
        cursor: Some(page.cursor),
        wait_ms: Some(1),
        ..RecordsRequest::default()
    };
    assert!(bench.page(request).await.records.is_empty());
}

#[test]
fn keys_choose_the_partition_as_kafka_does_and_bytes_survive() {
    let bench = bench(4, "bytes");
    let to = bench
        .produce(vec![keyed("abc", "x"), keyed("abc", "y")])
        .expect("produces");
    // murmur2("abc") is 479470107.
    let expected = ProducedTo {
        partition: 479_470_107 % 4,
        first_offset: 0,
        last_offset: 1,
    };
    assert_eq!(to.partitions, [expected]);
    let bytes = [0xff, 0x00, b'a'];
    let payload = Payload::of(&bytes);
    assert_eq!(
        payload,
        Payload::Binary {
            base64: "/wBh".to_owned()
        }
    );
    assert_eq!(payload.bytes().expect("decodes"), bytes);
}

#[test]
fn what_a_topic_cannot_hold_is_refused_whole() {
    let bench = bench(1, "json");
    for (records, why) in [
        (vec![record("{}"), record("{")], "record 2"),
        (vec![record(&"1".repeat(101))], "max_record"),
        (
            vec![NewRecord {
                partition: Some(1),
                ..record("1")
            }],
            "partition 1",
        ),
    ] {
        let error = bench.produce(records).expect_err("is refused").to_string();
        assert!(error.contains(why), "{error}");
    }
    assert_eq!(bench.control.topic(TOPIC).expect("is there").records, 0);
    assert_eq!(
        bench.produce(vec![record("{}")]).expect("produces").records,
        1
    );
}

#[test]
fn a_sink_is_moved_and_its_generation_raised() {
    let bench = bench(1, "text");
    bench.produce_numbers(0..10);
    assert_eq!(bench.offset(), None);
    for (to, expected) in [
        ("latest", 10),
        ("earliest", 0),
        ("7", 7),
        ("-2", 8),
        ("1h", 0),
    ] {
        bench.reset("p.out", Some(to)).expect("is moved");
        assert_eq!(bench.offset(), Some(expected), "{to}");
    }
    assert_eq!(
        bench
            .control
            .offsets_of("p.out")
            .expect("is there")
            .generation,
        Some(5)
    );
    for wrong in [None, Some("11"), Some("soon")] {
        assert!(bench.reset("p.out", wrong).is_err(), "{wrong:?} was taken");
        assert_eq!(bench.offset(), Some(0), "{wrong:?} moved it");
    }
}

#[test]
fn a_source_loses_its_state_however_much_it_is() {
    let bench = bench(1, "text");
    let value = Bytes::from(vec![7; 1000]);
    let keys = (0..3_000).map(|key| (Bytes::from(format!("key-{key}")), Some(value.clone())));
    bench.control.change_state("p.in", keys).expect("stores");
    assert_eq!(bench.control.log.state("p.in").len(), 3_000);
    assert!(
        bench.reset("p.in", Some("earliest")).is_err(),
        "a source has no offsets"
    );
    assert_eq!(
        bench
            .reset("p.in", None)
            .expect("resets")
            .state_keys_deleted,
        3_000
    );
    assert!(bench.control.log.state("p.in").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_remembered_and_names_may_be_of_pipelines() {
    let bench = bench(1, "text");
    let both = bench.control.pause("p").await.expect("pauses").connectors;
    assert_eq!(both, ["p.in", "p.out"]);
    bench.control.resume("p.in").await.expect("resumes");
    assert_eq!(
        paused(&bench.control.log),
        BTreeSet::from(["p.out".to_owned()])
    );
    let states: Vec<TaskState> = bench
        .control
        .status()
        .status
        .connectors
        .iter()
        .map(|c| c.state)
        .collect();
    assert_eq!(states, [TaskState::Stopped, TaskState::Paused]);
    let error = bench
        .control
        .pause("out")
        .await
        .expect_err("is unknown")
        .to_string();
    assert!(error.contains("did you mean `p.out`?"), "{error}");
    assert!(
        bench.control.restart("p.out").await.is_err(),
        "no worker runs"
    );
}

#[test]
fn what_is_forgotten_is_gone() {
    let bench = bench(1, "text");
    bench.produce_numbers(0..3);
    let offset = GroupOffset {
        group: "p.out".into(),
        topic: TOPIC.into(),
        partition: 0,
        offset: 2,
    };
    let set = AppendSet {
        offsets: vec![offset],
        ..AppendSet::default()
    };
    bench.control.commit(set).expect("commits");
    let readers = bench.control.topic(TOPIC).expect("is there").readers;
    assert_eq!(
        readers,
        [TopicReader {
            connector: "p.out".to_owned(),
            lag_records: 1
        }]
    );
    bench.control.forget("p.out").expect("forgets");
    assert!(bench.control.offsets_of("p.out").is_err());
    assert!(
        bench
            .control
            .topic(TOPIC)
            .expect("is there")
            .readers
            .is_empty()
    );
}

#[test]
fn places_are_read_as_people_write_them() {
    for (text, expected) in [
        ("earliest", Place::Earliest),
        ("latest", Place::Latest),
        ("0", Place::Offset(0)),
        ("-10", Place::Back(10)),
        ("1970-01-01T00:00:01Z", Place::TimeMs(1_000)),
    ] {
        assert_eq!(Place::parse(text).expect("a place"), expected);
    }
    for text in ["", "-", "10GB", "2026-01-01", "latests", "--1"] {
        assert!(Place::parse(text).is_err(), "{text:?} was taken");
    }
}
