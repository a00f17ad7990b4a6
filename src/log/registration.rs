//! Connectors the log remembers: who reads and writes here, since when, and what they pin.

use std::collections::BTreeMap;

use crate::encoding::{DecodeError, Put, Take};

/// Which way a connector moves records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    /// It appends. It reads, and pins retention, only where its group has an offset.
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

    /// Appends the fields as they stand in an entry.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_bytes(self.name.as_bytes());
        out.put_u8(match self.kind {
            ConnectorKind::Source => 0,
            ConnectorKind::Sink => 1,
            ConnectorKind::Stream => 2,
        });
        out.put_bytes(self.connector_type.as_bytes());
        out.put_bytes(self.far_side.as_bytes());
        out.put_u8(u8::from(self.group.is_some()));
        out.put_bytes(self.group.as_deref().unwrap_or("").as_bytes());
        out.put_u32(self.topics.len() as u32);
        for topic in &self.topics {
            out.put_bytes(topic.as_bytes());
        }
    }

    pub(crate) fn take(take: &mut Take) -> Result<Self, DecodeError> {
        let name = take.string()?;
        let kind = match take.u8()? {
            0 => ConnectorKind::Source,
            2 => ConnectorKind::Stream,
            _ => ConnectorKind::Sink,
        };
        let connector_type = take.string()?;
        let far_side = take.string()?;
        let has_group = take.u8()? != 0;
        let group = take.string()?;
        let topics_count = take.u32()?;
        let mut topics = Vec::new();
        for _ in 0..topics_count {
            topics.push(take.string()?);
        }
        let group = has_group.then_some(group);
        Ok(Self {
            name,
            kind,
            connector_type,
            far_side,
            group,
            topics,
        })
    }
}
