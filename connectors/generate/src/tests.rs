use std::sync::Arc;
use std::time::{Duration, Instant};

use towpath_sdk::config::{Format, Key, Node, NodeValue, Problems, Span};
use towpath_sdk::testing::{FakeState, SourceSubject, check_source, source_context};
use towpath_sdk::{ErrorKind, Result, Source, SourceBatch, SourceContext, async_trait};

use crate::value::Values;

/// A source of as many records as are due.
struct Numbers {
    count: usize,
    /// Records a second.
    rate: Option<u64>,
    /// What they hold.
    values: Values,
}

#[async_trait]
impl SourceSubject for Numbers {
    fn source(&self) -> Box<dyn Source> {
        let rate = self.rate.map(|rate| ("rate", rate.to_string()));
        let options: Vec<_> = [("count", self.count.to_string())]
            .into_iter()
            .chain(rate)
            .collect();
        let options: Vec<_> = options
            .iter()
            .map(|(name, text)| (*name, &**text))
            .collect();
        source(&options)
    }

    async fn produce(&mut self, values: &[Vec<u8>]) {
        self.count += values.len();
    }

    fn value(&self, number: usize) -> Vec<u8> {
        let mut value = Vec::new();
        self.values.put(number as u64, &mut value);
        value
    }

    fn has_bad_records(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn it_passes_the_kit() {
    for rate in [None, Some(100_000_000)] {
        let numbers = || Numbers {
            count: 0,
            rate,
            values: Values::new(Format::Text, 100, 0),
        };
        check_source(numbers).await;
    }
}

fn source(options: &[(&str, &str)]) -> Box<dyn Source> {
    let entry = |(name, text): &(&str, &str)| {
        let value = match text.parse::<u64>() {
            Ok(_) => NodeValue::Number((*text).to_owned()),
            Err(_) => NodeValue::String((*text).to_owned()),
        };
        let key = Key {
            name: (*name).to_owned(),
            span: Span::NONE,
        };
        (key, Node::new(Span::NONE, value))
    };
    let entries = options.iter().map(entry).collect();
    let node = Node::new(Span::NONE, NodeValue::Map(entries));
    let connector = crate::connector_type().source.unwrap();
    let config = (connector.parse)(&node, &mut Problems::new()).unwrap();
    let counted = options.iter().any(|(name, _)| *name == "count");
    assert_eq!(config.has_end(), counted);
    config.source()
}

async fn open(
    state: &Arc<FakeState>,
    options: &[(&str, &str)],
    task: u32,
    tasks: u32,
) -> Result<Box<dyn Source>> {
    let mut source = source(options);
    let context = SourceContext {
        task,
        tasks,
        ..source_context(state.clone(), false)
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
    let state = Arc::default();
    let mut found = Vec::new();
    for round in 0.. {
        let mut ended = 0;
        for task in 0..3 {
            let mut source = open(&state, &options, task, 3).await.unwrap();
            let Some(batch) = source.read().await.unwrap() else {
                ended += 1;
                continue;
            };
            assert!(batch.parts[0].batch.as_bytes().len() <= 1 << 20);
            // Every other batch is lost before it is committed.
            if round % 2 == 0 {
                found.extend(values(&batch));
                state.apply(&batch.state);
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
    let error = open(&state, &options, 0, 2).await.err().unwrap();
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
