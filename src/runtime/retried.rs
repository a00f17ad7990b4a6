//! Dead letters on their way back: what `towpath dlq retry` has put into a connector's *retry
//! topic*, made into the records again that were refused.
//!
//! A retry topic holds letters byte for byte. It is one more input of its connector, read under the
//! connector's own group and pinned by its registration. Each partition holds what has [`Reached`]
//! one place, and so its number tells where the records go on:
//!
//! | partition | reached | goes on |
//! |---|---|---|
//! | 0 | undecoded | at the decoder, a new one for each letter; then as 1 to 3 |
//! | 1 to 3 | decoded text, json, bytes | at the transforms |
//! | 4 to 6 | transformed text, json, bytes | at the sink; of a source or stream where it gets its topic |
//!
//! # Why a retry neither loses nor doubles a record
//!
//! 1. The letters' copies and the marks that they are retried are one append set, whose marks are
//!    compared with what is stored: a letter is copied once, or is not marked.
//! 2. The connector's offset in the retry topic moves in the append set of what came of the record,
//!    as with any input: the record in a topic, the sink's state, or a new letter.
//! 3. Until then the copy is kept: the registration pins it, also that of a source, whose group has
//!    an offset in each partition from the set of the first copy on.
//!
//! What comes of one read goes into one append set, as nobody could go on within it. So that it is
//! never more than the log takes, letters are copied in small batches, each is read alone, and what
//! a decoder makes of letters counts as their growth: beyond that they are refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use towpath_log::{Log, PARTITIONS_MAX, PartitionInfo, ReadTo};
use towpath_record::{Batch, BatchBuilder, BatchError, Headers};
use towpath_sdk::{
    Envelope, Error, ErrorKind, HEAD_HEADER, NewDecoder, Origin, Original, Place, Reached, Refused,
    Result, SinkBatch, SinkTopic, Stage, Tolerance,
};

use crate::commit::log_error;
use crate::letter::{ALL_REACHED, Letter};
use crate::partition;
use crate::stretch::Stretch;

/// What the names of retry topics begin with.
const TOPIC: &str = "__towpath.retry.";
/// What a retry topic has.
pub(crate) const PARTITIONS: u32 = ALL_REACHED.len() as u32;

/// Numbers for the partitions of one retry topic, and how many topics are told apart by them.
const SEEN_PARTITIONS: u32 = 8;
const SEEN_TOPICS: u32 = 1 << 28;

const READ_BYTES: usize = 1 << 20;

/// The topic that holds what is to be retried of a connector with this full name.
pub(crate) fn retry_topic(connector: &str) -> String {
    format!("{TOPIC}{connector}")
}

/// Whose retry topic `topic` is, by full name; `None`: it is no retry topic.
pub(crate) fn retried_of(topic: &str) -> Option<&str> {
    topic.strip_prefix(TOPIC)
}

/// How many letters wait in each partition of retry topic `topic` for `group`, which reads it.
pub(crate) fn waiting(log: &Log, topic: &str, group: &str) -> BTreeMap<u32, u64> {
    let offsets = log.group(group).map(|group| group.offsets);
    let of_partition = |held: &PartitionInfo| {
        let place = (topic.to_owned(), held.partition);
        let done = offsets.as_ref().and_then(|offsets| offsets.get(&place));
        let done = done.copied().unwrap_or(held.start_offset);
        (held.partition, held.end_offset.saturating_sub(done))
    };
    let info = log.topic(topic);
    let partitions = info.into_iter().flat_map(|info| info.partitions);
    partitions.map(|held| of_partition(&held)).collect()
}

/// What the records of a partition have reached; `None`: it is not of a retry topic.
pub(crate) fn reached_in(topic: &str, partition: u32) -> Option<Reached> {
    let reached = topic
        .starts_with(TOPIC)
        .then(|| ALL_REACHED.get(partition as usize));
    reached.flatten().copied()
}

/// The number under which a task sees `partition` of a retry topic: no other topic has it, and none
/// that had this name before. So a sink can tell by the partition alone what comes of a retry, where
/// its files or objects are named by that.
pub(crate) fn seen_partition(topic: &SinkTopic, partition: u32) -> u32 {
    let own = partition::of_key(topic.id.as_bytes(), SEEN_TOPICS);
    PARTITIONS_MAX + own * SEEN_PARTITIONS + partition
}

/// The number in the log of a partition that a task sees as `seen`.
pub(crate) fn held_partition(seen: u32) -> u32 {
    match seen.checked_sub(PARTITIONS_MAX) {
        Some(above) => above % SEEN_PARTITIONS,
        None => seen,
    }
}

/// The partition for records that have `reached` so far.
pub(crate) fn partition_of(reached: Reached) -> u32 {
    let place = ALL_REACHED.iter().position(|other| *other == reached);
    place.unwrap_or(0) as u32
}

/// Where the records that were refused stood when they were refused first, in the order of
/// `refused`: of those that were retried, what their letters say. Waits for the disk.
pub(crate) fn first_places(log: &Log, refused: &[Refused]) -> Result<Vec<Option<Place>>> {
    let place = |at: usize| refused[at].record.place.as_ref();
    let is_retried = |at: &usize| place(*at).is_some_and(|place| place.topic.starts_with(TOPIC));
    let mut retried: Vec<usize> = (0..refused.len()).filter(is_retried).collect();
    let key = |at: usize| place(at).map(|place| (&place.topic, place.partition, place.offset));
    retried.sort_by_key(|at| key(*at));
    let mut places: Vec<_> = refused.iter().map(|bad| bad.record.place.clone()).collect();
    let partition = |at: usize| key(at).map(|(topic, partition, _)| (topic, partition));
    for of_partition in retried.chunk_by(|one, other| partition(*one) == partition(*other)) {
        let Some((topic, partition, offset)) = key(of_partition[0]) else {
            continue;
        };
        let failed = |error| log_error(&format!("read topic {topic}"), error);
        let mut reader = log
            .reader(topic, held_partition(partition), offset, ReadTo::Committed)
            .map_err(failed)?;
        let mut wanted = of_partition.iter().peekable();
        while wanted.peek().is_some()
            && let Some(batches) = reader.next(READ_BYTES).map_err(failed)?
        {
            for record in batches.iter().flat_map(Batch::records) {
                let record = record.map_err(malformed)?;
                let is_it = |at: &&usize| {
                    key(**at)
                        .is_some_and(|(_, _, offset)| i64::try_from(offset) == Ok(record.offset))
                };
                while let Some(at) = wanted.next_if(is_it) {
                    places[*at] = Letter::of(&record).place();
                }
            }
        }
    }
    Ok(places)
}

/// The records that the letters of `read`, a retry topic's, were made of: each with its letter's
/// offset. The batches of `read` become those of the stretches, one for one.
pub(crate) fn unwrap_for_sink(read: &mut SinkBatch) -> Result<Vec<Stretch>> {
    let from_offset = i64::try_from(read.from_offset).unwrap_or(i64::MAX);
    let mut stretches = Vec::new();
    for batch in &read.batches {
        stretches.extend(unwrap(batch, from_offset, Offsets::Letters)?);
    }
    read.batches = stretches.iter().map(|part| part.batch.clone()).collect();
    Ok(stretches)
}

/// Which offsets records have in their batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offsets {
    /// Those of their letters.
    Letters,
    /// From 0, one after the other.
    Dense,
}

/// The records that the letters of `batch` from `from_offset` on were made of, in their order: a
/// stretch of those that follow each other and came the same way.
pub(crate) fn unwrap(batch: &Batch, from_offset: i64, offsets: Offsets) -> Result<Vec<Stretch>> {
    let mut unwrapping = Unwrapping::default();
    let mut headers = Vec::new();
    for record in batch.records() {
        let record = record.map_err(malformed)?;
        if record.offset < from_offset {
            continue;
        }
        let letter = Letter::of(&record);
        let base_offset = match offsets {
            Offsets::Letters => record.offset,
            Offsets::Dense => 0,
        };
        unwrapping.begin(Way::of(&letter), base_offset);
        if offsets == Offsets::Letters {
            let delta = record.offset - unwrapping.base_offset;
            let delta = u32::try_from(delta).unwrap_or(u32::MAX);
            unwrapping.builder.skip_to(delta);
        }
        headers.clear();
        letter
            .own()
            .iter()
            .for_each(|header| header.put(&mut headers));
        unwrapping
            .builder
            .push_with_headers_of(
                letter.timestamp_ms().unwrap_or(record.timestamp_ms),
                record.key,
                record.value,
                Headers::encoded(letter.own().len(), &headers),
            )
            .map_err(malformed)?;
        unwrapping.keyed |= record.key.is_some();
        let place = letter.place();
        unwrapping.positions.extend(place.map(|place| place.offset));
    }
    Ok(unwrapping.finish())
}

/// Decodes what the letters of `batch` from `from_offset` on hold: what comes of them may be larger
/// than they are by `growth_left`. What is bad still, or too large, is added to `refused`, as far as
/// `on_error` allows.
pub(crate) fn decode(
    batch: &Batch,
    from_offset: i64,
    new_decoder: &NewDecoder,
    on_error: &Tolerance,
    growth_left: &mut usize,
    refused: &mut Vec<Refused>,
) -> Result<Vec<Stretch>> {
    let mut unwrapping = Unwrapping::default();
    for record in batch.records() {
        let record = record.map_err(malformed)?;
        if record.offset < from_offset {
            continue;
        }
        let letter = Letter::of(&record);
        unwrapping.begin(Way::of(&letter), 0);
        let decoded = decode_one(&letter, new_decoder, growth_left, &mut unwrapping);
        unwrapping.keyed |= record.key.is_some();
        if let Some(bad) = decoded? {
            on_error.refuse(refused, bad)?;
        }
    }
    Ok(unwrapping.finish())
}

/// Decodes one letter; what is left of it when it is bad.
fn decode_one(
    letter: &Letter<'_>,
    new_decoder: &NewDecoder,
    growth_left: &mut usize,
    unwrapping: &mut Unwrapping,
) -> Result<Option<Refused>> {
    let (headers, head) = match letter.own() {
        [headers @ .., head] if head.key == HEAD_HEADER.as_bytes() => (headers, head.value),
        headers => (headers, None),
    };
    let envelope = Envelope {
        timestamp_ms: letter.timestamp_ms().unwrap_or(letter.record.timestamp_ms),
        key: letter.record.key,
        headers,
    };
    let mut decoder = new_decoder();
    if let Some(head) = head.filter(|_| decoder.wants_beginning()) {
        // Whether it takes it shows below.
        let _ = decoder.decode(head, &envelope, &mut BatchBuilder::default());
    }
    if decoder.wants_beginning() {
        // It would take the record for its beginning.
        decoder.lose_beginning();
    }
    let payload = letter.record.value.unwrap_or_default();
    let mut made = BatchBuilder::default();
    let decoded = decoder.decode(payload, &envelope, &mut made);
    let decoded = decoded.and_then(|()| {
        let grown = made.size_bytes().saturating_sub(payload.len());
        grow(grown, growth_left)
    });
    let (Err(error), Some(way)) = (decoded, &unwrapping.way) else {
        for record in made.finish().iter().flat_map(Batch::records) {
            let copied = unwrapping.builder.copy(&record.map_err(malformed)?);
            copied.map_err(malformed)?;
        }
        return Ok(None);
    };
    if error.kind() != ErrorKind::Record {
        return Err(error);
    }
    let name = &way.origin.name;
    Ok(Some(Refused {
        stage: Stage::Decode,
        error: Error::record("read", format!("a retried record of {name}")).because(error),
        // The letter's, when it is the head that the decoder does not take.
        record: Original::undecoded(&way.origin, payload, &envelope, decoder.head().or(head)),
    }))
}

/// Takes `bytes` of what is left, if that is enough.
fn grow(bytes: usize, growth_left: &mut usize) -> Result<()> {
    *growth_left = growth_left.checked_sub(bytes).ok_or_else(|| {
        Error::record("take", "what was decoded")
            .because("what is retried at once may grow by 16 MiB")
            .remedy("retry it alone (`--limit 1`), or have the source read it again")
    })?;
    Ok(())
}

/// What records must have in common to stand in one stretch.
#[derive(PartialEq)]
struct Way {
    origin: Arc<Origin>,
    partition: Option<u32>,
    topic: Option<Arc<str>>,
    key_stands: bool,
}

impl Way {
    fn of(letter: &Letter<'_>) -> Self {
        Self {
            origin: Arc::new(letter.origin()),
            partition: letter.place().map(|place| place.partition),
            topic: letter.topic(),
            key_stands: letter.key_stands(),
        }
    }
}

/// Stretches in the making.
#[derive(Default)]
struct Unwrapping {
    done: Vec<Stretch>,
    way: Option<Way>,
    builder: BatchBuilder,
    base_offset: i64,
    positions: Vec<u64>,
    keyed: bool,
}

impl Unwrapping {
    /// The next record came this way.
    fn begin(&mut self, way: Way, base_offset: i64) {
        if self.way.as_ref() != Some(&way) {
            self.end();
            self.way = Some(way);
            self.base_offset = base_offset;
        }
    }

    fn end(&mut self) {
        let batch = self.builder.finish_at(self.base_offset);
        let positions = std::mem::take(&mut self.positions);
        let keyed = std::mem::take(&mut self.keyed);
        if let (Some(batch), Some(way)) = (batch, self.way.take()) {
            self.done.push(Stretch {
                origin: way.origin,
                partition: way.partition,
                offset: None,
                keyed,
                batch,
                topic: way.topic,
                key_stands: way.key_stands,
                positions,
            });
        }
    }

    fn finish(mut self) -> Vec<Stretch> {
        self.end();
        self.done
    }
}

fn malformed(error: BatchError) -> Error {
    Error::fatal("read", "the letters of a retry").because(error)
}
