use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use towpath_sdk::config::{Compression, Key, Node, NodeValue, Problems, Span};
use towpath_sdk::{
    Codecs, Compressor, Error, ErrorKind, Health, OnError, Result, Source, SourceBatch,
    SourceContext, State, StateChange, async_trait,
};

/// State that holds what was committed; the other roles a source is given and does not need.
#[derive(Default)]
struct Worker(Mutex<BTreeMap<Bytes, Bytes>>);

#[async_trait]
impl State for Worker {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.0.lock().unwrap().get(key).cloned()
    }

    fn scan(&self, _: &[u8]) -> Vec<(Bytes, Bytes)> {
        self.0.lock().unwrap().clone().into_iter().collect()
    }

    async fn commit(&self, changes: Vec<StateChange>) -> Result<()> {
        let changes = changes
            .into_iter()
            .map(|change| (change.key, change.value.unwrap()));
        self.0.lock().unwrap().extend(changes);
        Ok(())
    }
}

impl Codecs for Worker {
    fn compressor(&self, _: &Compression) -> Result<Option<Box<dyn Compressor>>> {
        Ok(None)
    }

    fn decompressor(
        &self,
        _: &Compression,
        input: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>> {
        Ok(input)
    }
}

impl Health for Worker {
    fn report(&self, _: &str, _: Option<&Error>) {}
}

async fn open(
    worker: &Arc<Worker>,
    options: &[(&str, &str)],
    task: u32,
    tasks: u32,
) -> Result<Box<dyn Source>> {
    let entry = |(name, text): &(&str, &str)| {
        let value = match text.parse::<u64>() {
            Ok(_) => NodeValue::Number((*text).to_owned()),
            Err(_) => NodeValue::String((*text).to_owned()),
        };
        (
            Key {
                name: (*name).to_owned(),
                span: Span::NONE,
            },
            Node::new(Span::NONE, value),
        )
    };
    let node = Node::new(
        Span::NONE,
        NodeValue::Map(options.iter().map(entry).collect()),
    );
    let connector = crate::connector_type().source.unwrap();
    let config = (connector.parse)(&node, &mut Problems::new()).unwrap();
    assert_eq!(
        config.has_end(),
        options.iter().any(|(name, _)| *name == "count")
    );
    let mut source = config.source();
    let context = SourceContext {
        connector: "p.generate".into(),
        task,
        tasks,
        drain: false,
        state: worker.clone(),
        new_decoder: Arc::new(|| unreachable!("values are made, not decoded")),
        codecs: worker.clone(),
        on_error: OnError::Fail,
        health: worker.clone(),
    };
    source.open(context).await.map(|()| source)
}

fn values(batch: &SourceBatch) -> Vec<Vec<u8>> {
    let records = batch.parts.iter().flat_map(|part| part.batch.records());
    records
        .map(|record| record.unwrap().value.unwrap().to_vec())
        .collect()
}

#[tokio::test]
async fn each_number_comes_once_over_restarts() {
    let options = [("count", "70000"), ("size", "100B"), ("seed", "7")];
    let worker = Arc::new(Worker::default());
    let mut found = Vec::new();
    for round in 0.. {
        let mut ended = 0;
        for task in 0..3 {
            let mut source = open(&worker, &options, task, 3).await.unwrap();
            let Some(batch) = source.read().await.unwrap() else {
                ended += 1;
                continue;
            };
            assert!(batch.parts[0].batch.as_bytes().len() <= 1 << 20);
            // Every other batch is lost before it is committed.
            if round % 2 == 0 {
                found.extend(values(&batch));
                worker.commit(batch.state).await.unwrap();
            }
        }
        if ended == 3 {
            break;
        }
    }
    let number = |value: &[u8]| -> u64 {
        let text = std::str::from_utf8(value).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    found.sort_by_key(|value| number(value));
    assert!(found.iter().map(|value| number(value)).eq(0..70000));
    assert!(found.iter().all(|value| value.len() == 100));
    let error = open(&worker, &options, 0, 2).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("set `tasks: 3`"), "{error}");
}

#[tokio::test]
async fn values_are_of_the_format_and_depend_on_the_seed() {
    let first = async |options: &[(&str, &str)]| {
        let options = [&[("count", "5")], options].concat();
        let mut source = open(&Arc::default(), &options, 0, 1).await.unwrap();
        values(&source.read().await.unwrap().unwrap())
    };
    let bytes = first(&[("format", "bytes"), ("size", "200KiB")]).await;
    assert!(bytes.iter().all(|value| value.len() == 200 << 10) && bytes.len() == 5);
    let json = first(&[("format", "json"), ("size", "60B")]).await;
    let text = std::str::from_utf8(&json[3]).unwrap();
    assert!(
        text.starts_with("{\"number\":3,\"text\":\"") && text.ends_with("\"}"),
        "{text}"
    );
    assert_eq!(text.len(), 60);
    assert_eq!(first(&[("size", "1B")]).await[4], b"4 ");
    assert_eq!(first(&[("seed", "1")]).await, first(&[("seed", "1")]).await);
    assert_ne!(first(&[("seed", "1")]).await, first(&[("seed", "2")]).await);
}

#[tokio::test]
async fn a_rate_is_kept() {
    let options = [("rate", "1000"), ("count", "100")];
    let mut source = open(&Arc::default(), &options, 0, 1).await.unwrap();
    let begun = Instant::now();
    let mut made = 0;
    while let Some(batch) = source.read().await.unwrap() {
        made += values(&batch).len();
        assert!(made as f64 <= begun.elapsed().as_secs_f64() * 1000.0 + 1.0);
    }
    assert_eq!(made, 100);
    assert!(begun.elapsed() >= Duration::from_millis(99));
}
