//! The Postgres source: rows that are there, then their changes, each once.
//!
//! **What runs.** A task has one that works beside it: it reads the replication stream, and between
//! two transactions chunks of tables; it hands batches through a channel that holds one. `read` only
//! takes from the channel, so nothing is lost when it is cancelled. While batches wait for the log,
//! the server is still told that we live.
//!
//! **Delivery.** Exactly once into the log. A batch carries with its records the position behind
//! them (`position.rs`), and nothing else is kept; `acknowledged.rs` decides what the server may
//! forget. A kill at any moment:
//! - before the slot's first place is committed: a slot of our own name without a position is made
//!   anew;
//! - before a batch is durable: the server sends its transactions again, as the place it was told is
//!   not beyond what is durable;
//! - after it is durable and before the server was told: what the server sends again is behind the
//!   position, or a transaction that was taken in part, and is passed over;
//! - while chunks wait for their mark: their tables are read from where they were committed.
//!
//! **At each start** the server, the slot and the publication are compared with the position
//! (`server.rs`): a gap stops the source, and is never passed over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use towpath_sdk::{Error, Result, Source, SourceBatch, SourceContext, async_trait};

use crate::wire::Address;
use config::{PostgresSourceOptions, Snapshot};
use reader::Reader;

mod acknowledged;
mod capture;
mod catalog;
mod chunk;
pub mod config;
mod pgoutput;
mod position;
mod reader;
mod server;
mod snapshot;
mod table;
mod types;
mod visible;

/// How long it may take to tell the server what is durable, at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the one that reads is told.
#[derive(Debug, Default)]
struct Control {
    stop: bool,
    acked: u64,
}

/// The one task of a Postgres source.
pub struct PostgresSource {
    options: Arc<PostgresSourceOptions>,
    address: Address,
    running: Option<Running>,
}

struct Running {
    batches: mpsc::Receiver<Result<SourceBatch>>,
    control: watch::Sender<Control>,
    reader: JoinHandle<()>,
    has_end: bool,
}

impl PostgresSource {
    pub fn new(options: Arc<PostgresSourceOptions>, address: Address) -> Self {
        Self {
            options,
            address,
            running: None,
        }
    }
}

#[async_trait]
impl Source for PostgresSource {
    async fn open(&mut self, context: SourceContext) -> Result<()> {
        let has_end = context.drain || self.options.snapshot == Snapshot::Only;
        let (sender, batches) = mpsc::channel(1);
        let (control, told) = watch::channel(Control::default());
        let reader = Reader::open(&self.options, &self.address, context, (sender, told)).await?;
        self.running = Some(Running {
            batches,
            control,
            reader: tokio::spawn(reader.run()),
            has_end,
        });
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<SourceBatch>> {
        let Some(running) = &mut self.running else {
            return Ok(None);
        };
        match running.batches.recv().await {
            Some(batch) => batch.map(Some),
            None if running.has_end => Ok(None),
            None => Err(Error::fatal("read", "changes").because("reading has ended")),
        }
    }

    async fn ack(&mut self, batches: u64) -> Result<()> {
        if let Some(running) = &self.running {
            running
                .control
                .send_modify(|control| control.acked = batches);
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        running.control.send_modify(|control| control.stop = true);
        running.batches.close();
        // Nothing depends on what it still says; a server that does not answer is not waited for.
        match tokio::time::timeout(CLOSE_TIMEOUT, &mut running.reader).await {
            Ok(ended) => {
                ended.map_err(|error| Error::fatal("stop", "reading changes").because(error))
            }
            Err(_) => {
                running.reader.abort();
                Ok(())
            }
        }
    }
}

impl Drop for PostgresSource {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.reader.abort();
        }
    }
}
