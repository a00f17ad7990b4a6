//! The runtime: moves records between connectors and the log, and keeps doing so.
//!
//! It knows connectors only by the traits of the sdk and pipelines only checked; it reads no YAML.
//! [`Worker`] is the entry; `README.md` tells the life of a task.

#![warn(missing_docs)]

mod assignment;
mod budget;
mod chain;
mod clock;
mod commit;
mod connector;
pub mod control;
mod dead_letter;
mod feed;
mod health;
mod intake;
mod letter;
pub mod partition;
mod piece;
mod prepare;
mod reading;
pub mod rehearsal;
mod report;
mod retried;
mod retry;
mod route;
mod schemas;
mod sink_task;
mod source_task;
mod spec;
mod stats;
pub mod status;
mod step;
mod stretch;
mod supervisor;
mod task_state;
#[cfg(test)]
mod tests;
mod worker;

pub use worker::{Outcome, Worker, WorkerOptions, check_drain};
