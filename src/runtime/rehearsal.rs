//! A pipeline played through on the records of a case: the same decoders, transforms, routing and
//! encoders as in a run, but no system, log, disk or clock. `towpath test` compares what comes out.
//!
//! Every record goes through alone, so what comes out does not depend on how records would have
//! been put together in batches; what transforms keep in mind, they keep from record to record.

mod play;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use towpath_log::Log;
use towpath_pipeline::{Case, InputRecord, Loaded, Pipeline, Source, WorkerConfig};
use towpath_record::{BatchError, Header, Record};
use towpath_sdk::{Error, Result};

use crate::commit::log_error;
use crate::prepare::create_topics;
use crate::spec::{ConnectorSpec, Side, topic_config};
use play::Play;

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

    /// Plays `case` of `pipeline`: first what is put into topics that transforms look records up in,
    /// then all that comes from sources, in the order written, then what is put into other topics,
    /// then the streams, until none has anything to read any more, then the sinks. A sink is given
    /// the dead letters of those before it, if it reads them.
    ///
    /// # Errors
    /// Whatever would end a task and is not about one record.
    pub fn play(&self, pipeline: &Pipeline, case: &Case) -> Result<Outcome> {
        let mut play = Play::new(&self.log, case.now_ms);
        let specs = ConnectorSpec::of_pipeline(pipeline, self.config);
        let specs: Vec<_> = specs.into_iter().map(Arc::new).collect();
        let transforms = specs.iter().flat_map(|spec| &spec.configured.transforms);
        let tables: HashSet<_> = transforms
            .filter_map(|transform| transform.config.table_topic())
            .collect();
        let (tables, topics): (Vec<_>, Vec<_>) = case
            .topics
            .iter()
            .partition(|(topic, _)| tables.contains(&**topic));
        for (topic, records) in tables {
            self.fill(&mut play, pipeline, topic, records)?;
        }
        for (name, records) in &case.sources {
            for spec in specs.iter().filter(|spec| spec.configured.name == *name) {
                if let Side::Source(source) = &spec.side {
                    play.source(spec, source, records)?;
                }
            }
        }
        for (topic, records) in topics {
            self.fill(&mut play, pipeline, topic, records)?;
        }
        play.streams(&specs)?;
        for spec in &specs {
            if let Side::Sink(sink) = &spec.side {
                play.sink(spec, sink)?;
            }
        }
        Ok(play.outcome)
    }

    /// Puts `records` into a topic, which is created if only a template names it.
    fn fill(
        &self,
        play: &mut Play<'_>,
        pipeline: &Pipeline,
        topic: &str,
        records: &[InputRecord],
    ) -> Result<()> {
        if self.log.topic(topic).is_none() {
            let mut sources = pipeline.sources.iter();
            let writer = sources.find(|source| source.output.constant_topic().is_none());
            let format = writer.map(Source::format);
            self.log
                .create_topic(topic, &topic_config(None, format, self.config))
                .map_err(|error| log_error(&format!("create topic {topic}"), error))?;
        }
        play.topic(topic, records)
    }
}

fn unreadable(error: BatchError) -> Error {
    Error::fatal("play", "a record of the case").because(error)
}
