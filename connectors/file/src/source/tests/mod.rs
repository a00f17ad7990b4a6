//! Tests of the source, most of them on the bare [`Follower`], stepped by hand.

mod beginning;
mod disposal;
mod follow;
mod framing;
mod histories;
mod kinship;
mod reading;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use towpath_sdk::config::{Compression, Key, Node, NodeValue, Problems, Span};
use towpath_sdk::testing::{FakeHealth, FakeState, source_context};
use towpath_sdk::{Codecs, Compressor, NewDecoder, OnError, Result, SourceBatch, SourceContext};

use super::follower::Follower;
use crate::config::FileSourceOptions;

/// A folder, a source that reads it, and what came out of it.
pub struct Rig {
    pub folder: TempDir,
    pub state: Arc<FakeState>,
    pub health: Arc<FakeHealth>,
    options: Arc<FileSourceOptions>,
    follower: Option<Follower>,
    pub drain: bool,
    /// Instead of that of text.
    pub new_decoder: Option<NewDecoder>,
    pub on_error: OnError,
    /// Added to the clock.
    pub later_ms: i64,
    /// Given out but not durable.
    in_flight: Vec<SourceBatch>,
    /// Durable records, by origin, each with its headers.
    pub records: Vec<(String, Vec<u8>)>,
    pub refused: Vec<String>,
    pub acked: u64,
}

impl Rig {
    /// `pattern` is what to include in the folder; `options` are in YAML's order.
    pub fn new(pattern: &str, options: &[(&str, Node)]) -> Self {
        let folder = TempDir::new().unwrap();
        let include = text(&folder.path().join(pattern).to_string_lossy());
        let mut all = vec![("include", include)];
        all.extend(options.iter().cloned());
        Self {
            folder,
            state: Arc::default(),
            health: Arc::default(),
            options: parse(&all),
            follower: None,
            drain: false,
            new_decoder: None,
            on_error: OnError::Fail,
            later_ms: 0,
            in_flight: Vec::new(),
            records: Vec::new(),
            refused: Vec::new(),
            acked: 0,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    pub fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub fn delete(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn now_ms(&self) -> i64 {
        super::now_ms() + self.later_ms
    }

    pub fn context(&self) -> SourceContext {
        let mut context = source_context(self.state.clone(), self.drain);
        context.health = self.health.clone();
        context.codecs = Arc::new(TestCodecs);
        context.on_error = self.on_error.into();
        if let Some(new_decoder) = &self.new_decoder {
            context.new_decoder = new_decoder.clone();
        }
        context
    }

    pub fn options(&self) -> Arc<FileSourceOptions> {
        self.options.clone()
    }

    /// Starts, if it does not run.
    pub fn follower(&mut self) -> &mut Follower {
        if self.follower.is_none() {
            let (options, context, now_ms) = (self.options(), self.context(), self.now_ms());
            let (follower, changes) = Follower::open(options, &context, now_ms).unwrap();
            self.state.apply(&changes);
            self.acked = 0;
            self.follower = Some(follower);
        }
        self.follower.as_mut().unwrap()
    }

    /// As after a kill: what is not durable is forgotten.
    pub fn kill(&mut self) {
        self.follower = None;
        self.in_flight.clear();
    }

    pub fn scan(&mut self) {
        let now_ms = self.now_ms();
        self.follower().scan(now_ms);
    }

    /// Reads one batch; `false` when there is none.
    pub fn read(&mut self) -> Result<bool> {
        let now_ms = self.now_ms();
        let batch = self.follower().next_batch(now_ms)?;
        let any = batch.is_some();
        self.in_flight.extend(batch);
        Ok(any)
    }

    /// The first `count` batches in flight become durable.
    pub fn commit(&mut self, count: usize) {
        let count = count.min(self.in_flight.len());
        for batch in self.in_flight.drain(..count).collect::<Vec<_>>() {
            self.take(batch);
        }
    }

    /// Makes a batch durable.
    pub fn take(&mut self, batch: SourceBatch) {
        self.state.apply(&batch.state);
        self.acked += 1;
        self.refused.extend(
            batch
                .refused
                .iter()
                .map(|refused| refused.error.to_string()),
        );
        for part in &batch.parts {
            for record in part.batch.records() {
                let value = record.unwrap().value.unwrap().to_vec();
                self.records.push((part.origin.name.clone(), value));
            }
        }
    }

    pub fn commit_all(&mut self) {
        self.commit(usize::MAX);
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Scans and reads until nothing is left, without committing.
    pub fn catch_up(&mut self) {
        // A file may be elsewhere than the first scan has seen it.
        for _ in 0..3 {
            self.scan();
            while self.read().unwrap() {}
            if !self.follower().wants_scan() {
                break;
            }
        }
    }

    /// Reads all there is and commits it; gives the durable values as text.
    pub fn values(&mut self) -> Vec<String> {
        self.catch_up();
        self.commit_all();
        self.records
            .iter()
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    /// The file names of the records' origins.
    pub fn origins(&self) -> Vec<String> {
        let name = |origin: &String| {
            Path::new(origin)
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        };
        self.records
            .iter()
            .map(|(origin, _)| name(origin))
            .collect()
    }

    pub fn dispose(&mut self) {
        let (acked, now_ms) = (self.acked, self.now_ms());
        let changes = self.follower().dispose(acked, now_ms);
        self.state.apply(&changes);
    }

    /// Prints what is known of each file, for a failure.
    pub fn show(&mut self) {
        println!("draining: {}", self.drain);
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            use std::os::unix::fs::MetadataExt;
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            println!(
                "{:?}: inode {} size {}",
                entry.file_name(),
                metadata.ino(),
                metadata.len()
            );
        }
        let follower = self.follower();
        for (id, cursor) in &follower.cursors {
            println!(
                "cursor {id}: failed {} queued {} {:?}",
                cursor.failed, cursor.queued, cursor.saved
            );
        }
        println!("held: {:?}", follower.held);
        println!(
            "problems: {:?} {:?}",
            self.health.problems(),
            self.health.history()
        );
    }

    /// How many files have state.
    pub fn states(&self) -> usize {
        self.state
            .entries()
            .keys()
            .filter(|key| key.starts_with(b"file/"))
            .count()
    }
}

pub fn text(text: &str) -> Node {
    Node::new(Span::NONE, NodeValue::String(text.to_owned()))
}

pub fn map(entries: &[(&str, Node)]) -> Node {
    let entry = |(name, node): &(&str, Node)| {
        (
            Key {
                name: (*name).to_owned(),
                span: Span::NONE,
            },
            node.clone(),
        )
    };
    Node::new(
        Span::NONE,
        NodeValue::Map(entries.iter().map(entry).collect()),
    )
}

pub fn parse(options: &[(&str, Node)]) -> Arc<FileSourceOptions> {
    let mut problems = Problems::new();
    let options = FileSourceOptions::parse(&map(options), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    Arc::new(options.unwrap())
}

/// gzip and zstd for tests; the real ones are in a crate that connectors do not know.
pub struct TestCodecs;

impl Codecs for TestCodecs {
    fn compressor(&self, _: &Compression) -> Result<Option<Box<dyn Compressor>>> {
        Ok(None)
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

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Numbers that a seed gives again.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A fresh seed, or the one of `TOWPATH_SEED`; printed, so that a failure can be replayed.
pub fn seed() -> u64 {
    let seed = std::env::var("TOWPATH_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| super::now_ms() as u64 % 1_000_000_007);
    println!("TOWPATH_SEED={seed}");
    seed
}

/// How many times each value stands in `values`.
pub fn counted<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}
