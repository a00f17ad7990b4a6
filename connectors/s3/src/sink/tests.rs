//! The sink over a store and a state that crash and fail as a test says, and a log that sends
//! everything again from the committed offset: random histories (`histories`), and each thing by
//! itself (`cases`); the same over real servers that fail (`faults`).

mod cases;
mod encoders;
mod faults;
mod histories;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::Notify;
use towpath_record::{Batch, BatchBuilder, Header, stamp_base_offset};
use towpath_sdk::config::{Compression, Format, Key, Node, NodeValue, Problems, Span};
use towpath_sdk::testing::{FakeSchemas, sink_context};
use towpath_sdk::{
    Encoder, Error, ErrorKind, Flushed, OnError, Refused, Result, Schema, SchemaHeaders, Schemas,
    SinkBatch, SinkContext, SinkPartition, SinkTopic, State, StateChange, async_trait,
};

use encoders::{Blocks, BySchema, GzipCodecs, Lines, text_of};

use super::config::S3SinkOptions;
use super::engine::Engine;
use super::limits::Limits;
use crate::uploads::Uploads;
use crate::uploads::memory::{Call, Fate, MemoryStore, Orphan};

thread_local! {
    static NOW_MS: Cell<i64> = const { Cell::new(0) };
}

/// What the engine's clock shows; a test has one thread.
fn now_ms() -> i64 {
    NOW_MS.get()
}

/// Decides the fate of every call to the store and every commit.
struct Script {
    fates: Mutex<Box<dyn FnMut(Option<Call>) -> Fate + Send>>,
    crashed: Notify,
}

impl Script {
    /// `None` is a commit.
    fn fate(&self, call: Option<Call>) -> Fate {
        let fate = (self.fates.lock().expect("no panic"))(call);
        if matches!(fate, Fate::Orphaned(_)) {
            self.crashed.notify_one();
        }
        fate
    }
}

/// What is committed; only what a crash keeps.
struct Committed {
    state: Mutex<BTreeMap<Bytes, Bytes>>,
    script: Arc<Script>,
}

impl Committed {
    fn apply(&self, changes: &[StateChange]) {
        let mut state = self.state.lock().unwrap();
        for change in changes {
            match &change.value {
                Some(value) => state.insert(change.key.clone(), value.clone()),
                None => state.remove(&change.key),
            };
        }
    }

    /// How many keys are of a kind.
    fn count(&self, letter: u8) -> usize {
        let state = self.state.lock().unwrap();
        state.keys().filter(|key| key[0] == letter).count()
    }
}

#[async_trait]
impl State for Committed {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.state.lock().unwrap().get(key).cloned()
    }

    fn scan(&self, prefix: &[u8]) -> Vec<(Bytes, Bytes)> {
        let state = self.state.lock().unwrap();
        let found = state.iter().filter(|(key, _)| key.starts_with(prefix));
        found
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    async fn commit(&self, changes: Vec<StateChange>) -> Result<()> {
        tokio::task::yield_now().await;
        let fate = self.script.fate(None);
        let done = matches!(
            fate,
            Fate::Done | Fate::Unanswered | Fate::Orphaned(Orphan::Before)
        );
        if done {
            self.apply(&changes);
        }
        match fate {
            Fate::Done => Ok(()),
            Fate::Orphaned(_) => std::future::pending().await,
            _ => Err(Error::transient("commit", "").because("no answer")),
        }
    }
}

/// Options from names and words; `rotate.size` is a name too.
fn options(entries: &[(&str, &str)]) -> S3SinkOptions {
    let map = |entries: Vec<(&str, Node)>| {
        let key = |name: &str| Key {
            name: name.into(),
            span: Span::NONE,
        };
        let entries = entries.into_iter().map(|(name, node)| (key(name), node));
        Node::new(Span::NONE, NodeValue::Map(entries.collect()))
    };
    let node = |word: &str| match word.parse::<u64>() {
        Ok(_) => Node::new(Span::NONE, NodeValue::Number(word.to_owned())),
        Err(_) => Node::new(Span::NONE, word),
    };
    let bucket = ("bucket", "b");
    let entries: Vec<_> = entries.iter().chain([&bucket]).copied().collect();
    let (rotate, others): (Vec<_>, Vec<_>) = entries
        .iter()
        .partition(|(name, _)| name.starts_with("rotate."));
    let mut nodes: Vec<(&str, Node)> = others
        .iter()
        .map(|(name, word)| (*name, node(word)))
        .collect();
    let rotate: Vec<(&str, Node)> = rotate
        .iter()
        .map(|(name, word)| (&name["rotate.".len()..], node(word)))
        .collect();
    nodes.push(("rotate", map(rotate)));
    let mut problems = Problems::new();
    S3SinkOptions::parse(&map(nodes), &mut problems)
        .unwrap_or_else(|| panic!("{entries:?}: {problems:?}"))
}

/// A record of the log; its key goes into paths.
#[derive(Debug, Clone)]
struct Sent {
    key: String,
    value: Option<String>,
    /// The name of its schema.
    schema: Option<&'static str>,
}

/// A log of one topic, a store, what is committed, and the sink's options.
struct World {
    options: S3SinkOptions,
    limits: Limits,
    blocks: bool,
    by_schema: bool,
    schemas: Arc<FakeSchemas>,
    topic: Arc<SinkTopic>,
    /// The records of each partition.
    log: Vec<Vec<Sent>>,
    offsets: Vec<u64>,
    store: Arc<MemoryStore>,
    /// What the sink writes to: the same, unless a test has another one.
    uploads: Arc<dyn Uploads>,
    committed: Arc<Committed>,
    script: Arc<Script>,
    generation: u32,
    on_error: OnError,
    /// Reported, and not behind a committed offset yet.
    refused: Vec<Refused>,
    /// Partition and offset of each record that was left out for good.
    letters: Vec<(u32, u64)>,
    folder: tempfile::TempDir,
}

/// Limits so small that a few records reach each of them.
const TINY: Limits = Limits {
    part: 24,
    object: 2_000,
    chunk: 16,
    piece: 12,
    cut: 64,
    packing: 2,
    resting: 200,
    flight: 8 << 10,
    calls: 4,
    waiting: 3,
    changes: 120,
};

impl World {
    fn new(options: S3SinkOptions, log: Vec<Vec<Sent>>) -> Self {
        let topic = SinkTopic {
            name: "t".into(),
            id: "topic-id".into(),
            format: Format::Text,
        };
        let script = Arc::new(Script {
            fates: Mutex::new(Box::new(|_| Fate::Done)),
            crashed: Notify::new(),
        });
        let store = Arc::new(MemoryStore::default());
        let told = script.clone();
        store.set_fates(Some(Box::new(move |call| told.fate(Some(call)))));
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self {
            options,
            limits: TINY,
            blocks: false,
            by_schema: false,
            schemas: Arc::default(),
            topic: Arc::new(topic),
            offsets: vec![0; log.len()],
            log,
            uploads: store.clone(),
            store,
            committed: Arc::new(Committed {
                state: Mutex::default(),
                script: script.clone(),
            }),
            script,
            generation: 0,
            on_error: OnError::Skip,
            refused: Vec::new(),
            letters: Vec::new(),
            folder: folder.unwrap(),
        }
    }

    fn set_fates(&self, fates: impl FnMut(Option<Call>) -> Fate + Send + 'static) {
        *self.script.fates.lock().unwrap() = Box::new(fates);
    }

    async fn open(&mut self) -> Result<Engine> {
        self.refused.clear();
        let partitions = self.offsets.iter().enumerate();
        let partitions = partitions.map(|(partition, offset)| SinkPartition {
            topic: self.topic.clone(),
            partition: partition as u32,
            offset: *offset,
        });
        let context = SinkContext {
            generation: self.generation,
            partitions: partitions.collect(),
            scratch: self.folder.path().join("scratch/it"),
            state: self.committed.clone(),
            encoder: match (self.by_schema, self.blocks) {
                (true, blocks) => Box::new(BySchema::new(blocks)) as Box<dyn Encoder>,
                (false, true) => Box::new(Blocks),
                (false, false) => Box::new(Lines),
            },
            schemas: self.schemas.clone(),
            codecs: Arc::new(GzipCodecs),
            on_error: self.on_error.into(),
            ..sink_context(Arc::default())
        };
        super::open(
            &self.options,
            self.uploads.clone(),
            self.limits,
            now_ms,
            context,
        )
        .await
    }

    /// The records of `partition` from `offset` up to `end`.
    fn batch(&self, partition: u32, offset: u64, end: u64) -> SinkBatch {
        let mut builder = BatchBuilder::default();
        for sent in &self.log[partition as usize][offset as usize..end as usize] {
            let value = sent.value.as_ref().map(|value| value.as_bytes());
            let id = sent.schema.map(|name| {
                let (name, fields) = (name.to_owned(), Vec::new());
                self.schemas.id_of(Schema { name, fields }).unwrap()
            });
            let header = id.as_ref().map(|id| Header {
                key: SchemaHeaders::VALUE.id.as_bytes(),
                value: Some(id.as_bytes()),
            });
            builder
                .push(0, Some(sent.key.as_bytes()), value, header.as_slice())
                .unwrap();
        }
        let mut bytes = builder.finish().unwrap().into_bytes().to_vec();
        stamp_base_offset(&mut bytes, offset as i64);
        let batch = Batch::parse(bytes.into()).unwrap();
        SinkBatch::new(self.topic.clone(), partition, offset, vec![batch])
    }

    /// Flushes, and commits what was flushed, as the runtime does.
    async fn flush(&mut self, engine: &mut Engine, end: bool) -> Result<()> {
        let flushed = engine.flush(end).await?;
        self.commit(flushed);
        Ok(())
    }

    fn commit(&mut self, flushed: Flushed) {
        self.committed.apply(&flushed.state);
        for reached in &flushed.offsets {
            let offset = &mut self.offsets[reached.partition as usize];
            assert!(reached.offset > *offset, "an offset only rises");
            *offset = reached.offset;
        }
        self.refused.extend(flushed.refused);
        let offsets = &self.offsets;
        let passed = |refused: &mut Refused| {
            let place = refused.record.place.as_ref().unwrap();
            place.offset < offsets[place.partition as usize]
        };
        let passed = self.refused.extract_if(.., passed);
        let places = passed.map(|refused| refused.record.place.unwrap());
        self.letters
            .extend(places.map(|place| (place.partition, place.offset)));
    }

    /// Opens, writes all that is not committed in one go, drains and closes.
    async fn deliver(&mut self) -> Result<()> {
        let mut engine = self.open().await?;
        self.drain(&mut engine).await?;
        engine.close().await
    }

    /// Writes all that is not committed in one go, to the end.
    async fn drain(&mut self, engine: &mut Engine) -> Result<()> {
        for partition in 0..self.log.len() as u32 {
            let from = self.offsets[partition as usize];
            let end = self.log[partition as usize].len() as u64;
            if from < end {
                engine.write(vec![self.batch(partition, from, end)]).await?;
            }
        }
        self.flush(engine, true).await?;
        self.flush(engine, false).await
    }

    /// The text of each object by its key.
    fn texts(&self) -> BTreeMap<String, String> {
        let objects = self.store.objects().into_iter();
        let text = |content| text_of(content, &self.options.compression);
        objects
            .map(|(key, object)| (key, text(object.content)))
            .collect()
    }
}

/// Records whose values are `partition-offset`, with these keys.
fn log_of(keys: &[&[&str]]) -> Vec<Vec<Sent>> {
    let partitions = keys.iter().enumerate();
    let sent = |partition: usize, offset: usize, key: &str| Sent {
        key: key.to_owned(),
        value: Some(format!("{partition}-{offset}")),
        schema: None,
    };
    partitions
        .map(|(partition, keys)| {
            let keys = keys.iter().enumerate();
            keys.map(|(offset, key)| sent(partition, offset, key))
                .collect()
        })
        .collect()
}
