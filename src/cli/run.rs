//! `towpath run`: a worker, from start to end.
//!
//! Order of a start: settings, pipelines (all problems at once, nothing created), the log with its
//! lock, the admin port, the socket, the connectors. A log that is not there yet is made after the
//! admin port is bound, so that a taken one leaves nothing behind. Of an end: connectors, socket,
//! log.

mod begin;
mod heaps;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use towpath_log::Log;
use towpath_pipeline::{Loaded, picture};
use towpath_runtime::control::Control;
use towpath_runtime::status::{ConnectorKind, ConnectorStatus, TaskState, WorkerStatus};
use towpath_runtime::{Outcome, Worker, WorkerOptions};
use towpath_sdk::config;

use begin::{Begin, open, raise_open_files_limit};

use super::data::{DataArgs, Settings};
use super::failure::Failure;
use super::logging;
use super::output::{Output, counted};
use super::pipelines::{read, topics_of};
use super::progress::Screen;
use super::signals::{Asked, Signals};
use super::summary::Summary;
use super::watch::Watch;
use crate::http::{admin, router, socket};

/// How long connectors may take to end in order.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is looked whether every source has come to its end.
const SOURCES_INTERVAL: Duration = Duration::from_secs(1);

/// Run pipelines until Ctrl-C, or to the end of what there is
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Pipeline files, or folders of them
    #[arg(required = true, value_name = "PIPELINE|DIR")]
    pipelines: Vec<PathBuf>,
    /// Read what there is now, deliver everything, and end
    #[arg(long)]
    drain: bool,
    /// End a drain that takes longer, such as 10m, with exit code 1
    #[arg(long, value_name = "DURATION", requires = "drain", value_parser = super::option::<config::Duration>)]
    timeout: Option<config::Duration>,
    /// Take over changes of the pipeline files as they are saved; SIGHUP does so at any time
    #[arg(long, conflicts_with = "drain")]
    watch: bool,
    /// Start connectors anew even where one of another name has left its position
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// A run, from when everything was found to be right.
struct Run<'a> {
    args: &'a RunArgs,
    settings: &'a Settings,
    output: Output,
    screen: Screen,
    log: Log,
}

/// Why a run ends.
enum End {
    Finished(Outcome),
    /// A signal.
    Asked,
    TimedOut,
}

pub fn run(args: &RunArgs, output: Output) -> Result<(), Failure> {
    heaps::have_few();
    let settings = args.data.settings()?;
    let screen = Screen::new(!output.json);
    logging::init(&settings.worker.logging, screen.clone());
    let Begin { log, loaded, admin } = open(args, &settings, &screen)?;
    raise_open_files_limit();
    let threads = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(format!("cannot start threads: {error}")))?;
    let run = Run {
        args,
        settings: &settings,
        output,
        screen,
        log,
    };
    let result = threads.block_on(async {
        let mut signals = Signals::new()?;
        let result = run.work(&loaded, admin, &mut signals).await;
        result.and(run.close(&mut signals).await)
    });
    // A read of stdin that waits for a line must not hold up the end.
    threads.shutdown_background();
    result
}

impl Run<'_> {
    async fn work(
        &self,
        loaded: &Loaded,
        admin: Option<TcpListener>,
        signals: &mut Signals,
    ) -> Result<(), Failure> {
        let mut watch = self
            .args
            .watch
            .then(|| Watch::start(&self.args.pipelines))
            .transpose()?;
        let data_dir = &self.settings.data_dir;
        let mut socket = socket::bind(data_dir).map_err(|error| {
            Failure::environment(format!(
                "cannot make a socket in {}: {error}",
                data_dir.display()
            ))
        })?;
        self.plan(loaded, admin.as_ref());
        let options = WorkerOptions {
            drain: self.args.drain,
            fresh: self.args.fresh,
            config: self.settings.worker.clone(),
        };
        let worker = Worker::start(self.log.clone(), loaded, options).await?;
        if let Some(listener) = socket.listener.take() {
            let record_bytes_max = self.settings.worker.max_record.0;
            let control = Control::new(
                self.log.clone(),
                Some(Arc::clone(&worker)),
                record_bytes_max,
            );
            tokio::spawn(axum::serve(listener, router(Arc::new(control))).into_future());
        }
        if let Some(listener) = admin {
            tokio::spawn(admin::serve(listener, Arc::clone(&worker)));
        }
        let end = self.until_end(&worker, signals, watch.as_mut()).await;
        self.finish(&worker, end, signals, socket).await
    }

    /// Says in a few lines what is about to run.
    fn plan(&self, loaded: &Loaded, admin: Option<&TcpListener>) {
        // The one that is bound: port 0 is any that is free.
        let address = admin.and_then(|listener| listener.local_addr().ok());
        let admin = address.map_or("none".to_owned(), |address| format!("http://{address}"));
        self.screen.note(&format!(
            "towpath {}: data in {}, admin port {admin}",
            env!("CARGO_PKG_VERSION"),
            self.settings.data_dir.display()
        ));
        for pipeline in &loaded.pipelines {
            for line in picture(loaded, pipeline, &self.settings.worker.topic_defaults) {
                self.screen.note(&format!("  {}: {line}", pipeline.name));
            }
        }
    }

    async fn until_end(
        &self,
        worker: &Worker,
        signals: &mut Signals,
        mut watch: Option<&mut Watch>,
    ) -> End {
        let finished = worker.finished();
        tokio::pin!(finished);
        let limit = self
            .args
            .timeout
            .map(|timeout| tokio::time::Instant::now() + timeout.0);
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        let mut looks = tokio::time::interval(SOURCES_INTERVAL);
        // That a drain ends with its sources goes without saying.
        let mut told = self.args.drain;
        loop {
            tokio::select! {
                outcome = &mut finished => return End::Finished(outcome),
                asked = asked(signals, watch.as_deref_mut()) => {
                    if asked == Asked::Stop || self.is_stopped_reloading(worker, signals).await {
                        return End::Asked;
                    }
                    told = self.args.drain;
                }
                () = reached(limit) => return End::TimedOut,
                _ = ticks.tick(), if self.screen.is_shown() => self.screen.show(&worker.status()),
                _ = looks.tick(), if !told => {
                    told = all_sources_done(&worker.status());
                    if told {
                        self.screen.note(
                            "every source has come to its end; sinks, `produce` and changed \
                             pipelines go on until Ctrl-C",
                        );
                    }
                }
            }
        }
    }

    /// Takes over changed pipelines, which may have to wait for connectors that do not stop; true
    /// when a signal to stop came before that was done.
    async fn is_stopped_reloading(&self, worker: &Worker, signals: &mut Signals) -> bool {
        tokio::select! {
            () = self.reload(worker) => false,
            () = signals.stop() => true,
        }
    }

    /// Takes over changed pipelines; wrong ones leave the old ones in force.
    async fn reload(&self, worker: &Worker) {
        let topics = topics_of(worker.log());
        let read = tokio::task::block_in_place(|| {
            read(&self.args.pipelines, &self.settings.worker, &topics)
        });
        let applied = match read {
            Ok(loaded) => worker.apply(&loaded).await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        match applied {
            Ok(done) => done
                .iter()
                .for_each(|what| self.screen.note(&format!("reload: {what}"))),
            Err(failure) => {
                let text = failure.text.unwrap_or(failure.body.message);
                self.screen.note(text.trim_end());
                self.screen
                    .note("reload: the pipelines are left as they were");
            }
        }
    }

    async fn finish(
        &self,
        worker: &Worker,
        end: End,
        signals: &mut Signals,
        socket: socket::Socket,
    ) -> Result<(), Failure> {
        if !matches!(end, End::Finished(_)) {
            self.stop(worker, signals, socket).await;
        }
        self.screen.clear();
        let summary = Summary::of(&worker.status());
        match end {
            End::Finished(Outcome {
                log_failure: Some(failure),
                ..
            }) => Err(Failure::failed(failure)),
            End::Finished(outcome) => {
                summary.print(self.output, &self.screen)?;
                failed(worker, &outcome)
            }
            End::Asked if self.args.drain => Err(Failure::failed(
                "stopped before the end of the drain; run it again to go on",
            )),
            End::Asked => summary.print(self.output, &self.screen),
            End::TimedOut => Err(Failure::failed(
                "the drain was not done when --timeout passed; run it again to go on",
            )),
        }
    }

    /// Stops the connectors in order; a second signal ends the process at once.
    async fn stop(&self, worker: &Worker, signals: &mut Signals, socket: socket::Socket) {
        self.screen.note(&format!(
            "stopping: connectors finish what they have in hand, at most {} s; Ctrl-C again stops \
             at once, which loses nothing either",
            STOP_DEADLINE.as_secs()
        ));
        let started = Instant::now();
        let orderly = tokio::select! {
            orderly = worker.stop(STOP_DEADLINE) => orderly,
            () = signals.stop() => {
                drop(socket);
                self.end_at_once()
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        let how = if orderly {
            "in order"
        } else {
            "what was still busy was cut off"
        };
        let lag: u64 = worker
            .status()
            .connectors
            .iter()
            .filter_map(|c| c.lag_records)
            .sum();
        self.screen.note(&format!(
            "stopped after {seconds:.1} s, {how}; still to be delivered: {}",
            counted(lag, "record")
        ));
    }

    /// Closes the log, which may have much to write; a signal ends the process at once.
    async fn close(&self, signals: &mut Signals) -> Result<(), Failure> {
        let log = self.log.clone();
        let closing = tokio::task::spawn_blocking(move || log.close());
        tokio::select! {
            closed = closing => match closed {
                Ok(closed) => closed.map_err(|error| Failure::failed(error.to_string())),
                Err(ended) => Err(Failure::failed(format!("cannot close the log: {ended}"))),
            },
            () = signals.stop() => self.end_at_once(),
        }
    }

    fn end_at_once(&self) -> ! {
        self.screen.clear();
        self.screen
            .note("stopped at once: the next start goes on at what was committed");
        std::process::exit(super::failure::Exit::Failed as i32)
    }
}

/// Whether there are sources, and none of them has anything to do any more.
fn all_sources_done(status: &WorkerStatus) -> bool {
    let is_source = |one: &&ConnectorStatus| one.kind == ConnectorKind::Source;
    let mut sources = status.connectors.iter().filter(is_source).peekable();
    sources.peek().is_some() && sources.all(|source| source.state == TaskState::Done)
}

/// Whether every connector did all it had to.
fn failed(worker: &Worker, outcome: &Outcome) -> Result<(), Failure> {
    if outcome.failed.is_empty() {
        return Ok(());
    }
    let status = worker.status();
    let reasons: Vec<String> = outcome
        .failed
        .iter()
        .map(|name| {
            let connector = status
                .connectors
                .iter()
                .find(|connector| connector.name == *name);
            match connector.and_then(|connector| connector.reason.as_deref()) {
                Some(reason) => format!("{name} failed: {reason}"),
                None => format!("{name} did not come to its end"),
            }
        })
        .collect();
    Err(Failure::failed(reasons.join("\n       ")))
}

/// What a signal or a changed file asks for. Cancel safe.
async fn asked(signals: &mut Signals, watch: Option<&mut Watch>) -> Asked {
    let changed = async {
        match watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        asked = signals.next() => asked,
        () = changed => Asked::Reload,
    }
}

async fn reached(limit: Option<tokio::time::Instant>) {
    match limit {
        Some(limit) => tokio::time::sleep_until(limit).await,
        None => std::future::pending().await,
    }
}
