//! The conformance kit for sinks: whatever a sink writes to, its records arrive whole and in order
//! however it is stopped, fed and started again.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use towpath_record::{Batch, BatchBuilder, stamp_base_offset};

use super::{FakeState, POISON, sink_context};
use crate::config::Format;
use crate::{
    ErrorKind, OnError, Result, Sink, SinkBatch, SinkContext, SinkPartition, SinkTopic, async_trait,
};

/// A sink that the kit can put through its paces, and its far side, which begins empty.
#[async_trait]
pub trait SinkSubject: Send {
    /// A new task of the same configuration.
    fn sink(&self) -> Box<dyn Sink>;

    /// Whether a record that was written twice may arrive twice.
    fn at_least_once(&self) -> bool {
        false
    }

    /// The values that have arrived, in order.
    async fn arrived(&mut self) -> Vec<Vec<u8>>;
}

const RECORDS: u64 = 60;
const BATCH_RECORDS: u64 = 7;

/// Puts a sink through the kit; `subject` gives a fresh far side each time. Panics, with the case,
/// when the sink fails it.
pub async fn check_sink<S: SinkSubject>(mut subject: impl FnMut() -> S) {
    for flush_every in [1, 2, 100] {
        for stop_after in 0..=RECORDS / BATCH_RECORDS {
            restarted(&mut subject(), flush_every, stop_after).await;
        }
    }
    from_the_middle_of_a_batch(&mut subject()).await;
    poison(&mut subject(), OnError::Skip).await;
    poison(&mut subject(), OnError::Fail).await;
    idle(&mut subject()).await;
}

/// Every `stop_after` batches the task is dropped without a word, and its writes since the last
/// flush come again.
async fn restarted(subject: &mut impl SinkSubject, flush_every: u64, stop_after: u64) {
    let mut worker = Worker::new(OnError::Fail);
    let mut stops = 0;
    'tasks: loop {
        let mut sink = worker.open(subject).await;
        let mut next = worker.offset;
        let mut batches = 0;
        while next < RECORDS {
            if batches == stop_after && stops < 4 {
                stops += 1;
                continue 'tasks;
            }
            let to = RECORDS.min(next + BATCH_RECORDS);
            sink.write(vec![worker.batch(next, next..to)])
                .await
                .expect("a write");
            next = to;
            batches += 1;
            if batches % flush_every == 0 {
                worker.flush(&mut *sink, false).await.expect("a flush");
            }
        }
        worker
            .flush(&mut *sink, true)
            .await
            .expect("the last flush");
        sink.close().await.expect("a close");
        break;
    }
    assert_eq!(
        worker.offset, RECORDS,
        "everything is durable after the last flush"
    );
    let case = format!("flush every {flush_every}, stop after {stop_after}");
    check_arrived(subject, &(0..RECORDS).map(value).collect::<Vec<_>>(), &case).await;
}

/// A batch may begin before the offset to start from.
async fn from_the_middle_of_a_batch(subject: &mut impl SinkSubject) {
    let mut worker = Worker::new(OnError::Fail);
    let mut sink = worker.open(subject).await;
    sink.write(vec![worker.batch(5, 0..10)])
        .await
        .expect("a write");
    worker.flush(&mut *sink, true).await.expect("a flush");
    assert_eq!(worker.offset, 10);
    check_arrived(
        subject,
        &(5..10).map(value).collect::<Vec<_>>(),
        "from the middle",
    )
    .await;
}

/// A bad record is left out and reported, or ends the task behind everything before it.
async fn poison(subject: &mut impl SinkSubject, on_error: OnError) {
    let mut worker = Worker::new(on_error);
    worker.poison = Some(3);
    let mut sink = worker.open(subject).await;
    let written = sink.write(vec![worker.batch(0, 0..10)]).await;
    worker
        .flush(&mut *sink, true)
        .await
        .expect("what came before the bad record is delivered");
    let expected: Vec<u64> = match on_error {
        OnError::Skip | OnError::DeadLetter => {
            written.expect("a write");
            assert_eq!((worker.offset, worker.refused), (10, 1));
            (0..10).filter(|offset| *offset != 3).collect()
        }
        OnError::Fail => {
            let error = written.expect_err("the bad record fails the task");
            assert_eq!(error.kind(), ErrorKind::Record);
            assert_eq!(worker.offset, 3, "the offset stays at the bad record");
            (0..3).collect()
        }
    };
    check_arrived(
        subject,
        &expected.into_iter().map(value).collect::<Vec<_>>(),
        "poison",
    )
    .await;
}

/// A task that is given nothing reports nothing and leaves nothing behind.
async fn idle(subject: &mut impl SinkSubject) {
    let mut worker = Worker::new(OnError::Fail);
    let mut sink = worker.open(subject).await;
    worker.flush(&mut *sink, true).await.expect("a flush");
    sink.close().await.expect("a close");
    assert_eq!(worker.offset, 0);
    check_arrived(subject, &[], "idle").await;
}

async fn check_arrived(subject: &mut impl SinkSubject, expected: &[Vec<u8>], case: &str) {
    let mut arrived = subject.arrived().await;
    if subject.at_least_once() {
        // What comes again begins anew somewhere before; each record's first arrival is in order.
        let mut rest: VecDeque<_> = expected.iter().collect();
        arrived.retain(|value| {
            let first = rest.front().is_some_and(|expected| *expected == value);
            if first {
                rest.pop_front();
            }
            assert!(
                first || expected.contains(value),
                "{case}: a record nobody sent"
            );
            first
        });
    }
    assert!(
        arrived == expected,
        "{case}: {} records of {}",
        arrived.len(),
        expected.len()
    );
}

fn value(offset: u64) -> Vec<u8> {
    format!("record {offset}").into_bytes()
}

/// What the runtime keeps of one sink of one partition.
struct Worker {
    topic: Arc<SinkTopic>,
    state: Arc<FakeState>,
    on_error: OnError,
    /// The committed offset.
    offset: u64,
    refused: usize,
    /// The offset of a record that is bad.
    poison: Option<u64>,
}

impl Worker {
    fn new(on_error: OnError) -> Self {
        let topic = SinkTopic {
            name: "topic".to_owned(),
            id: "1".to_owned(),
            format: Format::Text,
        };
        Self {
            topic: Arc::new(topic),
            state: Arc::default(),
            on_error,
            offset: 0,
            refused: 0,
            poison: None,
        }
    }

    async fn open(&self, subject: &impl SinkSubject) -> Box<dyn Sink> {
        let mut sink = subject.sink();
        let partition = SinkPartition {
            topic: self.topic.clone(),
            partition: 0,
            offset: self.offset,
        };
        let context = SinkContext {
            partitions: vec![partition],
            on_error: self.on_error.into(),
            ..sink_context(self.state.clone())
        };
        sink.open(context).await.expect("an open");
        sink
    }

    fn batch(&self, from_offset: u64, offsets: std::ops::Range<u64>) -> SinkBatch {
        let mut builder = BatchBuilder::default();
        let first = offsets.start;
        for offset in offsets {
            let value = match self.poison {
                Some(poison) if poison == offset => POISON.to_vec(),
                _ => value(offset),
            };
            builder
                .push(0, None, Some(&value), &[])
                .expect("a small record");
        }
        let mut bytes = builder.finish().expect("a record").into_bytes().to_vec();
        stamp_base_offset(&mut bytes, i64::try_from(first).expect("a small offset"));
        let batch = Batch::parse(Bytes::from(bytes)).expect("a batch that was just built");
        SinkBatch::new(self.topic.clone(), 0, from_offset, vec![batch])
    }

    /// Flushes, and commits what was flushed. Only at the `end` is everything to be durable: until
    /// then a sink may hold back what is not full.
    async fn flush(&mut self, sink: &mut dyn Sink, end: bool) -> Result<()> {
        let flushed = sink.flush(end).await?;
        self.state.apply(&flushed.state);
        for reached in flushed.offsets {
            assert!(reached.offset >= self.offset, "an offset never goes back");
            self.offset = reached.offset;
        }
        self.refused += flushed.refused.len();
        Ok(())
    }
}
