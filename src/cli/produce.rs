//! `towpath produce`: lines of stdin into a topic.

use std::io::{BufRead, BufReader, Stdin};

use clap::Args;
use serde::Serialize;
use towpath_runtime::control::{NewRecord, Payload, ProduceRequest, Produced};

use super::client::{Client, Purpose, escape};
use super::data::DataArgs;
use super::failure::Failure;
use super::output::{Output, counted, note};

/// What one request carries at most; a single longer line goes alone.
const REQUEST_RECORDS: usize = 10_000;
const REQUEST_BYTES: usize = 1 << 20;

/// Write each line of stdin as a record to a topic
#[derive(Debug, Args)]
pub struct ProduceArgs {
    topic: String,
    /// What stands between key and value in each line [default: lines have no key]
    #[arg(long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// The partition [default: by the key as Kafka does; without a key, any]
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
    #[command(flatten)]
    data: DataArgs,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Summary {
    topic: String,
    records: u64,
}

/// Lines on their way.
struct Lines<'a> {
    args: &'a ProduceArgs,
    input: BufReader<Stdin>,
    /// Lines read so far.
    number: u64,
}

pub async fn produce(args: ProduceArgs, output: Output) -> Result<(), Failure> {
    let mut client = Client::connect(&args.data, Purpose::Change).await?;
    let path = format!("/v1/topics/{}/records", escape(&args.topic));
    // A wrong name is told before the first line is waited for.
    let _: towpath_runtime::control::Topic = client
        .get(&format!("/v1/topics/{}", escape(&args.topic)))
        .await?;
    let mut lines = Lines {
        args: &args,
        input: BufReader::new(std::io::stdin()),
        number: 0,
    };
    let mut written = 0;
    let result = loop {
        let first = lines.number + 1;
        let records = match tokio::task::block_in_place(|| lines.next()) {
            Ok(records) if records.is_empty() => break Ok(()),
            Ok(records) => records,
            Err(failure) => break Err(failure),
        };
        match client
            .post::<Produced>(&path, &ProduceRequest { records })
            .await
        {
            Ok(produced) => written += produced.records,
            Err(mut failure) => {
                let message = &mut failure.body.message;
                *message = format!("lines {first} to {}: {message}", lines.number);
                break Err(failure);
            }
        }
    };
    if result.is_err() && written > 0 {
        note(&format!(
            "written before it: {}",
            counted(written, "record")
        ));
    }
    result.and(client.close())?;
    let summary = Summary {
        topic: args.topic.clone(),
        records: written,
    };
    if output.json {
        return output.data(&summary, |_| String::new());
    }
    let written = counted(written, "record");
    note(&format!("{written} written to {}", args.topic));
    Ok(())
}

impl Lines<'_> {
    /// The lines that are there now, at least one; none at the end of stdin.
    fn next(&mut self) -> Result<Vec<NewRecord>, Failure> {
        let mut records = Vec::new();
        let mut bytes = 0;
        loop {
            let mut line = Vec::new();
            let read = self
                .input
                .read_until(b'\n', &mut line)
                .map_err(|error| Failure::environment(format!("cannot read stdin: {error}")))?;
            if read == 0 {
                return Ok(records);
            }
            self.number += 1;
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            bytes += line.len();
            records.push(self.record(&line)?);
            // A person who types waits for no second line.
            let waiting = self.input.buffer().is_empty();
            if waiting || records.len() == REQUEST_RECORDS || bytes >= REQUEST_BYTES {
                return Ok(records);
            }
        }
    }

    fn record(&self, line: &[u8]) -> Result<NewRecord, Failure> {
        let (key, value) = match &self.args.key_separator {
            None => (None, line),
            Some(separator) => {
                let (key, value) = split_once(line, separator.as_bytes()).ok_or_else(|| {
                    Failure::input(format!(
                        "line {} has no key: it does not contain `{separator}`; \
                         the lines before it were written",
                        self.number
                    ))
                })?;
                (Some(Payload::of(key)), value)
            }
        };
        let value = Some(Payload::of(value));
        Ok(NewRecord {
            key,
            value,
            partition: self.args.partition,
            headers: Vec::new(),
        })
    }
}

/// What stands before and behind the first `separator`.
fn split_once<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    if separator.is_empty() {
        return None;
    }
    let at = line
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((&line[..at], &line[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::split_once;

    #[test]
    fn a_line_is_split_at_the_first_separator() {
        assert_eq!(split_once(b"k:v:w", b":"), Some((&b"k"[..], &b"v:w"[..])));
        assert_eq!(split_once(b"k=>", b"=>"), Some((&b"k"[..], &b""[..])));
        assert_eq!(split_once(b"no key", b":"), None);
        assert_eq!(split_once(b"", b":"), None);
        assert_eq!(split_once(b"k", b""), None);
    }
}
