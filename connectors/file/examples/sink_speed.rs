//! How fast the file sink takes records: `sink_speed FOLDER [MIB] [PATH]`.
//!
//! Batches of about 1 MiB of 170-byte records are made once and written again and again, with a
//! flush every 64 MiB. Prints records and bytes a second; `time` shows the CPU.

use std::sync::Arc;
use std::time::Instant;

use towpath_record::{Batch, BatchBuilder, stamp_base_offset};
use towpath_sdk::config::{Format, Key, Node, NodeValue, Problems, Span};
use towpath_sdk::testing::{FakeHealth, FakeSchemas, FakeState, NoCodecs, TextEncoder};
use towpath_sdk::{OnError, Sink, SinkBatch, SinkContext, SinkTopic};

/// Commits what was flushed.
async fn flush(sink: &mut dyn Sink, state: &FakeState) -> towpath_sdk::Result<()> {
    state.apply(&sink.flush(false).await?.state);
    Ok(())
}

fn batch(offset: u64) -> std::result::Result<Batch, Box<dyn std::error::Error>> {
    let mut builder = BatchBuilder::with_capacity(1 << 20);
    while builder.size_bytes() < (1 << 20) - 256 {
        let key = format!("k{}", builder.len() % 500);
        let value = format!("{:0169}", builder.len());
        builder.push(0, Some(key.as_bytes()), Some(value.as_bytes()), &[])?;
    }
    let mut bytes = builder
        .finish()
        .ok_or("an empty batch")?
        .into_bytes()
        .to_vec();
    stamp_base_offset(&mut bytes, offset as i64);
    Ok(Batch::parse(bytes.into())?)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("usage: sink_speed FOLDER [MIB] [PATH]")?;
    let total_mib: u64 = arguments.next().map_or(Ok(1024), |mib| mib.parse())?;
    let path = format!(
        "{folder}/{}",
        arguments.next().unwrap_or("out.txt".to_owned())
    );
    let key = Key {
        name: "path".to_owned(),
        span: Span::NONE,
    };
    let options = Node::new(
        Span::NONE,
        NodeValue::Map(vec![(key, Node::new(Span::NONE, path.as_str()))]),
    );
    let sink_type = connector_file::connector_type().sink.ok_or("no sink")?;
    let config = (sink_type.parse)(&options, &mut Problems::new()).ok_or("bad options")?;
    let topic = SinkTopic {
        name: "t".to_owned(),
        id: "1".to_owned(),
        format: Format::Text,
    };
    let topic = Arc::new(topic);
    let state = Arc::new(FakeState::default());
    let context = SinkContext {
        connector: "bench.out".into(),
        task: 0,
        tasks: 1,
        log_id: "log".into(),
        generation: 0,
        partitions: Vec::new(),
        scratch: std::path::PathBuf::new(),
        state: state.clone(),
        encoder: Box::new(TextEncoder),
        value_at: |_, _| Ok(None),
        schemas: Arc::new(FakeSchemas::default()),
        codecs: Arc::new(NoCodecs),
        on_error: OnError::Fail.into(),
        health: Arc::new(FakeHealth::default()),
    };
    let batch = batch(0)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let mut sink = config.sink();
        sink.open(context).await?;
        let begun = Instant::now();
        for mib in 1..=total_mib {
            let batch = SinkBatch::new(topic.clone(), 0, 0, vec![batch.clone()]);
            sink.write(vec![batch]).await?;
            if mib % 64 == 0 {
                flush(&mut *sink, &state).await?;
            }
        }
        flush(&mut *sink, &state).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let records = batch.len() as f64 * total_mib as f64;
        println!(
            "{total_mib} MiB in {seconds:.2} s: {:.2} million records/s, {:.0} MiB/s",
            records / seconds / 1e6,
            total_mib as f64 / seconds
        );
        Ok(())
    })
}
