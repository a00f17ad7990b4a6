//! The sink against a log that sends everything again from the committed offset: a crash at every
//! step (`crash`), files that are not what they should be (`refusals`), options (`config`).

mod config;
mod crash;
mod refusals;

use std::collections::BTreeMap;
use std::io;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use towpath_record::{Batch, BatchBuilder, Record, stamp_base_offset};
use towpath_sdk::config::{Compression, Format, Key, Node, NodeValue, Problems, Span};
use towpath_sdk::testing::{FakeSchemas, SinkSubject, check_sink};
use towpath_sdk::{
    Codecs, Compressor, Encoder, Error, Flushed, Health, OnError, Result, Sink, SinkBatch,
    SinkContext, SinkPartition, SinkTopic, State, StateChange,
};

use super::config::FileSinkOptions;
use super::disk::Disk;
use super::limits::Limits;
use super::writer::Writer;

/// Counts down what is left to do before everything fails.
#[derive(Debug, Clone, Default)]
pub(super) struct Fault(Option<Arc<AtomicI64>>);

impl Fault {
    fn after(operations: i64) -> Self {
        Self(Some(Arc::new(AtomicI64::new(operations))))
    }

    /// Whether it has struck.
    fn struck(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|left| left.load(Ordering::Relaxed) < 0)
    }

    pub(super) fn step(&self) -> io::Result<()> {
        match &self.0 {
            Some(left) if left.fetch_sub(1, Ordering::Relaxed) <= 0 => {
                Err(io::Error::other("crash"))
            }
            _ => Ok(()),
        }
    }
}

/// What the log takes in one set of changes.
const SET_BYTES_MAX: usize = 1 << 20;

/// What is committed: state and offsets of the partitions of one topic.
#[derive(Default)]
struct Committed {
    state: Mutex<BTreeMap<Bytes, Bytes>>,
    offsets: Mutex<BTreeMap<u32, u64>>,
    fault: Mutex<Fault>,
}

impl Committed {
    fn apply(&self, changes: Vec<StateChange>, flushed: Option<&Flushed>) -> Result<()> {
        let fault = self.fault.lock().unwrap().clone();
        fault
            .step()
            .map_err(|error| Error::transient("commit", "").because(error))?;
        let value_bytes = |change: &StateChange| change.value.as_ref().map_or(0, Bytes::len);
        let bytes: usize = changes
            .iter()
            .map(|change| change.key.len() + value_bytes(change))
            .sum();
        if bytes > SET_BYTES_MAX {
            return Err(Error::fatal("commit", format!("{bytes} bytes of state")));
        }
        let mut state = self.state.lock().unwrap();
        for StateChange { key, value } in changes {
            match value {
                Some(value) => state.insert(key, value),
                None => state.remove(&key),
            };
        }
        for reached in flushed.iter().flat_map(|flushed| &flushed.offsets) {
            self.offsets
                .lock()
                .unwrap()
                .insert(reached.partition, reached.offset);
        }
        Ok(())
    }

    fn offset(&self, partition: u32) -> u64 {
        self.offsets
            .lock()
            .unwrap()
            .get(&partition)
            .copied()
            .unwrap_or(0)
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
        self.apply(changes, None)
    }
}

/// Value and newline; a value of `bad` is a bad record.
struct Lines;

impl Encoder for Lines {
    fn encode(&mut self, _: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        let value = record.value.unwrap_or_default();
        if value == b"bad" {
            return Err(Error::record("write", format!("record {}", record.offset)));
        }
        out.extend_from_slice(value);
        out.push(b'\n');
        Ok(())
    }
}

/// A head, and blocks that say how many lines they have.
struct Blocks(&'static str);

const HEAD: &str = "the head\n";

impl Encoder for Blocks {
    fn encode(&mut self, batch: &SinkBatch, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        Lines.encode(batch, record, out)
    }

    fn head(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn block_bytes(&self) -> Option<usize> {
        Some(1)
    }

    /// Ends in no newline: none may be added.
    fn block(&mut self, records: u64, buffer: &mut Vec<u8>) -> Result<Vec<u8>> {
        let lines = String::from_utf8(std::mem::take(buffer)).unwrap();
        buffer.extend_from_slice(format!("{records}:{lines}.").as_bytes());
        Ok(Vec::new())
    }
}

/// The lines of a file that `Blocks` has written.
fn unblocked(text: &str) -> String {
    let blocks = text.strip_prefix(HEAD).expect("a head");
    let blocks = blocks.strip_suffix('.').expect("whole blocks").split('.');
    let lines = blocks.map(|block| {
        let (count, lines) = block.split_once(':').expect("a block");
        assert_eq!(count, lines.lines().count().to_string());
        lines
    });
    lines.collect()
}

struct TestCodecs;

/// Collects a member, and compresses it at its end.
struct Member(Compression, Vec<u8>);

impl Compressor for Member {
    fn write(&mut self, input: &[u8], _: &mut Vec<u8>) -> Result<()> {
        self.1.extend_from_slice(input);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let input = std::mem::take(&mut self.1);
        match self.0 {
            Compression::Gzip { .. } => {
                let mut encoder =
                    flate2::read::GzEncoder::new(&*input, flate2::Compression::fast());
                encoder.read_to_end(out).unwrap();
            }
            _ => out.extend(zstd::encode_all(&*input, 1).unwrap()),
        }
        Ok(())
    }
}

impl Codecs for TestCodecs {
    fn compressor(&self, compression: &Compression) -> Result<Option<Box<dyn Compressor>>> {
        Ok(match compression {
            Compression::None => None,
            other => Some(Box::new(Member(*other, Vec::new()))),
        })
    }

    fn decompressor(
        &self,
        compression: &Compression,
        input: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>> {
        Ok(match compression {
            Compression::None => input,
            Compression::Gzip { .. } => Box::new(flate2::read::MultiGzDecoder::new(input)),
            Compression::Snappy => unreachable!("no test here has it"),
            Compression::Zstd { .. } => Box::new(zstd::Decoder::new(input).unwrap()),
        })
    }
}

struct Unheard;

impl Health for Unheard {
    fn report(&self, _: &str, _: Option<&Error>) {}
}

/// Options from names and words; `rotate.size` is a name too.
fn options(entries: &[(&str, &str)]) -> FileSinkOptions {
    FileSinkOptions::parse(&options_node(entries), &mut Problems::new()).unwrap()
}

fn options_node(entries: &[(&str, &str)]) -> Node {
    let map = |entries: Vec<(&str, Node)>| {
        let entry = |(name, node): (&str, Node)| {
            (
                Key {
                    name: name.into(),
                    span: Span::NONE,
                },
                node,
            )
        };
        Node::new(
            Span::NONE,
            NodeValue::Map(entries.into_iter().map(entry).collect()),
        )
    };
    let mut nodes = Vec::new();
    for (name, word) in entries {
        let word = Node::new(Span::NONE, *word);
        match name.split_once('.') {
            None => nodes.push((*name, word)),
            Some((name, inner)) => nodes.push((name, map(vec![(inner, word)]))),
        }
    }
    map(nodes)
}

/// A log of one topic, what of it is committed, and the sink's options.
struct Subject {
    options: FileSinkOptions,
    topic: Arc<SinkTopic>,
    committed: Arc<Committed>,
    generation: u32,
    on_error: OnError,
    limits: Limits,
    /// What its files begin with, if it writes blocks.
    head: Option<&'static str>,
    commits: tokio::runtime::Runtime,
}

impl Subject {
    fn new(folder: &Path, path: &str, others: &[(&str, &str)]) -> Self {
        let path = folder.join(path);
        let path = ("path", path.to_str().unwrap());
        let topic = SinkTopic {
            name: "t".into(),
            id: "1".into(),
            format: Format::Text,
        };
        Self {
            options: options(&[&[path], others].concat()),
            topic: Arc::new(topic),
            committed: Arc::default(),
            generation: 0,
            on_error: OnError::Fail,
            limits: Limits {
                open_files: 256,
                changes_bytes: 500 << 10,
            },
            head: None,
            commits: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    fn open(&self, partitions: u32, fault: &Fault) -> Result<Writer> {
        *self.committed.fault.lock().unwrap() = fault.clone();
        let partitions = (0..partitions).map(|partition| SinkPartition {
            topic: self.topic.clone(),
            partition,
            offset: self.committed.offset(partition),
        });
        let context = SinkContext {
            connector: "pipeline.out".into(),
            task: 0,
            tasks: 1,
            log_id: "log".into(),
            generation: self.generation,
            partitions: partitions.collect(),
            scratch: std::path::PathBuf::new(),
            state: self.committed.clone(),
            encoder: match self.head {
                Some(head) => Box::new(Blocks(head)),
                None => Box::new(Lines),
            },
            value_at: |_, _| Ok(None),
            schemas: Arc::new(FakeSchemas::default()),
            codecs: Arc::new(TestCodecs),
            on_error: self.on_error.into(),
            health: Arc::new(Unheard),
        };
        let disk = Disk {
            fault: fault.clone(),
        };
        let commits = self.commits.handle().clone();
        Writer::open_on(disk, self.limits, &self.options, context, commits)
    }

    /// The records `values` of `partition` from `offset` on, key and value the same.
    fn batch(&self, partition: u32, offset: u64, values: &[String]) -> SinkBatch {
        let mut builder = BatchBuilder::default();
        for value in values {
            let key = value.split('-').next().unwrap();
            builder
                .push(0, Some(key.as_bytes()), Some(value.as_bytes()), &[])
                .unwrap();
        }
        let mut bytes = builder.finish().unwrap().into_bytes().to_vec();
        stamp_base_offset(&mut bytes, offset as i64);
        let batch = Batch::parse(bytes.into()).unwrap();
        SinkBatch::new(self.topic.clone(), partition, offset, vec![batch])
    }

    fn flush(&self, writer: &mut Writer) -> Result<Flushed> {
        let mut flushed = writer.flush()?;
        let changes = std::mem::take(&mut flushed.state);
        self.committed.apply(changes, Some(&flushed))?;
        Ok(flushed)
    }

    /// Opens, writes `values` at the committed offset of partition 0, and commits.
    fn deliver(&self, values: &[&str]) -> Result<()> {
        let mut writer = self.open(1, &Fault::default())?;
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        writer.write(self.batch(0, self.committed.offset(0), &values))?;
        self.flush(&mut writer).map(drop)
    }
}

/// Every file below `folder` by its path from there, with its text.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let mut text = String::new();
            if name.ends_with(".gz") {
                flate2::read::MultiGzDecoder::new(&*bytes)
                    .read_to_string(&mut text)
                    .unwrap();
            } else if name.ends_with(".zst") {
                text = String::from_utf8(zstd::decode_all(&*bytes).unwrap()).unwrap();
            } else {
                text = String::from_utf8(bytes).unwrap();
            }
            found.insert(name, text);
        }
    }
    found
}

/// One file, for the conformance kit.
struct OneFile(tempfile::TempDir);

#[async_trait]
impl SinkSubject for OneFile {
    fn sink(&self) -> Box<dyn Sink> {
        let path = self.0.path().join("out.txt");
        let options = options(&[("path", path.to_str().unwrap())]);
        Box::new(super::FileSink::new(Arc::new(options)))
    }

    async fn arrived(&mut self) -> Vec<Vec<u8>> {
        let text = files(self.0.path()).remove("out.txt").unwrap_or_default();
        text.lines().map(|line| line.as_bytes().to_vec()).collect()
    }
}

#[tokio::test]
async fn it_passes_the_conformance_kit() {
    check_sink(|| OneFile(tempfile::tempdir().unwrap())).await;
}
