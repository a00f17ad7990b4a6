//! The sink `stdout`: encoded records into a buffer, the buffer to standard output.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use towpath_sdk::config::{Fields, Node, OutputFormat, Problems, options};
use towpath_sdk::{
    Encoder, Error, Flushed, Result, Sink, SinkBatch, SinkConfig, SinkContext, SinkProgress,
    async_trait,
};

/// The buffer is written when it has so much, and at each flush.
const BUFFER_BYTES: usize = 256 << 10;

options! {
    /// Prints records, one a line.
    pub struct StdoutOptions {
        /// What a record becomes; by default what the topic holds.
        pub format: Option<OutputFormat>,
        /// What of each record is written; other than `[value]` only with `json`, `csv` and `avro`.
        pub fields: Fields = ["value"],
    }
}

pub(crate) fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SinkConfig>> {
    Some(Arc::new(StdoutConfig {
        options: StdoutOptions::parse(node, problems)?,
        begun: Arc::default(),
    }))
}

/// A checked configuration.
#[derive(Debug)]
struct StdoutConfig {
    options: StdoutOptions,
    /// Whether something was printed: what the output begins with comes once, whatever happens to
    /// the task.
    begun: Arc<AtomicBool>,
}

impl SinkConfig for StdoutConfig {
    fn far_side(&self) -> String {
        "stdout".to_owned()
    }

    fn format(&self) -> (Option<OutputFormat>, Fields) {
        (self.options.format.clone(), self.options.fields.clone())
    }

    fn tasks_max(&self) -> u32 {
        1
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Stdout::new(self.begun.clone(), Box::new(std::io::stdout())))
    }
}

/// One task.
pub(crate) struct Stdout {
    /// Locked by one call at a time, off the async threads.
    output: Arc<Mutex<Box<dyn Write + Send>>>,
    /// `None` before `open`.
    open: Option<(Box<dyn Encoder>, SinkProgress)>,
    begun: Arc<AtomicBool>,
    /// What was encoded of so many records.
    buffer: Vec<u8>,
    records: u64,
}

impl Stdout {
    pub(crate) fn new(begun: Arc<AtomicBool>, output: Box<dyn Write + Send>) -> Self {
        Self {
            output: Arc::new(Mutex::new(output)),
            open: None,
            begun,
            buffer: Vec::new(),
            records: 0,
        }
    }

    /// Encodes `batch` into the buffer.
    fn encode(&mut self, batch: &SinkBatch) -> Result<()> {
        let Some((encoder, progress)) = &mut self.open else {
            return Err(Error::fatal("write to", "stdout, which is not open"));
        };
        for record in batch.records() {
            let record = record?;
            match encoder.encode(batch, &record, &mut self.buffer) {
                Ok(()) => self.records += 1,
                Err(error) => progress.refuse(batch, &record, error)?,
            }
        }
        progress.reached(batch, batch.next_offset);
        Ok(())
    }

    /// Prints the buffer.
    async fn print(&mut self, and_flush: bool) -> Result<()> {
        let output = self.output.clone();
        let mut buffer = std::mem::take(&mut self.buffer);
        if let Some((encoder, _)) = &mut self.open
            && self.records > 0
        {
            encoder.block(self.records, &mut buffer)?;
            self.records = 0;
            if !self.begun.swap(true, Relaxed) {
                buffer.splice(..0, encoder.head().iter().copied());
            }
        }
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
        self.open = Some((context.encoder, SinkProgress::new(context.on_error)));
        Ok(())
    }

    async fn write(&mut self, batches: Vec<SinkBatch>) -> Result<()> {
        batches.iter().try_for_each(|batch| self.encode(batch))?;
        if self.buffer.len() >= BUFFER_BYTES {
            self.print(false).await
        } else {
            Ok(())
        }
    }

    async fn flush(&mut self, _end: bool) -> Result<Flushed> {
        self.print(true).await?;
        let progress = self.open.as_mut().map(|(_, progress)| progress);
        Ok(progress.map_or_else(Flushed::default, |progress| progress.report(Vec::new())))
    }
}
