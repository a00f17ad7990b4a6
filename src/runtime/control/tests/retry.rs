//! Dead letters that are retried: which ones, once, and what is told of those that cannot be.

use std::collections::BTreeSet;

use super::super::retry::BATCH_BYTES;
use super::*;

const BAD: &str = "bad";

/// A log with a sink `p.out`, and a topic of dead letters in `partitions`.
fn bench_of_letters(partitions: u32) -> Bench {
    let bench = bench(partitions, "bytes");
    let log = &bench.control.log;
    log.create_topic(BAD, &log.topic(TOPIC).expect("it is there").config)
        .expect("creates");
    let registration = Registration {
        name: "p.out".to_owned(),
        kind: ConnectorKind::Sink,
        connector_type: "file".to_owned(),
        far_side: String::new(),
        group: None,
        topics: vec![TOPIC.to_owned(), "__towpath.retry.p.out".to_owned()],
    };
    log.register(&registration).expect("registers");
    bench
}

impl Bench {
    /// Adds letters with these values, which `connector` refused at a stage.
    fn refuse(&self, partition: u32, connector: &str, reached: &str, values: std::ops::Range<u32>) {
        let text = |text: &str| Payload::Text(text.to_owned());
        let header = |name: &str, value: &str| (text(name), Some(text(value)));
        let mut headers = vec![header("own", "1")];
        if !reached.is_empty() {
            headers.push(header("__towpath.letter.reached", reached));
        }
        headers.push(header("__connect.errors.connector.name", connector));
        headers.push(header("__connect.errors.stage", "TASK_PUT"));
        let letter = |value: u32| NewRecord {
            partition: Some(partition),
            headers: headers.clone(),
            ..record(&value.to_string())
        };
        let records = values.map(letter).collect();
        tokio::task::block_in_place(|| self.control.produce(BAD, &ProduceRequest { records }))
            .expect("produces");
    }

    fn retry(&self, request: &RetryRequest) -> Result<Retried> {
        self.control.retry_dead_letters(BAD, request)
    }

    /// Values of what is there to be retried, by partition.
    fn retried(&self, partition: u32) -> Vec<String> {
        self.values_in("__towpath.retry.p.out", partition)
    }

    fn values_in(&self, topic: &str, partition: u32) -> Vec<String> {
        let log = &self.control.log;
        let mut reader = log
            .reader(topic, partition, 0, towpath_log::ReadTo::Committed)
            .expect("it is there");
        let mut values = Vec::new();
        while let Some(batches) = reader.next(1 << 20).expect("it can be read") {
            for record in batches.iter().flat_map(towpath_record::Batch::records) {
                let value = record.expect("sound").value.unwrap_or_default();
                values.push(String::from_utf8_lossy(value).into_owned());
            }
        }
        values
    }

    /// Values of the letters that are left.
    fn left(&self) -> Vec<String> {
        let page = self
            .control
            .dead_letters(BAD, &DeadLettersRequest::default());
        let letters = page.expect("a page").letters.into_iter();
        letters
            .map(|letter| match letter.value {
                Some(Payload::Text(text)) => text,
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

fn limit(limit: u64) -> RetryRequest {
    RetryRequest {
        limit: Some(limit),
        ..RetryRequest::default()
    }
}

fn count(retried: &Retried) -> u64 {
    retried.groups.iter().map(|group| group.letters).sum()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn what_is_retried_is_a_dead_letter_no_more() {
    let bench = bench_of_letters(2);
    bench.refuse(0, "p.out", "transformed text", 0..10);
    bench.refuse(1, "p.out", "decoded json", 10..20);
    let dry = RetryRequest {
        dry_run: true,
        ..RetryRequest::default()
    };
    assert_eq!(count(&bench.retry(&dry).expect("it is told")), 20);
    assert!(bench.control.log.topic("__towpath.retry.p.out").is_none());
    let first = bench.retry(&limit(3)).expect("it is retried");
    assert_eq!((count(&first), first.after), (3, Some((0, 3))));
    assert_eq!(bench.left(), numbers(3..20));
    let only = RetryRequest {
        filters: vec!["text=7".to_owned()],
        ..RetryRequest::default()
    };
    assert_eq!(count(&bench.retry(&only).expect("it is retried")), 2);
    let topics = bench.control.drop_dead_letters(
        BAD,
        &DropRequest {
            before: "latest".to_owned(),
            partition: Some(0),
            dry_run: true,
        },
    );
    assert_eq!(topics.expect("it is told").partitions[0].letters, 6);
    let rest = bench
        .retry(&RetryRequest::default())
        .expect("it is retried");
    assert_eq!((count(&rest), rest.after), (15, None));
    assert_eq!(bench.left(), Vec::<String>::new());
    assert_eq!(count(&bench.retry(&limit(9)).expect("nothing is left")), 0);
    assert_eq!(
        bench.retried(4),
        ["0", "1", "2", "7", "3", "4", "5", "6", "8", "9"]
    );
    let mut json = bench.retried(2);
    json.sort();
    assert_eq!(json, numbers(10..20));
    // Pinned from the first letter on, and nothing of it is taken yet.
    let group = bench.control.log.group("p.out").expect("it has offsets");
    let offsets: Vec<_> = group.offsets.into_values().collect();
    assert_eq!(offsets, [0, 0]);
}

#[test]
fn what_is_refused_again_meanwhile_is_not_retried_without_end() {
    let bench = bench_of_letters(2);
    bench.refuse(0, "p.out", "decoded text", 0..4);
    bench.refuse(1, "p.out", "decoded text", 4..6);
    let mut request = limit(3);
    let mut counts = Vec::new();
    loop {
        let retried = bench.retry(&request).expect("it is retried");
        counts.push(count(&retried));
        assert!(counts.len() < 10, "{counts:?}");
        bench.refuse(0, "p.out", "decoded text", 10..12);
        bench.refuse(1, "p.out", "decoded text", 12..14);
        request.after = retried.after;
        request.until = Some(retried.until);
        if retried.after.is_none() {
            break;
        }
    }
    assert_eq!(counts.iter().sum::<u64>(), 6, "{counts:?}");
}

#[test]
fn copies_stand_in_small_batches() {
    let bench = bench_of_letters(1);
    bench.refuse(0, "p.out", "decoded text", 0..5_000);
    let retried = bench.retry(&RetryRequest::default());
    assert_eq!(count(&retried.expect("it is retried")), 5_000);
    assert_eq!(bench.retried(1), numbers(0..5_000));
    let log = &bench.control.log;
    let reader = log.reader(
        "__towpath.retry.p.out",
        1,
        0,
        towpath_log::ReadTo::Committed,
    );
    let mut reader = reader.expect("it is there");
    let mut sizes = Vec::new();
    while let Some(batches) = reader.next(1).expect("it can be read") {
        sizes.extend(batches.iter().map(|batch| batch.as_bytes().len()));
    }
    let largest = sizes.iter().max().expect("batches");
    assert!(*largest <= BATCH_BYTES && sizes.len() <= 6, "{sizes:?}");
}

#[test]
fn letters_that_cannot_be_retried_stay_and_say_why() {
    let bench = bench_of_letters(1);
    bench.refuse(0, "p.gone", "decoded text", 0..2);
    bench.refuse(0, "p.out", "", 2..3);
    bench.refuse(0, "p.out", "decoded text", 3..4);
    bench.refuse(0, "", "", 4..5);
    let retried = bench.retry(&RetryRequest::default()).expect("it is told");
    assert_eq!(count(&retried), 1);
    let left = retried.left.iter();
    let told: Vec<_> = left
        .map(|group| (&*group.connector, group.letters, group.reason.as_str()))
        .map(|(connector, letters, reason)| (connector, letters, reason.split(':').next()))
        .collect();
    let expected = [
        ("", 1, Some("they are no dead letters")),
        ("p.gone", 2, Some("the log does not know the connector")),
        ("p.out", 1, Some("only their beginning was kept")),
    ];
    assert_eq!(told, expected);
    assert_eq!(bench.left(), ["0", "1", "2", "4"]);
    let internal = bench
        .control
        .retry_dead_letters("__towpath.retry.p.out", &RetryRequest::default());
    internal.expect_err("what waits there is retried already");
}

#[test]
fn two_retries_at_once_take_each_letter_once() {
    let bench = bench_of_letters(1);
    bench.refuse(0, "p.out", "decoded text", 0..20_000);
    let retry_all = || {
        let mut all = 0;
        loop {
            match count(&bench.retry(&limit(1_700)).expect("it is retried")) {
                0 => return all,
                letters => all += letters,
            }
        }
    };
    let taken = std::thread::scope(|threads| {
        let both = [threads.spawn(retry_all), threads.spawn(retry_all)];
        both.map(|thread| thread.join().expect("it ends"))
            .iter()
            .sum::<u64>()
    });
    assert_eq!(taken, 20_000);
    let copied = bench.retried(1);
    assert_eq!(copied.len(), 20_000);
    assert_eq!(copied.iter().collect::<BTreeSet<_>>().len(), 20_000);
}

#[test]
fn marks_go_with_the_letters_they_are_of() {
    let bench = bench_of_letters(1);
    bench.refuse(0, "p.out", "decoded text", 0..20_000);
    while count(&bench.retry(&limit(10_000)).expect("it is retried")) > 0 {}
    let marks = || {
        let keys = bench.control.log.state(OWNER).into_keys();
        keys.filter(|key| key.starts_with(b"retried/")).count()
    };
    assert_eq!(marks(), 3, "a key for 8,192 letters");
    let before = DropRequest {
        before: "16400".to_owned(),
        ..DropRequest::default()
    };
    let dropped = bench.control.drop_dead_letters(BAD, &before);
    assert_eq!(dropped.expect("it drops").partitions[0].letters, 0);
    bench.refuse(0, "p.out", "decoded text", 0..1);
    assert_eq!(count(&bench.retry(&limit(1)).expect("it is retried")), 1);
    assert_eq!(marks(), 1);
    // Those of a topic that is no more go with the next of any.
    bench.control.log.delete_topic(BAD).expect("it is deleted");
    let config = bench.control.log.topic(TOPIC).expect("it is there").config;
    bench
        .control
        .log
        .create_topic(BAD, &config)
        .expect("creates");
    bench.refuse(0, "p.out", "decoded text", 0..1);
    assert_eq!(count(&bench.retry(&limit(1)).expect("it is retried")), 1);
    assert_eq!(marks(), 1);
    assert_eq!(bench.left(), Vec::<String>::new());
}
