//! `towpath init`: a pipeline to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::output::Output;

/// Write a commented pipeline to begin with
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The file to write
    #[arg(default_value = "pipeline.yaml")]
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Written {
    file: PathBuf,
}

/// Runs as it is, and needs nothing that is not there.
const STARTER: &str = include_str!("starter.yaml");

pub fn init(args: &InitArgs, output: Output) -> Result<(), Failure> {
    let shown = args.file.display();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.file)
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::input(format!(
                "{shown} exists and is left as it is; `towpath init FILE` writes another one"
            )),
            _ => Failure::environment(format!("cannot create {shown}: {error}")),
        })?;
    file.write_all(STARTER.as_bytes())
        .map_err(|error| Failure::environment(format!("cannot write {shown}: {error}")))?;
    output.data(
        &Written {
            file: args.file.clone(),
        },
        |_| {
            format!(
                "wrote {shown}\n  towpath check {shown}          shows what it does\n  \
             towpath run --drain {shown}    runs it to its end\n"
            )
        },
    )
}

#[cfg(all(test, feature = "file", feature = "generate"))]
mod tests {
    use towpath_pipeline::{ProcessEnvironment, load_worker_config};

    use super::super::pipelines::{Topics, read};
    use super::*;

    #[test]
    fn what_is_written_is_a_right_pipeline_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let args = InitArgs {
            file: dir.path().join("first.yaml"),
        };
        let output = Output { json: true };
        init(&args, output).expect("writes");
        let config = load_worker_config(None, &ProcessEnvironment).expect("defaults");
        let loaded = read(std::slice::from_ref(&args.file), &config, &Topics::new());
        assert_eq!(loaded.expect("is right").pipelines[0].name, "starter");
        assert!(init(&args, output).is_err(), "it was overwritten");
    }
}
