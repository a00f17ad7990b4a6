//! Trying dead letters again: they go to the retry topic of the connector that refused them, and are
//! dead letters no more. `crate::retried` says what becomes of them there, and why none is lost or
//! doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use towpath_log::{AppendSet, Cleanup, GroupOffset, Retention, TopicBatch, TopicConfig, TopicInfo};
use towpath_record::{BatchBuilder, Record};
use towpath_sdk::config::Format;
use towpath_sdk::{Error, OnError, Result, is_internal_topic};

use super::Control;
use super::letter::{filters, offset_of};
use super::marks::{Marks, block_of};
use crate::commit::log_error;
use crate::letter::Letter;
use crate::retried::{PARTITIONS, partition_of, retry_topic};
use crate::spec::RETENTION_MS;

/// What one request retries at most, by letters, by bytes (but one letter), and by blocks of marks.
const LETTERS_MAX: u64 = 10_000;
const BYTES_MAX: usize = 8 << 20;
const BLOCKS_MAX: usize = 128;
/// How large a batch of copies is at most (but one letter's): a read of them takes one, and what
/// comes of a read goes into one append set.
pub(super) const BATCH_BYTES: usize = 256 << 10;

/// Why letters stay where they are.
const NO_LETTERS: &str = "they are no dead letters: `towpath dlq list` names the topics of these";
const NOT_WHOLE: &str = "only their beginning was kept: mend what made them too long, have the \
                         source read them again, and put these aside with `towpath dlq drop`";
const UNKNOWN: &str = "the log does not know the connector: run its pipeline, or name it in \
                       `formerly` of the one that took over from it";

const NOT_KEPT: &str = "a record that is bad still would stop the connector, or be left out: set \
                        `on_error: dead_letter`, retry, and set back what it was";

/// Which letters to retry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// As of [`super::DeadLettersRequest`].
    #[serde(default)]
    pub filters: Vec<String>,
    /// Where the request before ended: partition and offset.
    #[serde(default)]
    pub after: Option<(u32, u64)>,
    /// The `until` of the first answer, so that what is refused again is not retried without end; by
    /// default the retry ends where the topic ends now.
    #[serde(default)]
    pub until: Option<BTreeMap<u32, u64>>,
    /// Letters at most; 10,000 is the most of one request.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Say what would be retried, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What one request has retried, or would have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Retried {
    /// Letters that were retried, by connector and stage.
    pub groups: Vec<RetriedGroup>,
    /// Letters that the filters let through and that cannot be retried.
    pub left: Vec<LeftGroup>,
    /// Continues behind this request; `None` at the end.
    pub after: Option<(u32, u64)>,
    /// The offset at which the retry ends, by partition.
    pub until: BTreeMap<u32, u64>,
    /// Whether nothing was changed.
    pub dry_run: bool,
}

/// Letters that go back to one stage of a connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetriedGroup {
    /// Who refused the records: `pipeline.connector`.
    pub connector: String,
    /// What was being done, in Kafka Connect's words.
    pub stage: String,
    /// How many.
    pub letters: u64,
}

/// Letters that stay where they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftGroup {
    /// As of [`RetriedGroup`].
    pub connector: String,
    /// Why, and what to do.
    pub reason: String,
    /// How many.
    pub letters: u64,
}

/// Letters that were chosen to be retried, and how many of which kind.
#[derive(Default)]
struct Chosen {
    /// Batches of copies by retry topic and partition; the last one of each is not full.
    copies: BTreeMap<(String, u32), Vec<BatchBuilder>>,
    /// Where they stand, by partition and offset.
    letters: Vec<(u32, u64)>,
    /// What their marks are in.
    blocks: BTreeSet<(u32, u64)>,
    bytes: usize,
    groups: BTreeMap<(String, String), u64>,
    left: BTreeMap<(String, &'static str), u64>,
}

/// Who reads a retry topic, or would, if it were there.
struct Reader {
    group: Arc<str>,
    /// Whether it would keep a letter that is bad still, as far as is known.
    keeps: bool,
}

/// By the topic's name.
type Readers = BTreeMap<String, Reader>;

impl Control {
    /// Retries letters of `topic`: some of them, as far as one append set goes.
    ///
    /// # Errors
    /// A topic that is not there, or is Towpath's own; what the log says.
    pub fn retry_dead_letters(&self, topic: &str, request: &RetryRequest) -> Result<Retried> {
        if is_internal_topic(topic) {
            return Err(Error::configuration("retry what is in", topic)
                .because("Towpath keeps it for itself, and no dead letters in it"));
        }
        // Another request would choose the same letters.
        let _alone = self.retrying.lock().unwrap_or_else(PoisonError::into_inner);
        let info = self.topic_info(topic)?;
        let filters = filters(&request.filters)?;
        let marks = Marks::of(&self.log, &info);
        let readers = self.retry_readers();
        let limit = request.limit.unwrap_or(LETTERS_MAX).min(LETTERS_MAX);
        let until = request.until.clone().unwrap_or_else(|| ends(&info));
        let mut chosen = Chosen::default();
        let mut after = request.after;
        let mut full = false;
        for held in &info.partitions {
            let mut from = self.first_kept(&info, held);
            match request.after {
                Some((partition, _)) if held.partition < partition => continue,
                Some((partition, after)) if held.partition == partition => from = from.max(after),
                _ => {}
            }
            let take = &mut |record: &Record<'_>, letter: &Letter<'_>| {
                let holds = filters.iter().all(|filter| filter.holds(letter));
                let taken = !holds || chosen.take(held.partition, letter, limit, &readers);
                if taken {
                    after = Some((held.partition, offset_of(record) + 1));
                }
                taken
            };
            let to = until.get(&held.partition).copied().unwrap_or(0);
            full = self.scan((&info, &marks), held.partition, from..to, take)?;
            if full {
                break;
            }
        }
        let told = chosen.told(after.filter(|_| full), until, request.dry_run);
        if !request.dry_run && !chosen.letters.is_empty() {
            self.hand_over_letters(&info, &marks, chosen, &readers)?;
        }
        Ok(told)
    }

    /// Copies the letters and marks them, in one append set.
    fn hand_over_letters(
        &self,
        info: &TopicInfo,
        marks: &Marks,
        mut chosen: Chosen,
        readers: &Readers,
    ) -> Result<()> {
        let first_kept = info.partitions.iter();
        let first_kept = first_kept.map(|held| (held.partition, self.first_kept(info, held)));
        let mut set = AppendSet {
            state: marks.changes(&chosen.letters),
            ..AppendSet::default()
        };
        set.state.extend(marks.stale(&first_kept.collect()));
        for ((topic, partition), builders) in &mut chosen.copies {
            let name: Arc<str> = topic.as_str().into();
            set.offsets
                .extend(self.beginning(&name, *partition, readers)?);
            let batches = builders.iter_mut().filter_map(BatchBuilder::finish);
            set.batches.extend(batches.map(|batch| TopicBatch {
                topic: name.clone(),
                partition: *partition,
                batch,
            }));
        }
        self.commit(set).map(|_| ())
    }

    /// The first offset of the group that reads a partition of a retry topic, which pins it from the
    /// first letter on; `None` when there is one. The topic is made if it is not there.
    fn beginning(
        &self,
        topic: &Arc<str>,
        partition: u32,
        readers: &Readers,
    ) -> Result<Option<GroupOffset>> {
        let info = match self.log.topic(topic) {
            Some(info) => info,
            None => self
                .log
                .create_topic(topic, &retry_config())
                .map_err(|error| log_error(&format!("create topic {topic}"), error))?,
        };
        let is_empty = info
            .partitions
            .iter()
            .any(|held| held.partition == partition && held.end_offset == 0);
        let reader = readers.get(&**topic).filter(|_| is_empty);
        Ok(reader.map(|reader| GroupOffset {
            group: reader.group.clone(),
            topic: topic.clone(),
            partition,
            offset: 0,
        }))
    }

    /// All retry topics that connectors read.
    fn retry_readers(&self) -> Readers {
        let mut readers = Readers::new();
        for known in self.log.registrations() {
            let group: Arc<str> = known.registration.group_name().into();
            let keeps = self.keeps_letters(&known.registration.name);
            let topics = known.registration.topics.into_iter();
            let retried = topics.filter(|topic| is_internal_topic(topic));
            readers.extend(retried.map(|topic| {
                let group = group.clone();
                (topic, Reader { group, keeps })
            }));
        }
        readers
    }

    /// Whether a connector keeps what is bad; without a worker that has it nobody can tell, and so it
    /// does.
    fn keeps_letters(&self, name: &str) -> bool {
        let mut running = self.worker.iter().flat_map(|worker| worker.all());
        let found = running.find(|connector| *connector.spec.name == *name);
        found.is_none_or(|found| found.spec.configured.on_error.action == OnError::DeadLetter)
    }
}

impl Chosen {
    /// Takes a letter, or counts it as one that stays; false when it is too much for one set.
    fn take(&mut self, partition: u32, letter: &Letter<'_>, limit: u64, readers: &Readers) -> bool {
        let connector = letter.reason("connector.name").into_owned();
        let topic = retry_topic(&connector);
        let reached = match letter.reached() {
            None if connector.is_empty() => Err(NO_LETTERS),
            None => Err(NOT_WHOLE),
            Some(reached) => match readers.get(&topic) {
                None => Err(UNKNOWN),
                Some(reader) if !reader.keeps => Err(NOT_KEPT),
                Some(_) => Ok(reached),
            },
        };
        let reached = match reached {
            Ok(reached) => reached,
            Err(reason) => {
                *self.left.entry((connector, reason)).or_default() += 1;
                return true;
            }
        };
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let record = &letter.record;
        let bytes = length(record.key) + length(record.value) + record.headers.as_bytes().len();
        let place = (partition, offset_of(record));
        let is_first = self.letters.is_empty();
        let fits = (self.letters.len() as u64) < limit
            && (is_first || self.bytes + bytes <= BYTES_MAX)
            && (self.blocks.len() < BLOCKS_MAX || self.blocks.contains(&block_of(place)));
        if !fits {
            return false;
        }
        let builders = self.copies.entry((topic, partition_of(reached)));
        let builders = builders.or_default();
        if builders
            .last()
            .is_none_or(|last| last.size_bytes() + bytes > BATCH_BYTES)
        {
            builders.push(BatchBuilder::default());
        }
        let last = builders.last_mut();
        if last.is_none_or(|last| last.copy(record).is_err()) {
            return false;
        }
        self.letters.push(place);
        self.blocks.insert(block_of(place));
        self.bytes += bytes;
        let stage = letter.reason("stage").into_owned();
        *self.groups.entry((connector, stage)).or_default() += 1;
        true
    }

    fn told(&self, after: Option<(u32, u64)>, until: BTreeMap<u32, u64>, dry_run: bool) -> Retried {
        let groups = self
            .groups
            .iter()
            .map(|((connector, stage), letters)| RetriedGroup {
                connector: connector.clone(),
                stage: stage.clone(),
                letters: *letters,
            });
        let left = self
            .left
            .iter()
            .map(|((connector, reason), letters)| LeftGroup {
                connector: connector.clone(),
                reason: (*reason).to_owned(),
                letters: *letters,
            });
        Retried {
            groups: groups.collect(),
            left: left.collect(),
            after,
            until,
            dry_run,
        }
    }
}

/// Where the partitions of a topic end.
fn ends(info: &TopicInfo) -> BTreeMap<u32, u64> {
    let partitions = info.partitions.iter();
    partitions
        .map(|held| (held.partition, held.committed_offset))
        .collect()
}

/// What is retried is as bytes what it was as a dead letter. Its letters are old, so once they are
/// taken they go soon.
fn retry_config() -> TopicConfig {
    TopicConfig {
        partitions: PARTITIONS,
        format: Format::Bytes.as_str().to_owned(),
        cleanup: Cleanup::Delete,
        retention: Retention {
            time_ms: Some(RETENTION_MS),
            bytes: None,
        },
    }
}
