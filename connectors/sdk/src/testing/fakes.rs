//! Stand-ins for the runtime: state and health in memory, text that passes as it is, no codecs.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use towpath_record::{BatchBuilder, Record};

use crate::config::Compression;
use crate::{
    Codecs, Compressor, Decoder, Encoder, Envelope, Error, Health, NewDecoder, OnError, Result,
    Schema, SchemaId, Schemas, SinkBatch, SinkContext, SourceContext, State, StateChange,
    async_trait,
};

/// How the value of a record begins that is bad to [`TextDecoder`] and [`TextEncoder`].
pub const POISON: &[u8] = b"\0poison";

/// State in memory: what was applied or committed is durable at once.
#[derive(Debug, Default)]
pub struct FakeState {
    entries: Mutex<BTreeMap<Bytes, Bytes>>,
}

impl FakeState {
    /// What was durable before.
    pub fn new(entries: BTreeMap<Bytes, Bytes>) -> Self {
        Self {
            entries: Mutex::new(entries),
        }
    }

    /// Makes changes durable, as the runtime does with those of a batch.
    pub fn apply(&self, changes: &[StateChange]) {
        let mut entries = lock(&self.entries);
        for change in changes {
            match &change.value {
                Some(value) => entries.insert(change.key.clone(), value.clone()),
                None => entries.remove(&change.key),
            };
        }
    }

    /// All that is durable.
    pub fn entries(&self) -> BTreeMap<Bytes, Bytes> {
        lock(&self.entries).clone()
    }
}

#[async_trait]
impl State for FakeState {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        lock(&self.entries).get(key).cloned()
    }

    fn scan(&self, prefix: &[u8]) -> Vec<(Bytes, Bytes)> {
        lock(&self.entries)
            .range(Bytes::copy_from_slice(prefix)..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    async fn commit(&self, changes: Vec<StateChange>) -> Result<()> {
        self.apply(&changes);
        Ok(())
    }
}

/// Remembers what was reported.
#[derive(Debug, Default)]
pub struct FakeHealth {
    problems: Mutex<BTreeMap<String, String>>,
    history: Mutex<Vec<String>>,
}

impl FakeHealth {
    /// What holds now, by place.
    pub fn problems(&self) -> BTreeMap<String, String> {
        lock(&self.problems).clone()
    }

    /// Every problem that was ever reported, in order.
    pub fn history(&self) -> Vec<String> {
        lock(&self.history).clone()
    }
}

impl Health for FakeHealth {
    fn report(&self, place: &str, problem: Option<&Error>) {
        match problem {
            Some(error) => {
                lock(&self.history).push(error.to_string());
                lock(&self.problems).insert(place.to_owned(), error.to_string());
            }
            None => drop(lock(&self.problems).remove(place)),
        }
    }
}

/// The payload is the value; one that begins with [`POISON`] is a bad record.
#[derive(Debug, Default)]
pub struct TextDecoder;

impl Decoder for TextDecoder {
    #[inline]
    fn decode(
        &mut self,
        payload: &[u8],
        envelope: &Envelope<'_>,
        out: &mut BatchBuilder,
    ) -> Result<()> {
        if payload.first() == Some(&0) && payload.starts_with(POISON) {
            return Err(Error::record("read", "a record").because("it is poison"));
        }
        out.push(
            envelope.timestamp_ms,
            envelope.key,
            Some(payload),
            envelope.headers,
        )
        .map_err(|error| Error::record("take", "a record").because(error))
    }
}

/// Makes [`TextDecoder`]s.
pub fn text() -> NewDecoder {
    Arc::new(|| Box::new(TextDecoder))
}

/// The value and a newline; a value that begins with [`POISON`] is a bad record.
#[derive(Debug, Default)]
pub struct TextEncoder;

impl Encoder for TextEncoder {
    fn encode(&mut self, _: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        let value = record.value.unwrap_or_default();
        if value.starts_with(POISON) {
            return Err(Error::record("write", "a record").because("it is poison"));
        }
        out.extend_from_slice(value);
        out.push(b'\n');
        Ok(())
    }
}

/// Knows no compression but none.
#[derive(Debug, Default)]
pub struct NoCodecs;

impl Codecs for NoCodecs {
    fn compressor(&self, compression: &Compression) -> Result<Option<Box<dyn Compressor>>> {
        match compression {
            Compression::None => Ok(None),
            other => Err(Error::configuration("compress with", other.as_str())),
        }
    }

    fn decompressor(
        &self,
        compression: &Compression,
        input: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>> {
        match compression {
            Compression::None => Ok(input),
            other => Err(Error::configuration("decompress", other.as_str())),
        }
    }
}

/// Keeps schemas as they are told; their ids count from 1.
#[derive(Debug, Default)]
pub struct FakeSchemas(Mutex<Vec<Arc<Schema>>>);

impl Schemas for FakeSchemas {
    fn id_of(&self, schema: Schema) -> Result<SchemaId> {
        let mut known = lock(&self.0);
        let index = known.iter().position(|known| **known == schema);
        let index = index.unwrap_or_else(|| {
            known.push(Arc::new(schema));
            known.len() - 1
        });
        Ok(SchemaId::new(index as u64 + 1))
    }

    fn get(&self, id: SchemaId) -> Result<Option<Arc<Schema>>> {
        let known = lock(&self.0);
        let mut ids = (1..).map(SchemaId::new).zip(known.iter());
        Ok(ids
            .find(|(known, _)| *known == id)
            .map(|(_, schema)| schema.clone()))
    }
}

/// What a single task of a source is given: text, no codecs, `on_error: fail`.
pub fn source_context(state: Arc<FakeState>, drain: bool) -> SourceContext {
    SourceContext {
        connector: "test.source".into(),
        task: 0,
        tasks: 1,
        log_id: "log".into(),
        drain,
        state,
        new_decoder: text(),
        schemas: Arc::new(FakeSchemas::default()),
        codecs: Arc::new(NoCodecs),
        on_error: OnError::Fail.into(),
        health: Arc::new(FakeHealth::default()),
    }
}

/// What a single task of a sink is given, of no partition yet: text, no codecs, `on_error: fail`.
pub fn sink_context(state: Arc<FakeState>) -> SinkContext {
    SinkContext {
        connector: "test.sink".into(),
        task: 0,
        tasks: 1,
        log_id: "log".into(),
        generation: 0,
        partitions: Vec::new(),
        scratch: std::env::temp_dir().join("towpath-test-scratch"),
        state,
        encoder: Box::new(TextEncoder),
        value_at: |_, _| Ok(None),
        schemas: Arc::new(FakeSchemas::default()),
        codecs: Arc::new(NoCodecs),
        on_error: OnError::Fail.into(),
        health: Arc::new(FakeHealth::default()),
    }
}

/// A test that panics elsewhere does not matter here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
