//! Builds [`WorkerStatus`] from what runs, and Prometheus' text from that.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use towpath_log::Log;

use crate::clock::now_ms;
use crate::connector::Connector;
use crate::health::TaskHealth;
use crate::spec::{ConnectorSpec, InputSpec};
use crate::status::{ConnectorStatus, TaskState, WorkerStatus};
use crate::worker::Worker;

impl Worker {
    /// How everything is now.
    pub fn status(&self) -> WorkerStatus {
        let started_ms = self.started_ms();
        let connectors = self.all();
        WorkerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: Some(std::process::id()),
            started_ms: Some(started_ms),
            data_dir: self.log().dir().display().to_string(),
            log_id: self.log().id().to_string(),
            log_failure: self.log().failure().map(|error| error.to_string()),
            connectors: connectors
                .iter()
                .map(|connector| connector_status(self.log(), connector, started_ms))
                .collect(),
        }
    }

    /// Whether every connector runs, for `/health/ready`.
    pub fn ready(&self) -> bool {
        let working = |state| {
            matches!(
                state,
                TaskState::Running | TaskState::Done | TaskState::Paused
            )
        };
        self.log().failure().is_none()
            && self
                .all()
                .iter()
                .all(|connector| working(connector.state()))
    }

    /// The metrics of all connectors and topics in Prometheus' text format 0.0.4.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        connector_metrics(&mut text, &self.status(), &self.all());
        topic_metrics(&mut text, self.log());
        text
    }
}

fn connector_status(log: &Log, connector: &Arc<Connector>, started_ms: u64) -> ConnectorStatus {
    let spec = &connector.spec;
    let cells = connector.health();
    let tasks: Vec<_> = cells.iter().map(|health| health.status()).collect();
    let worst = tasks.iter().max_by_key(|task| task.state);
    let end_ms = match worst {
        Some(task) if task.state == TaskState::Done => tasks
            .iter()
            .map(|task| task.since_ms)
            .max()
            .unwrap_or(started_ms),
        _ => now_ms(),
    };
    let rates = connector.stats.rates(Instant::now());
    let (topics, lag, share_done) = match spec.input() {
        None => {
            let topic = spec.output().and_then(|output| output.fixed_topic.clone());
            (topic.into_iter().collect(), None, share_of_bytes(&cells))
        }
        Some(input) => {
            let (topics, lag, held) = lag(log, spec, input);
            let share = (held > 0).then(|| 1.0 - lag as f64 / held as f64);
            (topics, Some(lag), share)
        }
    };
    ConnectorStatus {
        name: spec.name.to_string(),
        kind: spec.kind(),
        connector_type: spec.configured.type_name.clone(),
        state: worst.map_or(TaskState::Stopped, |task| task.state),
        reason: worst.and_then(|task| task.reason.clone()),
        since_ms: worst.map_or(0, |task| task.since_ms),
        topics,
        records: connector.stats.records(),
        bytes: connector.stats.bytes(),
        records_per_second: rates.records,
        bytes_per_second: rates.bytes,
        skipped: connector.stats.skipped(),
        dead_letters: connector.stats.dead_letters(),
        lag_records: lag,
        share_done,
        seconds: end_ms.saturating_sub(started_ms) as f64 / 1000.0,
        tasks,
    }
}

/// The topics, the records of them still to be taken, and the records they hold.
fn lag(log: &Log, spec: &ConnectorSpec, input: &InputSpec) -> (Vec<String>, u64, u64) {
    let group = log.group(&input.group);
    let mut names = Vec::new();
    let (mut lag, mut held) = (0, 0);
    let retried: Vec<String> = spec.retry_topics().collect();
    for topic in &log.topics() {
        match input.reads(&topic.name) {
            true => names.push(topic.name.clone()),
            false if retried.contains(&topic.name) => {}
            false => continue,
        }
        for partition in &topic.partitions {
            let key = (topic.name.clone(), partition.partition);
            let committed = group
                .as_ref()
                .and_then(|group| group.offsets.get(&key))
                .copied();
            let from = committed.unwrap_or(0).max(partition.start_offset);
            lag += partition.end_offset.saturating_sub(from);
            held += partition.end_offset - partition.start_offset;
        }
    }
    (names, lag, held)
}

fn share_of_bytes(cells: &[Arc<TaskHealth>]) -> Option<f64> {
    let (done, total) = cells
        .iter()
        .filter_map(|health| health.progress_bytes())
        .fold((0, 0), |(done, total), (d, t)| (done + d, total + t));
    (total > 0).then(|| done as f64 / total as f64)
}

fn connector_metrics(text: &mut String, status: &WorkerStatus, connectors: &[Arc<Connector>]) {
    type Value = fn(&ConnectorStatus) -> Option<f64>;
    let families: [(&str, &str, &str, Value); 5] = [
        (
            "records_total",
            "counter",
            "Records that became durable.",
            |c| Some(c.records as f64),
        ),
        (
            "bytes_total",
            "counter",
            "Bytes of the batches that became durable.",
            |c| Some(c.bytes as f64),
        ),
        (
            "skipped_records_total",
            "counter",
            "Bad records left out by on_error, and not kept.",
            |c| Some(c.skipped as f64),
        ),
        (
            "dead_letter_records_total",
            "counter",
            "Bad records kept as dead letters.",
            |c| Some(c.dead_letters as f64),
        ),
        (
            "lag_records",
            "gauge",
            "Records a sink or stream has still to take.",
            |c| c.lag_records.map(|lag| lag as f64),
        ),
    ];
    for (name, kind, help, value) in families {
        head(text, &format!("towpath_connector_{name}"), kind, help);
        for connector in &status.connectors {
            if let Some(value) = value(connector) {
                let label = label(&connector.name);
                let _ = writeln!(
                    text,
                    "towpath_connector_{name}{{connector=\"{label}\"}} {value}"
                );
            }
        }
    }
    head(
        text,
        "towpath_connector_retries_total",
        "counter",
        "Tasks opened anew after an error.",
    );
    for connector in connectors {
        let (name, retries) = (label(&connector.spec.name), connector.stats.retries());
        let _ = writeln!(
            text,
            "towpath_connector_retries_total{{connector=\"{name}\"}} {retries}"
        );
    }
    head(
        text,
        "towpath_task_state",
        "gauge",
        "1 for the state a task is in.",
    );
    for connector in &status.connectors {
        for task in &connector.tasks {
            let (name, number, state) = (label(&connector.name), task.task, task.state.as_str());
            let _ = writeln!(
                text,
                "towpath_task_state{{connector=\"{name}\",task=\"{number}\",state=\"{state}\"}} 1"
            );
        }
    }
}

fn topic_metrics(text: &mut String, log: &Log) {
    let topics = log.topics();
    head(
        text,
        "towpath_partition_end_offset",
        "gauge",
        "Offset behind the last readable record.",
    );
    for (topic, partition) in topics
        .iter()
        .flat_map(|t| t.partitions.iter().map(move |p| (t, p)))
    {
        let (name, number, end) = (
            label(&topic.name),
            partition.partition,
            partition.end_offset,
        );
        let _ = writeln!(
            text,
            "towpath_partition_end_offset{{topic=\"{name}\",partition=\"{number}\"}} {end}"
        );
    }
    head(
        text,
        "towpath_partition_bytes",
        "gauge",
        "Bytes of a partition's segments.",
    );
    for (topic, partition) in topics
        .iter()
        .flat_map(|t| t.partitions.iter().map(move |p| (t, p)))
    {
        let (name, number, bytes) = (label(&topic.name), partition.partition, partition.bytes);
        let _ = writeln!(
            text,
            "towpath_partition_bytes{{topic=\"{name}\",partition=\"{number}\"}} {bytes}"
        );
    }
    head(
        text,
        "towpath_log_failed",
        "gauge",
        "1 when the log takes no more writes.",
    );
    let _ = writeln!(
        text,
        "towpath_log_failed {}",
        u8::from(log.failure().is_some())
    );
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// A label's value, with what the format reserves escaped.
fn label(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
