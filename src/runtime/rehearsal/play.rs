//! One case on its way: through sources into topics, from there through streams into others, and
//! to sinks.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use towpath_log::{Log, TopicBatch};
use towpath_pipeline::InputRecord;
use towpath_record::{Batch, BatchBuilder, Header, stamp_base_offset};
use towpath_sdk::config::{InputFormat, OutputFormat};
use towpath_sdk::{
    Block, Decoder, Encoder, Envelope, Error, ErrorKind, Origin, Original, Part, Refused, Result,
    Schemas, SinkBatch, SinkProgress, SinkTopic, Stage, Tolerance,
};

use super::{Arrived, Outcome, unreadable};
use crate::assignment::{partitions, sink_topic};
use crate::chain::Chain;
use crate::dead_letter::DeadLetters;
use crate::feed::Incoming;
use crate::health::TaskHealth;
use crate::intake::Intake;
use crate::partition;
use crate::reading::Read;
use crate::schemas::SchemaRegistry;
use crate::spec::{ConnectorSpec, OutputSpec, Side, SinkSpec, SourceSpec};
use crate::status::TaskState;
use crate::step::{Sequence, format_of};
use crate::supervisor::TaskContext;

/// Batches written in one case at most, each a record as a rule.
const WRITTEN_MAX: usize = 100_000;

/// A case that is being played.
pub(super) struct Play<'a> {
    log: &'a Log,
    /// Of this case alone.
    schemas: Arc<SchemaRegistry>,
    now_ms: i64,
    /// All that was written to topics, in its order.
    written: Vec<TopicBatch>,
    /// The next offset of each partition.
    ends: HashMap<(Arc<str>, u32), i64>,
    pub outcome: Outcome,
}

impl<'a> Play<'a> {
    pub fn new(log: &'a Log, now_ms: i64) -> Self {
        Self {
            log,
            schemas: Arc::new(SchemaRegistry::new(log.clone())),
            now_ms,
            written: Vec::new(),
            ends: HashMap::new(),
            outcome: Outcome::default(),
        }
    }

    /// Has a source find `records`.
    pub fn source(
        &mut self,
        spec: &Arc<ConnectorSpec>,
        source: &SourceSpec,
        records: &[InputRecord],
    ) -> Result<()> {
        let on_error = spec.tolerance();
        let mut intake = Intake::new(spec, &source.output, &on_error, self.log, &self.schemas)?;
        intake.open(Sequence::Task(0), None)?;
        self.fill_tables(intake.chain())?;
        let mut refusals = Refusals::new(spec, self);
        let schemas: Arc<dyn Schemas> = self.schemas.clone();
        let mut decoder = towpath_formats::decoder(source.config.format(), &schemas)?();
        for record in records {
            on_error.came(1);
            let mut refused = Vec::new();
            let taken = decode(record, &spec.name, &mut *decoder, &on_error, &mut refused)
                .map(Incoming::Parts)
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
    pub fn topic(&mut self, topic: &str, records: &[InputRecord]) -> Result<()> {
        let partitions = self
            .log
            .topic(topic)
            .map_or(1, |info| info.config.partitions);
        for record in records {
            let mut builder = BatchBuilder::default();
            push(record, record.value.bytes(), &mut builder)?;
            let key = record.key.bytes();
            let partition = key.map_or(0, |key| partition::of_key(key, partitions));
            if let Some(batch) = builder.finish() {
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
            arrived.push(Arrived::of(
                &record.map_err(unreadable)?,
                written.partition,
            )?);
        }
        self.written.push(TopicBatch { batch, ..written });
        Ok(())
    }

    /// Has streams read what was written, until there is nothing more for any.
    ///
    /// # Errors
    /// Also when that has no end.
    pub fn streams(&mut self, specs: &[Arc<ConnectorSpec>]) -> Result<()> {
        let streams = specs.iter().filter_map(|spec| match &spec.side {
            Side::Stream(stream) => Some(Streaming::new(spec, &stream.output, self)),
            Side::Source(_) | Side::Sink(_) => None,
        });
        let mut streams: Vec<Streaming> = streams.collect();
        loop {
            let mut idle = true;
            for stream in &mut streams {
                idle &= !stream.advance(self)?;
            }
            if idle {
                return Ok(());
            }
            if self.written.len() > WRITTEN_MAX {
                return Err(Error::configuration("play", "the streams to an end")
                    .because(format!("more than {WRITTEN_MAX} records were written"))
                    .remedy("see whether what one of them writes comes back to it"));
            }
        }
    }

    /// Has transforms look records up in what was written so far.
    fn fill_tables(&self, chain: &mut Chain) -> Result<()> {
        for TopicBatch { topic, batch, .. } in &self.written {
            let format = format_of(self.log, topic);
            for record in batch.records() {
                chain.add_row(topic, &record.map_err(unreadable)?, format)?;
            }
        }
        Ok(())
    }

    /// Has a sink write what it reads of all that was written.
    pub fn sink(&mut self, spec: &ConnectorSpec, sink: &SinkSpec) -> Result<()> {
        let on_error = spec.tolerance();
        let (format, fields) = sink.config.format();
        let mut chain = Chain::new(&spec.configured.transforms, on_error.clone());
        for (topic, partition) in partitions(spec, self.log) {
            chain.open(&Sequence::of(&topic, partition), None)?;
        }
        self.fill_tables(&mut chain)?;
        let mut writing = Writing {
            chain,
            read_as: match &format {
                Some(OutputFormat::Avro(_)) => Some(InputFormat::Avro),
                Some(OutputFormat::Parquet(_)) => Some(InputFormat::Parquet),
                _ => None,
            },
            encoder: towpath_formats::encoder(format, &fields)?,
            schemas: self.schemas.clone(),
            progress: SinkProgress::new(on_error.clone()),
            now_ms: self.now_ms,
            arrived: Vec::new(),
        };
        let mut refusals = Refusals::new(spec, self);
        let mut next = 0;
        while let Some(read) = self.read(spec, &mut next) {
            on_error.came(1);
            let mut refused = Vec::new();
            let failed = writing.write(read, &mut refused).err();
            refused.extend(writing.progress.report(Vec::new()).refused);
            if refusals.end(self, refused, failed)? {
                break;
            }
        }
        let name = spec.configured.name.clone();
        self.outcome.sinks.insert(name, writing.arrived);
        Ok(())
    }

    /// The first batch from `next` on, of all that were written, that `spec` reads.
    fn read(&self, spec: &ConnectorSpec, next: &mut usize) -> Option<Read> {
        let found = self.written[*next..]
            .iter()
            .position(|written| spec.reads(&written.topic));
        *next = found.map_or(self.written.len(), |found| *next + found + 1);
        let written = &self.written[*next - 1..]
            .first()
            .filter(|_| found.is_some())?;
        let info = self.log.topic(&written.topic)?;
        let topic = sink_topic(&info);
        let output = SinkTopic {
            format: towpath_pipeline::output(&spec.configured.transforms, topic.format),
            ..topic
        };
        let from_offset = u64::try_from(written.batch.header().base_offset).unwrap_or(0);
        let batches = vec![written.batch.clone()];
        Some(Read {
            batch: SinkBatch::new(Arc::new(output), written.partition, from_offset, batches),
            format: topic.format,
            reached: None,
        })
    }
}

/// A stream that is being played.
struct Streaming<'a> {
    spec: &'a Arc<ConnectorSpec>,
    output: OutputSpec,
    /// Made when it is known what the values are.
    intake: Option<Intake>,
    on_error: Tolerance,
    refusals: Refusals,
    /// The next one of all batches that were written.
    next: usize,
    failed: bool,
}

impl<'a> Streaming<'a> {
    fn new(spec: &'a Arc<ConnectorSpec>, output: &OutputSpec, play: &Play<'_>) -> Self {
        Self {
            spec,
            output: output.clone(),
            intake: None,
            on_error: spec.tolerance(),
            refusals: Refusals::new(spec, play),
            next: 0,
            failed: false,
        }
    }

    /// Takes all that there is now; whether there was anything.
    fn advance(&mut self, play: &mut Play<'_>) -> Result<bool> {
        let before = self.next;
        while !self.failed
            && let Some(read) = play.read(self.spec, &mut self.next)
        {
            self.on_error.came(1);
            let mut refused = Vec::new();
            let intake = match &mut self.intake {
                Some(intake) => intake,
                none => {
                    let format = read.batch.topic.format.as_str();
                    self.output.topic_config.format = format.to_owned();
                    let (spec, output) = (self.spec, &self.output);
                    let mut intake =
                        Intake::new(spec, output, &self.on_error, play.log, &play.schemas)?;
                    play.fill_tables(intake.chain())?;
                    none.insert(intake)
                }
            };
            intake.open(Sequence::of(&read.batch.topic, read.batch.partition), None)?;
            let records = Incoming::Read(vec![read]);
            let taken = intake.take(records, play.now_ms, &mut refused);
            let (batches, failed) = match taken {
                Ok(batches) => (batches, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            for batch in batches {
                play.write(batch)?;
            }
            self.failed = self.refusals.end(play, refused, failed)?;
        }
        Ok(self.next > before)
    }
}

/// A sink up to where it would turn to its far side.
struct Writing {
    chain: Chain,
    encoder: Box<dyn Encoder>,
    /// Of records in blocks: how a reader takes them.
    read_as: Option<InputFormat>,
    schemas: Arc<dyn Schemas>,
    progress: SinkProgress,
    now_ms: i64,
    arrived: Vec<Arrived>,
}

impl Writing {
    fn write(&mut self, read: Read, refused: &mut Vec<Refused>) -> Result<()> {
        let (read, failed) = self.chain.for_sink(read, self.now_ms, refused)?;
        for record in read.records() {
            let record = record?;
            let mut line = Vec::new();
            match self.encoder.encode(&read, &record, &mut line) {
                Ok(()) => {
                    if let Some(format) = &self.read_as {
                        let decoder = towpath_formats::decoder(format.clone(), &self.schemas)?();
                        line = read_back(&mut *self.encoder, line, decoder)?;
                    }
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

/// What `decoder` finds in a file of blocks with the one record that is `encoded`.
fn read_back(
    encoder: &mut dyn Encoder,
    mut encoded: Vec<u8>,
    mut decoder: Box<dyn Decoder>,
) -> Result<Vec<u8>> {
    let note = encoder.block(1, &mut encoded)?;
    let position = encoder.head().len() as u64;
    let end = encoder.end(&[Block { position, note }])?;
    let file = [encoder.head(), &encoded, &end].concat();
    let mut read = BatchBuilder::default();
    decoder.decode(&file, &Envelope::default(), &mut read)?;
    let read = read.finish();
    let mut records = read.iter().flat_map(Batch::records);
    let record = records.next().transpose().map_err(unreadable)?;
    Ok(record
        .and_then(|record| record.value)
        .unwrap_or_default()
        .to_vec())
}

/// What becomes of the bad records of one connector.
struct Refusals {
    connector: String,
    dead_letters: Option<DeadLetters>,
}

impl Refusals {
    fn new(spec: &ConnectorSpec, play: &Play<'_>) -> Self {
        let context = TaskContext {
            connector: spec.name.clone(),
            task: 0,
            tasks: 1,
            drain: true,
            health: Arc::new(TaskHealth::new(&spec.name, 0, TaskState::Running)),
            stats: Arc::default(),
            schemas: play.schemas.clone(),
        };
        Self {
            connector: spec.configured.name.clone(),
            dead_letters: DeadLetters::of(&context, spec, play.log),
        }
    }

    /// Notes what one record led to, and writes dead letters; whether the connector has `failed`.
    ///
    /// # Errors
    /// Of a failure that is not about the record.
    fn end(
        &mut self,
        play: &mut Play<'_>,
        refused: Vec<Refused>,
        failed: Option<Error>,
    ) -> Result<bool> {
        if let Some(letters) = &mut self.dead_letters
            && let Some(batch) = letters.batch(&refused, play.now_ms)?
        {
            play.write(batch)?;
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
    let fields = record.origin.iter();
    let origin = Arc::new(Origin {
        name: connector.to_owned(),
        fields: fields
            .map(|(name, value)| ((*name).into(), Bytes::copy_from_slice(value.as_bytes())))
            .collect(),
    });
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
                        record: Original::undecoded(&origin, payload, &envelope, decoder.head()),
                    };
                    on_error.refuse(refused, bad)?;
                }
                decoded => decoded?,
            }
        }
    }
    let part = |batch| Part {
        origin: origin.clone(),
        keyed: record.key.bytes().is_some(),
        batch,
        positions: Vec::new(),
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
