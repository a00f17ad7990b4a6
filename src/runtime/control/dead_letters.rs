//! Looking through dead letters, and letting go of those that are dealt with.
//!
//! A topic is known as one of dead letters by a mark that every worker leaves whose pipelines have
//! one ([`mark_dead_letter_topics`]), so that it is found without a worker too. *Dropped* letters
//! are those below an offset of group [`OWNER`], *retried* ones those with a mark ([`Marks`]):
//! nothing here shows either any more, while the topic keeps them as long as its retention says.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use towpath_log::{Log, PartitionInfo, ReadTo, TopicInfo};
use towpath_record::{Batch, Record};
use towpath_sdk::{Error, OnError, Result};

use super::letter::{Filter, filters, offset_of, show, without_numbers};
use super::marks::Marks;
use super::offsets::{Place, no_partition};
use super::{Control, OWNER, Payload};
use crate::commit::log_error;
use crate::letter::Letter;
use crate::spec::ConnectorSpec;

/// What the marks of topics begin with, in the state of [`OWNER`].
const MARK: &str = "dead-letters/";

/// Groups that are told apart in one topic; what is in others is counted together.
const GROUPS_MAX: usize = 100;
/// What a page holds at most.
const PAGE_LETTERS_MAX: u64 = 1_000;
const READ_BYTES: usize = 1 << 20;

/// A topic of dead letters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetterTopic {
    /// Its name.
    pub topic: String,
    /// Letters that the filters let through.
    pub letters: u64,
    /// The same by what they have in common; the largest first.
    pub groups: Vec<DeadLetterGroup>,
    /// Letters in still other groups.
    pub in_other_groups: u64,
}

/// Letters of one connector and stage whose messages differ in numbers only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetterGroup {
    /// Who refused the records: `pipeline.connector`.
    pub connector: String,
    /// What was being done, in Kafka Connect's words.
    pub stage: String,
    /// The message of the last one.
    pub error: String,
    /// How many.
    pub letters: u64,
    /// When the first was refused, milliseconds since 1970.
    pub first_ms: i64,
    /// When the last was refused.
    pub last_ms: i64,
}

/// Which letters to show.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLettersRequest {
    /// All must hold: `connector=NAME`, `stage=WORD`, `error=TEXT`, `headers.NAME=VALUE`, or a text
    /// that is in the value or message.
    #[serde(default)]
    pub filters: Vec<String>,
    /// Where the page before ended: partition and offset.
    #[serde(default)]
    pub after: Option<(u32, u64)>,
    /// Letters at most; 1000 is the most a page holds.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// Some letters of a topic, partition by partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLettersPage {
    /// In the order of the topic.
    pub letters: Vec<DeadLetter>,
    /// Continues behind this page; `None` at the end.
    pub after: Option<(u32, u64)>,
}

/// A record that was refused, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where the letter stands in the topic of dead letters.
    pub partition: u32,
    /// See `partition`.
    pub offset: u64,
    /// When the record was refused, milliseconds since 1970.
    pub refused_ms: i64,
    /// What Kafka Connect's headers say, by their names without `__connect.errors.`.
    pub reason: BTreeMap<String, String>,
    /// The record's own timestamp.
    pub timestamp_ms: Option<i64>,
    /// The record's key.
    pub key: Option<Payload>,
    /// The record's value.
    pub value: Option<Payload>,
    /// The record's own headers.
    pub headers: Vec<(Payload, Option<Payload>)>,
}

/// Which letters are dealt with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropRequest {
    /// Those before this place in each partition: `latest` (all), an offset, a time or a duration
    /// ago.
    pub before: String,
    /// Only in this partition.
    #[serde(default)]
    pub partition: Option<u32>,
    /// Say what would be dropped, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was dropped, or would be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// The topic.
    pub topic: String,
    /// By partition.
    pub partitions: Vec<DroppedFrom>,
    /// Whether nothing was changed.
    pub dry_run: bool,
}

/// What was dropped from a partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DroppedFrom {
    /// Its number.
    pub partition: u32,
    /// Letters that were there before the place.
    pub letters: u64,
    /// The first one that is left, or comes next.
    pub next_offset: u64,
}

/// Remembers which topics the connectors keep dead letters in. Waits for the disk.
pub(crate) fn mark_dead_letter_topics(log: &Log, specs: &[ConnectorSpec]) -> Result<()> {
    let on_error = specs.iter().map(|spec| &spec.configured.on_error);
    let kept = on_error.filter(|on_error| on_error.action == OnError::DeadLetter);
    let marks = kept.map(|on_error| (mark(&on_error.topic), Some(Bytes::from_static(b"1"))));
    Control::new(log.clone(), None, 0).change_state(OWNER, marks)
}

fn mark(topic: &str) -> Bytes {
    Bytes::from(format!("{MARK}{topic}"))
}

impl Control {
    /// All topics of dead letters that exist, with what the filters let through. Reads them whole.
    pub fn dead_letter_topics(&self, request: &DeadLettersRequest) -> Result<Vec<DeadLetterTopic>> {
        let filters = filters(&request.filters)?;
        let marks = self.log.state(OWNER).into_keys();
        let names = marks.filter_map(|key| {
            let name = std::str::from_utf8(&key).ok()?.strip_prefix(MARK)?;
            Some(name.to_owned())
        });
        let held = names.filter_map(|name| self.log.topic(&name));
        held.map(|info| self.grouped(&info, &filters)).collect()
    }

    /// Letters of `topic`, one page of them.
    pub fn dead_letters(
        &self,
        topic: &str,
        request: &DeadLettersRequest,
    ) -> Result<DeadLettersPage> {
        let info = self.topic_info(topic)?;
        let filters = filters(&request.filters)?;
        let limit = request.limit.unwrap_or(PAGE_LETTERS_MAX);
        let limit = limit.min(PAGE_LETTERS_MAX) as usize;
        let marks = Marks::of(&self.log, &info);
        let mut page = DeadLettersPage {
            letters: Vec::new(),
            after: request.after,
        };
        for held in &info.partitions {
            let mut from = self.first_kept(&info, held);
            match request.after {
                Some((partition, _)) if held.partition < partition => continue,
                Some((partition, after)) if held.partition == partition => from = from.max(after),
                _ => {}
            }
            let full = self.scan(
                (&info, &marks),
                held.partition,
                from..u64::MAX,
                &mut |record, letter| {
                    if page.letters.len() == limit {
                        return false;
                    }
                    page.after = Some((held.partition, offset_of(record) + 1));
                    if filters.iter().all(|filter| filter.holds(letter)) {
                        page.letters.push(show(letter, held.partition));
                    }
                    true
                },
            )?;
            if full {
                return Ok(page);
            }
        }
        page.after = None;
        Ok(page)
    }

    /// Drops letters of `topic`.
    pub fn drop_dead_letters(&self, topic: &str, request: &DropRequest) -> Result<Dropped> {
        let info = self.topic_info(topic)?;
        let before = Place::parse(&request.before)?;
        let marks = Marks::of(&self.log, &info);
        let mut partitions = Vec::new();
        for held in &info.partitions {
            if request.partition.is_none_or(|only| only == held.partition) {
                let first = self.first_kept(&info, held);
                let next = self.offset_of(&info, held.partition, before)?.max(first);
                partitions.push(DroppedFrom {
                    partition: held.partition,
                    letters: next - first - marks.count(held.partition, first..next),
                    next_offset: next,
                });
            }
        }
        if partitions.is_empty() {
            let partition = request.partition.unwrap_or_default();
            return Err(no_partition(&info, partition));
        }
        if !request.dry_run {
            let offsets = partitions.iter();
            let offsets = offsets.map(|at| (topic.to_owned(), at.partition, Some(at.next_offset)));
            self.log
                .reset_offsets(OWNER, &offsets.collect::<Vec<_>>())
                .map_err(|error| log_error(&format!("drop dead letters of {topic}"), error))?;
        }
        Ok(Dropped {
            topic: topic.to_owned(),
            partitions,
            dry_run: request.dry_run,
        })
    }

    fn grouped(&self, info: &TopicInfo, filters: &[Filter]) -> Result<DeadLetterTopic> {
        let mut groups: BTreeMap<(String, String, String), DeadLetterGroup> = BTreeMap::new();
        let (mut letters, mut in_other_groups) = (0, 0);
        let marks = Marks::of(&self.log, info);
        for held in &info.partitions {
            let from = self.first_kept(info, held);
            self.scan(
                (info, &marks),
                held.partition,
                from..u64::MAX,
                &mut |record, letter| {
                    if !filters.iter().all(|filter| filter.holds(letter)) {
                        return true;
                    }
                    letters += 1;
                    let reason = |name| letter.reason(name).into_owned();
                    let error = reason("exception.message");
                    let (connector, stage) = (reason("connector.name"), reason("stage"));
                    let key = (connector, stage, without_numbers(&error));
                    if groups.len() == GROUPS_MAX && !groups.contains_key(&key) {
                        in_other_groups += 1;
                        return true;
                    }
                    let group = groups.entry(key).or_insert_with_key(|key| DeadLetterGroup {
                        connector: key.0.clone(),
                        stage: key.1.clone(),
                        error: String::new(),
                        letters: 0,
                        first_ms: record.timestamp_ms,
                        last_ms: record.timestamp_ms,
                    });
                    group.letters += 1;
                    group.error = error;
                    group.first_ms = group.first_ms.min(record.timestamp_ms);
                    group.last_ms = group.last_ms.max(record.timestamp_ms);
                    true
                },
            )?;
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.letters));
        Ok(DeadLetterTopic {
            topic: info.name.clone(),
            letters,
            groups,
            in_other_groups,
        })
    }

    /// The first offset of a partition that is neither dropped nor gone.
    pub(super) fn first_kept(&self, info: &TopicInfo, held: &PartitionInfo) -> u64 {
        let dropped = self.log.group(OWNER).and_then(|group| {
            let place = (info.name.clone(), held.partition);
            group.offsets.get(&place).copied()
        });
        dropped.unwrap_or(0).max(held.start_offset)
    }

    /// Gives `take` the records with these offsets that are not marked, until it says false; whether
    /// it did.
    pub(super) fn scan(
        &self,
        (info, marks): (&TopicInfo, &Marks),
        partition: u32,
        offsets: Range<u64>,
        take: &mut dyn FnMut(&Record<'_>, &Letter<'_>) -> bool,
    ) -> Result<bool> {
        let failed = |error| log_error(&format!("read topic {}", info.name), error);
        let mut reader = self
            .log
            .reader(&info.name, partition, offsets.start, ReadTo::Committed)
            .map_err(failed)?;
        while let (from, Some(batches)) =
            (reader.offset(), reader.next(READ_BYTES).map_err(failed)?)
        {
            for record in batches.iter().flat_map(Batch::records) {
                let record = record.map_err(|error| {
                    Error::fatal("read", format!("topic {}", info.name)).because(error)
                })?;
                let offset = offset_of(&record);
                if offset >= offsets.end {
                    return Ok(false);
                }
                if offset >= from
                    && !marks.contains(partition, offset)
                    && !take(&record, &Letter::of(&record))
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
