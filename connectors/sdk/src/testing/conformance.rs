//! The conformance kit for sources: whatever a source reads from, its records become durable once
//! and in order however it is stopped, kept waiting and started again.

use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::{FakeState, POISON, source_context};
use crate::{Error, ErrorKind, OnError, Result, Source, SourceBatch, async_trait};

/// A source that the kit can put through its paces, and its far side, which begins empty.
#[async_trait]
pub trait SourceSubject: Send {
    /// A new task of the same configuration, which can drain.
    fn source(&self) -> Box<dyn Source>;

    /// Puts records at the far side, behind those that are there, in one place that keeps their
    /// order. A value that begins with [`POISON`](super::POISON) is a bad record to the kit's
    /// decoder.
    async fn produce(&mut self, values: &[Vec<u8>]);

    /// What the kit produces as record `number`. A source that makes its records up itself says
    /// here which they are; producing them only makes them due.
    fn value(&self, number: usize) -> Vec<u8> {
        format!("record {number:08} {}", "x".repeat(50)).into_bytes()
    }

    /// Whether a record can be bad: `false` for a source that makes its records up. The cases with
    /// one are then left out.
    fn has_bad_records(&self) -> bool {
        true
    }

    /// Whether the far side can be asked again for what it gave before. An input that passes once
    /// cannot; the source then keeps what is not acknowledged and gives it to the next task. The
    /// kit acknowledges each batch before it stops such a source, produces once, and leaves out
    /// the cases that begin anew.
    fn can_be_read_again(&self) -> bool {
        true
    }

    /// Takes the far side down, or brings it back with all it had; `false` when that cannot be
    /// done, and the case is left out.
    async fn set_down(&mut self, down: bool) -> bool {
        let _ = down;
        false
    }
}

const RECORDS: usize = 60_000;
/// Reads are cut off at up to so many awaits.
const AWAITS_MAX: usize = 3;

/// Puts a source through the kit; `subject` gives a fresh far side each time. Panics, with the
/// case, when the source fails it.
pub async fn check_source<S: SourceSubject>(mut subject: impl FnMut() -> S) {
    resumed_after_every_batch(&mut subject()).await;
    for awaits in 1..=AWAITS_MAX {
        stopped_at_an_await(&mut subject(), awaits).await;
    }
    acknowledged_late(&mut subject()).await;
    if subject().has_bad_records() {
        poison(&mut subject(), OnError::Skip).await;
        poison(&mut subject(), OnError::Fail).await;
    }
    far_side_down(&mut subject()).await;
    if subject().can_be_read_again() {
        restarted_in_order(&mut subject()).await;
        log_created_anew(&mut subject()).await;
    }
}

/// What is durable: the state, and the values that came with it.
#[derive(Default)]
struct Log {
    state: Arc<FakeState>,
    values: Vec<Vec<u8>>,
    refused: usize,
}

impl Log {
    fn commit(&mut self, batch: &SourceBatch) {
        self.state.apply(&batch.state);
        self.refused += batch.refused.len();
        for part in &batch.parts {
            for record in part.batch.records() {
                let record = record.expect("a batch that can be read");
                self.values.push(record.value.unwrap_or_default().to_vec());
            }
        }
    }

    async fn open(
        &self,
        subject: &impl SourceSubject,
        on_error: OnError,
    ) -> Result<Box<dyn Source>> {
        let mut source = subject.source();
        let mut context = source_context(self.state.clone(), true);
        context.on_error = on_error.into();
        source.open(context).await?;
        Ok(source)
    }

    /// Reads to the end, commits and acknowledges each batch, and closes.
    async fn drain(&mut self, subject: &impl SourceSubject, on_error: OnError) -> Result<()> {
        let mut source = self.open(subject, on_error).await?;
        let mut batches = 0;
        let ended = loop {
            match source.read().await {
                Ok(Some(batch)) => {
                    self.commit(&batch);
                    batches += 1;
                    source.ack(batches).await?;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        source.close().await?;
        ended
    }

    #[track_caller]
    fn check(&self, expected: &[Vec<u8>], case: &str) {
        let wrong = self
            .values
            .iter()
            .zip(expected)
            .position(|(value, expected)| value != expected);
        assert_eq!(
            wrong, None,
            "{case}: the first record that is not the expected one"
        );
        assert_eq!(self.values.len(), expected.len(), "{case}: records");
    }
}

fn values(subject: &impl SourceSubject, range: Range<usize>) -> Vec<Vec<u8>> {
    range.map(|number| subject.value(number)).collect()
}

async fn produce(subject: &mut impl SourceSubject, range: Range<usize>) {
    let values = values(subject, range);
    subject.produce(&values).await;
}

/// A batch becomes durable, another one is read and lost with the task, again and again.
async fn resumed_after_every_batch(subject: &mut impl SourceSubject) {
    produce(subject, 0..RECORDS).await;
    let mut log = Log::default();
    loop {
        let mut source = log.open(subject, OnError::Fail).await.expect("open");
        let Some(batch) = source.read().await.expect("a batch") else {
            break;
        };
        log.commit(&batch);
        if !subject.can_be_read_again() {
            source.ack(1).await.expect("ack");
        }
        source.read().await.expect("a batch that is lost");
    }
    let expected = values(subject, 0..RECORDS);
    log.check(&expected, "resumed after every batch");
}

/// `read` is dropped where it waits for the `awaits`th time, and called again.
async fn stopped_at_an_await(subject: &mut impl SourceSubject, awaits: usize) {
    produce(subject, 0..RECORDS).await;
    let mut log = Log::default();
    let mut source = log.open(subject, OnError::Fail).await.expect("open");
    loop {
        let cut_off = cut_off(source.read(), awaits).await;
        let batch = match cut_off {
            Some(batch) => batch,
            None => source.read().await,
        };
        let Some(batch) = batch.expect("a batch") else {
            break;
        };
        log.commit(&batch);
    }
    source.close().await.expect("close");
    log.check(&values(subject, 0..RECORDS), "stopped at an await");
}

/// The outcome of `future`, unless it waits for the `awaits`th time: then it is dropped.
async fn cut_off<T>(future: impl Future<Output = T>, awaits: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut waited = 0;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => {
            waited += 1;
            if waited == awaits {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        }
    })
    .await
}

/// The log is slow: nothing is durable before everything was read, and one `ack` covers it all.
async fn acknowledged_late(subject: &mut impl SourceSubject) {
    produce(subject, 0..RECORDS).await;
    let mut log = Log::default();
    let mut source = log.open(subject, OnError::Fail).await.expect("open");
    let mut batches = Vec::new();
    while let Some(batch) = source.read().await.expect("a batch") {
        batches.push(batch);
    }
    batches.iter().for_each(|batch| log.commit(batch));
    source.ack(batches.len() as u64).await.expect("ack");
    source.close().await.expect("close");
    log.check(&values(subject, 0..RECORDS), "acknowledged late");
}

/// Orderly ends and new beginnings, with new records in between and without.
async fn restarted_in_order(subject: &mut impl SourceSubject) {
    let mut log = Log::default();
    log.drain(subject, OnError::Fail)
        .await
        .expect("nothing is there, which is no error");
    for end in [1, 1, 10, 1000, 1000] {
        let from = log.values.len();
        produce(subject, from..end).await;
        log.drain(subject, OnError::Fail).await.expect("a drain");
        log.check(&values(subject, 0..end), "restarted in order");
    }
}

/// A bad record is left out, or ends the task behind everything that came before it.
async fn poison(subject: &mut impl SourceSubject, on_error: OnError) {
    let mut all = values(subject, 0..10);
    all.insert(5, POISON.to_vec());
    subject.produce(&all).await;
    let mut log = Log::default();
    let ended = log.drain(subject, on_error).await;
    match on_error {
        OnError::Skip | OnError::DeadLetter => {
            ended.expect("a drain that leaves the bad record out");
            log.check(&values(subject, 0..10), "a bad record is skipped");
            assert_eq!(log.refused, 1, "the bad record is handed over as refused");
        }
        OnError::Fail => {
            let error = ended.expect_err("the bad record ends the task");
            assert_eq!(error.kind(), ErrorKind::Record, "{error}");
            log.check(
                &values(subject, 0..5),
                "what came before the bad record is delivered",
            );
            // It stands in the way until somebody allows to leave it out.
            log.drain(subject, OnError::Fail)
                .await
                .expect_err("it is still there");
            if !subject.can_be_read_again() {
                return;
            }
            log.drain(subject, OnError::Skip)
                .await
                .expect("a drain that leaves it out");
            log.check(
                &values(subject, 0..10),
                "the task goes on behind the bad record",
            );
        }
    }
}

/// The far side goes away: errors that may pass, and nothing is lost or doubled when it is back.
async fn far_side_down(subject: &mut impl SourceSubject) {
    produce(subject, 0..100).await;
    let mut log = Log::default();
    log.drain(subject, OnError::Fail).await.expect("a drain");
    if !subject.set_down(true).await {
        return;
    }
    let ended: Result<(), Error> = log.drain(subject, OnError::Fail).await;
    if let Err(error) = ended {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    }
    subject.set_down(false).await;
    produce(subject, 100..200).await;
    log.drain(subject, OnError::Fail).await.expect("a drain");
    log.check(&values(subject, 0..200), "the far side was down");
}

/// Without state, a source begins at the beginning.
async fn log_created_anew(subject: &mut impl SourceSubject) {
    produce(subject, 0..100).await;
    for _ in 0..2 {
        let mut log = Log::default();
        log.drain(subject, OnError::Fail).await.expect("a drain");
        log.check(&values(subject, 0..100), "the log was created anew");
    }
}
