//! The source `stdin`: a thread that reads and frames, and a task that hands on what it made.
//!
//! A thread that waits in `read(2)` cannot be stopped, and a second one would take bytes from it.
//! So there is one for the life of the configuration, and each task that is opened takes over where
//! the last one stopped: at the first batch that is not known to be durable. What the last one had
//! read and was not told of is given again, so after a failure of the log it may come twice, but it
//! is not lost while the worker lives.
//!
//! An error does not end the thread, for the input goes on behind it: a bad record that nobody
//! allows to leave out is told to each task anew, and reading is tried again for each.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};
use towpath_record::BatchBuilder;
use towpath_sdk::config::{InputFormat, Node, Problems, Size, choice, options};
use towpath_sdk::{
    Decoder, Envelope, Error, ErrorKind, Origin, Original, Part, RECORD_BYTES_MAX, REFUSED_MAX,
    Refused, Result, Source, SourceBatch, SourceConfig, SourceContext, Stage, Tolerance,
    async_trait, now_ms,
};

const BATCH_BYTES: usize = 1 << 20;
const CHUNK_BYTES: usize = 256 << 10;
/// Batches that wait for the task.
const WAITING_MAX: usize = 2;

options! {
    /// Reads standard input.
    pub struct StdinOptions {
        /// What the records are.
        pub format: InputFormat = "text",
        /// What a record is.
        pub framing: Framing = "lines",
        /// The longest record; a longer one is bad (`on_error`).
        pub max_line: Size = "1MiB",
    }
}

choice! {
    /// What a record is.
    pub enum Framing {
        /// The bytes before each newline.
        Lines = "lines",
        /// All there is.
        Whole = "whole",
    }
}

pub(crate) fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SourceConfig>> {
    let options = StdinOptions::parse(node, problems)?;
    if !(1..=RECORD_BYTES_MAX).contains(&options.max_line.0) {
        problems.add(node.span_of("max_line"), "expected a size from 1B to 1GiB");
        return None;
    }
    if options.framing == Framing::Lines {
        options.format.refuse_in_lines(node, problems);
    }
    Some(Arc::new(StdinConfig {
        options,
        feed: Arc::default(),
    }))
}

/// What the thread made, for one task after the other.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Batches and errors. It ends where the input ends.
    coming: mpsc::Receiver<Result<SourceBatch>>,
    /// The records of each batch that was read and is not durable: shared bytes, no more of them
    /// than the runtime lets be in flight.
    unacknowledged: VecDeque<Vec<Part>>,
}

/// A checked configuration, and the thread once there is one.
#[derive(Debug)]
struct StdinConfig {
    options: StdinOptions,
    feed: Arc<Mutex<Option<Feed>>>,
}

impl SourceConfig for StdinConfig {
    fn far_side(&self) -> String {
        "stdin".to_owned()
    }

    fn has_end(&self) -> bool {
        true
    }

    fn format(&self) -> InputFormat {
        self.options.format.clone()
    }

    fn tasks_max(&self) -> u32 {
        1
    }

    fn source(&self) -> Box<dyn Source> {
        Box::new(Stdin::new(self.options.clone(), self.feed.clone(), || {
            Box::new(std::io::stdin())
        }))
    }
}

/// One task.
pub(crate) struct Stdin {
    options: StdinOptions,
    shared: Arc<Mutex<Option<Feed>>>,
    feed: Option<OwnedMutexGuard<Option<Feed>>>,
    /// How many of the unacknowledged batches this life has read, and how many were acknowledged.
    given: usize,
    acknowledged: u64,
    open_input: OpenInput,
}

/// Gives the input to the one task that begins to read it.
type OpenInput = Box<dyn Fn() -> Box<dyn Read + Send> + Send>;

impl Stdin {
    pub(crate) fn new(
        options: StdinOptions,
        shared: Arc<Mutex<Option<Feed>>>,
        open_input: impl Fn() -> Box<dyn Read + Send> + Send + 'static,
    ) -> Self {
        Self {
            options,
            shared,
            feed: None,
            given: 0,
            acknowledged: 0,
            open_input: Box::new(open_input),
        }
    }
}

#[async_trait]
impl Source for Stdin {
    async fn open(&mut self, context: SourceContext) -> Result<()> {
        let mut feed = self.shared.clone().lock_owned().await;
        if feed.is_none() {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let framer = Framer {
                sender,
                decoder: (context.new_decoder)(),
                on_error: context.on_error,
                origin: Arc::new(Origin {
                    name: "stdin".to_owned(),
                    fields: Vec::new(),
                }),
                record_bytes_max: usize::try_from(self.options.max_line.0).unwrap_or(usize::MAX),
                framing: self.options.framing,
                position: 0,
                cut_bytes: 0,
                timestamp_ms: 0,
                refused: Vec::new(),
                refused_bytes: 0,
                builder: BatchBuilder::with_capacity(BATCH_BYTES),
                positions: Vec::new(),
            };
            let input = (self.open_input)();
            std::thread::Builder::new()
                .name("stdin".to_owned())
                .spawn(move || framer.run(input))
                .map_err(|error| Error::transient("read", "stdin").because(error))?;
            *feed = Some(Feed {
                coming: receiver,
                unacknowledged: VecDeque::new(),
            });
        }
        self.feed = Some(feed);
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<SourceBatch>> {
        let Some(feed) = self.feed.as_mut().and_then(|feed| feed.as_mut()) else {
            return Err(Error::fatal("read", "stdin, which is not open"));
        };
        if let Some(parts) = feed.unacknowledged.get(self.given) {
            self.given += 1;
            return Ok(Some(SourceBatch {
                parts: parts.iter().map(again).collect(),
                ..SourceBatch::default()
            }));
        }
        let Some(batch) = feed.coming.recv().await.transpose()? else {
            return Ok(None);
        };
        let parts = batch.parts.iter().map(again).collect();
        feed.unacknowledged.push_back(parts);
        self.given += 1;
        Ok(Some(batch))
    }

    async fn ack(&mut self, batches: u64) -> Result<()> {
        if let Some(feed) = self.feed.as_mut().and_then(|feed| feed.as_mut()) {
            let new = batches.saturating_sub(self.acknowledged);
            let durable = usize::try_from(new).map_or(self.given, |new| new.min(self.given));
            feed.unacknowledged.drain(..durable);
            self.given -= durable;
            self.acknowledged = batches;
        }
        Ok(())
    }
}

/// The same records of the same place; the bytes are shared.
fn again(part: &Part) -> Part {
    Part {
        origin: part.origin.clone(),
        keyed: part.keyed,
        batch: part.batch.clone(),
        positions: part.positions.clone(),
    }
}

/// Cuts the input into records.
struct Framer {
    sender: mpsc::Sender<Result<SourceBatch>>,
    decoder: Box<dyn Decoder>,
    on_error: Tolerance,
    origin: Arc<Origin>,
    record_bytes_max: usize,
    framing: Framing,
    /// Where in the input the next record begins.
    position: u64,
    /// What was read of it and not kept, as it is too long.
    cut_bytes: u64,
    timestamp_ms: i64,
    refused: Vec<Refused>,
    refused_bytes: usize,
    builder: BatchBuilder,
    /// Where each record of `builder` begins.
    positions: Vec<u64>,
}

/// Nobody takes batches any more: the configuration is gone.
struct NobodyListens;

impl Framer {
    fn run(mut self, mut input: Box<dyn Read + Send>) {
        // When nobody listens there is nothing to tell.
        let _ = self.read_all(&mut *input);
    }

    fn read_all(&mut self, input: &mut dyn Read) -> Result<(), NobodyListens> {
        let mut chunk = vec![0; CHUNK_BYTES];
        // The beginning of a record; of one that is too long only what is needed to know that.
        let mut begun = Vec::new();
        loop {
            let read = match input.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.fail(Error::transient("read", "stdin").because(error))?;
                    continue;
                }
            };
            self.timestamp_ms = now_ms();
            self.take(&chunk[..read], &mut begun)?;
            // While the task is busy, batches grow.
            let full = self.builder.size_bytes() >= BATCH_BYTES - CHUNK_BYTES;
            if full || self.sender.capacity() > 0 {
                self.send()?;
            }
        }
        if !begun.is_empty() {
            self.record(&begun)?;
        }
        self.send()
    }

    /// Takes the next bytes; `begun` are those of the unfinished record before them.
    fn take(&mut self, mut bytes: &[u8], begun: &mut Vec<u8>) -> Result<(), NobodyListens> {
        if self.framing == Framing::Lines {
            while let Some(end) = memchr::memchr(b'\n', bytes) {
                let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
                if begun.is_empty() {
                    self.record(line)?;
                } else {
                    self.grow(begun, line);
                    self.record(begun)?;
                    begun.clear();
                }
                self.position += 1;
                bytes = rest;
            }
        }
        self.grow(begun, bytes);
        Ok(())
    }

    fn grow(&mut self, begun: &mut Vec<u8>, bytes: &[u8]) {
        let room = (self.record_bytes_max + 1)
            .saturating_sub(begun.len())
            .min(bytes.len());
        begun.extend_from_slice(&bytes[..room]);
        self.cut_bytes += (bytes.len() - room) as u64;
    }

    /// Adds a record. It stands in the way for as long as it fails the task.
    fn record(&mut self, payload: &[u8]) -> Result<(), NobodyListens> {
        while let Err(error) = self.try_record(payload) {
            self.fail(error)?;
        }
        if self.refused.len() >= REFUSED_MAX || self.refused_bytes >= BATCH_BYTES {
            self.send()?;
        }
        self.position += payload.len() as u64 + std::mem::take(&mut self.cut_bytes);
        Ok(())
    }

    fn try_record(&mut self, payload: &[u8]) -> Result<()> {
        let envelope = Envelope {
            timestamp_ms: self.timestamp_ms,
            ..Envelope::default()
        };
        let is_whole = payload.len() <= self.record_bytes_max;
        let taken = if !is_whole {
            if self.decoder.wants_beginning() {
                self.decoder.lose_beginning();
            }
            Err(Error::record("take", "a record")
                .because(format!("it is longer than {} bytes", self.record_bytes_max))
                .remedy("raise `max_line`"))
        } else {
            self.decoder.decode(payload, &envelope, &mut self.builder)
        };
        self.positions.resize(self.builder.len(), self.position);
        match taken {
            Err(error) if error.kind() == ErrorKind::Record => {
                let place = format!("stdin at byte {}", self.position);
                let error = Error::record("read", place).because(error);
                let head = self.decoder.head();
                let mut record = Original::undecoded(&self.origin, payload, &envelope, head);
                record.reached.take_if(|_| !is_whole);
                let bad = Refused {
                    stage: Stage::Decode,
                    error,
                    record,
                };
                self.refused_bytes += bad.bytes();
                self.on_error.refuse(&mut self.refused, bad)
            }
            taken => taken,
        }
    }

    /// Tells an error, behind what came before it.
    fn fail(&mut self, error: Error) -> Result<(), NobodyListens> {
        self.send()?;
        self.give(Err(error))
    }

    /// Sends what there is.
    fn send(&mut self) -> Result<(), NobodyListens> {
        let part = self.builder.finish().map(|batch| Part {
            origin: self.origin.clone(),
            batch,
            keyed: false,
            positions: std::mem::take(&mut self.positions),
        });
        let refused = std::mem::take(&mut self.refused);
        self.refused_bytes = 0;
        if part.is_none() && refused.is_empty() {
            return Ok(());
        }
        self.give(Ok(SourceBatch {
            parts: part.into_iter().collect(),
            state: Vec::new(),
            refused,
        }))
    }

    fn give(&self, batch: Result<SourceBatch>) -> Result<(), NobodyListens> {
        self.sender.blocking_send(batch).map_err(|_| NobodyListens)
    }
}
