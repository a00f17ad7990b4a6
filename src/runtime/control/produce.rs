//! Writing records by hand.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};
use towpath_log::{AppendSet, Cleanup, TopicBatch, TopicInfo};
use towpath_record::{BatchBuilder, Header};
use towpath_sdk::{Error, Result, is_internal_topic};

use super::offsets::no_partition;
use super::{Control, Payload};
use crate::clock::now_ms;
use crate::partition;

/// Records to write to a topic; all of them in one step or none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProduceRequest {
    /// In the order in which they are written.
    pub records: Vec<NewRecord>,
}

/// A record to write.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRecord {
    /// The record's key.
    #[serde(default)]
    pub key: Option<Payload>,
    /// The record's value; `None` deletes its key.
    pub value: Option<Payload>,
    /// Default: by the key, as Kafka does; without a key all of one request to one partition.
    #[serde(default)]
    pub partition: Option<u32>,
    /// Milliseconds since 1970; default: now.
    #[serde(default)]
    pub timestamp_ms: Option<i64>,
    /// Names and values.
    #[serde(default)]
    pub headers: Vec<(Payload, Option<Payload>)>,
}

/// Where the records went; they survive what `durability` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Produced {
    /// How many were written.
    pub records: u64,
    /// Those that got any.
    pub partitions: Vec<ProducedTo>,
}

/// What one partition got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProducedTo {
    /// Its number.
    pub partition: u32,
    /// Of the first record.
    pub first_offset: u64,
    /// Of the last record.
    pub last_offset: u64,
}

impl Control {
    /// Writes records and returns when they are committed, as `durability` says.
    pub fn produce(&self, topic: &str, request: &ProduceRequest) -> Result<Produced> {
        if is_internal_topic(topic) {
            return Err(Error::configuration("write to topic", topic)
                .because("only Towpath itself writes there"));
        }
        let info = self.topic_info(topic)?;
        let partitions = info.partitions.len() as u32;
        let turn = self.turn.fetch_add(1, Relaxed) % partitions.max(1);
        let mut builders: Vec<BatchBuilder> =
            (0..partitions).map(|_| BatchBuilder::default()).collect();
        for (index, record) in request.records.iter().enumerate() {
            self.add_record(&info, turn, record, &mut builders)
                .map_err(|error| {
                    Error::configuration("write", format!("record {}", index + 1)).because(error)
                })?;
        }
        let name: Arc<str> = topic.into();
        let mut counts = Vec::new();
        let mut batches = Vec::new();
        for (partition, builder) in (0..).zip(&mut builders) {
            if let Some(batch) = builder.finish() {
                counts.push((partition, batch.len() as u64));
                batches.push(TopicBatch {
                    topic: Arc::clone(&name),
                    partition,
                    batch,
                });
            }
        }
        if batches.is_empty() {
            return Ok(Produced {
                records: 0,
                partitions: Vec::new(),
            });
        }
        let base_offsets = self.commit(AppendSet {
            batches,
            ..AppendSet::default()
        })?;
        let partitions =
            counts
                .iter()
                .zip(base_offsets)
                .map(|(&(partition, count), first_offset)| ProducedTo {
                    partition,
                    first_offset,
                    last_offset: first_offset + count - 1,
                });
        Ok(Produced {
            records: request.records.len() as u64,
            partitions: partitions.collect(),
        })
    }

    fn add_record(
        &self,
        info: &TopicInfo,
        turn: u32,
        record: &NewRecord,
        builders: &mut [BatchBuilder],
    ) -> Result<()> {
        let key = record.key.as_ref().map(Payload::bytes).transpose()?;
        let value = record.value.as_ref().map(Payload::bytes).transpose()?;
        if let Some(value) = &value
            && info.config.format == "json"
        {
            // What does not parse here would fail every sink that reads the topic.
            serde_json::from_slice::<serde::de::IgnoredAny>(value).map_err(|error| {
                Error::configuration("take", "a value that is not JSON")
                    .because(error)
                    .remedy(format!(
                        "topic {} holds JSON, one value a record",
                        info.name
                    ))
            })?;
        }
        let size = key.as_ref().map_or(0, Vec::len) + value.as_ref().map_or(0, Vec::len);
        if size as u64 > self.record_bytes_max {
            let max = self.record_bytes_max;
            return Err(
                Error::configuration("take", format!("a record of {size} bytes"))
                    .because(format!("at most {max} are allowed"))
                    .remedy("raise `max_record`"),
            );
        }
        let headers: Vec<(Vec<u8>, Option<Vec<u8>>)> = record
            .headers
            .iter()
            .map(|(name, value)| {
                Ok((
                    name.bytes()?,
                    value.as_ref().map(Payload::bytes).transpose()?,
                ))
            })
            .collect::<Result<_>>()?;
        let headers: Vec<Header<'_>> = headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: value.as_deref(),
            })
            .collect();
        if key.is_none() && info.config.cleanup == Cleanup::Compact {
            return Err(Error::configuration("take", "a record without a key")
                .because(format!(
                    "topic {} is compacted, which keeps the newest record of each key",
                    info.name
                ))
                .remedy("give it a key"));
        }
        let partition = match (record.partition, &key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition::of_key(key, builders.len() as u32),
            (None, None) => turn,
        };
        let builder = builders
            .get_mut(partition as usize)
            .ok_or_else(|| no_partition(info, partition))?;
        let now_ms = || i64::try_from(now_ms()).unwrap_or(i64::MAX);
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(now_ms);
        builder
            .push(timestamp_ms, key.as_deref(), value.as_deref(), &headers)
            .map_err(|error| Error::configuration("encode", "the record").because(error))
    }
}
