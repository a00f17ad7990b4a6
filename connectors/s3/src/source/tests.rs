//! Tests of the source: what is done over random histories, and whole tasks against each server.

mod faults;
mod histories;
mod kit;
mod reading;

use std::io::{Read, Write};
use std::sync::Arc;

use tokio::runtime::Runtime;
use towpath_rig::{ACCESS_KEY, BUCKET, Proxy, REGION, SECRET_KEY, Store};
use towpath_sdk::config::{Compression, Key, Node, NodeValue, Problems, Span};
use towpath_sdk::testing::{FakeHealth, FakeState, source_context, text as text_decoder};
use towpath_sdk::{Codecs, Compressor, Error, NewDecoder, Result, Source, SourceBatch};

use super::config::S3SourceConfig;

fn text(text: &str) -> Node {
    Node::new(Span::NONE, text)
}

fn map(entries: Vec<(&str, Node)>) -> Node {
    let entry = |(name, node): (&str, Node)| {
        let key = Key {
            name: name.to_owned(),
            span: Span::NONE,
        };
        (key, node)
    };
    Node::new(
        Span::NONE,
        NodeValue::Map(entries.into_iter().map(entry).collect()),
    )
}

fn source(endpoint: &str, options: &[(&'static str, Node)]) -> Box<dyn Source> {
    let credentials = vec![
        ("access_key", text(ACCESS_KEY)),
        ("secret_key", text(SECRET_KEY)),
    ];
    let mut all = vec![
        ("bucket", text(BUCKET)),
        ("endpoint", text(endpoint)),
        ("region", text(REGION)),
        ("credentials", map(credentials)),
        ("timeout", text("2s")),
        ("poll_interval", text("20ms")),
    ];
    all.extend(options.iter().cloned());
    let mut problems = Problems::default();
    let config = S3SourceConfig::parse(&map(all), &mut problems);
    config.unwrap_or_else(|| panic!("{problems:?}")).source()
}

/// gzip and zstd, to read.
struct TestCodecs;

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
            Compression::Zstd { .. } => {
                let decoder = zstd::stream::read::Decoder::new(input);
                Box::new(decoder.map_err(|error| Error::transient("read", "").because(error))?)
            }
        })
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn lines(name: &str, count: usize) -> String {
    (0..count)
        .map(|number| format!("{name} {number} {}\n", "x".repeat(150)))
        .collect()
}

/// A bucket behind a proxy, a source of it, and what has become durable.
struct Rig {
    store: Arc<Store>,
    proxy: Proxy,
    options: Vec<(&'static str, Node)>,
    state: Arc<FakeState>,
    health: Arc<FakeHealth>,
    new_decoder: NewDecoder,
    /// By object.
    records: Vec<(String, String)>,
}

impl Rig {
    fn new(store: impl Into<Arc<Store>>, options: &[(&'static str, Node)]) -> Self {
        let store = store.into();
        Self {
            proxy: Proxy::new(&store.endpoint()),
            store,
            options: options.to_vec(),
            state: Arc::default(),
            health: Arc::default(),
            new_decoder: text_decoder(),
            records: Vec::new(),
        }
    }

    fn commit(&mut self, batch: &SourceBatch) {
        self.state.apply(&batch.state);
        for part in &batch.parts {
            for record in part.batch.records() {
                let value = record.unwrap().value.unwrap_or_default().to_vec();
                let value = String::from_utf8(value).unwrap();
                self.records.push((part.origin.name.clone(), value));
            }
        }
    }

    /// Drains, and stops after `batches` of them; they are acknowledged if `acked`.
    fn drain_for(&mut self, batches: usize, acked: bool) -> Result<()> {
        let mut source = source(self.proxy.endpoint(), &self.options);
        let mut context = source_context(self.state.clone(), true);
        context.health = self.health.clone();
        context.codecs = Arc::new(TestCodecs);
        context.new_decoder = self.new_decoder.clone();
        let runtime = Runtime::new().unwrap();
        let ended = runtime.block_on(async {
            source.open(context).await?;
            for number in 1..=batches {
                match source.read().await {
                    Ok(Some(batch)) => self.commit(&batch),
                    Ok(None) => break,
                    Err(error) => return Err(error),
                }
                if acked {
                    source.ack(number as u64).await?;
                }
            }
            Ok(())
        });
        runtime.block_on(source.close()).unwrap();
        ended
    }

    fn drain(&mut self) -> Result<()> {
        self.drain_for(usize::MAX, true)
    }

    /// What was read since this was asked last: `key: value`, for short values.
    fn news(&mut self) -> Vec<String> {
        let records = std::mem::take(&mut self.records);
        let shown = records
            .into_iter()
            .map(|(key, value)| format!("{key}: {value}"));
        shown.collect()
    }

    /// Each line of `object` was read once, in order.
    #[track_caller]
    fn check_all(&mut self, object: &str, content: &str) {
        let records = std::mem::take(&mut self.records);
        let values: Vec<_> = records.iter().map(|(_, value)| &**value).collect();
        assert!(records.iter().all(|(key, _)| key == object));
        assert!(
            values.iter().copied().eq(content.lines()),
            "{} of {}",
            values.len(),
            content.lines().count()
        );
    }
}

fn on_each(options: &[(&'static str, Node)], test: impl Fn(&mut Rig)) {
    for store in Store::all() {
        println!("on {}", store.name);
        test(&mut Rig::new(store, options));
    }
}
