//! A source of numbers and a sink into memory, which fail as the world says.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use towpath_record::BatchBuilder;
use towpath_sdk::config::{Fields, InputFormat, Node, OutputFormat, Problems};
use towpath_sdk::{
    ConnectorType, Envelope, Error, Flushed, Origin, Original, Part, Refused, Registry, Result,
    Sink, SinkBatch, SinkConfig, SinkContext, SinkOffset, SinkProgress, SinkType, Source,
    SourceBatch, SourceConfig, SourceContext, SourceType, Stage, StateChange, Tolerance,
    async_trait,
};

/// Records in one batch of the source.
const BATCH_RECORDS: u64 = 100;

/// What the connectors of one test share. The registry holds plain functions, so each thread that
/// parses finds its world in a thread-local.
#[derive(Debug, Default)]
pub struct World {
    pub source_fails_every: AtomicU64,
    pub sink_fails_every: AtomicU64,
    pub source_panics: AtomicBool,
    pub sink_refuses: AtomicBool,
    pub source_lives: AtomicU64,
    pub sink_lives: AtomicU64,
    pub batches: AtomicU64,
    pub acked: AtomicU64,
    /// What the sink has made durable.
    pub delivered: Mutex<Vec<u64>>,
    calls: AtomicU64,
    failures: AtomicU64,
}

thread_local! {
    static WORLD: std::cell::RefCell<Arc<World>> = std::cell::RefCell::default();
}

impl World {
    pub fn registry(self: &Arc<Self>) -> Registry {
        WORLD.with(|world| *world.borrow_mut() = self.clone());
        let numbers = SourceType {
            spec: NumbersOptions::spec,
            parse: parse_numbers,
            template_names: &[("source", "always `numbers`")],
        };
        let memory = SinkType {
            spec: MemoryOptions::spec,
            parse: parse_memory,
        };
        let connector = |name, source, sink| ConnectorType {
            name,
            summary: "",
            source,
            sink,
        };
        let mut connectors = vec![
            connector("numbers", Some(numbers), None),
            connector("memory", None, Some(memory)),
        ];
        connectors.extend(super::schemas::connectors());
        Registry::new(connectors)
            .with_transforms(vec![super::transforms::pick(), super::remembering::once()])
    }

    /// Each number from 0 was delivered once, in order.
    pub fn assert_delivered(&self, count: u64) {
        self.assert_delivered_if(count, |_| true);
    }

    /// Each number from 0 of which `good` holds was delivered once, in order.
    pub fn assert_delivered_if(&self, count: u64, good: impl Fn(&u64) -> bool) {
        let delivered = self.delivered.lock().expect("not poisoned");
        assert_eq!(*delivered, (0..count).filter(good).collect::<Vec<_>>());
    }

    pub fn delivered_count(&self) -> usize {
        self.delivered.lock().expect("not poisoned").len()
    }

    /// Waits until `count` were delivered.
    pub async fn delivered(&self, count: usize) {
        let reached = async {
            while self.delivered.lock().expect("not poisoned").len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(super::DEADLINE, reached)
            .await
            .expect("all is delivered");
    }

    /// True for every so manieth call, ten times in all: a sink that fails for ever in the midst of
    /// a large batch would never get to its flush.
    pub fn fails(&self, every: &AtomicU64) -> bool {
        let every = every.load(SeqCst);
        every > 0
            && self.calls.fetch_add(1, SeqCst) % every == every - 1
            && self.failures.fetch_add(1, SeqCst) < 10
    }
}

towpath_sdk::options! {
    struct NumbersOptions {
        /// How many.
        count: u64,
        /// Whether it never fails.
        sound: bool = false,
        /// How long it takes to close.
        close_ms: u64 = 0,
        /// Every so manieth number cannot be decoded.
        bad_every: Option<u64>,
        /// Whether it has an end also when it is not drained.
        ends: bool = false,
        /// But its first task has none.
        first_stays: bool = false,
    }

    struct MemoryOptions {
        /// Every so manieth number cannot be written.
        bad_every: Option<u64>,
        /// Nothing is durable before the end.
        holds: bool = false,
    }
}

fn parse_numbers(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SourceConfig>> {
    let NumbersOptions {
        count,
        sound,
        close_ms,
        bad_every,
        ends,
        first_stays,
    } = NumbersOptions::parse(node, problems)?;
    let closing = Duration::from_millis(close_ms);
    Some(Arc::new(Numbers {
        world: world(),
        count,
        sound,
        closing,
        bad_every,
        ends,
        first_stays,
    }))
}

fn parse_memory(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SinkConfig>> {
    let MemoryOptions { bad_every, holds } = MemoryOptions::parse(node, problems)?;
    Some(Arc::new(Memory {
        world: world(),
        bad_every,
        holds,
    }))
}

pub fn world() -> Arc<World> {
    WORLD.with(|world| world.borrow().clone())
}

#[derive(Debug, Clone)]
struct Numbers {
    world: Arc<World>,
    count: u64,
    sound: bool,
    closing: Duration,
    bad_every: Option<u64>,
    ends: bool,
    first_stays: bool,
}

/// Whether `number` is one that cannot be taken.
fn is_bad(number: u64, every: Option<u64>) -> bool {
    every.is_some_and(|every| number % every == every - 1)
}

impl SourceConfig for Numbers {
    fn far_side(&self) -> String {
        "numbers".to_owned()
    }
    fn has_end(&self) -> bool {
        true
    }
    fn format(&self) -> InputFormat {
        InputFormat::Text
    }
    fn tasks_max(&self) -> u32 {
        if self.first_stays { 2 } else { 1 }
    }
    fn source(&self) -> Box<dyn Source> {
        Box::new(NumbersSource {
            config: self.clone(),
            next: 0,
            ends: false,
            on_error: Tolerance::default(),
        })
    }
}

struct NumbersSource {
    config: Numbers,
    next: u64,
    ends: bool,
    on_error: Tolerance,
}

#[async_trait]
impl Source for NumbersSource {
    async fn open(&mut self, context: SourceContext) -> Result<()> {
        self.config.world.source_lives.fetch_add(1, SeqCst);
        let stays = self.config.first_stays && context.task == 0;
        self.ends = context.drain || self.config.ends && !stays;
        self.on_error = context.on_error;
        if let Some(next) = context.state.get(b"next") {
            let next = std::str::from_utf8(&next)
                .ok()
                .and_then(|next| next.parse().ok());
            self.next = next.ok_or_else(|| Error::fatal("read", "the position"))?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<SourceBatch>> {
        let world = &self.config.world;
        if self.next >= self.config.count {
            return match self.ends {
                true => Ok(None),
                false => std::future::pending().await,
            };
        }
        if !self.config.sound {
            assert!(!world.source_panics.load(SeqCst), "told to panic");
            if world.fails(&world.source_fails_every) {
                return Err(Error::transient("count", "").because("told to fail"));
            }
        }
        let fields = vec![("source".into(), Bytes::from_static(b"numbers"))];
        let origin = Arc::new(Origin {
            name: "numbers".to_owned(),
            fields,
        });
        let mut builder = BatchBuilder::default();
        let mut refused = Vec::new();
        let end = (self.next + BATCH_RECORDS).min(self.config.count);
        for number in self.next..end {
            if is_bad(number, self.config.bad_every) {
                let (payload, envelope) = (
                    format!("bad {number}"),
                    Envelope {
                        timestamp_ms: 5,
                        ..Envelope::default()
                    },
                );
                let bad = Refused {
                    stage: Stage::Decode,
                    error: Error::record("decode", format!("number {number}")),
                    record: Original::undecoded(&origin, payload.as_bytes(), &envelope, None),
                };
                self.on_error.refuse(&mut refused, bad)?;
                continue;
            }
            builder
                .push(0, None, Some(number.to_string().as_bytes()), &[])
                .map_err(|error| Error::fatal("build", "").because(error))?;
        }
        self.next = end;
        world.batches.fetch_add(1, SeqCst);
        let part = builder.finish().map(|batch| Part {
            origin,
            keyed: false,
            positions: Vec::new(),
            batch,
        });
        Ok(Some(SourceBatch {
            parts: part.into_iter().collect(),
            state: vec![StateChange::put(&b"next"[..], end.to_string())],
            refused,
        }))
    }

    async fn ack(&mut self, batches: u64) -> Result<()> {
        self.config.world.acked.store(batches, SeqCst);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        tokio::time::sleep(self.config.closing).await;
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Memory {
    world: Arc<World>,
    bad_every: Option<u64>,
    holds: bool,
}

impl SinkConfig for Memory {
    fn far_side(&self) -> String {
        "memory".to_owned()
    }
    fn format(&self) -> (Option<OutputFormat>, Fields) {
        (None, Fields::default())
    }
    fn tasks_max(&self) -> u32 {
        1
    }
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(MemorySink {
            config: self.clone(),
            buffered: Vec::new(),
            offsets: Vec::new(),
            progress: SinkProgress::new(Tolerance::default()),
        })
    }
}

/// Exactly once: what it has made durable beyond the committed count is cut at `open`.
struct MemorySink {
    config: Memory,
    buffered: Vec<u64>,
    /// What was not reported.
    offsets: Vec<SinkOffset>,
    progress: SinkProgress,
}

#[async_trait]
impl Sink for MemorySink {
    async fn open(&mut self, context: SinkContext) -> Result<()> {
        let world = &self.config.world;
        world.sink_lives.fetch_add(1, SeqCst);
        if world.sink_refuses.load(SeqCst) {
            return Err(Error::configuration("open", "memory").because("told to refuse"));
        }
        self.progress = SinkProgress::new(context.on_error);
        let count = context.state.get(b"count");
        let count = count.and_then(|count| std::str::from_utf8(&count).ok()?.parse().ok());
        world
            .delivered
            .lock()
            .expect("not poisoned")
            .truncate(count.unwrap_or(0));
        Ok(())
    }

    async fn write(&mut self, batches: Vec<SinkBatch>) -> Result<()> {
        let world = &self.config.world;
        if world.fails(&world.sink_fails_every) {
            return Err(Error::transient("write", "memory").because("told to fail"));
        }
        for batch in batches {
            for record in batch.records() {
                let record = record?;
                let value = std::str::from_utf8(record.value.unwrap_or_default()).ok();
                let number = value.and_then(|value| value.parse().ok());
                match number.filter(|number| !is_bad(*number, self.config.bad_every)) {
                    Some(number) => self.buffered.push(number),
                    None => {
                        let error = Error::record("write", format!("offset {}", record.offset));
                        self.progress.refuse(&batch, &record, error)?;
                    }
                }
            }
            self.progress.reached(&batch, batch.next_offset);
        }
        Ok(())
    }

    async fn flush(&mut self, end: bool) -> Result<Flushed> {
        let report = self.progress.report(Vec::new());
        for offset in report.offsets {
            self.offsets
                .retain(|known| !known.is_of(&offset.topic.name, offset.partition));
            self.offsets.push(offset);
        }
        if self.config.holds && !end {
            return Ok(Flushed {
                refused: report.refused,
                ..Flushed::default()
            });
        }
        let mut delivered = self.config.world.delivered.lock().expect("not poisoned");
        delivered.append(&mut self.buffered);
        let count = delivered.len().to_string();
        Ok(Flushed {
            offsets: std::mem::take(&mut self.offsets),
            state: vec![StateChange::put(&b"count"[..], count)],
            refused: report.refused,
        })
    }
}
