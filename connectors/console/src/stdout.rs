//! The sink `stdout`: encoded records into a buffer, the buffer to standard output.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use towpath_sdk::config::{Fields, Format, Node, Problem, Problems, options};
use towpath_sdk::{
    Encoder, Error, ErrorKind, Flushed, OnError, Refused, Result, Sink, SinkBatch, SinkConfig,
    SinkContext, SinkOffset, async_trait,
};

/// The buffer is written when it has so much, and at each flush.
const BUFFER_BYTES: usize = 256 << 10;

options! {
    /// Prints records, one a line.
    pub struct StdoutOptions {
        /// What is written of a value; by default what the topic holds.
        pub format: Option<Format>,
        /// What of each record is written; other than `[value]` only with `format: json`.
        pub fields: Fields = ["value"],
    }
}

pub(crate) fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SinkConfig>> {
    let options = StdoutOptions::parse(node, problems)?;
    if !options.fields.is_bare_value() && options.format != Some(Format::Json) {
        let problem = Problem::new(
            node.span_of("fields"),
            "only JSON has names for several fields",
        );
        problems.push(problem.help("add `format: json`"));
        return None;
    }
    Some(Arc::new(StdoutConfig(options)))
}

/// A checked configuration.
#[derive(Debug)]
struct StdoutConfig(StdoutOptions);

impl SinkConfig for StdoutConfig {
    fn far_side(&self) -> String {
        "stdout".to_owned()
    }

    fn format(&self) -> (Option<Format>, Fields) {
        (self.0.format, self.0.fields.clone())
    }

    fn tasks_max(&self) -> u32 {
        1
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Stdout::new(Box::new(std::io::stdout())))
    }
}

/// One task.
pub(crate) struct Stdout {
    /// Locked by one call at a time, off the async threads.
    output: Arc<Mutex<Box<dyn Write + Send>>>,
    encoder: Option<(Box<dyn Encoder>, OnError)>,
    buffer: Vec<u8>,
    progress: Vec<SinkOffset>,
    refused: Vec<Refused>,
    /// A bad record ends the task, once what came before it is reported.
    failure: Option<Error>,
}

impl Stdout {
    pub(crate) fn new(output: Box<dyn Write + Send>) -> Self {
        Self {
            output: Arc::new(Mutex::new(output)),
            encoder: None,
            buffer: Vec::new(),
            progress: Vec::new(),
            refused: Vec::new(),
            failure: None,
        }
    }

    /// Encodes `batch`, and says how far it got.
    fn encode(&mut self, batch: &SinkBatch) -> Result<u64> {
        let Some((encoder, on_error)) = &mut self.encoder else {
            return Err(Error::fatal("write to", "stdout, which is not open"));
        };
        for record in batch.records() {
            let record = record?;
            match encoder.encode(batch, &record, &mut self.buffer) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Record => {
                    let payload = Bytes::copy_from_slice(record.value.unwrap_or_default());
                    let refused = Refused { error, payload };
                    if let Err(error) = on_error.refuse(&mut self.refused, refused) {
                        self.failure = Some(error);
                        return Ok(u64::try_from(record.offset).unwrap_or(0));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(batch.next_offset())
    }

    fn reached(&mut self, reached: SinkOffset) {
        let known = self
            .progress
            .iter_mut()
            .find(|known| known.partition == reached.partition && known.topic == reached.topic);
        match known {
            Some(known) => *known = reached,
            None => self.progress.push(reached),
        }
    }

    /// Prints the buffer.
    async fn print(&mut self, and_flush: bool) -> Result<()> {
        let output = self.output.clone();
        let mut buffer = std::mem::take(&mut self.buffer);
        let printed = tokio::task::spawn_blocking(move || {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.write_all(&buffer)?;
            if and_flush {
                output.flush()?;
            }
            buffer.clear();
            Ok(buffer)
        });
        let printed = printed
            .await
            .map_err(|error| Error::fatal("write to", "stdout").because(error))?;
        self.buffer = printed.map_err(|error: std::io::Error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Error::configuration("write to", "stdout")
                .because("its reader has gone")
                .remedy("start the worker again with a reader that stays"),
            _ => Error::transient("write to", "stdout").because(error),
        })?;
        Ok(())
    }
}

#[async_trait]
impl Sink for Stdout {
    async fn open(&mut self, context: SinkContext) -> Result<()> {
        self.encoder = Some((context.encoder, context.on_error));
        Ok(())
    }

    async fn write(&mut self, batches: Vec<SinkBatch>) -> Result<()> {
        for batch in batches {
            if self.failure.is_some() {
                return Ok(());
            }
            let offset = self.encode(&batch)?;
            self.reached(SinkOffset {
                topic: batch.topic,
                partition: batch.partition,
                offset,
            });
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.print(false).await
        } else {
            Ok(())
        }
    }

    async fn flush(&mut self) -> Result<Flushed> {
        if self.progress.is_empty()
            && let Some(failure) = self.failure.take()
        {
            return Err(failure);
        }
        self.print(true).await?;
        Ok(Flushed {
            offsets: std::mem::take(&mut self.progress),
            state: Vec::new(),
            refused: std::mem::take(&mut self.refused),
        })
    }

    fn deadline(&self) -> Option<Instant> {
        self.failure.as_ref().map(|_| Instant::now())
    }
}
