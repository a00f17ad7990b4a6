//! What a person sees on the terminal during `run`: a line for each connector, kept up to date
//! below the log lines.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use towpath_runtime::status::{ConnectorStatus, WorkerStatus};

use super::output::{count, note, rate, size};

/// Lines shown at most; a hundred connectors would fill the screen.
const LINES_MAX: usize = 16;
const BAR_CELLS: usize = 20;

/// The terminal, or whatever stderr is.
#[derive(Clone)]
pub struct Screen {
    multi: MultiProgress,
    lines: Arc<Mutex<BTreeMap<String, ProgressBar>>>,
    shown: bool,
}

impl Screen {
    /// Shows progress if `wanted` and stderr is a terminal.
    pub fn new(wanted: bool) -> Self {
        let shown = wanted && std::io::stderr().is_terminal();
        let target = if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            multi: MultiProgress::with_draw_target(target),
            lines: Arc::default(),
            shown,
        }
    }

    /// Whether there is anyone to show progress to.
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// Writes a line to stderr, above the progress.
    pub fn note(&self, line: &str) {
        self.multi.suspend(|| note(line));
    }

    /// Shows how everything is now.
    pub fn show(&self, status: &WorkerStatus) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let width = status
            .connectors
            .iter()
            .map(|c| c.name.chars().count())
            .max()
            .unwrap_or(0);
        let current = &status.connectors[..status.connectors.len().min(LINES_MAX)];
        lines.retain(|name, bar| {
            let there = current.iter().any(|connector| connector.name == *name);
            if !there {
                self.multi.remove(bar);
            }
            there
        });
        for connector in current {
            let bar = lines.entry(connector.name.clone()).or_insert_with(|| {
                let bar = self.multi.add(ProgressBar::no_length());
                // The default style is only a matter of looks.
                if let Ok(style) = ProgressStyle::with_template("{msg}") {
                    bar.set_style(style);
                }
                bar
            });
            bar.set_message(line(connector, width));
        }
    }

    /// Takes the progress off the screen.
    pub fn clear(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clear();
        // A terminal that went away needs no clearing.
        let _ = self.multi.clear();
    }
}

fn line(connector: &ConnectorStatus, width: usize) -> String {
    let share = match connector.share_done {
        Some(share) => {
            let share = share.clamp(0.0, 1.0);
            let cells = (share * BAR_CELLS as f64) as usize;
            let (done, left) = ("#".repeat(cells), ".".repeat(BAR_CELLS - cells));
            format!("[{done}{left}] {:>3.0} %", share * 100.0)
        }
        None => " ".repeat(BAR_CELLS + 8),
    };
    let lag = connector
        .lag_records
        .map_or(String::new(), |lag| format!("  lag {}", count(lag)));
    let name = &connector.name;
    format!(
        "{name:<width$}  {:<8}  {share}  {:>7} records/s  {:>9}/s{lag}",
        connector.state.as_str(),
        rate(connector.records_per_second),
        size(connector.bytes_per_second),
    )
}

#[cfg(test)]
mod tests {
    use towpath_runtime::status::{ConnectorKind, TaskState};

    use super::*;

    fn connector(share_done: Option<f64>) -> ConnectorStatus {
        ConnectorStatus {
            name: "web.nginx".to_owned(),
            kind: ConnectorKind::Source,
            connector_type: "file".to_owned(),
            state: TaskState::Running,
            reason: None,
            since_ms: 0,
            tasks: Vec::new(),
            topics: Vec::new(),
            records: 6_000,
            bytes: 1_020_000,
            records_per_second: 2_510_000.0,
            bytes_per_second: 1_572_864.0,
            skipped: 0,
            dead_letters: 0,
            lag_records: None,
            share_done,
            seconds: 2.0,
        }
    }

    #[test]
    fn a_line_has_share_and_rates() {
        let expected =
            "web.nginx   running   [#########...........]  45 %   2.51 M records/s   1.50 MiB/s";
        assert_eq!(line(&connector(Some(0.45)), 10), expected);
        let unknown = line(&connector(None), 10);
        assert_eq!(unknown.len(), expected.len(), "{unknown}");
        assert!(line(&connector(Some(7.0)), 0).contains("100 %"));
    }
}
