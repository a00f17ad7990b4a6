//! The sink `stdout`: encoded records into a buffer, the buffer to standard output.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use towpath_sdk::config::{Fields, Format, Node, Problems, options};
use towpath_sdk::{
    Encoder, Error, Flushed, Result, Sink, SinkBatch, SinkConfig, SinkContext, SinkProgress,
    async_trait,
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
    Some(Arc::new(StdoutConfig(StdoutOptions::parse(
        node, problems,
    )?)))
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
    /// `None` before `open`.
    open: Option<(Box<dyn Encoder>, SinkProgress)>,
    buffer: Vec<u8>,
}

impl Stdout {
    pub(crate) fn new(output: Box<dyn Write + Send>) -> Self {
        Self {
            output: Arc::new(Mutex::new(output)),
            open: None,
            buffer: Vec::new(),
        }
    }

    /// Encodes `batch` into the buffer.
    fn encode(&mut self, batch: &SinkBatch) -> Result<()> {
        let Some((encoder, progress)) = &mut self.open else {
            return Err(Error::fatal("write to", "stdout, which is not open"));
        };
        for record in batch.records() {
            let record = record?;
            if let Err(error) = encoder.encode(batch, &record, &mut self.buffer) {
                progress.refuse(batch, &record, error)?;
            }
        }
        progress.reached(batch, batch.next_offset);
        Ok(())
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
