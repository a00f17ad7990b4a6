//! A connector at work: its tasks, from outside.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use towpath_log::Log;

use crate::assignment::{Assigned, has_retried, partitions, share};
use crate::budget::Budget;
use crate::health::TaskHealth;
use crate::schemas::SchemaRegistry;
use crate::spec::{ConnectorSpec, Side};
use crate::stats::Stats;
use crate::status::TaskState;
use crate::supervisor::{Signal, Stop, TaskContext, supervise};
use crate::{sink_task, source_task};

/// One configured connector. All methods may be called concurrently.
pub(crate) struct Connector {
    pub spec: Arc<ConnectorSpec>,
    pub stats: Arc<Stats>,
    /// In a drain: nobody writes any more what it reads.
    pub finishing: AtomicBool,
    tasks: Mutex<Tasks>,
}

/// The spec of a run, what its tasks read, and of that what came later.
type Run = (Arc<ConnectorSpec>, Arc<[Assigned]>, BTreeSet<(String, u32)>);

/// The tasks of the present run; the cells of the last one are kept for `status`.
struct Tasks {
    /// Receivers live as long as the tasks: when all are gone the tasks have ended.
    signals: Arc<watch::Sender<Signal>>,
    handles: Vec<AbortHandle>,
    health: Vec<Arc<TaskHealth>>,
    /// What the tasks read of the log.
    assigned: Arc<[Assigned]>,
    /// See [`InputSpec::later`].
    later: BTreeSet<(String, u32)>,
}

impl Connector {
    /// A connector that is not running, in `state`.
    pub fn new(spec: ConnectorSpec, state: TaskState) -> Self {
        let health = (0..spec.tasks).map(|task| Arc::new(TaskHealth::new(&spec.name, task, state)));
        let tasks = Tasks {
            signals: Arc::new(watch::Sender::new(Signal::Stop)),
            handles: Vec::new(),
            health: health.collect(),
            assigned: Arc::default(),
            later: BTreeSet::new(),
        };
        Self {
            spec: Arc::new(spec),
            stats: Arc::default(),
            finishing: AtomicBool::new(false),
            tasks: Mutex::new(tasks),
        }
    }

    /// Starts all tasks, which are told `signal`; the last run must have ended.
    pub fn start(
        &self,
        log: &Log,
        schemas: &Arc<SchemaRegistry>,
        budget: &Budget,
        drain: bool,
        signal: Signal,
    ) {
        let signals = Arc::new(watch::Sender::new(signal));
        let (spec, assigned, later) = self.assign(log);
        let mut handles = Vec::new();
        let mut health = Vec::new();
        for task in 0..self.spec.tasks {
            let cell = Arc::new(TaskHealth::new(&self.spec.name, task, TaskState::Starting));
            let context = TaskContext {
                connector: self.spec.name.clone(),
                task,
                tasks: self.spec.tasks,
                drain,
                health: cell.clone(),
                stats: self.stats.clone(),
                schemas: schemas.clone(),
            };
            health.push(cell);
            let stop = Stop::new(signals.subscribe());
            let assigned: Arc<[Assigned]> = share(&assigned, task, self.spec.tasks).into();
            let (spec, log, budget) = (spec.clone(), log.clone(), budget.clone());
            handles.push(spawn(spec, context, stop, assigned, log, budget));
        }
        *self.tasks() = Tasks {
            signals,
            handles,
            health,
            assigned,
            later,
        };
    }

    /// What it reads of the log in the run that begins, and its spec with what came since the first
    /// run.
    fn assign(&self, log: &Log) -> Run {
        let assigned: Arc<[Assigned]> = partitions(&self.spec, log).into();
        let tasks = self.tasks();
        let mut later = tasks.later.clone();
        if !tasks.handles.is_empty() {
            let place = |(topic, partition): &Assigned| (topic.id.clone(), *partition);
            let known: BTreeSet<_> = tasks.assigned.iter().map(place).collect();
            let new = assigned.iter().filter(|now| !known.contains(&place(now)));
            later.extend(new.map(|(topic, partition)| (topic.name.clone(), *partition)));
        }
        let mut spec = (*self.spec).clone();
        if let Some(input) = spec.input_mut() {
            input.later = later.clone();
        }
        (Arc::new(spec), assigned, later)
    }

    /// Tells all tasks something.
    pub fn signal(&self, signal: Signal) {
        self.tasks().signals.send_replace(signal);
    }

    /// The present run: its channel is closed when no task runs any more.
    pub fn run(&self) -> Arc<watch::Sender<Signal>> {
        self.tasks().signals.clone()
    }

    /// Whether it would now be given other partitions of the log, when it runs; or a task has ended,
    /// and now there is something for it.
    pub fn must_follow(&self, log: &Log) -> bool {
        let state = self.state();
        if state != TaskState::Done && !works(state) {
            return false;
        }
        let now = partitions(&self.spec, log);
        let tasks = self.tasks();
        let ended = (0..).zip(&tasks.health);
        let mut ended = ended.filter(|(_, health)| health.state() == TaskState::Done);
        let waits = |task| has_retried(&self.spec, log, &share(&now, task, self.spec.tasks));
        works(state) && *tasks.assigned != *now || ended.any(|(task, _)| waits(task))
    }

    /// Stops in order, and by force after `deadline`; then shows `state`. Whether it was orderly.
    pub async fn stop(&self, deadline: Duration, state: TaskState) -> bool {
        self.signal(Signal::Stop);
        let orderly = tokio::time::timeout(deadline, self.run().closed())
            .await
            .is_ok();
        let tasks = self.tasks();
        for handle in &tasks.handles {
            handle.abort();
        }
        for health in &tasks.health {
            // What failed or was done stays visible when the worker stops.
            if state != TaskState::Stopped || !ended_for_good(health.state()) {
                health.set(state, None);
            }
        }
        orderly
    }

    pub fn health(&self) -> Vec<Arc<TaskHealth>> {
        self.tasks().health.clone()
    }

    /// The worst state of its tasks.
    pub fn state(&self) -> TaskState {
        let states = self
            .tasks()
            .health
            .iter()
            .map(|health| health.state())
            .max();
        states.unwrap_or(TaskState::Stopped)
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a task, which lives until its end or [`AbortHandle::abort`].
fn spawn(
    spec: Arc<ConnectorSpec>,
    context: TaskContext,
    stop: Stop,
    assigned: Arc<[Assigned]>,
    log: Log,
    budget: Budget,
) -> AbortHandle {
    let backoff = spec.backoff.clone();
    let life = move |context: TaskContext, stop: Stop| {
        let (spec, log, budget) = (spec.clone(), log.clone(), budget.clone());
        let assigned = assigned.clone();
        async move {
            match &spec.side {
                Side::Source(source) => {
                    let life = (&context, &spec, source);
                    source_task::run_source(life, &assigned, &log, &budget, stop).await
                }
                Side::Stream(stream) => {
                    let life = (&context, &spec, stream);
                    source_task::run_stream(life, &assigned, &log, &budget, stop).await
                }
                Side::Sink(sink) => {
                    sink_task::run(&context, &spec, sink, &assigned, &log, stop).await
                }
            }
        }
    };
    tokio::spawn(supervise(context, backoff, stop, life)).abort_handle()
}

fn works(state: TaskState) -> bool {
    matches!(
        state,
        TaskState::Starting | TaskState::Running | TaskState::Retrying
    )
}

fn ended_for_good(state: TaskState) -> bool {
    matches!(state, TaskState::Done | TaskState::Failed)
}
