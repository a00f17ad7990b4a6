//! What a worker tells about itself: the shapes behind `status`, the admin port and the summary
//! of a drain. Plain data; times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

/// Everything a worker runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Of the program.
    pub version: String,
    /// `None` without a worker; so `started_ms`.
    pub pid: Option<u32>,
    /// When the worker was started.
    pub started_ms: Option<u64>,
    /// The log's directory.
    pub data_dir: String,
    /// The log's identity, a UUID.
    pub log_id: String,
    /// Why the log takes no more writes, once that is so; only a restart helps.
    pub log_failure: Option<String>,
    /// By name.
    pub connectors: Vec<ConnectorStatus>,
}

/// One connector, its tasks rolled up: the state is the worst of its tasks'.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectorStatus {
    /// `pipeline.connector`.
    pub name: String,
    /// Whether it is a source, a stream or a sink.
    pub kind: ConnectorKind,
    /// The `type:` word.
    pub connector_type: String,
    /// The worst of its tasks'.
    pub state: TaskState,
    /// Why it is in this state, when that is not plain.
    pub reason: Option<String>,
    /// When it got into this state.
    pub since_ms: u64,
    /// By number.
    pub tasks: Vec<TaskStatus>,
    /// Topics written by a source, or read by a stream or sink, as far as they are known.
    pub topics: Vec<String>,
    /// Since the worker started: records, and bytes of their batches, that became durable.
    pub records: u64,
    /// See `records`.
    pub bytes: u64,
    /// Over the last seconds.
    pub records_per_second: f64,
    /// See `records_per_second`.
    pub bytes_per_second: f64,
    /// Bad records left out as `on_error` allowed, and not kept.
    pub skipped: u64,
    /// Bad records kept as dead letters.
    pub dead_letters: u64,
    /// Records a stream or sink has still to take.
    pub lag_records: Option<u64>,
    /// Share of what is known to be there that is done, from 0 to 1.
    pub share_done: Option<f64>,
    /// Seconds since start until the connector was done (in a drain) or now.
    pub seconds: f64,
}

/// One task of a connector.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The number, from 0 on.
    pub task: u32,
    /// How it is.
    pub state: TaskState,
    /// Why it is in this state, when that is not plain.
    pub reason: Option<String>,
    /// When it got into this state.
    pub since_ms: u64,
    /// When a retrying task is opened anew, and how often it was in a row.
    pub next_attempt_ms: Option<u64>,
    /// See `next_attempt_ms`; 0 once it works again.
    pub attempts: u32,
    /// Places (files, objects) with a problem, while the task goes on with the others.
    pub problems: Vec<PlaceProblem>,
}

/// What is wrong with one place a task works on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlaceProblem {
    /// The file or object, as the connector names it.
    pub place: String,
    /// What is wrong, and what to do.
    pub problem: String,
    /// When it was met first.
    pub since_ms: u64,
}

/// Which way a connector moves records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorKind {
    /// It brings records in.
    Source,
    /// It takes records from topics to topics.
    Stream,
    /// It takes records out.
    Sink,
}

/// The state of a task, from best to worst: a connector shows the worst of its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Has reached the end of a drain.
    Done,
    /// Open, and at work or waiting for something to do.
    Running,
    /// Being opened.
    Starting,
    /// By `pause`, until `resume`; also over a restart of the worker.
    Paused,
    /// The worker is stopping.
    Stopped,
    /// A transient error: opened anew at `next_attempt_ms`.
    Retrying,
    /// Parked until a person changes something and restarts it.
    Failed,
}

impl TaskState {
    /// The word that is shown and serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
        }
    }
}
