//! What a run did: records, bytes, seconds and rate by connector.

use serde::Serialize;
use towpath_runtime::status::{ConnectorKind, ConnectorStatus, TaskState, WorkerStatus};

use super::failure::Failure;
use super::output::{Align, Output, Table, count, counted, size};
use super::progress::Screen;

/// The end of a run.
#[derive(Debug, Serialize)]
pub struct Summary {
    connectors: Vec<Done>,
    /// Most memory that the process ever had.
    memory_peak_bytes: Option<u64>,
}

/// What one connector did in this run.
#[derive(Debug, Serialize)]
struct Done {
    name: String,
    kind: ConnectorKind,
    state: TaskState,
    records: u64,
    bytes: u64,
    /// Until it was done.
    seconds: f64,
    records_per_second: f64,
    /// Bad records left out.
    skipped: u64,
    /// Bad records kept as dead letters.
    dead_letters: u64,
}

impl Summary {
    pub fn of(status: &WorkerStatus) -> Self {
        Self {
            connectors: status.connectors.iter().map(Done::of).collect(),
            memory_peak_bytes: memory(std::process::id(), "VmHWM"),
        }
    }

    /// To stderr for people: stdout is for data, which a sink may write there. With `--json` to
    /// stdout.
    pub fn print(&self, output: Output, screen: &Screen) -> Result<(), Failure> {
        if output.json {
            return output.data(self, |_| String::new());
        }
        screen.note(self.render().trim_end());
        Ok(())
    }

    fn render(&self) -> String {
        let mut table = Table::new(&[
            ("CONNECTOR", Align::Left),
            ("STATE", Align::Left),
            ("RECORDS", Align::Right),
            ("BYTES", Align::Right),
            ("SECONDS", Align::Right),
            ("RECORDS/S", Align::Right),
            ("SKIPPED", Align::Right),
        ]);
        for done in &self.connectors {
            table.row([
                done.name.clone(),
                done.state.as_str().to_owned(),
                count(done.records),
                count(done.bytes),
                format!("{:.2}", done.seconds),
                count(done.records_per_second as u64),
                count(done.skipped),
            ]);
        }
        let mut out = table.render("no connectors");
        for done in self.connectors.iter().filter(|done| done.dead_letters > 0) {
            let kept = counted(done.dead_letters, "dead letter");
            out.push_str(&format!(
                "{}: kept {kept}: see `towpath dlq list`\n",
                done.name
            ));
        }
        if let Some(bytes) = self.memory_peak_bytes {
            out.push_str(&format!("peak memory {}\n", size(bytes as f64)));
        }
        out
    }
}

/// A line of a process's status such as `VmHWM:  1234 kB`, in bytes.
pub fn memory(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

impl Done {
    fn of(connector: &ConnectorStatus) -> Self {
        let seconds = connector.seconds;
        let rate = if seconds > 0.0 {
            connector.records as f64 / seconds
        } else {
            0.0
        };
        Self {
            name: connector.name.clone(),
            kind: connector.kind,
            state: connector.state,
            records: connector.records,
            bytes: connector.bytes,
            seconds,
            records_per_second: rate,
            skipped: connector.skipped,
            dead_letters: connector.dead_letters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_rate_of_the_whole_run() {
        let done = Done {
            name: "web.nginx".to_owned(),
            kind: ConnectorKind::Source,
            state: TaskState::Done,
            records: 6_000,
            bytes: 1_020_000,
            seconds: 2.0,
            records_per_second: 3_000.0,
            skipped: 0,
            dead_letters: 2,
        };
        let expected = "\
CONNECTOR  STATE  RECORDS      BYTES  SECONDS  RECORDS/S  SKIPPED
web.nginx  done     6,000  1,020,000     2.00      3,000        0
web.nginx: kept 2 dead letters: see `towpath dlq list`
";
        assert_eq!(
            Summary {
                connectors: vec![done],
                memory_peak_bytes: None
            }
            .render(),
            expected
        );
    }
}
