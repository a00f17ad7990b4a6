//! The runtime: moves records between connectors and the log, and keeps doing so.
//!
//! It knows connectors only by the traits of the sdk and pipelines only checked; it reads no YAML.
//! [`Worker`] is the entry; `README.md` tells the life of a task.

mod assignment;
mod budget;
mod clock;
mod commit;
mod connector;
pub mod control;
mod health;
pub mod partition;
mod prepare;
mod report;
mod retry;
mod route;
mod sink_task;
mod source_task;
mod spec;
mod stats;
pub mod status;
mod supervisor;
mod task_state;
#[cfg(test)]
mod tests;
mod worker;

pub use worker::{Outcome, Worker, WorkerOptions, check_drain};
