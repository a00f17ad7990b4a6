//! The command line: one file per subcommand, and this one, which reads the arguments.
//!
//! Commands that touch data are requests to one HTTP router (`crate::http`), which a running
//! worker serves on its socket and which is called in this process when none runs. Data goes to
//! stdout, all else to stderr. Exit codes: 0 done, 1 failed, 2 wrong input, 3 environment.

mod bench;
mod check;
mod client;
mod connectors;
mod data;
mod dlq;
mod failure;
mod init;
mod lifecycle;
mod log;
mod logging;
mod offsets;
mod output;
mod pipelines;
mod produce;
mod progress;
mod run;
mod schema;
mod schemas;
mod signals;
mod status;
mod summary;
mod tail;
mod test;
mod topics;
mod transforms;
mod watch;

use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::{Exit, Failure};
use output::Output;

/// Moves records between systems, through a durable log, as YAML pipelines say.
#[derive(Debug, Parser)]
#[command(
    name = "towpath",
    version,
    after_help = "\
Exit codes: 0 done, 1 a connector or an operation failed, 2 wrong arguments or pipeline, \
3 environment (data directory locked or missing, port taken).
Data goes to stdout, all else to stderr."
)]
struct Cli {
    /// Answer with one JSON envelope, or one JSON line per record
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Test(test::TestArgs),
    Connectors(connectors::ConnectorsArgs),
    Transforms(transforms::TransformsArgs),
    Schema(schema::SchemaArgs),
    Schemas(schemas::SchemasArgs),
    Topics(topics::TopicsArgs),
    Tail(tail::TailArgs),
    Produce(produce::ProduceArgs),
    Offsets(offsets::OffsetsArgs),
    Dlq(dlq::DlqArgs),
    Status(status::StatusArgs),
    /// Stop a connector, or all of a pipeline, until it is resumed; over restarts too
    Pause(lifecycle::LifecycleArgs),
    /// Let a paused connector, or all of a pipeline, go on where it was
    Resume(lifecycle::LifecycleArgs),
    /// Open the tasks of a connector, or all of a pipeline, anew; also failed ones
    Restart(lifecycle::LifecycleArgs),
    Log(log::LogArgs),
    Init(init::InitArgs),
    Bench(bench::BenchArgs),
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let output = Output { json: cli.json };
    match carry_out(cli.command, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.unheard => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

fn carry_out(command: Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(&args, output),
        Command::Check(args) => check::check(&args, output),
        Command::Test(args) => test::test(&args, output),
        Command::Connectors(args) => connectors::connectors(&args, output),
        Command::Transforms(args) => transforms::transforms(&args, output),
        Command::Schema(args) => schema::schema(&args, output),
        Command::Schemas(args) => client(schemas::schemas(args, output)),
        Command::Topics(args) => client(topics::topics(args, output)),
        Command::Tail(args) => client(tail::tail(args, output)),
        Command::Produce(args) => client(produce::produce(args, output)),
        Command::Offsets(args) => client(offsets::offsets(args, output)),
        Command::Dlq(args) => client(dlq::dlq(args, output)),
        Command::Status(args) => client(status::status(args, output)),
        Command::Pause(args) => client(lifecycle::change(args, "pause", output)),
        Command::Resume(args) => client(lifecycle::change(args, "resume", output)),
        Command::Restart(args) => client(lifecycle::change(args, "restart", output)),
        Command::Log(args) => log::log(&args, output),
        Command::Init(args) => init::init(&args, output),
        Command::Bench(args) => bench::bench(&args, output),
    }
}

/// Runs a command that asks for data.
fn client<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(format!("cannot start threads: {error}")))?
        .block_on(command)
}

/// Wrong arguments, or a question about them.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || !std::env::args().any(|argument| argument == "--json") {
        // Where this cannot be printed, the exit code must do.
        let _ = error.print();
    } else {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        Output { json: true }.failure(&Failure::input(text.trim_end()));
    }
    if error.use_stderr() {
        Exit::Input.into()
    } else {
        ExitCode::SUCCESS
    }
}

/// Reads an argument of a type that options have too, such as a duration.
fn option<T: towpath_sdk::config::OptionType>(text: &str) -> Result<T, String> {
    use towpath_sdk::config::{Node, Problems, Span};
    let mut problems = Problems::new();
    T::parse(&Node::new(Span::NONE, text), &mut problems).ok_or_else(|| {
        let mut told = String::new();
        for problem in problems.iter() {
            told.push_str(&problem.message);
            if let Some(help) = &problem.help {
                told.push_str(&format!("; {help}"));
            }
        }
        told
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_declared_soundly() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_may_be_durations_as_options_are() {
        use towpath_sdk::config::Duration;
        let five: Duration = option("5s").expect("a duration");
        assert_eq!(five.0, std::time::Duration::from_secs(5));
        let told = option::<Duration>("5 lightyears").expect_err("no duration");
        assert!(told.contains("duration"), "{told}");
    }
}
