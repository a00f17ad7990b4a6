//! `towpath dlq`: the bad records that were kept.

mod retry;

use clap::{Args, Subcommand};
use towpath_runtime::control::{
    DeadLetter, DeadLetterTopic, DeadLettersPage, DeadLettersRequest, DropRequest, Dropped, Payload,
};
use towpath_sdk::printable;

use super::client::{Client, Purpose, escape};
use super::data::DataArgs;
use super::failure::Failure;
use super::output::{Align, Output, Table, count, counted, stdout, time};

/// Of a value so much is shown; `--json` shows all of it.
const SHOWN_CHARS: usize = 200;

/// List, show, retry or drop dead letters: bad records that `on_error: dead_letter` kept
#[derive(Debug, Args)]
pub struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Debug, Subcommand)]
enum DlqCommand {
    /// Count dead letters by topic, connector, stage and error
    List {
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Show the dead letters of a topic, each with its reason and where it was
    Show {
        topic: String,
        #[command(flatten)]
        filters: Filters,
        /// Stop after so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        limit: u64,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Put dead letters back to the stage of the connector that refused them
    ///
    /// The connector must still be `on_error: dead_letter`: otherwise a record that is bad still
    /// stops it, or is left out. Only a running worker can tell, and refuses then.
    Retry(retry::RetryArgs),
    /// Show the dead letters before a place no more; the topic's retention deletes them
    Drop {
        topic: String,
        /// `latest` for all there are, an offset, a time such as 2026-01-01T00:00:00Z, or 2h (ago)
        #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
        before: String,
        /// Only this partition
        #[arg(long, value_name = "N")]
        partition: Option<u32>,
        /// Say what would be dropped, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Args)]
struct Filters {
    /// Only those for which this holds: connector=NAME, stage=WORD, error=TEXT, headers.NAME=VALUE,
    /// or a text that is in the value or the error; may be given again, then all must hold
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
}

pub async fn dlq(args: DlqArgs, output: Output) -> Result<(), Failure> {
    match args.command {
        DlqCommand::List { filters, data } => {
            let mut client = Client::connect(&data, Purpose::Look).await?;
            let request = DeadLettersRequest {
                filters: filters.filters,
                ..DeadLettersRequest::default()
            };
            let topics: Result<Vec<DeadLetterTopic>, _> =
                client.post("/v1/dead-letters", &request).await;
            client.close()?;
            output.data(&topics?, |topics| list(topics))
        }
        DlqCommand::Show {
            topic,
            filters,
            limit,
            data,
        } => {
            let mut client = Client::connect(&data, Purpose::Look).await?;
            let shown = show(&mut client, &topic, filters.filters, limit, output).await;
            // What was found is the news, also when the log does not close well.
            shown.and(client.close())
        }
        DlqCommand::Retry(args) => retry::retry(args, output).await,
        DlqCommand::Drop {
            topic,
            before,
            partition,
            dry_run,
            data,
        } => {
            let purpose = if dry_run {
                Purpose::Look
            } else {
                Purpose::Change
            };
            let mut client = Client::connect(&data, purpose).await?;
            let request = DropRequest {
                before,
                partition,
                dry_run,
            };
            let path = format!("/v1/dead-letters/{}/drop", escape(&topic));
            let dropped: Result<Dropped, _> = client.post(&path, &request).await;
            client.close()?;
            output.data(&dropped?, tell_dropped)
        }
    }
}

fn list(topics: &[DeadLetterTopic]) -> String {
    let mut table = Table::new(&[
        ("TOPIC", Align::Left),
        ("LETTERS", Align::Right),
        ("CONNECTOR", Align::Left),
        ("STAGE", Align::Left),
        ("LAST", Align::Left),
        ("ERROR OF THE LAST", Align::Left),
    ]);
    for topic in topics {
        for group in &topic.groups {
            table.row([
                topic.topic.clone(),
                count(group.letters),
                group.connector.clone(),
                group.stage.clone(),
                time(group.last_ms),
                cut(&group.error),
            ]);
        }
        if topic.in_other_groups > 0 {
            let rest = "of other errors".to_owned();
            let blank = String::new;
            let letters = count(topic.in_other_groups);
            table.row([
                topic.topic.clone(),
                letters,
                blank(),
                blank(),
                blank(),
                rest,
            ]);
        }
    }
    table.render("no dead letters")
}

/// Prints page after page.
async fn show(
    client: &mut Client,
    topic: &str,
    filters: Vec<String>,
    limit: u64,
    output: Output,
) -> Result<(), Failure> {
    let path = format!("/v1/dead-letters/{}", escape(topic));
    let mut request = DeadLettersRequest {
        filters,
        after: None,
        limit: Some(limit),
    };
    let mut left = limit;
    while left > 0 {
        request.limit = Some(left);
        let page: DeadLettersPage = client.post(&path, &request).await?;
        for letter in &page.letters {
            if output.json {
                output.json_line(letter)?;
            } else {
                stdout(describe(letter).as_bytes())?;
            }
        }
        left -= page.letters.len() as u64;
        if page.after.is_none() {
            break;
        }
        request.after = page.after;
    }
    Ok(())
}

fn describe(letter: &DeadLetter) -> String {
    let reason = |name: &str| letter.reason.get(name).map_or("", String::as_str);
    let mut out = format!(
        "{} {}: refused {} by {} ({})\n",
        letter.partition,
        letter.offset,
        time(letter.refused_ms),
        printable(reason("connector.name")),
        printable(reason("stage")),
    );
    let mut line = |name: &str, text: &str| {
        if !text.is_empty() {
            out.push_str(&format!("  {name:<9} {text}\n"));
        }
    };
    line("error", &printable(reason("exception.message")));
    if letter.reason.contains_key("topic") {
        let (topic, partition) = (reason("topic"), reason("partition"));
        let place = format!(
            "{topic}, partition {partition}, offset {}",
            reason("offset")
        );
        line("was in", &printable(&place));
    }
    line(
        "timestamp",
        &letter.timestamp_ms.map(time).unwrap_or_default(),
    );
    line("key", &letter.key.as_ref().map(short).unwrap_or_default());
    for (name, value) in &letter.headers {
        let value = value.as_ref().map(short).unwrap_or_default();
        line("header", &format!("{}: {value}", short(name)));
    }
    line(
        "value",
        &letter.value.as_ref().map_or("null".to_owned(), short),
    );
    out
}

fn tell_dropped(dropped: &Dropped) -> String {
    let would = if dropped.dry_run {
        "would drop"
    } else {
        "dropped"
    };
    let mut out = String::new();
    for from in &dropped.partitions {
        out.push_str(&format!(
            "{would} {} of {}, partition {}: the next is at offset {}\n",
            counted(from.letters, "dead letter"),
            dropped.topic,
            from.partition,
            from.next_offset
        ));
    }
    out
}

fn short(payload: &Payload) -> String {
    match payload {
        Payload::Text(text) => cut(text),
        Payload::Binary { base64 } => format!("base64 {}", cut(base64)),
    }
}

/// The beginning of `text`, in one line.
fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    printable(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_tells_who_refused_it_and_why() {
        let reason = [
            ("connector.name", "p.out"),
            ("stage", "TASK_PUT"),
            ("exception.message", "cannot write it"),
            ("topic", "lines"),
            ("partition", "1"),
            ("offset", "7"),
        ];
        let reason = reason.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let letter = DeadLetter {
            partition: 0,
            offset: 3,
            refused_ms: 0,
            reason: reason.into(),
            timestamp_ms: None,
            key: None,
            value: Some(Payload::Text("x".repeat(300))),
            headers: vec![(Payload::of(b"h"), Some(Payload::of(b"\xff")))],
        };
        let expected = format!(
            "0 3: refused 1970-01-01T00:00:00.000Z by p.out (TASK_PUT)
  error     cannot write it
  was in    lines, partition 1, offset 7
  header    h: base64 /w==
  value     {}…
",
            "x".repeat(200)
        );
        assert_eq!(describe(&letter), expected);
    }
}
