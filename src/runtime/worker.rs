//! A worker: the log and the connectors of its pipelines, started, changed and stopped together.

mod drain;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use towpath_log::{Log, Registration};
use towpath_pipeline::{Loaded, WorkerConfig};
use towpath_sdk::{Error, Result};
use tracing::{info, warn};

use crate::budget::{Budget, SINK_BYTES};
use crate::clock::now_ms;
use crate::commit::log_error;
use crate::connector::Connector;
use crate::schemas::SchemaRegistry;
use crate::spec::{ConnectorSpec, Side};
use crate::status::TaskState;
use crate::supervisor::{STOP_DEADLINE, Signal};
use crate::{control, prepare};

/// How often counters are sampled, and how often retention and compaction look for what may go.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
const RETENTION_INTERVAL: Duration = Duration::from_secs(30);

/// How a worker is run.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Read each source to the end it has now, deliver everything, and finish.
    pub drain: bool,
    /// Start new connectors afresh beside state that an old one of the same far side has left.
    pub fresh: bool,
    /// The worker's own settings.
    pub config: WorkerConfig,
}

/// What came of a run that has finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Connectors that FAILED, or were stopped before they were done.
    pub failed: Vec<String>,
    /// Bad records left out, and not kept.
    pub skipped: u64,
    /// Bad records kept as dead letters.
    pub dead_letters: u64,
    /// Why the log ended, if it did.
    pub log_failure: Option<String>,
}

/// Whether a drain of these pipelines can end; touches nothing.
///
/// # Errors
/// Names a source that has no end.
pub fn check_drain(loaded: &Loaded) -> Result<()> {
    let mut sources = loaded
        .pipelines
        .iter()
        .flat_map(|pipeline| &pipeline.sources);
    match sources.find(|source| source.connector.enabled && !source.config.has_end()) {
        None => Ok(()),
        Some(endless) => Err(Error::configuration("drain", &endless.connector.full_name)
            .because("this source has no end")
            .remedy("run it without --drain, or give it an end (such as `count` of generate)")),
    }
}

/// A running worker. Shared; all methods may be called concurrently.
pub struct Worker {
    log: Log,
    schemas: Arc<SchemaRegistry>,
    options: WorkerOptions,
    started_ms: u64,
    budget: Budget,
    connectors: Mutex<BTreeMap<String, Arc<Connector>>>,
    /// Changes of what runs happen one at a time.
    changing: tokio::sync::Mutex<()>,
    finished: watch::Sender<bool>,
}

impl Worker {
    /// Creates the topics, registers the connectors and starts them. Nothing runs after an error.
    ///
    /// # Errors
    /// A source without an end in a drain; state of an old connector that a new one would ignore;
    /// a topic that exists in another form; a log that cannot be written.
    pub async fn start(log: Log, loaded: &Loaded, options: WorkerOptions) -> Result<Arc<Self>> {
        let mut specs = ConnectorSpec::all(loaded, &options.config);
        if options.drain {
            check_drain(loaded)?;
        }
        tokio::task::block_in_place(|| {
            prepare::check(&log, &specs, options.fresh)?;
            prepare::settle_former_names(&log, &mut specs);
            prepare::create_topics(&log, loaded, &options.config)?;
            control::move_pauses(&log, &specs)?;
            control::mark_dead_letter_topics(&log, &specs)?;
            prepare::register_all(&log, &specs)
        })?;
        let sinks = specs
            .iter()
            .filter(|spec| matches!(spec.side, Side::Sink(_)));
        let sink_bytes = sinks.map(|sink| u64::from(sink.tasks) * SINK_BYTES).sum();
        let limit_bytes = options.config.memory_limit.0.saturating_sub(sink_bytes);
        let worker = Arc::new(Self {
            budget: Budget::new(limit_bytes),
            schemas: Arc::new(SchemaRegistry::new(log.clone())),
            log,
            options,
            started_ms: now_ms(),
            connectors: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            finished: watch::Sender::new(false),
        });
        let paused = control::paused(&worker.log);
        // Readers first: they wait where the others will write.
        specs.sort_by_key(|spec| std::cmp::Reverse(spec.kind()));
        for spec in specs {
            worker.start_connector(spec, &paused);
        }
        tokio::spawn(tick(Arc::downgrade(&worker)));
        if worker.options.drain {
            tokio::spawn(drain::drain(worker.clone()));
        }
        Ok(worker)
    }

    /// The log it works on.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// As it was started.
    pub fn options(&self) -> &WorkerOptions {
        &self.options
    }

    pub(crate) fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// Waits for the end of a drain, or for the log to fail.
    pub async fn finished(&self) -> Outcome {
        // The sender lives as long as `self`.
        let _ = self
            .finished
            .subscribe()
            .wait_for(|finished| *finished)
            .await;
        let connectors = self.all();
        let unfinished = |connector: &&Arc<Connector>| {
            !matches!(connector.state(), TaskState::Done | TaskState::Paused)
        };
        Outcome {
            failed: connectors
                .iter()
                .filter(unfinished)
                .map(|connector| connector.spec.name.to_string())
                .collect(),
            skipped: connectors
                .iter()
                .map(|connector| connector.stats.skipped())
                .sum(),
            dead_letters: connectors
                .iter()
                .map(|connector| connector.stats.dead_letters())
                .sum(),
            log_failure: self.log.failure().map(|error| error.to_string()),
        }
    }

    /// Stops all connectors in order: sources stop reading, what they read becomes durable, sinks
    /// flush what they have taken. False when `deadline` passed and the rest was cut off, which
    /// loses nothing either.
    pub async fn stop(&self, deadline: Duration) -> bool {
        let until = tokio::time::Instant::now() + deadline;
        for connector in self.all() {
            connector.signal(Signal::Stop);
        }
        // A change that is under way waits for connectors too, which now end.
        let Ok(_changing) = tokio::time::timeout_at(until, self.changing.lock()).await else {
            return false;
        };
        let connectors = self.all();
        for connector in &connectors {
            connector.signal(Signal::Stop);
        }
        let mut orderly = true;
        for connector in &connectors {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            orderly &= connector.stop(left, TaskState::Stopped).await;
        }
        orderly
    }

    /// Stops a connector until [`Worker::resume`].
    pub async fn pause(&self, name: &str) -> Result<()> {
        let _changing = self.changing.lock().await;
        self.connector(name)?
            .stop(STOP_DEADLINE, TaskState::Paused)
            .await;
        Ok(())
    }

    /// Starts a paused connector; does nothing to a running one.
    pub async fn resume(&self, name: &str) -> Result<()> {
        let _changing = self.changing.lock().await;
        let connector = self.connector(name)?;
        if matches!(connector.state(), TaskState::Paused | TaskState::Stopped) {
            self.run(&connector);
        }
        Ok(())
    }

    /// Stops a connector and starts it again, also one that FAILED. A paused one stays paused.
    pub async fn restart(&self, name: &str) -> Result<()> {
        let _changing = self.changing.lock().await;
        let connector = self.connector(name)?;
        if connector.state() != TaskState::Paused {
            connector.stop(STOP_DEADLINE, TaskState::Stopped).await;
            self.run(&connector);
        }
        Ok(())
    }

    /// Takes over changed pipelines: stops what is no longer there, restarts what has changed,
    /// starts what is new, and leaves the rest alone. Returns what was done, in words.
    ///
    /// # Errors
    /// In a drain, whose end was fixed at the start; what [`Worker::start`] refuses. Then everything
    /// runs on as it was, unless it is the log that fails.
    pub async fn apply(&self, loaded: &Loaded) -> Result<Vec<String>> {
        if self.options.drain {
            return Err(Error::configuration("take over changed pipelines", "")
                .because("a drain ends with what it began with")
                .remedy("run it again when it is done"));
        }
        let _changing = self.changing.lock().await;
        let mut specs = ConnectorSpec::all(loaded, &self.options.config);
        tokio::task::block_in_place(|| {
            prepare::check(&self.log, &specs, self.options.fresh)?;
            prepare::settle_former_names(&self.log, &mut specs);
            prepare::create_topics(&self.log, loaded, &self.options.config)
        })?;
        let wanted: BTreeSet<String> = specs.iter().map(|spec| spec.name.to_string()).collect();
        let mut done = Vec::new();
        for connector in self.all() {
            if !wanted.contains(&*connector.spec.name) {
                connector.stop(STOP_DEADLINE, TaskState::Stopped).await;
                self.connectors().remove(&*connector.spec.name);
                done.push(format!("stopped {}", connector.spec.name));
            }
        }
        let mut changed = Vec::new();
        for spec in &specs {
            let running = self.connectors().get(&*spec.name).cloned();
            let name = spec.name.clone();
            match running {
                Some(running) if running.spec.configured.same_configuration(&spec.configured) => {
                    continue;
                }
                Some(running) => {
                    running.stop(STOP_DEADLINE, TaskState::Stopped).await;
                    done.push(format!("restarted {name}"));
                }
                None => done.push(format!("started {name}")),
            }
            changed.push(spec.clone());
        }
        // Only now nobody writes under a former name any more.
        tokio::task::block_in_place(|| {
            control::move_pauses(&self.log, &specs)?;
            control::mark_dead_letter_topics(&self.log, &specs)?;
            prepare::register_all(&self.log, &specs)
        })?;
        let paused = control::paused(&self.log);
        for spec in changed {
            self.start_connector(spec, &paused);
        }
        Ok(done)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Connector>> {
        self.connectors().values().cloned().collect()
    }

    fn start_connector(&self, spec: ConnectorSpec, paused: &BTreeSet<String>) {
        let name = spec.name.to_string();
        let is_paused = paused.contains(&name);
        let connector = Arc::new(Connector::new(spec, TaskState::Paused));
        if is_paused {
            info!(
                connector = name,
                "is paused; `towpath resume {name}` starts it"
            );
        } else {
            self.run(&connector);
        }
        self.connectors().insert(name, connector);
    }

    /// Returns when `connector` has ended and nobody is starting it again.
    async fn ended(&self, connector: &Connector) {
        loop {
            let run = connector.run();
            run.closed().await;
            let _changing = self.changing.lock().await;
            if Arc::ptr_eq(&run, &connector.run()) {
                return;
            }
        }
    }

    /// Starts a connector anew when what it reads of the log has changed, or when it has ended and
    /// something is to be retried of it. The caller holds `changing`.
    async fn follow_topics(&self, connector: &Connector) {
        let ended = self.options.drain && connector.state() == TaskState::Done;
        if !ended && connector.must_follow(&self.log) {
            self.renew();
            connector.stop(STOP_DEADLINE, TaskState::Stopped).await;
            self.run(connector);
        }
    }

    /// Starts the tasks of a connector that does not run.
    fn run(&self, connector: &Connector) {
        let signal = if connector.finishing.load(Relaxed) {
            Signal::Finish
        } else {
            Signal::Run
        };
        let (drain, schemas) = (self.options.drain, &self.schemas);
        connector.start(&self.log, schemas, &self.budget, drain, signal);
    }

    fn registrations(&self) -> Vec<Registration> {
        self.all()
            .iter()
            .map(|connector| connector.spec.registration(&self.log))
            .collect()
    }

    /// Has the log know what everything that is configured reads and writes now.
    fn renew(&self) {
        let renewed =
            tokio::task::block_in_place(|| prepare::renew(&self.log, &self.registrations()));
        if let Err(error) = renewed {
            warn!("{error}");
        }
    }

    /// Lets go of what nobody needs any more: orphans, but not in a drain, which may run a part of
    /// the pipelines only; and records by their topics' retention. Waits for the disk.
    fn release(&self) {
        self.renew();
        if !self.options.drain {
            let running = self.registrations();
            if let Err(error) = prepare::release_orphans(&self.log, &running, &self.options.config)
            {
                warn!("{error}");
            }
        }
        match self.log.run_retention() {
            Ok(dropped) => dropped.iter().for_each(|what| info!("retention: {what}")),
            Err(error) => warn!("{}", log_error("apply retention", error)),
        }
    }

    fn connector(&self, name: &str) -> Result<Arc<Connector>> {
        let found = self.connectors().get(name).cloned();
        found.ok_or_else(|| {
            let names = self
                .connectors()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            Error::configuration("find a connector named", name)
                .remedy(format!("this worker runs: {names}"))
        })
    }

    fn connectors(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Connector>>> {
        self.connectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compacts topics on a thread of its own, one at a time; the end of the log ends it.
fn compact(log: Log) {
    tokio::task::spawn_blocking(move || {
        let compacted = log.run_compaction();
        let done = compacted.done.iter();
        done.for_each(|what| info!("compaction: {what}"));
        for error in compacted.failed {
            warn!("{}", log_error("compact a topic", error));
        }
    });
}

/// What happens by the clock, as long as the worker is there: samples, retention, compaction, and
/// a look whether the log still works.
async fn tick(worker: std::sync::Weak<Worker>) {
    let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
    let mut retention_at = Instant::now() + RETENTION_INTERVAL;
    loop {
        ticks.tick().await;
        let Some(worker) = worker.upgrade() else {
            return;
        };
        let now = Instant::now();
        for connector in worker.all() {
            connector.stats.sample(now);
            if let Ok(_changing) = worker.changing.try_lock() {
                worker.follow_topics(&connector).await;
            }
        }
        if worker.log.failure().is_some() {
            worker.finished.send_replace(true);
        }
        // What is forgotten must not be what is just being taken over.
        if now >= retention_at
            && let Ok(_changing) = worker.changing.try_lock()
        {
            retention_at = now + RETENTION_INTERVAL;
            tokio::task::block_in_place(|| worker.release());
            compact(worker.log.clone());
        }
    }
}
