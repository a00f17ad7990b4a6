//! The S3 source: a task around [`Done`], which knows what is left to read.
//!
//! **Threads.** A task has a thread of its own, on which it lists, reads, decompresses and frames;
//! it hands batches through a channel that holds one, so that with the one being built at most two
//! are read ahead. `read` only takes from the channel, and so loses nothing when it is cancelled.
//!
//! **Delivery.** Exactly once into the log. A batch carries with the records of an object how far
//! it was read: an entry of [`Done`]. Both become durable together. All else is found out anew by
//! the next listing, so it does not matter where a kill strikes:
//! - before a batch is durable: its objects are read again from where the batch before it came;
//! - after: they are read on behind it;
//! - between *durable* and `after`: the entry says that it is still to be done (`disposal.rs`).
//!
//! **A replaced object** is another one: its entry, which names the ETag, does not fit, and every
//! request is for one ETag. What was read of the content before stays; the new one is read from its
//! start.
//!
//! **One bad object** stops only itself: it keeps an entry, is shown, and is tried again by every
//! sweep unless its very content is damaged. A drain reads all others and fails with its name.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use towpath_sdk::config::Start;
use towpath_sdk::{
    Error, Result, Source, SourceBatch, SourceContext, StateChange, async_trait, now_ms,
};

use crate::client::{Client, Listed};
use config::S3SourceOptions;
use done::Done;
use reader::Kit;
use remote::Remote;
use selection::Selection;
use sweep::Task;

pub mod config;
mod content;
mod disposal;
mod done;
mod outbox;
mod reader;
mod remote;
mod saved;
mod seekable;
mod selection;
mod sweep;
#[cfg(test)]
mod tests;

/// What the thread is told.
#[derive(Debug, Default)]
struct Control {
    stop: bool,
    acked: u64,
}

/// One task of the S3 source.
pub struct S3Source {
    options: Arc<S3SourceOptions>,
    running: Option<Running>,
}

struct Running {
    batches: mpsc::Receiver<Result<SourceBatch>>,
    control: watch::Sender<Control>,
    thread: std::thread::JoinHandle<()>,
    draining: bool,
}

impl S3Source {
    pub fn new(options: Arc<S3SourceOptions>) -> Self {
        Self {
            options,
            running: None,
        }
    }
}

#[async_trait]
impl Source for S3Source {
    async fn open(&mut self, context: SourceContext) -> Result<()> {
        let options = self.options.clone();
        let client = Client::new(&options.bucket()).await?;
        let (done, newest_ms) = begin(&options, &client, &context).await?;
        let (sender, batches) = mpsc::channel(1);
        let (control, told) = watch::channel(Control::default());
        let kit = Kit {
            remote: Remote::new(client, Handle::current(), told.clone()),
            rules: options.rules(),
            compression: options.compression,
            codecs: context.codecs,
            new_decoder: context.new_decoder,
            on_error: context.on_error,
        };
        let until_ms = if context.drain { newest_ms } else { i64::MAX };
        let task = Task::new(
            kit,
            options,
            done,
            (context.state, context.health),
            sender,
            told,
            until_ms,
        );
        let draining = context.drain;
        let thread = std::thread::Builder::new()
            .name(format!("s3 {}", context.connector))
            .spawn(move || {
                if draining {
                    task.drain()
                } else {
                    task.follow()
                }
            })
            .map_err(|error| {
                Error::transient("start a thread for", &context.connector).because(error)
            })?;
        self.running = Some(Running {
            batches,
            control,
            thread,
            draining,
        });
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<SourceBatch>> {
        let Some(running) = &mut self.running else {
            return Ok(None);
        };
        match running.batches.recv().await {
            Some(batch) => batch.map(Some),
            None if running.draining => Ok(None),
            None => Err(Error::fatal("read", "objects").because("the reading thread has ended")),
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
        let Some(running) = self.running.take() else {
            return Ok(());
        };
        running.control.send_modify(|control| control.stop = true);
        drop(running.batches);
        let ended = tokio::task::spawn_blocking(|| running.thread.join()).await;
        match ended {
            Ok(Ok(())) => Ok(()),
            _ => {
                Err(Error::fatal("stop", "reading objects")
                    .because("the reading thread has panicked"))
            }
        }
    }
}

impl Drop for S3Source {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.control.send_modify(|control| control.stop = true);
        }
    }
}

/// What is done, as it is committed; and when the objects that were modified last were, where that
/// matters.
async fn begin(
    options: &S3SourceOptions,
    client: &Client,
    context: &SourceContext,
) -> Result<(Done, i64)> {
    let selection = options.selection();
    let before = context.state.get(saved::SELECTION_KEY);
    if let Some(before) = &before {
        selection.follows(before)?;
    }
    let (mut done, fresh) = Done::restore(&*context.state, context.task, context.tasks)?;
    let behind_all = !fresh.is_empty() && options.start == Start::Latest;
    let newest = match context.drain || behind_all {
        true => newest(client, &selection).await?,
        false => Vec::new(),
    };
    let newest_ms = newest.first().map_or(i64::MIN, |object| object.modified_ms);
    let (floor_ms, besides) = match options.start {
        Start::Earliest => (i64::MIN, &[][..]),
        Start::Latest => (newest_ms, &newest[..]),
        Start::At(at_ms) => (at_ms, &[][..]),
        Start::Ago(ago) => {
            let ago_ms = i64::try_from(ago.0.as_millis()).unwrap_or(i64::MAX);
            (now_ms().saturating_sub(ago_ms), &[][..])
        }
    };
    let mut changes = done.begin(&fresh, floor_ms, besides);
    if context.task == 0 && before.is_none_or(|before| before != selection.encode()) {
        changes.push(StateChange::put(saved::SELECTION_KEY, selection.encode()));
    }
    if !changes.is_empty() {
        context.state.commit(changes).await?;
    }
    Ok((done, newest_ms))
}

/// The objects that were modified last, all at the same moment.
async fn newest(client: &Client, selection: &Selection) -> Result<Vec<Listed>> {
    let mut newest: Vec<Listed> = Vec::new();
    let mut after = String::new();
    loop {
        let page = client.list(selection.prefix(), &after).await?;
        if let Some(last) = page.objects.last() {
            after.clone_from(&last.key);
        }
        let selected = page
            .objects
            .into_iter()
            .filter(|object| selection.selects(&object.key));
        for object in selected {
            let at_ms = newest.first().map_or(i64::MIN, |newest| newest.modified_ms);
            if object.modified_ms > at_ms {
                newest.clear();
            }
            if object.modified_ms >= at_ms {
                newest.push(object);
            }
        }
        if !page.more {
            return Ok(newest);
        }
    }
}
