//! A pipeline played through on the records of a case: the same decoders, transforms, routing and
//! encoders as in a run, but no system, log, disk or clock. `towpath test` compares what comes out.
//!
//! Every record goes through alone, so what comes out does not depend on how records would have
//! been put together in batches; what transforms keep in mind, they keep from record to record.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use towpath_log::{Log, TopicBatch};
use towpath_pipeline::{Case, InputRecord, Loaded, Pipeline, WorkerConfig};
use towpath_record::{Batch, BatchBuilder, BatchError, Header, Record, stamp_base_offset};
use towpath_sdk::{
    Decoder, Encoder, Envelope, Error, ErrorKind, Original, Origin, Part, Refused, Result,
    SinkBatch, SinkProgress, SinkTopic, Stage, Tolerance,
};

use crate::assignment::{Assigned, partitions};
use crate::chain::Chain;
use crate::commit::log_error;
use crate::dead_letter::DeadLetters;
use crate::health::TaskHealth;
use crate::intake::Intake;
use crate::partition;
use crate::prepare::create_topics;
use crate::spec::{ConnectorSpec, Side, SinkSpec, SourceSpec, topic_config};
use crate::status::TaskState;
use crate::supervisor::TaskContext;

/// What came of a case.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// Every record that was written to a topic, in the order in which they came, by topic.
    pub topics: BTreeMap<String, Vec<Arrived>>,
    /// What each sink writes, in the order in which it came, by the sink's name in its pipeline.
    pub sinks: BTreeMap<String, Vec<Arrived>>,
    /// Why records were refused, by connector. Where `on_error` is `fail`, nothing came behind.
    pub refused: BTreeMap<String, Vec<String>>,
}

/// A record that arrived in a topic or at a sink.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arrived {
    /// The partition of its topic.
    pub partition: u32,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// `None`: no key.
    pub key: Option<Vec<u8>>,
    /// `None`: a tombstone. At a sink, what it writes for the record, without the line's end.
    pub value: Option<Vec<u8>>,
    /// In their order.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Arrived {
    fn of(record: &Record<'_>, partition: u32) -> Result<Self> {
        let header = |header: Result<Header<'_>, BatchError>| {
            let header = header.map_err(unreadable)?;
            Ok((header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
        };
        Ok(Self {
            partition,
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(header).collect::<Result<_>>()?,
        })
    }

    /// The value of header `name`, of several the last.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter().rev();
        let (_, value) = headers.find(|(key, _)| key == name.as_bytes())?;
        value.as_deref()
    }
}

/// Where cases are played.
pub struct Rehearsal<'a> {
    log: Log,
    config: &'a WorkerConfig,
}

impl<'a> Rehearsal<'a> {
    /// `log` is one that nobody else uses; it gets the topics of `loaded`, and never a record.
    ///
    /// # Errors
    /// The topics cannot be created.
    pub fn new(log: Log, loaded: &Loaded, config: &'a WorkerConfig) -> Result<Self> {
        create_topics(&log, loaded, config)?;
        Ok(Self { log, config })
    }

    /// Plays `case` of `pipeline`: first all that comes from sources, in the order written, then
    /// what is put into topics, then the sinks. A sink is given the dead letters of those before
    /// it, if it reads them.
    ///
    /// # Errors
    /// Whatever would end a task and is not about one record.
    pub fn play(&self, pipeline: &Pipeline, case: &Case) -> Result<Outcome> {
        let mut play = Play {
            log: &self.log,
            now_ms: case.now_ms,
            written: Vec::new(),
            ends: HashMap::new(),
            outcome: Outcome::default(),
        };
        let specs = ConnectorSpec::of_pipeline(pipeline, self.config);
        let specs: Vec<_> = specs.into_iter().map(Arc::new).collect();
        for (name, records) in &case.sources {
            for spec in specs.iter().filter(|spec| spec.configured.name == *name) {
                if let Side::Source(source) = &spec.side {
                    play.source(spec, source, records)?;
                }
            }
        }
        for (topic, records) in &case.topics {
            if self.log.topic(topic).is_none() {
                // What writes it names it only by a template.
                let format = pipeline.sources.first().map(|source| source.format());
                self.log
                    .create_topic(topic, &topic_config(None, format, self.config))
                    .map_err(|error| log_error(&format!("create topic {topic}"), error))?;
            }
            play.topic(topic, records)?;
        }
        for spec in &specs {
            if let Side::Sink(sink) = &spec.side {
                play.sink(spec, sink)?;
            }
        }
        Ok(play.outcome)
    }
}

/// A case that is being played.
struct Play<'a> {
    log: &'a Log,
    now_ms: i64,
    /// All that was written to topics, in its order.
    written: Vec<TopicBatch>,
    /// The next offset of each partition.
    ends: HashMap<(Arc<str>, u32), i64>,
    outcome: Outcome,
}

impl Play<'_> {
    fn source(
        &mut self,
        spec: &Arc<ConnectorSpec>,
        source: &SourceSpec,
        records: &[InputRecord],
    ) -> Result<()> {
        let on_error = spec.tolerance();
        let mut intake = Intake::new(spec, source, &on_error, self.log)?;
        let mut refusals = Refusals::new(spec, self.log);
        let mut decoder = towpath_formats::decoder(source.config.format())();
        for record in records {
            on_error.came(1);
            let mut refused = Vec::new();
            let taken = decode(record, &spec.name, &mut *decoder, &on_error, &mut refused)
                .and_then(|parts| intake.take(parts, self.now_ms, &mut refused));
            let (batches, failed) = match taken {
                Ok(batches) => (batches, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            for batch in batches {
                self.write(batch)?;
            }
            if refusals.end(self, refused, failed)? {
                break;
            }
        }
        Ok(())
    }

    /// Puts records into a topic, as `towpath produce` does.
    fn topic(&mut self, topic: &str, records: &[InputRecord]) -> Result<()> {
        let partitions = self.log.topic(topic).map_or(1, |info| info.config.partitions);
        for record in records {
            let mut builder = BatchBuilder::default();
            push(record, record.value.bytes(), &mut builder)?;
            let key = record.key.bytes();
            let partition = key.map_or(0, |key| partition::of_key(key, partitions));
            for batch in builder.finish() {
                let topic = topic.into();
                self.write(TopicBatch {
                    topic,
                    partition,
                    batch,
                })?;
            }
        }
        Ok(())
    }

    /// Notes a batch with the offsets it has in its topic.
    fn write(&mut self, written: TopicBatch) -> Result<()> {
        let place = (written.topic.clone(), written.partition);
        let end = self.ends.entry(place).or_default();
        let mut bytes = written.batch.into_bytes().to_vec();
        stamp_base_offset(&mut bytes, *end);
        let batch = Batch::parse(bytes.into()).map_err(unreadable)?;
        *end = batch.header().next_offset();
        let arrived = self.outcome.topics.entry(written.topic.to_string());
        let arrived = arrived.or_default();
        for record in batch.records() {
            arrived.push(Arrived::of(&record.map_err(unreadable)?, written.partition)?);
        }
        self.written.push(TopicBatch { batch, ..written });
        Ok(())
    }

    fn sink(&mut self, spec: &ConnectorSpec, sink: &SinkSpec) -> Result<()> {
        let on_error = spec.tolerance();
        let (format, fields) = sink.config.format();
        let mut writing = Writing {
            chain: Chain::new(&spec.configured.transforms, on_error.clone()),
            encoder: towpath_formats::encoder(format, &fields)?,
            progress: SinkProgress::new(on_error),
            now_ms: self.now_ms,
            arrived: Vec::new(),
        };
        let mut refusals = Refusals::new(spec, self.log);
        let reads = partitions(sink, self.log);
        let mut next = 0;
        while let Some(written) = self.written.get(next) {
            next += 1;
            let is_of = |(topic, partition): &&Assigned| {
                *topic.name == *written.topic && *partition == written.partition
            };
            let Some((topic, _)) = reads.iter().find(is_of) else {
                continue;
            };
            let mut refused = Vec::new();
            let failed = writing.write(spec, topic, written, &mut refused).err();
            refused.extend(writing.progress.report(Vec::new()).refused);
            if refusals.end(self, refused, failed)? {
                break;
            }
        }
        let name = spec.configured.name.clone();
        self.outcome.sinks.insert(name, writing.arrived);
        Ok(())
    }
}

/// A sink up to where it would turn to its far side.
struct Writing {
    chain: Option<Chain>,
    encoder: Box<dyn Encoder>,
    progress: SinkProgress,
    now_ms: i64,
    arrived: Vec<Arrived>,
}

impl Writing {
    fn write(
        &mut self,
        spec: &ConnectorSpec,
        topic: &SinkTopic,
        written: &TopicBatch,
        refused: &mut Vec<Refused>,
    ) -> Result<()> {
        let output = SinkTopic {
            format: towpath_pipeline::output(&spec.configured.transforms, topic.format),
            ..topic.clone()
        };
        let from_offset = u64::try_from(written.batch.header().base_offset).unwrap_or(0);
        let batches = vec![written.batch.clone()];
        let read = SinkBatch::new(Arc::new(output), written.partition, from_offset, batches);
        let (read, failed) = match &mut self.chain {
            Some(chain) => chain.for_sink(read, topic.format, self.now_ms, refused)?,
            None => (read, None),
        };
        for record in read.records() {
            let record = record?;
            let mut line = Vec::new();
            match self.encoder.encode(&read, &record, &mut line) {
                Ok(()) => {
                    line.pop_if(|last| *last == b'\n');
                    self.arrived.push(Arrived {
                        value: Some(line),
                        ..Arrived::of(&record, read.partition)?
                    });
                }
                Err(error) => self.progress.refuse(&read, &record, error)?,
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// What becomes of the bad records of one connector.
struct Refusals {
    connector: String,
    dead_letters: Option<DeadLetters>,
}

impl Refusals {
    fn new(spec: &ConnectorSpec, log: &Log) -> Self {
        let context = TaskContext {
            connector: spec.name.clone(),
            task: 0,
            tasks: 1,
            drain: true,
            health: Arc::new(TaskHealth::new(&spec.name, 0, TaskState::Running)),
            stats: Arc::default(),
        };
        Self {
            connector: spec.configured.name.clone(),
            dead_letters: DeadLetters::of(&context, spec, log),
        }
    }

    /// Notes what one record led to, and writes dead letters; whether the connector has `failed`.
    ///
    /// # Errors
    /// Of a failure that is not about the record.
    fn end(&mut self, play: &mut Play<'_>, refused: Vec<Refused>, failed: Option<Error>) -> Result<bool> {
        if let Some(letters) = &mut self.dead_letters {
            for batch in letters.batch(&refused, play.now_ms)? {
                play.write(batch)?;
            }
        }
        let mut messages: Vec<String> = refused.iter().map(|bad| bad.error.to_string()).collect();
        let ends = failed.is_some();
        match failed {
            Some(error) if error.kind() == ErrorKind::Record => messages.push(error.to_string()),
            Some(error) => return Err(error),
            None => {}
        }
        if !messages.is_empty() {
            let known = play.outcome.refused.entry(self.connector.clone());
            known.or_default().extend(messages);
        }
        Ok(ends)
    }
}

/// What the source hands over when it finds `record`.
fn decode(
    record: &InputRecord,
    connector: &str,
    decoder: &mut dyn Decoder,
    on_error: &Tolerance,
    refused: &mut Vec<Refused>,
) -> Result<Vec<Part>> {
    let mut builder = BatchBuilder::default();
    match record.value.bytes() {
        None => push(record, None, &mut builder)?,
        Some(payload) => {
            let headers = headers(record);
            let envelope = Envelope {
                timestamp_ms: record.timestamp_ms,
                key: record.key.bytes(),
                headers: &headers,
            };
            match decoder.decode(payload, &envelope, &mut builder) {
                Err(error) if error.kind() == ErrorKind::Record => {
                    let bad = Refused {
                        stage: Stage::Decode,
                        error,
                        record: Original::undecoded(payload, record.timestamp_ms),
                    };
                    on_error.refuse(refused, bad)?;
                }
                decoded => decoded?,
            }
        }
    }
    let fields = record.origin.iter();
    let origin = Arc::new(Origin {
        name: connector.to_owned(),
        fields: fields
            .map(|(name, value)| (*name, Bytes::copy_from_slice(value.as_bytes())))
            .collect(),
    });
    let part = |batch| Part {
        origin: origin.clone(),
        keyed: record.key.bytes().is_some(),
        batch,
    };
    Ok(builder.finish().map(part).into_iter().collect())
}

fn push(record: &InputRecord, value: Option<&[u8]>, builder: &mut BatchBuilder) -> Result<()> {
    let key = record.key.bytes();
    builder
        .push(record.timestamp_ms, key, value, &headers(record))
        .map_err(unreadable)
}

fn headers(record: &InputRecord) -> Vec<Header<'_>> {
    let headers = record.headers.iter().map(|(name, value)| Header {
        key: name.as_bytes(),
        value: value.bytes(),
    });
    headers.collect()
}

fn unreadable(error: BatchError) -> Error {
    Error::fatal("play", "a record of the case").because(error)
}
