//! `towpath run`: a worker, from start to end.
//!
//! Order of a start: settings, pipelines (all problems at once, nothing created), the log with its
//! lock, the socket, the admin port, the connectors. Of an end: connectors, socket, log.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::net::TcpListener;
use towpath_log::Log;
use towpath_pipeline::{Loaded, picture};
use towpath_runtime::control::Control;
use towpath_runtime::{Outcome, Worker, WorkerOptions, check_drain};
use towpath_sdk::config;

use super::data::{DataArgs, Settings};
use super::failure::Failure;
use super::logging;
use super::output::{Output, count};
use super::pipelines::{Topics, read, topics_of};
use super::progress::Screen;
use super::signals::{Asked, Signals};
use super::summary::Summary;
use super::watch::Watch;
use crate::http::{admin, router, socket};

/// How long another command may still hold the data directory.
const PATIENCE: Duration = Duration::from_secs(1);
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// How long connectors may take to end in order.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

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
    #[arg(long)]
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
    let settings = args.data.settings()?;
    let screen = Screen::new(!output.json);
    logging::init(&settings.worker.logging, screen.clone());
    let (log, loaded) = open(args, &settings)?;
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
    let result = threads.block_on(run.work(loaded));
    let closed = run
        .log
        .close()
        .map_err(|error| Failure::failed(error.to_string()));
    // A read of stdin that waits for a line must not hold up the end.
    threads.shutdown_background();
    result.and(closed)
}

/// Lets this process open as many files as the system allows at most: shells start programs with
/// a much lower limit, and connectors follow and write many files.
fn raise_open_files_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With the lower limit connectors open fewer files at a time.
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("cannot raise the limit of open files: {error}");
    }
}

/// Reads the pipelines and opens the log. A wrong pipeline creates nothing.
fn open(args: &RunArgs, settings: &Settings) -> Result<(Log, Loaded), Failure> {
    if !settings.hold_log() {
        let loaded = read(&args.pipelines, &settings.worker, &Topics::new())?;
        if args.drain {
            check_drain(&loaded)?;
        }
        return Ok((open_log(settings)?, loaded));
    }
    let log = open_log(settings)?;
    let loaded = read(&args.pipelines, &settings.worker, &topics_of(&log));
    if loaded.is_err() {
        // Why the pipelines are refused is the news, however the log closes.
        let _ = log.close();
    }
    Ok((log, loaded?))
}

fn open_log(settings: &Settings) -> Result<Log, Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        match settings.open_log() {
            Err(failure) if failure.held && Instant::now() < until => {
                std::thread::sleep(RETRY_INTERVAL);
            }
            done => return done,
        }
    }
}

impl Run<'_> {
    async fn work(&self, loaded: Loaded) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
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
        let admin = self.admin_listener().await?;
        self.plan(&loaded, admin.is_some());
        let options = WorkerOptions {
            drain: self.args.drain,
            fresh: self.args.fresh,
            config: self.settings.worker.clone(),
        };
        let worker = Worker::start(self.log.clone(), &loaded, options).await?;
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
        let end = self.until_end(&worker, &mut signals, watch.as_mut()).await;
        self.finish(&worker, end, &mut signals, socket).await
    }

    /// The admin port. A drain is over soon, often beside a worker: it does without the port if
    /// that is the default one and taken.
    async fn admin_listener(&self) -> Result<Option<TcpListener>, Failure> {
        let address = self.settings.worker.admin.listen.0;
        match admin::bind(address).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) if self.args.drain && address == default_address() => {
                self.screen.note(&format!(
                    "warning: {error}; going on without the admin port"
                ));
                Ok(None)
            }
            Err(error) => Err(Failure::environment(error.to_string())),
        }
    }

    /// Says in a few lines what is about to run.
    fn plan(&self, loaded: &Loaded, admin: bool) {
        let address = self.settings.worker.admin.listen.0;
        let admin = if admin {
            format!("http://{address}")
        } else {
            "none".to_owned()
        };
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
        loop {
            tokio::select! {
                outcome = &mut finished => return End::Finished(outcome),
                asked = signals.next() => match asked {
                    Asked::Stop => return End::Asked,
                    Asked::Reload => if self.is_stopped_reloading(worker, signals).await {
                        return End::Asked;
                    },
                },
                () = change(watch.as_deref_mut()) => {
                    if self.is_stopped_reloading(worker, signals).await {
                        return End::Asked;
                    }
                }
                () = reached(limit) => return End::TimedOut,
                _ = ticks.tick(), if self.screen.is_shown() => self.screen.show(&worker.status()),
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
                self.screen.clear();
                self.screen.note("stopped at once: the next start goes on at what was committed");
                std::process::exit(super::failure::Exit::Failed as i32);
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
            "stopped after {seconds:.1} s, {how}; {} records are still to be delivered",
            count(lag)
        ));
    }
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

fn default_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8083))
}

async fn change(watch: Option<&mut Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

async fn reached(limit: Option<tokio::time::Instant>) {
    match limit {
        Some(limit) => tokio::time::sleep_until(limit).await,
        None => std::future::pending().await,
    }
}
