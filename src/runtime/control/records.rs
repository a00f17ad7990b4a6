//! Reading records of a topic page by page, and waiting for more.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use towpath_log::{ReadTo, TopicInfo};
use towpath_record::{Batch, BatchError, Record};
use towpath_sdk::{Error, Result};

use super::offsets::Place;
use super::{Control, Payload};
use crate::commit::log_error;

/// What one page holds at most.
const PAGE_RECORDS_MAX: u64 = 10_000;
const PAGE_BYTES: usize = 1 << 20;
/// How long one request may wait for records.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Which records to read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsRequest {
    /// Where to begin: `earliest` (default), `latest`, an offset, `-10` (from the end), a time, or
    /// a duration ago.
    pub from: Option<String>,
    /// Where the page before ended; takes the place of `from`.
    pub cursor: Option<String>,
    /// Only this partition.
    pub partition: Option<u32>,
    /// Records at most; 10000 is the most a page holds.
    pub limit: Option<u64>,
    /// Milliseconds to wait for a record when there is none, 60000 at most.
    pub wait_ms: Option<u64>,
}

/// Some records, by timestamp as far as the order within each partition allows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordsPage {
    /// None when there is nothing more and nothing came in time.
    pub records: Vec<TailRecord>,
    /// Continues behind this page.
    pub cursor: String,
    /// Whether all that is committed now was read.
    pub at_end: bool,
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TailRecord {
    /// Where it stands: topic, partition and offset.
    pub topic: String,
    /// Its number.
    pub partition: u32,
    /// In the partition.
    pub offset: u64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The record's key.
    pub key: Option<Payload>,
    /// The record's value; `None` marks a deletion.
    pub value: Option<Payload>,
    /// Names and values, in their order.
    pub headers: Vec<(Payload, Option<Payload>)>,
}

/// The next offset of each partition that is read.
type Cursor = Vec<(u32, u64)>;

/// What one partition adds to a page.
struct Taken {
    records: Vec<TailRecord>,
    at_end: bool,
}

impl Control {
    /// The next page of `topic`; waits for a record only as long as the request allows.
    pub async fn records(&self, topic: &str, request: &RecordsRequest) -> Result<RecordsPage> {
        let wait = Duration::from_millis(request.wait_ms.unwrap_or(0)).min(WAIT_MAX);
        let more = Arc::new(Notify::new());
        // Watched before the first look, so that nothing falls in between.
        let _watch = self.log.watch({
            let more = Arc::clone(&more);
            Box::new(move || more.notify_one())
        });
        let mut request = request.clone();
        let until = tokio::time::Instant::now() + wait;
        loop {
            let page = tokio::task::block_in_place(|| self.page(topic, &request))?;
            if !page.records.is_empty() || tokio::time::Instant::now() >= until {
                return Ok(page);
            }
            request.cursor = Some(page.cursor);
            // Over the time the page is taken once more, and given whatever it holds.
            let _ = tokio::time::timeout_at(until, more.notified()).await;
        }
    }

    fn page(&self, topic: &str, request: &RecordsRequest) -> Result<RecordsPage> {
        let info = self.topic_info(topic)?;
        let cursor = match &request.cursor {
            Some(cursor) => parse_cursor(cursor)?,
            None => self.first_cursor(&info, request)?,
        };
        let limit = request
            .limit
            .unwrap_or(PAGE_RECORDS_MAX)
            .min(PAGE_RECORDS_MAX);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let bytes_max = PAGE_BYTES / cursor.len().max(1);
        let mut at_end = true;
        let mut records: Vec<(i64, TailRecord)> = Vec::new();
        for &(partition, offset) in &cursor {
            let taken = self.take(&info, partition, offset, limit, bytes_max)?;
            at_end &= taken.at_end;
            // Within a partition the order is the offsets', whatever the timestamps are.
            let mut latest = i64::MIN;
            records.extend(taken.records.into_iter().map(|record| {
                latest = latest.max(record.timestamp_ms);
                (latest, record)
            }));
        }
        records.sort_by_key(|(time_ms, _)| *time_ms);
        at_end &= records.len() <= limit;
        records.truncate(limit);
        let records: Vec<TailRecord> = records.into_iter().map(|(_, record)| record).collect();
        let cursor = print_cursor(&behind(cursor, &records));
        Ok(RecordsPage {
            records,
            cursor,
            at_end,
        })
    }

    fn first_cursor(&self, info: &TopicInfo, request: &RecordsRequest) -> Result<Cursor> {
        let from = request
            .from
            .as_deref()
            .map_or(Ok(Place::Earliest), Place::parse)?;
        if let Some(partition) = request.partition {
            return Ok(vec![(partition, self.offset_of(info, partition, from)?)]);
        }
        let partitions = info.partitions.iter().map(|held| held.partition);
        partitions
            .map(|partition| Ok((partition, self.offset_of(info, partition, from)?)))
            .collect()
    }

    /// Reads up to `limit` records and about `bytes_max` from `offset` on.
    fn take(
        &self,
        info: &TopicInfo,
        partition: u32,
        offset: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Taken> {
        let failed = |error| log_error(&format!("read topic {}", info.name), error);
        let mut reader = self
            .log
            .reader(&info.name, partition, offset, ReadTo::Committed)
            .map_err(failed)?;
        let mut taken = Taken {
            records: Vec::new(),
            at_end: false,
        };
        let mut bytes = 0;
        while taken.records.len() < limit && bytes < bytes_max {
            // A batch that is read may begin before.
            let from = reader.offset();
            let batches = match reader.next(bytes_max) {
                Ok(Some(batches)) => batches,
                Ok(None) => {
                    taken.at_end = true;
                    break;
                }
                // First what was read; the next page comes to the error.
                Err(_) if !taken.records.is_empty() => break,
                Err(error) => return Err(failed(error)),
            };
            for batch in batches {
                bytes += batch.as_bytes().len();
                add_records(
                    &info.name,
                    partition,
                    from,
                    limit,
                    &batch,
                    &mut taken.records,
                )?;
            }
        }
        Ok(taken)
    }
}

/// Adds the records of `batch` from `offset` on, up to `limit` in all.
fn add_records(
    topic: &str,
    partition: u32,
    offset: u64,
    limit: usize,
    batch: &Batch,
    out: &mut Vec<TailRecord>,
) -> Result<()> {
    let damaged = |error: BatchError| {
        Error::fatal("read", format!("topic {topic}, partition {partition}")).because(error)
    };
    for record in batch.records() {
        let record = record.map_err(damaged)?;
        if out.len() == limit {
            break;
        }
        if u64::try_from(record.offset).is_ok_and(|at| at >= offset) {
            out.push(tail_record(topic, partition, &record).map_err(damaged)?);
        }
    }
    Ok(())
}

fn tail_record(topic: &str, partition: u32, record: &Record<'_>) -> Result<TailRecord, BatchError> {
    let headers = record.headers.iter().map(|header| {
        header.map(|header| (Payload::of(header.key), header.value.map(Payload::of)))
    });
    Ok(TailRecord {
        topic: topic.to_owned(),
        partition,
        offset: u64::try_from(record.offset).unwrap_or(0),
        timestamp_ms: record.timestamp_ms,
        key: record.key.map(Payload::of),
        value: record.value.map(Payload::of),
        headers: headers.collect::<Result<_, _>>()?,
    })
}

/// `cursor` moved behind `records`.
fn behind(mut cursor: Cursor, records: &[TailRecord]) -> Cursor {
    for (partition, offset) in &mut cursor {
        let last = records
            .iter()
            .rfind(|record| record.partition == *partition);
        *offset = last.map_or(*offset, |record| record.offset + 1);
    }
    cursor
}

/// `0:120,1:95`.
fn print_cursor(cursor: &Cursor) -> String {
    let mut out = String::new();
    for (partition, offset) in cursor {
        let comma = if out.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(out, "{comma}{partition}:{offset}");
    }
    out
}

fn parse_cursor(text: &str) -> Result<Cursor> {
    let part = |part: &str| {
        let (partition, offset) = part.split_once(':')?;
        Some((partition.parse().ok()?, offset.parse().ok()?))
    };
    text.split(',')
        .map(part)
        .collect::<Option<Cursor>>()
        .ok_or_else(|| {
            Error::configuration("use", format!("cursor `{}`", towpath_sdk::printable(text)))
                .because("it is none that a page gave")
        })
}
