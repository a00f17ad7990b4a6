//! `towpath topics`: what the log holds.

use clap::{Args, Subcommand};
use towpath_runtime::control::Topic;

use super::client::{Client, Purpose, escape};
use super::data::DataArgs;
use super::failure::Failure;
use super::output::{Align, Output, Table, count, counted, size, span, time};

/// List the topics of the data directory, or describe one
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct TopicsArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    describe: Option<TopicsCommand>,
}

#[derive(Debug, Subcommand)]
enum TopicsCommand {
    /// Show a topic with its partitions and readers
    Describe {
        topic: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

pub async fn topics(args: TopicsArgs, output: Output) -> Result<(), Failure> {
    match args.describe {
        None => {
            let mut client = Client::connect(&args.data, Purpose::Look).await?;
            let topics: Result<Vec<Topic>, _> = client.get("/v1/topics").await;
            client.close()?;
            output.data(&topics?, |topics| list(topics))
        }
        Some(TopicsCommand::Describe { topic, data }) => {
            let mut client = Client::connect(&data, Purpose::Look).await?;
            let topic: Result<Topic, _> =
                client.get(&format!("/v1/topics/{}", escape(&topic))).await;
            client.close()?;
            output.data(&topic?, describe)
        }
    }
}

fn list(topics: &[Topic]) -> String {
    let mut table = Table::new(&[
        ("TOPIC", Align::Left),
        ("FORMAT", Align::Left),
        ("PARTITIONS", Align::Right),
        ("RECORDS", Align::Right),
        ("SIZE", Align::Right),
        ("RETENTION", Align::Left),
    ]);
    for topic in topics {
        table.row([
            topic.name.clone(),
            topic.format.clone(),
            topic.partitions.len().to_string(),
            count(topic.records),
            size(topic.bytes as f64),
            retention(topic),
        ]);
    }
    table.render("no topics")
}

fn describe(topic: &Topic) -> String {
    let mut out = format!(
        "{}: {}, {}, {}, {}, id {}\n",
        topic.name,
        topic.format,
        counted(topic.records, "record"),
        size(topic.bytes as f64),
        match topic.cleanup.as_str() {
            "compact" => retention(topic),
            _ => format!("retention {}", retention(topic)),
        },
        topic.id
    );
    let mut table = Table::new(&[
        ("PARTITION", Align::Right),
        ("START", Align::Right),
        ("END", Align::Right),
        ("SIZE", Align::Right),
        ("SEGMENTS", Align::Right),
        ("NEWEST", Align::Left),
    ]);
    for partition in &topic.partitions {
        table.row([
            partition.partition.to_string(),
            partition.start_offset.to_string(),
            partition.end_offset.to_string(),
            size(partition.bytes as f64),
            partition.segments.to_string(),
            partition.last_timestamp_ms.map_or("-".to_owned(), time),
        ]);
    }
    out.push_str(&table.render("no partitions"));
    for partition in &topic.partitions {
        if let Some(damage) = &partition.damage {
            out.push_str(&format!(
                "partition {} has stopped: {damage}\n",
                partition.partition
            ));
        }
    }
    for reader in &topic.readers {
        out.push_str(&format!(
            "read by {}, which has {} still to deliver\n",
            reader.connector,
            counted(reader.lag_records, "record")
        ));
    }
    out
}

/// How long records are kept.
fn retention(topic: &Topic) -> String {
    if topic.cleanup == "compact" {
        return "compacted".to_owned();
    }
    let parts = [
        topic.retention_time_ms.map(span),
        topic
            .retention_bytes
            .map(|bytes| format!("{} a partition", size(bytes as f64))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "forever".to_owned()
    } else {
        parts.join(", ")
    }
}
