//! Folding the records that were read, and telling which bytes they speak of are proven.
//!
//! In `fsync` mode a record is written after its bytes were synced, so it proves them against a
//! stop of the machine. In `os` mode nothing does: after the machine stopped, each record beyond
//! the last checkpoint counts only if everything it names reads well, and the first that does not
//! ends the log there. But a record that drops files is written after a sync of all that it and
//! those before it name: so it proves them, and had better, as some of these files are gone.

use std::collections::BTreeMap;

use crate::LogError;
use crate::entry::Entry;
use crate::recovery::{Scene, Unproven};
use crate::replay::{CommitRecord, Replay};
use crate::segment::{SegmentFile, SegmentName, Walk};
use crate::state::State;
use crate::topic::PartitionKey;

/// The state that counts.
pub(crate) struct Folded {
    pub state: State,
    /// Of the last record that counts.
    pub sequence: u64,
    pub checksum: u32,
    pub unproven: Unproven,
    /// Offsets may have been lost that were shown to readers.
    pub gap: bool,
}

pub(crate) fn fold(
    scene: &mut Scene<'_>,
    replay: &mut Replay,
    machine_stopped: impl Fn(&State) -> bool,
) -> Result<Folded, LogError> {
    let mut folded = Folded {
        state: std::mem::take(&mut replay.state),
        sequence: replay.sequence,
        checksum: replay.checksum,
        unproven: BTreeMap::new(),
        gap: false,
    };
    let drops = replay.records.iter().rfind(|record| drops_files(record));
    let drop_sequence = drops.map_or(0, |record| record.header.sequence);
    for record in &replay.records {
        let sequence = record.header.sequence;
        let proven = sequence <= replay.durable;
        if !proven
            && sequence > drop_sequence
            && machine_stopped(&folded.state)
            && replay.damage.is_empty()
            && let Err(error) = check_record(scene, &folded.state, record)
        {
            scene.recovery.notes.push(format!(
                "durability os and the machine stopped: the log steps back to record {}, because \
                 the next one names what did not reach the disk ({error})",
                folded.sequence
            ));
            break;
        }
        for entry in &record.entries {
            if !proven {
                note_unproven(&folded.state, entry, &mut folded.unproven);
            }
            if let Err(why) = folded.state.apply(entry) {
                let (path, position) = (record.path.display(), record.position);
                replay.damage.push(format!(
                    "{path}: byte {position}, commit record {sequence}: {why}"
                ));
                return Ok(folded);
            }
        }
        (folded.sequence, folded.checksum) = (sequence, record.checksum);
    }
    // A clean end that is found was written when everything before it was durable.
    folded.gap = machine_stopped(&folded.state) && !folded.state.stopped;
    Ok(folded)
}

/// Whether files may be gone because of the record.
fn drops_files(record: &CommitRecord) -> bool {
    let drops = |entry: &Entry| {
        matches!(
            entry,
            Entry::SegmentDeleted { .. }
                | Entry::SegmentReplaced { .. }
                | Entry::TopicDeleted { .. }
        )
    };
    record.entries.iter().any(drops)
}

fn note_unproven(state: &State, entry: &Entry, unproven: &mut Unproven) {
    // The file that stands for them was synced before the record.
    if let Entry::SegmentReplaced { key, end, name, .. } = entry {
        unproven.retain(|(of, base), _| of != key || !(name.base..*end).contains(base));
    }
    if let Entry::SegmentCreated { key, base }
    | Entry::End { key, base, .. }
    | Entry::SegmentSealed { key, base } = entry
    {
        let segments = state.partition(*key).map(|partition| &partition.segments);
        let segment = segments.and_then(|all| all.iter().find(|segment| segment.base == *base));
        let length = segment.map_or(0, |segment| segment.length);
        unproven.entry((*key, *base)).or_insert(length);
    }
}

/// Whether every byte that the record commits is there.
fn check_record(scene: &Scene<'_>, state: &State, record: &CommitRecord) -> Result<(), LogError> {
    let mut state = state.clone();
    for entry in &record.entries {
        if let Entry::End {
            key,
            base,
            end,
            length,
            ..
        } = *entry
        {
            let from = state.partition(key).and_then(|partition| {
                let segment = partition
                    .segments
                    .iter()
                    .find(|segment| segment.base == base)?;
                Some((segment.length, segment.end))
            });
            let (position, offset) = from.unwrap_or((0, base));
            let file = open(scene, &state, key, base)?;
            let mut walk = Walk::new(&file, position, offset, length);
            while walk.batch()?.is_some() {}
            if walk.offset != end {
                return Err(LogError::damaged(format!(
                    "{} is short",
                    file.path.display()
                )));
            }
        }
        state.apply(entry).map_err(LogError::damaged)?;
    }
    Ok(())
}

fn open(
    scene: &Scene<'_>,
    state: &State,
    key: PartitionKey,
    base: u64,
) -> Result<std::sync::Arc<SegmentFile>, LogError> {
    let name = state
        .topics
        .get(&key.topic)
        .map(|topic| topic.name.as_str())
        .unwrap_or_default();
    let segment = SegmentName::first(base);
    let path = scene.layout.segment(name, key.partition, segment);
    let file = scene.storage.open(&path, false);
    let file = file.map_err(|error| LogError::io("open", &path, error))?;
    Ok(SegmentFile::new(file, path, segment))
}
