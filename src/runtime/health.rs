//! How a task and the places it works on are doing: the cell behind `status`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use towpath_sdk::{Error, Health};
use tracing::{info, warn};

use crate::clock::now_ms;
use crate::status::{PlaceProblem, TaskState, TaskStatus};

/// Places shown at most; a million unreadable files must not fill the memory.
const PLACES_MAX: usize = 1_000;

/// The shared cell that a task writes and `status` reads. Locked for moments only.
#[derive(Debug)]
pub(crate) struct TaskHealth {
    connector: String,
    task: u32,
    cell: Mutex<Cell>,
}

#[derive(Debug)]
struct Cell {
    state: TaskState,
    reason: Option<String>,
    since_ms: u64,
    /// The same by a clock that nobody sets.
    since: Instant,
    next_attempt_ms: Option<u64>,
    attempts: u32,
    problems: BTreeMap<String, (String, u64)>,
    progress_bytes: Option<(u64, u64)>,
}

impl TaskHealth {
    pub fn new(connector: &str, task: u32, state: TaskState) -> Self {
        let cell = Cell {
            state,
            reason: None,
            since_ms: now_ms(),
            since: Instant::now(),
            next_attempt_ms: None,
            attempts: 0,
            problems: BTreeMap::new(),
            progress_bytes: None,
        };
        Self {
            connector: connector.to_owned(),
            task,
            cell: Mutex::new(cell),
        }
    }

    /// Moves to `state`, for `reason`.
    pub fn set(&self, state: TaskState, reason: Option<String>) {
        let mut cell = self.cell();
        if cell.state != state {
            (cell.since_ms, cell.since) = (now_ms(), Instant::now());
        }
        cell.state = state;
        cell.reason = reason;
        cell.next_attempt_ms = None;
        if matches!(state, TaskState::Starting) {
            cell.problems.clear();
        }
    }

    /// Moves to retrying: attempt number `attempts` is made at `next_attempt_ms`.
    pub fn set_retrying(&self, reason: String, attempts: u32, next_attempt_ms: u64) {
        self.set(TaskState::Retrying, Some(reason));
        let mut cell = self.cell();
        cell.attempts = attempts;
        cell.next_attempt_ms = Some(next_attempt_ms);
    }

    /// The task works again: failed attempts no longer count.
    pub fn reset_attempts(&self) {
        self.cell().attempts = 0;
    }

    pub fn attempts(&self) -> u32 {
        self.cell().attempts
    }

    /// How long it has been running; zero in any other state.
    pub fn has_run_for(&self) -> Duration {
        let cell = self.cell();
        match cell.state {
            TaskState::Running => cell.since.elapsed(),
            _ => Duration::ZERO,
        }
    }

    pub fn state(&self) -> TaskState {
        self.cell().state
    }

    /// Done and total bytes, as the task last said.
    pub fn progress_bytes(&self) -> Option<(u64, u64)> {
        self.cell().progress_bytes
    }

    pub fn status(&self) -> TaskStatus {
        let cell = self.cell();
        TaskStatus {
            task: self.task,
            state: cell.state,
            reason: cell.reason.clone(),
            since_ms: cell.since_ms,
            next_attempt_ms: cell.next_attempt_ms,
            attempts: cell.attempts,
            problems: cell
                .problems
                .iter()
                .map(|(place, (problem, since_ms))| PlaceProblem {
                    place: place.clone(),
                    problem: problem.clone(),
                    since_ms: *since_ms,
                })
                .collect(),
        }
    }

    fn cell(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Health for TaskHealth {
    fn report(&self, place: &str, problem: Option<&Error>) {
        let mut cell = self.cell();
        match problem {
            None => {
                if cell.problems.remove(place).is_some() {
                    info!(connector = self.connector, place, "the problem is over");
                }
            }
            Some(error) => {
                let text = error.to_string();
                let known = cell
                    .problems
                    .get(place)
                    .is_some_and(|(known, _)| *known == text);
                if known || cell.problems.len() >= PLACES_MAX {
                    return;
                }
                warn!(connector = self.connector, "{text}");
                cell.problems.insert(place.to_owned(), (text, now_ms()));
            }
        }
    }

    fn progress(&self, done_bytes: u64, total_bytes: u64) {
        self.cell().progress_bytes = Some((done_bytes, total_bytes));
    }
}
