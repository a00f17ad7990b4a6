//! `towpath tail`: records of a topic, from any place on, and those to come.

use std::io::IsTerminal;

use clap::Args;
use towpath_runtime::control::{Payload, RecordsPage, TailRecord};
use towpath_sdk::printable;

use super::client::{Client, Purpose, escape};
use super::data::DataArgs;
use super::failure::Failure;
use super::output::{Output, note, stdout, time};

/// How long one request waits for records; then the next one does.
const WAIT_MS: u64 = 30_000;
/// Without a place to begin: so many of the last records.
const LAST_RECORDS: u64 = 10;

/// Print records of a topic, one a line
#[derive(Debug, Args)]
pub struct TailArgs {
    topic: String,
    /// Where to begin: earliest, latest, an offset, -100 (from the end of each partition), a time
    /// such as 2026-01-01T00:00:00Z, or 2h (ago) [default: the last 10 records]
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    from: Option<String>,
    /// Only this partition
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
    /// Stop after so many records
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<u64>,
    /// Go on with records as they come
    #[arg(long, short)]
    follow: bool,
    /// Print the key and a tab before each value
    #[arg(long)]
    keys: bool,
    /// Print time, partition and offset before each record
    #[arg(long)]
    meta: bool,
    #[command(flatten)]
    data: DataArgs,
}

pub async fn tail(args: TailArgs, output: Output) -> Result<(), Failure> {
    let mut client = Client::connect(&args.data, Purpose::Look).await?;
    let printed = print_all(&args, &mut client, output).await;
    // What was found is the news, also when the log does not close well.
    printed.and(client.close())
}

async fn print_all(args: &TailArgs, client: &mut Client, output: Output) -> Result<(), Failure> {
    let raw = !std::io::stdout().is_terminal();
    let print = |records: &[TailRecord]| print(args, records, output, raw);
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut cursor = None;
    if args.from.is_none() {
        let (last, behind) = last_records(args, client, left.min(LAST_RECORDS)).await?;
        print(&last)?;
        left -= last.len() as u64;
        cursor = Some(behind);
        if !args.follow {
            return Ok(());
        }
    }
    while left > 0 {
        let page: RecordsPage = client.get(&path(args, cursor.as_deref(), left, 0)).await?;
        print(&page.records)?;
        left -= page.records.len() as u64;
        cursor = Some(page.cursor);
        if page.at_end {
            break;
        }
    }
    if !args.follow {
        return Ok(());
    }
    if !client.is_worker() {
        note("no worker is running: no more records can come");
        return Ok(());
    }
    while left > 0 {
        let page: RecordsPage = client
            .get(&path(args, cursor.as_deref(), left, WAIT_MS))
            .await?;
        print(&page.records)?;
        left -= page.records.len() as u64;
        cursor = Some(page.cursor);
    }
    Ok(())
}

/// The last `count` records, and where they end.
async fn last_records(
    args: &TailArgs,
    client: &mut Client,
    count: u64,
) -> Result<(Vec<TailRecord>, String), Failure> {
    let mut last = Vec::new();
    let mut request = query(args, &[("from", format!("-{count}"))]);
    loop {
        let page: RecordsPage = client.get(&request).await?;
        last.extend(page.records);
        let surplus = last.len().saturating_sub(count as usize);
        last.drain(..surplus);
        if page.at_end {
            return Ok((last, page.cursor));
        }
        request = path(args, Some(&page.cursor), u64::MAX, 0);
    }
}

/// The request for the next page.
fn path(args: &TailArgs, cursor: Option<&str>, limit: u64, wait_ms: u64) -> String {
    let place = match (cursor, &args.from) {
        (Some(cursor), _) => ("cursor", cursor.to_owned()),
        (None, from) => ("from", from.clone().unwrap_or_default()),
    };
    query(
        args,
        &[
            place,
            ("limit", limit.to_string()),
            ("wait_ms", wait_ms.to_string()),
        ],
    )
}

fn query(args: &TailArgs, pairs: &[(&str, String)]) -> String {
    let partition = args
        .partition
        .map(|partition| ("partition", partition.to_string()));
    let pairs = pairs.iter().cloned().chain(partition);
    let query: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={}", escape(&value)))
        .collect();
    format!(
        "/v1/topics/{}/records?{}",
        escape(&args.topic),
        query.join("&")
    )
}

/// Prints records: as JSON lines, or the bytes as they are, escaped on a terminal.
fn print(
    args: &TailArgs,
    records: &[TailRecord],
    output: Output,
    raw: bool,
) -> Result<(), Failure> {
    let mut out = Vec::new();
    for record in records {
        if output.json {
            serde_json::to_writer(&mut out, record)
                .map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))?;
        } else {
            print_line(args, record, raw, &mut out)?;
        }
        out.push(b'\n');
    }
    stdout(&out)
}

fn print_line(
    args: &TailArgs,
    record: &TailRecord,
    raw: bool,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    let mut put = |payload: Option<&Payload>| -> Result<(), Failure> {
        let bytes = payload.map(Payload::bytes).transpose()?.unwrap_or_default();
        if raw {
            out.extend_from_slice(&bytes);
        } else {
            out.extend_from_slice(printable(&String::from_utf8_lossy(&bytes)).as_bytes());
        }
        Ok(())
    };
    if args.meta {
        let place = format!(
            "{} {} {}\t",
            time(record.timestamp_ms),
            record.partition,
            record.offset
        );
        put(Some(&Payload::Text(place)))?;
    }
    if args.keys {
        put(record.key.as_ref())?;
        put(Some(&Payload::Text("\t".to_owned())))?;
    }
    put(record.value.as_ref())
}
