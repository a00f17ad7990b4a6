//! `towpath offsets`: how far connectors got, and moving that.

use clap::{Args, Subcommand};
use towpath_runtime::control::{
    ConnectorOffsets, ForgetAnswer, PartitionOffset, ResetAnswer, ResetRequest,
};
use towpath_runtime::status::ConnectorKind;

use super::client::{Client, Purpose, escape};
use super::data::DataArgs;
use super::failure::Failure;
use super::output::{Align, Output, Table, count, counted, size, time};

/// Show, move or forget how far connectors got
#[derive(Debug, Args)]
pub struct OffsetsArgs {
    #[command(subcommand)]
    command: OffsetsCommand,
}

#[derive(Debug, Subcommand)]
enum OffsetsCommand {
    /// Show the offsets of sinks and the state of sources
    Show {
        /// `pipeline.connector` [default: all]
        connector: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Move a sink, or let a source begin again; only while it does not run
    Reset {
        /// `pipeline.connector`
        connector: String,
        /// Where a sink goes on: earliest, latest, an offset, a time such as
        /// 2026-01-01T00:00:00Z, or 2h (ago)
        #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
        to: Option<String>,
        /// Only this topic
        #[arg(long)]
        topic: Option<String>,
        /// Only this partition
        #[arg(long, value_name = "N")]
        partition: Option<u32>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Delete all that is remembered of a connector that no pipeline has any more
    Forget {
        /// `pipeline.connector`
        connector: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

pub async fn offsets(args: OffsetsArgs, output: Output) -> Result<(), Failure> {
    match args.command {
        OffsetsCommand::Show {
            connector: None,
            data,
        } => {
            let mut client = Client::connect(&data, Purpose::Look).await?;
            let offsets: Result<Vec<ConnectorOffsets>, _> = client.get("/v1/offsets").await;
            client.close()?;
            output.data(&offsets?, |offsets| show(offsets))
        }
        OffsetsCommand::Show {
            connector: Some(connector),
            data,
        } => {
            let mut client = Client::connect(&data, Purpose::Look).await?;
            let offsets: Result<ConnectorOffsets, _> = client.get(&path(&connector)).await;
            client.close()?;
            output.data(&offsets?, detail)
        }
        OffsetsCommand::Reset {
            connector,
            to,
            topic,
            partition,
            data,
        } => {
            let mut client = Client::connect(&data, Purpose::Change).await?;
            let request = ResetRequest {
                to,
                topic,
                partition,
            };
            let path = format!("{}/reset", path(&connector));
            let answer: Result<ResetAnswer, _> = client.post(&path, &request).await;
            client.close()?;
            output.data(&answer?, reset)
        }
        OffsetsCommand::Forget { connector, data } => {
            let mut client = Client::connect(&data, Purpose::Change).await?;
            let answer: Result<ForgetAnswer, _> = client.delete(&path(&connector)).await;
            client.close()?;
            output.data(&answer?, |answer| {
                let letters = match answer.letters {
                    0 => String::new(),
                    letters => format!(
                        "{} that waited to be retried went with it\n",
                        counted(letters, "dead letter")
                    ),
                };
                format!(
                    "forgot {}: in a pipeline that still has it, it begins anew\n{letters}",
                    answer.connector
                )
            })
        }
    }
}

fn path(connector: &str) -> String {
    format!("/v1/offsets/{}", escape(connector))
}

fn show(connectors: &[ConnectorOffsets]) -> String {
    let (sources, readers): (Vec<_>, Vec<_>) = connectors
        .iter()
        .partition(|connector| connector.kind == ConnectorKind::Source);
    let mut out = String::new();
    if !readers.is_empty() {
        out.push_str(&places(readers.iter().flat_map(|reader| {
            let name = reader.name.as_str();
            reader.offsets.iter().map(move |at| (name, at))
        })));
    }
    if !sources.is_empty() {
        let mut table = Table::new(&[
            ("SOURCE", Align::Left),
            ("TYPE", Align::Left),
            ("STATE KEYS", Align::Right),
            ("LAST CONFIGURED", Align::Left),
        ]);
        for source in sources {
            table.row([
                source.name.clone(),
                source.connector_type.clone(),
                count(source.state.len() as u64),
                time(source.last_configured_ms),
            ]);
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&table.render(""));
    }
    if out.is_empty() {
        "no connectors\n".to_owned()
    } else {
        out
    }
}

fn detail(connector: &ConnectorOffsets) -> String {
    let mut out = format!(
        "{}: {} ({}), last configured {}\n",
        connector.name,
        connector.connector_type,
        connector.far_side,
        time(connector.last_configured_ms)
    );
    if let Some(group) = &connector.group {
        let generation = connector.generation.unwrap_or(0);
        out.push_str(&format!("group {group}, generation {generation}\n"));
        out.push_str(&places(
            connector
                .offsets
                .iter()
                .map(|at| (connector.name.as_str(), at)),
        ));
    }
    if !connector.state.is_empty() {
        let mut table = Table::new(&[("STATE KEY", Align::Left), ("SIZE", Align::Right)]);
        for key in &connector.state {
            table.row([key.key.clone(), size(key.bytes as f64)]);
        }
        out.push_str(&table.render(""));
    }
    out
}

fn reset(answer: &ResetAnswer) -> String {
    if answer.offsets.is_empty() {
        return format!(
            "{} begins again by its `start`; keys of its state deleted: {}\n",
            answer.connector,
            count(answer.state_keys_deleted)
        );
    }
    places(
        answer
            .offsets
            .iter()
            .map(|at| (answer.connector.as_str(), at)),
    )
}

fn places<'a>(places: impl Iterator<Item = (&'a str, &'a PartitionOffset)>) -> String {
    let mut table = Table::new(&[
        ("CONNECTOR", Align::Left),
        ("TOPIC", Align::Left),
        ("PARTITION", Align::Right),
        ("OFFSET", Align::Right),
        ("END", Align::Right),
        ("LAG", Align::Right),
    ]);
    for (connector, at) in places {
        table.row([
            connector.to_owned(),
            at.topic.clone(),
            at.partition.to_string(),
            at.offset
                .map_or("-".to_owned(), |offset| offset.to_string()),
            at.end_offset.to_string(),
            count(at.lag_records),
        ]);
    }
    table.render("no topics to read yet")
}
