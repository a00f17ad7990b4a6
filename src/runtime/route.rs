//! Gives each record of a source or stream its topic, key and partition.
//!
//! The common case costs nothing: with one topic for all records of a batch, fixed or named by
//! transforms, no `key` template and a partition that does not depend on the record, the batch goes
//! on as it is. Otherwise its records are dealt out to one builder for each partition, and copied as
//! bytes. `round_robin` deals out records until a batch is small beside what each partition has got;
//! from then on whole batches take turns.

mod scope;
mod topic;

use std::collections::HashMap;
use std::sync::Arc;

use towpath_log::{Cleanup, Log, PARTITIONS_MAX, TopicBatch, TopicInfo};
use towpath_pipeline::PartitionBy;
use towpath_record::{BatchBuilder, BatchError, Header, Headers, Record};
use towpath_sdk::config::Format;
use towpath_sdk::{
    Error, ErrorKind, Origin, Reached, RecordScope, Refused, Result, SchemaHeaders, Stage,
    Tolerance,
};

use crate::budget::READ_BYTES;
use crate::commit::log_error;
use crate::partition;
use crate::schemas::{Admission, SchemaRegistry};
use crate::spec::{ConnectorSpec, OutputSpec};
use crate::stretch::Stretch;
pub(crate) use scope::SourceScope;
use topic::Topic;

/// Batches for topics that transforms name go on as they are if they have so many bytes on average.
const WHOLE_BYTES_MIN: usize = 16 << 10;

/// Routes the batches of one task.
pub(crate) struct Router {
    spec: Arc<ConnectorSpec>,
    output: OutputSpec,
    /// What the values are.
    format: Format,
    on_error: Tolerance,
    log: Log,
    /// `None`: records have no schemas.
    pub schemas: Option<Admission>,
    /// Topics that were written to; the first one is the fixed topic, if there is one.
    topics: Vec<Topic>,
    /// Their places by name.
    known: HashMap<Vec<u8>, usize>,
}

impl Router {
    /// # Errors
    /// The fixed topic cannot be created.
    pub fn new(
        spec: Arc<ConnectorSpec>,
        output: &OutputSpec,
        on_error: Tolerance,
        log: Log,
        schemas: &Arc<SchemaRegistry>,
    ) -> Result<Self> {
        let admission = |on_change| Admission::new(schemas.clone(), on_change);
        let mut router = Self {
            schemas: output.on_schema_change.map(admission),
            spec,
            output: output.clone(),
            format: output.format(),
            on_error,
            log,
            topics: Vec::new(),
            known: HashMap::new(),
        };
        if let Some(topic) = &output.fixed_topic {
            router.index_of(topic)?;
        }
        Ok(router)
    }

    /// The batches for the log; the order within an origin is kept. Bad records are added to
    /// `refused`, as far as `on_error` allows.
    pub fn route(
        &mut self,
        parts: Vec<Stretch>,
        now_ms: i64,
        refused: &mut Vec<Refused>,
    ) -> Result<Vec<TopicBatch>> {
        if let Some(topics) = self.go_whole(&parts) {
            return Ok(self.whole(parts, &topics));
        }
        for part in &parts {
            self.deal(part, now_ms, refused)?;
        }
        let mut routed = Vec::new();
        for topic in &mut self.topics {
            for (partition, builder) in (0..).zip(&mut topic.builders) {
                if let Some(batch) = builder.finish() {
                    routed.push(TopicBatch {
                        topic: topic.name.clone(),
                        partition,
                        batch,
                    });
                }
            }
        }
        Ok(routed)
    }

    /// The indices of the topics that each of `parts` goes to as it is; `None` when their records are
    /// to be looked at.
    fn go_whole(&mut self, parts: &[Stretch]) -> Option<Vec<usize>> {
        let records: u64 = parts.iter().map(|part| part.batch.len() as u64).sum();
        let bytes: usize = parts.iter().map(|part| part.batch.as_bytes().len()).sum();
        // Where topics alternate, a batch for each change of topic would be a batch for each record.
        let are_small = parts.len() > 1 && bytes / parts.len() < WHOLE_BYTES_MIN;
        if are_small && parts.iter().any(|part| part.topic.is_some()) {
            return None;
        }
        let topic_of = |part: &Stretch| {
            let index = match &part.topic {
                // A topic that there cannot be is told of each record.
                Some(topic) => self.named(topic.as_bytes()).ok()?,
                None => self.output.fixed_topic.as_ref().map(|_| 0)?,
            };
            let topic = &self.topics[index];
            let together = match self.output.partition_by {
                PartitionBy::Source => true,
                PartitionBy::Key => !part.keyed,
                PartitionBy::RoundRobin => topic.stays_even(records),
            };
            let goes = (part.key_stands || self.output.key.is_none())
                && part.batch.as_bytes().len() as u64 <= self.output.max_record_bytes
                && !topic.compacted
                && (topic.partitions() == 1 || together);
            goes.then_some(index)
        };
        let topics: Vec<usize> = parts.iter().map(topic_of).collect::<Option<_>>()?;
        let mut placed = parts.iter().zip(&topics);
        let takes = placed.all(|(part, index)| self.take_whole(part, *index));
        takes.then_some(topics)
    }

    /// Whether the topic at `index` takes the schemas of all records of `part`.
    fn take_whole(&mut self, part: &Stretch, index: usize) -> bool {
        if self.schemas.is_none() {
            return true;
        }
        let mut records = part.batch.records().flatten();
        records.all(|record| self.take_schemas(index, &record).is_ok())
    }

    /// Whether the topic at `index` takes the schemas of `record`.
    fn take_schemas(&mut self, index: usize, record: &Record<'_>) -> Result<()> {
        match &mut self.schemas {
            Some(schemas) => schemas.check(index, &self.topics[index].name, record.headers),
            None => Ok(()),
        }
    }

    /// Batches as they came, each for the topic at its index.
    fn whole(&mut self, parts: Vec<Stretch>, topics: &[usize]) -> Vec<TopicBatch> {
        let partition_by = self.output.partition_by;
        let routed = parts.into_iter().zip(topics).map(|(part, index)| {
            let topic = &mut self.topics[*index];
            TopicBatch {
                topic: topic.name.clone(),
                partition: match partition_by {
                    PartitionBy::RoundRobin => topic.deal_batch(part.batch.len() as u64),
                    _ => topic.of_origin(&part.origin, part.partition),
                },
                batch: part.batch,
            }
        });
        routed.collect()
    }

    /// Gives each record of `part` to the builder of its partition.
    fn deal(&mut self, part: &Stretch, now_ms: i64, refused: &mut Vec<Refused>) -> Result<()> {
        let spec = self.spec.clone();
        let (mut topic, mut key) = (Vec::new(), Vec::new());
        for (index, record) in part.batch.records().enumerate() {
            let record = record.map_err(|error| malformed(&part.origin, error))?;
            let key_stands = part.key_stands || self.output.key.is_none();
            if self.output.fixed_topic.is_some()
                && part.topic.is_none()
                && key_stands
                && self.fits(&record)
                && self.topics[0].check_key(record.key).is_ok()
                && self.take_schemas(0, &record).is_ok()
            {
                let partition = self.partition_of(0, record.key, part);
                let builder = &mut self.topics[0].builders[partition as usize];
                builder
                    .copy(&record)
                    .map_err(|error| malformed(&part.origin, error))?;
                continue;
            }
            let scope = SourceScope {
                origin: &part.origin,
                // What a stream reads is a topic's already.
                topic: part.partition.map(|_| &*part.origin.name),
                record: RecordScope {
                    pipeline: &spec.pipeline,
                    connector: &spec.configured.name,
                    record: &record,
                    value_at: towpath_formats::lookup,
                    now_ms,
                },
            };
            match self.deal_one(part, &scope, &mut topic, &mut key) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Record => {
                    let error = Error::record("route", part.place(index)).because(error);
                    let bad = Refused {
                        stage: Stage::Route,
                        error,
                        record: part.original(index, &record, Reached::Transformed(self.format)),
                    };
                    self.on_error.refuse(refused, bad)?;
                }
                Err(error) if error.kind() == ErrorKind::Configuration => {
                    return Err(Error::configuration("route", part.place(index)).because(error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The partition for a record with `key`, in the topic at `index`.
    fn partition_of(&mut self, index: usize, key: Option<&[u8]>, part: &Stretch) -> u32 {
        let topic = &mut self.topics[index];
        match (self.output.partition_by, key) {
            (PartitionBy::RoundRobin, _) => topic.deal_record(),
            (PartitionBy::Key, Some(key)) => partition::of_key(key, topic.partitions()),
            _ => topic.of_origin(&part.origin, part.partition),
        }
    }

    fn deal_one(
        &mut self,
        part: &Stretch,
        scope: &SourceScope<'_>,
        topic: &mut Vec<u8>,
        key: &mut Vec<u8>,
    ) -> Result<()> {
        let record = scope.record.record;
        self.check_size(scope)?;
        let index = match &part.topic {
            Some(topic) => self.named(topic.as_bytes())?,
            None => self.topic_of(scope, topic)?,
        };
        self.take_schemas(index, record)?;
        let template = self.output.key.as_ref().filter(|_| !part.key_stands);
        let own_key = match template {
            Some(template) => {
                key.clear();
                let topic = Some(&*self.topics[index].name);
                template.render(&SourceScope { topic, ..*scope }, key)?;
                Some(&**key)
            }
            None => record.key,
        };
        self.topics[index].check_key(own_key)?;
        let partition = self.partition_of(index, own_key, part);
        let builder = &mut self.topics[index].builders[partition as usize];
        let pushed = match own_key == record.key {
            true => builder.copy(record),
            false => {
                let mut bytes = Vec::new();
                let headers = without_key_schema(record.headers, &mut bytes);
                builder.push_with_headers_of(record.timestamp_ms, own_key, record.value, headers)
            }
        };
        pushed.map_err(|error| malformed(scope.origin, error))
    }

    fn fits(&self, record: &Record<'_>) -> bool {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        bytes as u64 <= self.output.max_record_bytes
    }

    fn check_size(&self, scope: &SourceScope<'_>) -> Result<()> {
        if self.fits(scope.record.record) {
            return Ok(());
        }
        Err(Error::record("take", "a record")
            .because(format!(
                "it is larger than max_record ({} bytes)",
                self.output.max_record_bytes
            ))
            .remedy("raise `max_record` in towpath.yaml"))
    }

    /// The index of the record's topic in `self.topics`.
    fn topic_of(&mut self, scope: &SourceScope<'_>, rendered: &mut Vec<u8>) -> Result<usize> {
        if self.output.fixed_topic.is_some() {
            return Ok(0);
        }
        rendered.clear();
        self.output.topic.render(scope, rendered)?;
        self.named(rendered)
    }

    /// The index of the topic that a record names.
    fn named(&mut self, name: &[u8]) -> Result<usize> {
        if let Some(index) = self.known.get(name) {
            return Ok(*index);
        }
        let name = String::from_utf8_lossy(name);
        self.index_of(&name).map_err(|error| match error.kind() {
            // The record asks for a topic that there cannot be.
            ErrorKind::Configuration => Error::record("write to topic", &name).because(error),
            _ => error,
        })
    }

    /// The index of topic `name`, which is created when it does not exist.
    fn index_of(&mut self, name: &str) -> Result<usize> {
        if self.spec.reads(name) {
            return Err(Error::configuration("write to topic", name)
                .because("the stream reads it: what it writes would come back to it")
                .remedy("let `topic` name another one"));
        }
        let info = match self.log.topic(name) {
            Some(info) => info,
            None => tokio::task::block_in_place(|| self.create(name))?,
        };
        let partitions = info.config.partitions.max(1) as usize;
        // A fixed topic takes whole batches; of topics made from records there may be many.
        let capacity = match self.output.fixed_topic.as_deref() == Some(name) {
            true => READ_BYTES as usize / partitions * 5 / 4,
            false => 0,
        };
        let builders = || BatchBuilder::with_capacity(capacity);
        let builders = std::iter::repeat_with(builders).take(partitions).collect();
        let index = self.topics.len();
        self.known.insert(name.as_bytes().to_vec(), index);
        self.topics.push(Topic {
            name: name.into(),
            builders,
            compacted: info.config.cleanup == Cleanup::Compact,
            turn: 0,
            dealt: vec![0; partitions],
        });
        Ok(index)
    }

    /// Creates a topic. One that only a record asks for must leave the log within
    /// [`PARTITIONS_MAX`] partitions of all topics together, or a template over a field with a
    /// million values would make a million directories. Waits for the disk.
    fn create(&self, name: &str) -> Result<TopicInfo> {
        if self.output.fixed_topic.as_deref() != Some(name) {
            let topics = self.log.topics();
            let held: u32 = topics.iter().map(|topic| topic.config.partitions).sum();
            if held + self.output.topic_config.partitions > PARTITIONS_MAX {
                return Err(Error::configuration("create topic", name)
                    .because(format!(
                        "the log holds {held} partitions, and records make topics only up to \
                         {PARTITIONS_MAX}"
                    ))
                    .remedy(
                        "have `topic` name a field with fewer values, and `key` the one that \
                         tells records apart; or declare the topic in `topics`",
                    ));
            }
        }
        self.log
            .create_topic(name, &self.output.topic_config)
            .map_err(|error| log_error(&format!("create topic {name}"), error))
    }
}

/// Why a record without a key does not go into the compacted `topic`.
pub(crate) fn keyless(topic: &str) -> Error {
    Error::record("write to topic", topic)
        .because(
            "it is compacted, which keeps the newest record of each key, and the record has no key",
        )
        .remedy("give the source a `key`, or declare the topic without `cleanup: compact`")
}

/// The headers of a record that gets another key, made in `bytes` if need be: what described the key
/// before does not describe that one.
fn without_key_schema<'a>(headers: Headers<'a>, bytes: &'a mut Vec<u8>) -> Headers<'a> {
    let is_of_key = |header: &Header<'_>| SchemaHeaders::KEY.contain(header);
    if !headers.iter().flatten().any(|header| is_of_key(&header)) {
        return headers;
    }
    let mut count = 0;
    for header in headers.iter().flatten().filter(|header| !is_of_key(header)) {
        header.put(bytes);
        count += 1;
    }
    Headers::encoded(count, bytes)
}

fn malformed(origin: &Origin, error: BatchError) -> Error {
    Error::fatal("route records of", &origin.name)
        .because(error)
        .remedy("this is a defect in the connector: report it")
}
