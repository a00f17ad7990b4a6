//! Gives each record of a source its topic, key and partition.
//!
//! The common case costs nothing: with a fixed topic, no `key` template and a partition that does
//! not depend on the record, a whole batch goes on as it is. Otherwise its records are dealt out
//! to one builder for each partition, and copied as bytes.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use towpath_log::{Log, TopicBatch};
use towpath_pipeline::PartitionBy;
use towpath_record::{BatchBuilder, BatchError, Record};
use towpath_sdk::{
    Error, ErrorKind, Fill, Origin, Part, RecordScope, Refused, Result, Scope, TemplateName,
};

use crate::budget::READ_BYTES;
use crate::clock::now_ms;
use crate::commit::log_error;
use crate::partition;
use crate::spec::{ConnectorSpec, SourceSpec};

/// Routes the batches of one task of a source.
pub(crate) struct Router {
    spec: Arc<ConnectorSpec>,
    source: SourceSpec,
    log: Log,
    /// Topics that were written to; the first one is the fixed topic, if there is one.
    topics: Vec<Topic>,
    /// Where the next record goes under `round_robin`.
    turn: u32,
}

/// A topic, and a builder for each of its partitions.
struct Topic {
    name: Arc<str>,
    builders: Vec<BatchBuilder>,
}

impl Topic {
    fn partitions(&self) -> u32 {
        self.builders.len() as u32
    }
}

impl Router {
    /// # Errors
    /// The fixed topic cannot be created.
    pub fn new(spec: Arc<ConnectorSpec>, source: &SourceSpec, log: Log) -> Result<Self> {
        let mut router = Self {
            spec,
            source: source.clone(),
            log,
            topics: Vec::new(),
            turn: 0,
        };
        if let Some(topic) = &source.fixed_topic {
            router.index_of(topic)?;
        }
        Ok(router)
    }

    /// The batches for the log; the order within an origin is kept. Bad records are added to
    /// `refused`, as far as `on_error` allows.
    pub fn route(
        &mut self,
        parts: Vec<Part>,
        refused: &mut Vec<Refused>,
    ) -> Result<Vec<TopicBatch>> {
        if let Some(topic) = self.fixed_topic()
            && let Some(partitions) = self.whole_partitions(topic, &parts)
        {
            let name = topic.name.clone();
            let whole = parts
                .into_iter()
                .zip(partitions)
                .map(|(part, partition)| TopicBatch {
                    topic: name.clone(),
                    partition,
                    batch: part.batch,
                });
            return Ok(whole.collect());
        }
        for part in &parts {
            self.deal(part, refused)?;
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

    /// Where each part goes as a whole, if that can be said of all without looking at records.
    fn whole_partitions(&self, topic: &Topic, parts: &[Part]) -> Option<Vec<u32>> {
        let partitions = topic.partitions();
        let partition_of = |part: &Part| {
            let too_large = part.batch.as_bytes().len() as u64 > self.source.max_record_bytes;
            let by_origin = match self.source.partition_by {
                PartitionBy::Source => true,
                PartitionBy::Key => !part.keyed,
                PartitionBy::RoundRobin => false,
            };
            match (partitions, by_origin) {
                _ if too_large || self.source.key.is_some() => None,
                (1, _) => Some(0),
                (_, true) => Some(partition::of_key(part.origin.name.as_bytes(), partitions)),
                (_, false) => None,
            }
        };
        parts.iter().map(partition_of).collect()
    }

    /// Gives each record of `part` to the builder of its partition.
    fn deal(&mut self, part: &Part, refused: &mut Vec<Refused>) -> Result<()> {
        let now_ms = i64::try_from(now_ms()).unwrap_or(i64::MAX);
        let spec = self.spec.clone();
        let (mut topic, mut key) = (Vec::new(), Vec::new());
        for record in part.batch.records() {
            let record = record.map_err(|error| malformed(&part.origin, error))?;
            if self.source.fixed_topic.is_some() && self.source.key.is_none() && self.fits(&record)
            {
                let partition = self.partition_of(0, record.key, &part.origin);
                let builder = &mut self.topics[0].builders[partition as usize];
                builder
                    .copy(&record)
                    .map_err(|error| malformed(&part.origin, error))?;
                continue;
            }
            let scope = SourceScope {
                origin: &part.origin,
                topic: None,
                record: RecordScope {
                    pipeline: &spec.pipeline,
                    connector: &spec.configured.name,
                    record: &record,
                    value_at: towpath_formats::lookup,
                    now_ms,
                },
            };
            match self.deal_one(&scope, &mut topic, &mut key) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Record => {
                    let payload = Bytes::copy_from_slice(record.value.unwrap_or_default());
                    self.source
                        .on_error
                        .refuse(refused, Refused { error, payload })?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The partition for a record with `key`, in the topic at `index`.
    fn partition_of(&mut self, index: usize, key: Option<&[u8]>, origin: &Origin) -> u32 {
        let partitions = self.topics[index].partitions();
        match (self.source.partition_by, key) {
            (PartitionBy::RoundRobin, _) => {
                self.turn = (self.turn + 1) % partitions;
                self.turn
            }
            (PartitionBy::Key, Some(key)) => partition::of_key(key, partitions),
            _ => partition::of_key(origin.name.as_bytes(), partitions),
        }
    }

    fn deal_one(
        &mut self,
        scope: &SourceScope<'_>,
        topic: &mut Vec<u8>,
        key: &mut Vec<u8>,
    ) -> Result<()> {
        let record = scope.record.record;
        self.check_size(scope)?;
        let index = self.topic_of(scope, topic)?;
        let own_key = match &self.source.key {
            Some(template) => {
                key.clear();
                let topic = Some(&*self.topics[index].name);
                template.render(&SourceScope { topic, ..*scope }, key)?;
                Some(&**key)
            }
            None => record.key,
        };
        let partition = self.partition_of(index, own_key, scope.origin);
        let builder = &mut self.topics[index].builders[partition as usize];
        let pushed = match &self.source.key {
            None => builder.copy(record),
            Some(_) => builder.push_with_headers_of(
                record.timestamp_ms,
                own_key,
                record.value,
                record.headers,
            ),
        };
        pushed.map_err(|error| malformed(scope.origin, error))
    }

    fn fits(&self, record: &Record<'_>) -> bool {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        bytes as u64 <= self.source.max_record_bytes
    }

    fn check_size(&self, scope: &SourceScope<'_>) -> Result<()> {
        if self.fits(scope.record.record) {
            return Ok(());
        }
        Err(Error::record("take a record from", &scope.origin.name)
            .because(format!(
                "it is larger than max_record ({} bytes)",
                self.source.max_record_bytes
            ))
            .remedy("raise `max_record` in towpath.yaml, or set `on_error: skip`"))
    }

    fn fixed_topic(&self) -> Option<&Topic> {
        self.source
            .fixed_topic
            .as_ref()
            .and_then(|_| self.topics.first())
    }

    /// The index of the record's topic in `self.topics`.
    fn topic_of(&mut self, scope: &SourceScope<'_>, rendered: &mut Vec<u8>) -> Result<usize> {
        if self.fixed_topic().is_some() {
            return Ok(0);
        }
        rendered.clear();
        self.source.topic.render(scope, rendered)?;
        let known = self
            .topics
            .iter()
            .position(|topic| topic.name.as_bytes() == &**rendered);
        if let Some(index) = known {
            return Ok(index);
        }
        let name = String::from_utf8_lossy(rendered);
        self.index_of(&name).map_err(|error| match error.kind() {
            // The record asks for a topic that there cannot be.
            ErrorKind::Configuration => Error::record("write to topic", &name).because(error),
            _ => error,
        })
    }

    /// The index of topic `name`, which is created when it does not exist.
    fn index_of(&mut self, name: &str) -> Result<usize> {
        let info = match self.log.topic(name) {
            Some(info) => info,
            None => tokio::task::block_in_place(|| {
                self.log.create_topic(name, &self.source.topic_config)
            })
            .map_err(|error| log_error(&format!("create topic {name}"), error))?,
        };
        let partitions = info.config.partitions.max(1) as usize;
        // A fixed topic takes whole batches; of topics made from records there may be many.
        let capacity = match self.source.fixed_topic {
            Some(_) => READ_BYTES as usize / partitions + READ_BYTES as usize / 8,
            None => 0,
        };
        let builders = || BatchBuilder::with_capacity(capacity);
        let builders = std::iter::repeat_with(builders).take(partitions).collect();
        self.topics.push(Topic {
            name: name.into(),
            builders,
        });
        Ok(self.topics.len() - 1)
    }
}

fn malformed(origin: &Origin, error: BatchError) -> Error {
    Error::fatal("route records of", &origin.name)
        .because(error)
        .remedy("this is a defect in the connector: report it")
}

/// What `topic` and `key` templates of a source see.
#[derive(Clone, Copy)]
struct SourceScope<'a> {
    origin: &'a Origin,
    /// Once it is known: for the key.
    topic: Option<&'a str>,
    record: RecordScope<'a>,
}

impl Scope for SourceScope<'_> {
    fn lookup(&self, name: &TemplateName) -> Option<Fill<'_>> {
        match name {
            TemplateName::Topic => Some(Fill::Text(Cow::Borrowed(self.topic?))),
            TemplateName::Extra(name) => {
                let mut fields = self.origin.fields.iter();
                let (_, value) = fields.find(|(field, _)| field == name)?;
                Some(Fill::Bytes(Cow::Borrowed(value)))
            }
            _ => self.record.lookup(name),
        }
    }
}
