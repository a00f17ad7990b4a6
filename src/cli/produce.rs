//! `towpath produce`: lines of stdin into a topic.
//!
//! A line is a value, or a key and a value, or with `--records` all that a record has, in the form in
//! which `tail --json` prints it: so what one prints the other writes, null values and headers too.

use std::io::{BufRead, BufReader, Stdin};

use clap::Args;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
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
    /// Each line is a record as `tail --json` prints it: `{"key":"7","value":null}`, also with
    /// `headers` (a list of [name, value]) and `timestamp_ms`; its topic, partition and offset are
    /// not looked at
    #[arg(long, conflicts_with = "key_separator")]
    records: bool,
    /// The partition [default: by the key as Kafka does; without a key, any]
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
    #[command(flatten)]
    data: DataArgs,
}

/// A line of `--records`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordLine {
    #[serde(default)]
    key: Option<Payload>,
    /// Null deletes a key: only who says so means it.
    #[serde(deserialize_with = "Option::deserialize")]
    value: Option<Payload>,
    #[serde(default)]
    headers: Vec<(Payload, Option<Payload>)>,
    timestamp_ms: Option<i64>,
    #[serde(rename = "topic")]
    _topic: Option<IgnoredAny>,
    #[serde(rename = "partition")]
    _partition: Option<IgnoredAny>,
    #[serde(rename = "offset")]
    _offset: Option<IgnoredAny>,
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
    /// Why the last one cannot be written, when those before it are to be written first.
    bad: Option<Failure>,
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
        bad: None,
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
        if let Some(bad) = self.bad.take() {
            return Err(bad);
        }
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
            match self.record(&line) {
                Ok(record) => records.push(record),
                Err(bad) if records.is_empty() => return Err(bad),
                Err(bad) => {
                    self.bad = Some(bad);
                    return Ok(records);
                }
            }
            // A person who types waits for no second line.
            let waiting = self.input.buffer().is_empty();
            if waiting || records.len() == REQUEST_RECORDS || bytes >= REQUEST_BYTES {
                return Ok(records);
            }
        }
    }

    fn record(&self, line: &[u8]) -> Result<NewRecord, Failure> {
        let partition = self.args.partition;
        if self.args.records {
            let record: RecordLine = serde_json::from_slice(line)
                .map_err(|error| self.bad_line(&format!("is no record: {error}")))?;
            return Ok(NewRecord {
                key: record.key,
                value: record.value,
                partition,
                timestamp_ms: record.timestamp_ms,
                headers: record.headers,
            });
        }
        let (key, value) = match &self.args.key_separator {
            None => (None, line),
            Some(separator) => {
                let (key, value) = split_once(line, separator.as_bytes()).ok_or_else(|| {
                    self.bad_line(&format!("has no key: it does not contain `{separator}`"))
                })?;
                (Some(Payload::of(key)), value)
            }
        };
        Ok(NewRecord {
            key,
            value: Some(Payload::of(value)),
            partition,
            ..NewRecord::default()
        })
    }

    /// The line at hand cannot be written.
    fn bad_line(&self, why: &str) -> Failure {
        Failure::input(format!(
            "line {} {why}; the lines before it were written",
            self.number
        ))
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
