//! `towpath pause`, `resume` and `restart`.

use clap::Args;
use towpath_runtime::control::Changed;

use super::client::{Client, Purpose, escape};
use super::data::DataArgs;
use super::failure::Failure;
use super::output::Output;

#[derive(Debug, Args)]
pub struct LifecycleArgs {
    /// `pipeline.connector`, or a pipeline for all of its connectors
    name: String,
    #[command(flatten)]
    data: DataArgs,
}

/// Has `action` done to a connector or a pipeline.
pub async fn change(
    args: LifecycleArgs,
    action: &'static str,
    output: Output,
) -> Result<(), Failure> {
    let mut client = Client::connect(&args.data, Purpose::Change).await?;
    let path = format!("/v1/connectors/{}/{action}", escape(&args.name));
    let changed: Result<Changed, Failure> = client.post(&path, &()).await;
    client.close()?;
    output.data(&changed?, |changed| {
        changed
            .connectors
            .iter()
            .map(|name| format!("{} {name}\n", done(action)))
            .collect()
    })
}

fn done(action: &str) -> &'static str {
    match action {
        "pause" => "paused",
        "resume" => "resumed",
        _ => "restarted",
    }
}
