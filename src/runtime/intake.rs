//! From what a source or stream has taken to batches for the log: its transforms, then topic, key
//! and partition.

use std::sync::Arc;

use towpath_log::{GroupOffset, Log, TopicBatch};
use towpath_sdk::config::Format;
use towpath_sdk::{NewDecoder, Origin, Reached, Refused, Result, Schemas, Tolerance};

use crate::chain::{Again, Chain, From};
use crate::feed::Incoming;
use crate::reading::Read;
use crate::retried::{Offsets, decode, unwrap};
use crate::route::Router;
use crate::schemas::{SchemaRegistry, SubjectVersion};
use crate::spec::{ConnectorSpec, OutputSpec, Side};
use crate::step::{Changes, Sequence};
use crate::stretch::{Early, Stretch};
use crate::task_state::TaskState;

/// The way of one task's records.
pub(crate) struct Intake {
    chain: Chain,
    /// Without transforms, for what is behind them already.
    behind: Chain,
    /// For what is retried of a source.
    new_decoder: Option<NewDecoder>,
    on_error: Tolerance,
    /// What the values are behind the transforms.
    output: Format,
    /// What a source's records are given before the transforms.
    early: Option<Early>,
    /// What the transforms see: one of a source, one for each partition of a stream.
    sequences: Vec<Sequence>,
    router: Router,
}

impl Intake {
    /// To be opened for what it will take.
    ///
    /// # Errors
    /// The fixed topic cannot be created; the format of a source is wrong.
    pub fn new(
        spec: &Arc<ConnectorSpec>,
        output: &OutputSpec,
        on_error: &Tolerance,
        log: &Log,
        schemas: &Arc<SchemaRegistry>,
    ) -> Result<Self> {
        let (early, new_decoder) = match &spec.side {
            Side::Source(source) => {
                let registry: Arc<dyn Schemas> = schemas.clone();
                let new_decoder = towpath_formats::decoder(source.config.format(), &registry)?;
                (Some(Early::new(spec, source)), Some(new_decoder))
            }
            Side::Stream(_) | Side::Sink(_) => (None, None),
        };
        Ok(Self {
            chain: Chain::new(&spec.configured.transforms, on_error.clone()),
            behind: Chain::new(&[], on_error.clone()),
            new_decoder,
            on_error: on_error.clone(),
            output: output.format(),
            early,
            sequences: Vec::new(),
            router: Router::new(spec.clone(), output, on_error.clone(), log.clone(), schemas)?,
        })
    }

    /// Has `topic` keep the schemas of records that were refused, which go there.
    pub fn keep_schemas(&mut self, topic: &str, refused: &[Refused]) -> Result<()> {
        let schemas = self.router.schemas.as_mut();
        schemas.map_or(Ok(()), |schemas| schemas.keep(topic, refused))
    }

    /// What the next append set must register for its records, as a batch, and which versions.
    pub fn registration(
        &mut self,
        now_ms: i64,
    ) -> Result<Option<(TopicBatch, Vec<SubjectVersion>)>> {
        let schemas = self.router.schemas.as_mut();
        schemas.map_or(Ok(None), |schemas| schemas.registration(now_ms))
    }

    /// Gets ready for the records of `sequence`: once, before the first of them. What is remembered
    /// of them is in `state`; without it nothing is.
    ///
    /// # Errors
    /// What is remembered cannot be read.
    pub fn open(&mut self, sequence: Sequence, state: Option<&TaskState>) -> Result<()> {
        if !self.sequences.contains(&sequence) {
            self.chain.open(&sequence, state)?;
            self.sequences.push(sequence);
        }
        Ok(())
    }

    /// The transforms: tables of theirs are for the caller to fill.
    pub fn chain(&mut self) -> &mut Chain {
        &mut self.chain
    }

    /// What the records taken so far have changed in what the transforms remember, since the last
    /// call.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        for sequence in &self.sequences {
            self.chain.take_changes(sequence, i64::MAX, &mut changes);
        }
        changes
    }

    /// What the records below `offsets`, one for each of `sequences`, have changed there.
    pub fn take_changes_below(
        &mut self,
        sequences: &[Sequence],
        offsets: &[GroupOffset],
    ) -> Changes {
        let mut changes = Changes::default();
        for (sequence, offset) in sequences.iter().zip(offsets) {
            let below = i64::try_from(offset.offset).unwrap_or(i64::MAX);
            self.chain.take_changes(sequence, below, &mut changes);
        }
        changes
    }

    /// The batches for the log that come of `records`, all of them in one set.
    ///
    /// # Errors
    /// Also a bad record's, when that ends the task.
    pub fn take(
        &mut self,
        records: Incoming,
        now_ms: i64,
        refused: &mut Vec<Refused>,
    ) -> Result<Vec<TopicBatch>> {
        let stretches = self.transform(records, now_ms, refused)?;
        self.route(stretches, now_ms, refused)
    }

    /// Batches for the log: see [`Router::route`].
    pub fn route(
        &mut self,
        stretches: Vec<Stretch>,
        now_ms: i64,
        refused: &mut Vec<Refused>,
    ) -> Result<Vec<TopicBatch>> {
        self.router.route(stretches, now_ms, refused)
    }

    /// What comes of `records`, which were taken at `now_ms`; the order within an origin is kept.
    /// Bad records are added to `refused`, as far as `on_error` allows.
    ///
    /// # Errors
    /// Also a bad record's, when that ends the task.
    pub fn transform(
        &mut self,
        records: Incoming,
        now_ms: i64,
        refused: &mut Vec<Refused>,
    ) -> Result<Vec<Stretch>> {
        self.chain.begin_set();
        self.behind.begin_set();
        let mut stretches = Vec::new();
        match records {
            Incoming::Parts(parts) => {
                for part in parts.into_iter().map(Stretch::from) {
                    match self.early.as_ref().zip(self.sequences.first()) {
                        Some((early, sequence)) => {
                            let from = From::Source(early, sequence);
                            stretches.extend(self.chain.for_log(part, from, now_ms, refused)?);
                        }
                        None => stretches.push(part),
                    }
                }
            }
            Incoming::Read(read) => {
                for read in &read {
                    if let Some(reached) = read.reached {
                        stretches.extend(self.take_again(read, reached, now_ms, refused)?);
                        continue;
                    }
                    let origin = Arc::new(Origin {
                        name: read.batch.topic.name.clone(),
                        fields: Vec::new(),
                    });
                    for batch in &read.batch.batches {
                        let part = Stretch::read(&origin, read.batch.partition, batch);
                        let from = From::Log(read);
                        stretches.extend(self.chain.for_log(part, from, now_ms, refused)?);
                    }
                }
            }
        }
        Ok(stretches)
    }

    /// What comes of the letters of `read`, which are retried and had `reached` so far.
    fn take_again(
        &mut self,
        read: &Read,
        reached: Reached,
        now_ms: i64,
        refused: &mut Vec<Refused>,
    ) -> Result<Vec<Stretch>> {
        let from_offset = i64::try_from(read.batch.from_offset).unwrap_or(i64::MAX);
        let early = self.early.as_ref();
        let mut stretches = Vec::new();
        for batch in &read.batch.batches {
            let (parts, reached) = match (reached, &self.new_decoder, early) {
                (Reached::Undecoded, Some(new_decoder), Some(early)) => {
                    let (on_error, decoded) = (&self.on_error, Reached::Decoded(early.input));
                    let growth_left = self.chain.growth_left();
                    let parts = decode(
                        batch,
                        from_offset,
                        new_decoder,
                        on_error,
                        growth_left,
                        refused,
                    )?;
                    (parts, decoded)
                }
                _ => (unwrap(batch, from_offset, Offsets::Dense)?, reached),
            };
            let is_behind = matches!(reached, Reached::Transformed(_));
            let from = From::Retried(Again {
                early: early.filter(|_| !is_behind),
                reached,
                output: self.output,
            });
            for part in parts {
                if !is_behind {
                    stretches.extend(self.chain.for_log(part, from, now_ms, refused)?);
                    continue;
                }
                let (topic, key_stands) = (part.topic.clone(), part.key_stands);
                for behind in self.behind.for_log(part, from, now_ms, refused)? {
                    stretches.push(Stretch {
                        topic: topic.clone(),
                        key_stands,
                        ..behind
                    });
                }
            }
        }
        Ok(stretches)
    }
}
