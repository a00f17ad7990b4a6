//! `towpath schema`: what may be written in a pipeline, for editors.

use clap::Args;

use super::failure::Failure;
use super::output::Output;
use crate::registry::registry;

/// Print the JSON Schema of pipelines
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of the worker's settings, towpath.yaml
    #[arg(long)]
    worker: bool,
}

pub fn schema(args: &SchemaArgs, output: Output) -> Result<(), Failure> {
    let schema = if args.worker {
        towpath_pipeline::worker_schema()
    } else {
        towpath_pipeline::json_schema(&registry())
    };
    output.data(&schema, |schema| format!("{schema:#}\n"))
}
