//! Dead letters: bad records on their way into a topic of their own.
//!
//! A dead letter is the record as it came: key, value and headers are the original bytes. Behind
//! its own headers stand those that Kafka Connect gives a dead letter, with Connect's names and, as
//! there, text as values: where the record was, who refused it at which stage, and why. What has no
//! counterpart is left out: there is no stack trace, and what a source refuses was at no offset.
//! Its timestamp is the time of the refusal, so that retention counts from there; the record's own
//! is in [`TIMESTAMP`]. Others of ours say how it goes on when it is retried ([`crate::letter`]).
//!
//! A dead letter travels in the append set that moves its connector past the record: a source's
//! with the position, a sink's with the offset. So it is neither lost nor doubled. One that was
//! retried and is refused again tells where the record was at first, not where it waited to be
//! retried.

use std::sync::Arc;

use towpath_log::{Log, TopicBatch, TopicConfig, TopicInfo};
use towpath_record::{BatchBuilder, Header, Headers};
use towpath_sdk::{Error, OnError, Original, Place, Refused, Result};

use crate::commit::log_error;
use crate::letter::{KEY_STANDS, ORIGIN, PREFIX, REACHED, TIMESTAMP, TOPIC, word};
use crate::retried::first_places;
use crate::spec::ConnectorSpec;
use crate::supervisor::TaskContext;

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
    headers: Added,
}

/// The headers of a letter.
#[derive(Default)]
struct Added {
    bytes: Vec<u8>,
    count: usize,
}

impl Added {
    fn put(&mut self, name: &str, value: &[u8]) {
        let header = Header {
            key: name.as_bytes(),
            value: Some(value),
        };
        header.put(&mut self.bytes);
        self.count += 1;
    }

    /// Begins anew with a record's own ones.
    fn begin(&mut self, own: Headers<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(own.as_bytes());
        self.count = own.len();
    }

    /// How the record goes on.
    fn put_way(&mut self, record: &Original) {
        // The first, as it ends the record's own ones.
        if let Some(reached) = record.reached {
            self.put(REACHED, word(reached).as_bytes());
        }
        if let Some(origin) = &record.origin {
            self.put(ORIGIN, origin.name.as_bytes());
            for (name, value) in &origin.fields {
                self.put(&format!("{ORIGIN}.{name}"), value);
            }
        }
        if let Some(topic) = &record.topic {
            self.put(TOPIC, topic.as_bytes());
        }
        if record.key_stands {
            self.put(KEY_STANDS, b"");
        }
    }
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
            headers: Added::default(),
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
        let places = first_places(&self.log, refused)?;
        for (bad, place) in refused.iter().zip(places) {
            self.add(bad, place, now_ms, message_bytes_max)?;
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

    fn add(
        &mut self,
        bad: &Refused,
        place: Option<Place>,
        now_ms: i64,
        message_bytes_max: usize,
    ) -> Result<()> {
        let record = &bad.record;
        let mut message = bad.error.to_string();
        message.truncate(message.floor_char_boundary(message_bytes_max));
        let headers = &mut self.headers;
        headers.begin(record.headers());
        headers.put_way(record);
        let mut put = |name: &str, value: &str| {
            headers.put(&format!("{PREFIX}{name}"), value.as_bytes());
        };
        if let Some(place) = place {
            put("topic", &place.topic);
            put("partition", &place.partition.to_string());
            put("offset", &place.offset.to_string());
        }
        put("connector.name", &self.connector);
        put("task.id", &self.task.to_string());
        put("stage", bad.stage.as_str());
        put("class.name", &self.connector_type);
        put("exception.class.name", "RecordError");
        put("exception.message", &message);
        headers.put(TIMESTAMP, record.timestamp_ms.to_string().as_bytes());
        let headers = Headers::encoded(headers.count, &headers.bytes);
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
