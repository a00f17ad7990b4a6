//! The source task: numbers of its own, in order, at the wanted rate.
//!
//! State: under the task's number, how many tasks there are and the next number. With T tasks, task
//! I makes I, I+T, I+2T ...; so another T would make numbers twice or never, and is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use towpath_record::BatchBuilder;
use towpath_sdk::{
    Error, Origin, Part, Result, Source, SourceBatch, SourceContext, StateChange, async_trait,
    now_ms,
};

use crate::config::GenerateOptions;
use crate::value::Values;

const BATCH_BYTES: usize = 1 << 20;
/// Room for what stands around a value.
const RECORD_OVERHEAD_BYTES: usize = 32;
/// With a rate, records that are due go together this often.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct Generate {
    options: Arc<GenerateOptions>,
    task: Option<Task>,
}

struct Task {
    number: u32,
    tasks: u32,
    origin: Arc<Origin>,
    values: Values,
    value: Vec<u8>,
    builder: BatchBuilder,
    next: u64,
    pace: Option<Pace>,
}

/// How many records are due.
struct Pace {
    per_second: f64,
    since: Instant,
    /// Made since `since`.
    made: u64,
}

impl Generate {
    pub(crate) fn new(options: Arc<GenerateOptions>) -> Self {
        Self {
            options,
            task: None,
        }
    }
}

#[async_trait]
impl Source for Generate {
    async fn open(&mut self, context: SourceContext) -> Result<()> {
        let mut next = u64::from(context.task);
        for (key, value) in context.state.scan(b"") {
            let (tasks, reached) = decode(&value).ok_or_else(|| {
                Error::fatal("read the state of", &context.connector).because("it is damaged")
            })?;
            if tasks != context.tasks {
                return Err(Error::configuration("go on with", &context.connector)
                    .because(format!("it was begun with `tasks: {tasks}`"))
                    .remedy(format!(
                        "set `tasks: {tasks}`, or run `towpath offsets reset`"
                    )));
            }
            if key == key_of(context.task) {
                next = reached;
            }
        }
        let size = usize::try_from(self.options.size.0).unwrap_or(usize::MAX);
        self.task = Some(Task {
            number: context.task,
            tasks: context.tasks,
            origin: Arc::new(Origin {
                name: context.task.to_string(),
                fields: Vec::new(),
            }),
            values: Values::new(self.options.format, size, self.options.seed),
            value: Vec::with_capacity(size),
            builder: BatchBuilder::with_capacity(BATCH_BYTES),
            next,
            pace: self.options.rate.map(|rate| Pace {
                per_second: rate.get() as f64 / f64::from(context.tasks),
                since: Instant::now(),
                made: 0,
            }),
        });
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<SourceBatch>> {
        let Some(task) = &mut self.task else {
            return Err(Error::fatal("read", "a source that is not open"));
        };
        let end = self.options.count.unwrap_or(u64::MAX);
        if task.next >= end {
            return Ok(None);
        }
        let due = match &mut task.pace {
            None => u64::MAX,
            Some(pace) => pace.due().await,
        };
        task.batch(due, end).map(Some)
    }
}

impl Task {
    /// At most `due` records below number `end`, and about 1 MiB.
    fn batch(&mut self, due: u64, end: u64) -> Result<SourceBatch> {
        let now_ms = now_ms();
        let mut made = 0;
        while made < due && self.next < end {
            self.values.put(self.next, &mut self.value);
            let size = self.builder.size_bytes() + self.value.len() + RECORD_OVERHEAD_BYTES;
            if made > 0 && size > BATCH_BYTES {
                break;
            }
            self.builder
                .push(now_ms, None, Some(&self.value), &[])
                .map_err(|error| Error::fatal("make", "a record").because(error))?;
            made += 1;
            self.next = self.next.saturating_add(u64::from(self.tasks));
        }
        if let Some(pace) = &mut self.pace {
            pace.made += made;
        }
        let batch = self.builder.finish();
        let part = batch.map(|batch| Part {
            origin: self.origin.clone(),
            batch,
            keyed: false,
            positions: Vec::new(),
        });
        let mut position = self.tasks.to_be_bytes().to_vec();
        position.extend(self.next.to_be_bytes());
        Ok(SourceBatch {
            parts: part.into_iter().collect(),
            state: vec![StateChange::put(key_of(self.number), position)],
            refused: Vec::new(),
        })
    }
}

impl Pace {
    /// Waits until a record is due, and says how many are. When nobody took records for a while,
    /// one second of them is made up for and the rest is not.
    async fn due(&mut self) -> u64 {
        loop {
            let expected = (self.since.elapsed().as_secs_f64() * self.per_second) as u64;
            let due = expected.saturating_sub(self.made);
            if due as f64 > self.per_second + 1.0 {
                self.since = Instant::now() - Duration::from_secs(1).min(self.since.elapsed());
                self.made = 0;
            } else if due > 0 {
                return due;
            }
            let next_in = (self.made + 1) as f64 / self.per_second;
            let wait = Duration::from_secs_f64(next_in).saturating_sub(self.since.elapsed());
            tokio::time::sleep(wait.max(TICK)).await;
        }
    }
}

fn key_of(task: u32) -> Vec<u8> {
    task.to_be_bytes().to_vec()
}

fn decode(value: &[u8]) -> Option<(u32, u64)> {
    let (tasks, next) = value.split_first_chunk::<4>()?;
    Some((
        u32::from_be_bytes(*tasks),
        u64::from_be_bytes(next.try_into().ok()?),
    ))
}
