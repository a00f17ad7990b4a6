//! Connectors the log remembers: who reads and writes here, since when, and what they pin.

use std::collections::BTreeMap;

/// Which way a connector moves records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    /// It appends.
    Source,
    /// It reads as a sink does, and appends what it makes of that.
    Stream,
    /// It reads, commits offsets and pins retention.
    Sink,
}

/// What a connector says of itself when it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// `pipeline.connector`, which also owns its state.
    pub name: String,
    /// Whether it is a source, a stream or a sink.
    pub kind: ConnectorKind,
    /// The connector's type, such as `file`.
    pub connector_type: String,
    /// What it talks to, in its own words; for finding state that lost its connector.
    pub far_side: String,
    /// The group its offsets are under; its own name without one.
    pub group: Option<String>,
    /// Topics it reads or writes.
    pub topics: Vec<String>,
}

/// A registration and when the connector was last configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationInfo {
    /// What the connector said last.
    pub registration: Registration,
    /// Milliseconds since 1970.
    pub last_configured_ms: i64,
}

/// Offsets committed under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    /// The name.
    pub name: String,
    /// Raised by each reset of the offsets, by nothing else.
    pub generation: u32,
    /// For each topic and partition, the offset of the first record that is not done.
    pub offsets: BTreeMap<(String, u32), u64>,
}

impl Registration {
    /// The group that holds this connector's offsets.
    pub fn group_name(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.name)
    }
}
