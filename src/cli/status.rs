//! `towpath status`: how everything is doing.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use towpath_runtime::control::StatusAnswer;
use towpath_runtime::status::{ConnectorStatus, TaskState, TaskStatus};

use super::client::{Client, Purpose};
use super::data::DataArgs;
use super::failure::Failure;
use super::output::{Align, Output, Table, count, counted, rate, size, span};

/// Places with a problem that are shown of each task; `--json` has them all.
const PLACES_SHOWN: usize = 5;

/// Show the worker and its connectors: state, reason, rates, lag
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    data: DataArgs,
}

pub async fn status(args: StatusArgs, output: Output) -> Result<(), Failure> {
    let mut client = Client::connect(&args.data, Purpose::Look).await?;
    let answer: StatusAnswer = client.get("/v1/status").await?;
    client.close()?;
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    output.data(&answer, |answer| render(answer, now_ms))
}

fn render(answer: &StatusAnswer, now_ms: u64) -> String {
    let status = &answer.status;
    let mut out = match (status.pid, status.started_ms) {
        (Some(pid), Some(started_ms)) => format!(
            "towpath {}, process {pid}, up {}, data in {}\n",
            status.version,
            span(now_ms.saturating_sub(started_ms)),
            status.data_dir
        ),
        _ => format!("no worker is running; data in {}\n", status.data_dir),
    };
    if let Some(failure) = &status.log_failure {
        out.push_str(&format!("the log takes no more writes: {failure}\n"));
    }
    let mut table = Table::new(&[
        ("CONNECTOR", Align::Left),
        ("TYPE", Align::Left),
        ("STATE", Align::Left),
        ("SINCE", Align::Right),
        ("RECORDS", Align::Right),
        ("RECORDS/S", Align::Right),
        ("BYTES/S", Align::Right),
        ("LAG", Align::Right),
    ]);
    for connector in &status.connectors {
        let since = span(now_ms.saturating_sub(connector.since_ms));
        table.row([
            connector.name.clone(),
            connector.connector_type.clone(),
            connector.state.as_str().to_owned(),
            if answer.running {
                since
            } else {
                "-".to_owned()
            },
            count(connector.records),
            rate(connector.records_per_second),
            size(connector.bytes_per_second),
            connector.lag_records.map_or("-".to_owned(), count),
        ]);
    }
    out.push_str(&table.render("no connectors"));
    if answer.running {
        status
            .connectors
            .iter()
            .for_each(|connector| explain(connector, now_ms, &mut out));
    }
    out
}

/// What a person must know of a connector besides its row.
fn explain(connector: &ConnectorStatus, now_ms: u64, out: &mut String) {
    if connector.skipped > 0 {
        let skipped = counted(connector.skipped, "bad record");
        out.push_str(&format!("{}: left out {skipped}\n", connector.name));
    }
    if connector.dead_letters > 0 {
        let kept = counted(connector.dead_letters, "dead letter");
        let name = &connector.name;
        out.push_str(&format!("{name}: kept {kept}: see `towpath dlq list`\n"));
    }
    for task in &connector.tasks {
        let of_many = connector.tasks.len() > 1;
        let name = if of_many {
            format!("{} task {}", connector.name, task.task)
        } else {
            connector.name.clone()
        };
        if task.reason.is_some() || (of_many && task.state != connector.state) {
            out.push_str(&format!("{name}: {}\n", task_line(task, now_ms)));
        }
        for problem in task.problems.iter().take(PLACES_SHOWN) {
            let since = span(now_ms.saturating_sub(problem.since_ms));
            out.push_str(&format!("{name}: {} (for {since})\n", problem.problem));
        }
        if task.problems.len() > PLACES_SHOWN {
            let more = counted((task.problems.len() - PLACES_SHOWN) as u64, "more place");
            out.push_str(&format!("{name}: problems in {more}\n"));
        }
    }
}

fn task_line(task: &TaskStatus, now_ms: u64) -> String {
    let mut line = task.state.as_str().to_owned();
    if let Some(reason) = &task.reason {
        line.push_str(&format!(": {reason}"));
    }
    if task.state == TaskState::Retrying
        && let Some(next_ms) = task.next_attempt_ms
    {
        let wait = span(next_ms.saturating_sub(now_ms));
        line.push_str(&format!("; attempt {} in {wait}", task.attempts));
    }
    line
}

#[cfg(test)]
mod tests {
    use towpath_runtime::status::{ConnectorKind, WorkerStatus};

    use super::*;

    fn answer() -> StatusAnswer {
        let task = TaskStatus {
            task: 0,
            state: TaskState::Retrying,
            reason: Some("cannot write out/a.log: No space left on device".to_owned()),
            since_ms: 40_000,
            next_attempt_ms: Some(105_000),
            attempts: 3,
            problems: Vec::new(),
        };
        let connector = ConnectorStatus {
            name: "web.archive".to_owned(),
            kind: ConnectorKind::Sink,
            connector_type: "file".to_owned(),
            state: TaskState::Retrying,
            reason: task.reason.clone(),
            since_ms: 40_000,
            tasks: vec![task],
            topics: vec!["web".to_owned()],
            records: 1_234_567,
            bytes: 9,
            records_per_second: 2_510_000.0,
            bytes_per_second: 1_572_864.0,
            skipped: 2,
            dead_letters: 1,
            lag_records: Some(12),
            share_done: None,
            seconds: 1.0,
        };
        let status = WorkerStatus {
            version: "0.1.0".to_owned(),
            pid: Some(7),
            started_ms: Some(0),
            data_dir: "towpath-data".to_owned(),
            log_id: String::new(),
            log_failure: None,
            connectors: vec![connector],
        };
        StatusAnswer {
            running: true,
            status,
        }
    }

    #[test]
    fn shows_state_reason_and_next_attempt() {
        let expected = "\
towpath 0.1.0, process 7, up 100 s, data in towpath-data
CONNECTOR    TYPE  STATE     SINCE    RECORDS  RECORDS/S   BYTES/S  LAG
web.archive  file  retrying   60 s  1,234,567     2.51 M  1.50 MiB   12
web.archive: left out 2 bad records
web.archive: kept 1 dead letter: see `towpath dlq list`
web.archive: retrying: cannot write out/a.log: No space left on device; attempt 3 in 5 s
";
        assert_eq!(render(&answer(), 100_000), expected);
    }
}
