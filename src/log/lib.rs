//! The partitioned log of Towpath: record batches in segments, and a commit log that makes
//! records, offsets and state of one task true in one step. `FORMAT.md` is the contract with the
//! disk; `README.md` says which file does what, and why it is so.
//!
//! It knows batches and offsets; nothing of connectors, values or async. All access to files and
//! time goes through [`Storage`] and [`Clock`].

#![warn(missing_docs)]

mod append;
mod audit;
mod buffers;
mod change;
mod commit;
mod commits;
mod compaction;
mod config;
mod describe;
mod disk;
mod encoding;
mod entry;
mod error;
mod fence;
mod frame;
mod handles;
mod index;
mod inner;
mod lease;
mod log;
mod newest;
mod open;
mod ownership;
mod partition;
mod pipeline;
mod prove;
mod reader;
mod recovery;
mod registration;
mod replay;
mod retention;
mod rewrite;
mod round;
mod segment;
mod set;
mod shared;
mod state;
mod storage;
mod stray;
mod sweep;
mod table;
mod tail;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod topic;
mod topics;
mod turns;
mod validate;
mod verify;
mod watch;
mod wording;
mod writer;

pub use compaction::Compacted;
pub use config::{Durability, LogConfig, ReadTo};
pub use disk::{Disk, SystemClock};
pub use error::{LogError, LogErrorKind};
pub use lease::Lease;
pub use log::Log;
pub use reader::Reader;
pub use recovery::Recovery;
pub use registration::{ConnectorKind, GroupInfo, Registration, RegistrationInfo};
pub use set::{
    AppendSet, Committed, Done, GroupOffset, SET_BYTES_MAX, STATE_BYTES_MAX, StateChange,
    TopicBatch,
};
pub use storage::{Clock, DirEntry, File, Lock, Storage};
pub use table::TableReader;
pub use topic::{
    Cleanup, LogId, PARTITIONS_MAX, PartitionInfo, Retention, TopicConfig, TopicId, TopicInfo,
};
pub use verify::{DumpItem, VerifyReport, dump, verify};
pub use watch::Watch;
pub use writer::Writer;
