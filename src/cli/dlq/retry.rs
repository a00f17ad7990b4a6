//! `towpath dlq retry`: request after request, paced by `--rate`.
//!
//! Each request is one commit, so it can end at any moment: what was retried is, and the rest is not.
//! The first one fixes where all of them end: what is refused again meanwhile is a letter of the next
//! command.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};
use towpath_runtime::control::{LeftGroup, Retried, RetriedGroup, RetryRequest};
use towpath_sdk::printable;

use super::Filters;
use crate::cli::client::{Client, Purpose, escape};
use crate::cli::data::DataArgs;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, counted, note};
use crate::cli::signals::Signals;

/// Requests in a second under `--rate`, unless it is less.
const REQUESTS_PER_SECOND: u64 = 10;

#[derive(Debug, Args)]
pub struct RetryArgs {
    topic: String,
    #[command(flatten)]
    filters: Filters,
    /// Stop after so many [default: all there are]
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// At most so many a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Say what would be retried, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// What all requests together have retried.
#[derive(Debug, Default, Serialize)]
struct Summary {
    topic: String,
    letters: u64,
    groups: Vec<RetriedGroup>,
    left: Vec<LeftGroup>,
    dry_run: bool,
}

pub async fn retry(args: RetryArgs, output: Output) -> Result<(), Failure> {
    let purpose = match args.dry_run {
        true => Purpose::Look,
        false => Purpose::Change,
    };
    let mut client = Client::connect(&args.data, purpose).await?;
    let is_worker = client.is_worker();
    let mut summary = Summary {
        topic: args.topic.clone(),
        dry_run: args.dry_run,
        ..Summary::default()
    };
    let ended = retry_all(&mut client, &args, &mut summary).await;
    let closed = client.close();
    if ended.is_err() && summary.letters > 0 {
        note(tell(&summary).trim_end());
    }
    ended.and(closed)?;
    output.data(&summary, tell)?;
    if !is_worker && !args.dry_run && summary.letters > 0 {
        note("no worker is running: they go on with the next `towpath run`");
    }
    match summary.left.is_empty() {
        true => Ok(()),
        // As JSON it was told with the rest.
        false => Err(Failure {
            unheard: output.json,
            ..Failure::failed(tell_left(&summary.left))
        }),
    }
}

/// Sends requests until there are no letters left, the limit is reached, or someone stops it.
async fn retry_all(
    client: &mut Client,
    args: &RetryArgs,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let path = format!("/v1/dead-letters/{}/retry", escape(&args.topic));
    let mut signals = Signals::new()?;
    let mut request = RetryRequest {
        filters: args.filters.filters.clone(),
        after: None,
        until: None,
        limit: None,
        dry_run: args.dry_run,
    };
    let rate = args.rate.filter(|_| !args.dry_run);
    let bar = progress();
    let mut due = Instant::now();
    let ended = loop {
        tokio::select! {
            biased;
            () = signals.stop() => {
                break Err(Failure::failed("stopped before the end: the same command goes on"));
            }
            () = sleep_until(due) => {}
        }
        let of_rate = rate.map(|rate| rate.div_ceil(REQUESTS_PER_SECOND));
        let of_limit = args.limit.map(|limit| limit - summary.letters);
        request.limit = of_rate.into_iter().chain(of_limit).min();
        let retried: Retried = match client.post(&path, &request).await {
            Ok(retried) => retried,
            Err(failure) => break Err(failure),
        };
        request.after = retried.after;
        request.until = Some(retried.until.clone());
        let letters = summary.add(retried);
        bar.set_message(format!("{}...", counted(summary.letters, "dead letter")));
        if let Some(rate) = rate {
            due = due.max(Instant::now()) + Duration::from_secs_f64(letters as f64 / rate as f64);
        }
        if request.after.is_none() || args.limit == Some(summary.letters) {
            break Ok(());
        }
    };
    bar.finish_and_clear();
    ended
}

impl Summary {
    /// Adds what a request has done; how many letters were retried by it.
    fn add(&mut self, retried: Retried) -> u64 {
        let before = self.letters;
        for new in retried.groups {
            self.letters += new.letters;
            let mut known = self.groups.iter_mut();
            let same = |known: &&mut RetriedGroup| {
                (&known.connector, &known.stage) == (&new.connector, &new.stage)
            };
            match known.find(same) {
                Some(known) => known.letters += new.letters,
                None => self.groups.push(new),
            }
        }
        for new in retried.left {
            let mut known = self.left.iter_mut();
            let same = |known: &&mut LeftGroup| {
                (&known.connector, &known.reason) == (&new.connector, &new.reason)
            };
            match known.find(same) {
                Some(known) => known.letters += new.letters,
                None => self.left.push(new),
            }
        }
        self.letters - before
    }
}

/// A line on the terminal, if stderr is one.
fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    // The default style is only a matter of looks.
    match ProgressStyle::with_template("{msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn tell(summary: &Summary) -> String {
    if summary.letters == 0 && summary.left.is_empty() {
        return format!("nothing to retry in {}\n", summary.topic);
    }
    let would = match summary.dry_run {
        true => "would retry",
        false => "retried",
    };
    let line = |group: &RetriedGroup| {
        let letters = counted(group.letters, "dead letter");
        let connector = printable(&group.connector);
        format!(
            "{would} {letters} of {connector} ({})\n",
            printable(&group.stage)
        )
    };
    summary.groups.iter().map(line).collect()
}

fn tell_left(left: &[LeftGroup]) -> String {
    let line = |group: &LeftGroup| {
        let what = match group.connector.as_str() {
            "" => counted(group.letters, "record"),
            name => {
                let letters = counted(group.letters, "dead letter");
                format!("{letters} of {}", printable(name))
            }
        };
        format!("cannot retry {what}: {}", group.reason)
    };
    left.iter().map(line).collect::<Vec<_>>().join("\n")
}
