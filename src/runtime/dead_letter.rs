//! Dead letters: bad records on their way into a topic of their own.
//!
//! A dead letter is the record as it came: key, value and headers are the original bytes. Behind
//! its own headers stand those that Kafka Connect gives a dead letter, with Connect's names and, as
//! there, text as values: where the record was, who refused it at which stage, and why. What has no
//! counterpart is left out: there is no stack trace, and what a source refuses was at no offset.
//! Its timestamp is the time of the refusal, so that retention counts from there; the record's own
//! is in [`TIMESTAMP`].
//!
//! A dead letter travels in the append set that moves its connector past the record: a source's
//! with the position, a sink's with the offset. So it is neither lost nor doubled.

use std::sync::Arc;

use towpath_log::{Log, TopicBatch, TopicConfig, TopicInfo};
use towpath_record::{BatchBuilder, Header, Headers};
use towpath_sdk::{Error, OnError, Refused, Result};

use crate::commit::log_error;
use crate::spec::ConnectorSpec;
use crate::supervisor::TaskContext;

/// What the names of Connect's headers begin with.
pub(crate) const PREFIX: &str = "__connect.errors.";
/// The header with the record's own timestamp, in milliseconds since 1970.
pub(crate) const TIMESTAMP: &str = "__towpath.timestamp";

/// The longest message of a dead letter.
const MESSAGE_BYTES_MAX: usize = 4096;
/// When many are refused at once their messages are cut, so that the headers of one append set take
/// about this much, whatever the records are.
const HEADERS_BYTES: usize = 16 << 20;
/// What the headers of a dead letter take besides the message, about.
const OTHER_HEADERS_BYTES: usize = 512;

/// Makes the dead letters of one task.
pub(crate) struct DeadLetters {
    pub topic: Arc<str>,
    log: Log,
    /// How the topic is created when it is needed first.
    config: TopicConfig,
    /// What all letters of the task have in common.
    connector: Arc<str>,
    connector_type: String,
    task: u32,
    builder: BatchBuilder,
    headers: Vec<u8>,
}

impl DeadLetters {
    /// `None` unless `on_error` wants them.
    pub fn of(context: &TaskContext, spec: &ConnectorSpec, log: &Log) -> Option<Self> {
        let on_error = &spec.configured.on_error;
        (on_error.action == OnError::DeadLetter).then(|| Self {
            topic: on_error.topic.as_str().into(),
            log: log.clone(),
            config: spec.dead_letter_topic.clone(),
            connector: context.connector.clone(),
            connector_type: spec.configured.type_name.clone(),
            task: context.task,
            builder: BatchBuilder::default(),
            headers: Vec::new(),
        })
    }

    /// The letters for `refused`, if there are any. The first time it waits for the disk.
    pub fn batch(&mut self, refused: &[Refused], now_ms: i64) -> Result<Option<TopicBatch>> {
        if refused.is_empty() {
            return Ok(None);
        }
        let partitions = self.topic_info()?.config.partitions.max(1);
        let room = (HEADERS_BYTES / refused.len()).saturating_sub(OTHER_HEADERS_BYTES);
        let message_bytes_max = room.min(MESSAGE_BYTES_MAX);
        for bad in refused {
            self.add(bad, now_ms, message_bytes_max)?;
        }
        // One task's letters stay in order.
        let partition = self.task % partitions;
        let batch = self.builder.finish().map(|batch| TopicBatch {
            topic: self.topic.clone(),
            partition,
            batch,
        });
        Ok(batch)
    }

    fn topic_info(&self) -> Result<TopicInfo> {
        if let Some(info) = self.log.topic(&self.topic) {
            return Ok(info);
        }
        tokio::task::block_in_place(|| self.log.create_topic(&self.topic, &self.config))
            .map_err(|error| log_error(&format!("create topic {}", self.topic), error))
    }

    fn add(&mut self, bad: &Refused, now_ms: i64, message_bytes_max: usize) -> Result<()> {
        let record = &bad.record;
        let mut message = bad.error.to_string();
        message.truncate(message.floor_char_boundary(message_bytes_max));
        self.headers.clear();
        self.headers.extend_from_slice(record.headers().as_bytes());
        let mut count = record.headers().len();
        let mut put = |name: &str, value: &str| {
            let key = format!("{PREFIX}{name}");
            let header = Header {
                key: key.as_bytes(),
                value: Some(value.as_bytes()),
            };
            header.put(&mut self.headers);
            count += 1;
        };
        if let Some(place) = &record.place {
            put("topic", &place.topic.name);
            put("partition", &place.partition.to_string());
            put("offset", &place.offset.to_string());
        }
        put("connector.name", &self.connector);
        put("task.id", &self.task.to_string());
        put("stage", bad.stage.as_str());
        put("class.name", &self.connector_type);
        put("exception.class.name", "RecordError");
        put("exception.message", &message);
        let timestamp = record.timestamp_ms.to_string();
        let timestamp = Header {
            key: TIMESTAMP.as_bytes(),
            value: Some(timestamp.as_bytes()),
        };
        timestamp.put(&mut self.headers);
        let headers = Headers::encoded(count + 1, &self.headers);
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        self.builder
            .push_with_headers_of(now_ms, key, value, headers)
            .map_err(|error| {
                Error::fatal("keep dead letters in", &self.topic)
                    .because(error)
                    .remedy("let the source take less at once, or set `on_error: skip`")
            })
    }
}
