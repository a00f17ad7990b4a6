//! Looking at a log from outside: all damage, and all content, without changing anything and
//! without the lock. Of a running log it sees a moment of the past.

use std::path::Path;

use towpath_record::{BatchHeader, HEADER_BYTES};

use crate::encoding::DecodeError;
use crate::partition::Segment;
use crate::replay::{self, Replay};
use crate::segment::{Layout, SegmentFile, check_header, damage};
use crate::state::State;
use crate::storage::Storage;
use crate::{LogError, audit, sweep, wording};

/// What [`verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Each damaged place: file, byte, offset or record, why.
    pub damage: Vec<String>,
    /// Ordinary findings, such as a torn tail that the next start will leave out.
    pub notes: Vec<String>,
    /// Segments that were read.
    pub segments: u64,
    /// Whole batches in them.
    pub batches: u64,
    /// Bytes of these batches.
    pub bytes: u64,
    /// Whole records of the commit log, also those that no start reads any more.
    pub commit_records: u64,
}

/// One thing [`dump`] shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DumpItem {
    /// A change in the snapshot that the log starts from.
    Snapshot {
        /// The change, in words.
        entry: String,
    },
    /// A commit record, and its changes.
    Record {
        /// The commit file.
        file: String,
        /// Byte at which the record begins.
        position: u64,
        /// Its number.
        sequence: u64,
        /// The start of the log that wrote it.
        epoch: u64,
        /// Its changes, each in words.
        entries: Vec<String>,
    },
    /// A batch of a segment.
    Batch {
        /// The segment.
        file: String,
        /// Byte at which the batch begins.
        position: u64,
        /// Offset of its first record.
        base_offset: u64,
        /// How many records it holds.
        records: u32,
        /// Its size, header included.
        bytes: usize,
    },
    /// Something that could not be read.
    Damage(String),
}

/// Reads everything and reports all damage, not only the first. Fails only if the directory cannot
/// be read at all.
pub fn verify(dir: &Path, storage: &dyn Storage) -> Result<VerifyReport, LogError> {
    let mut report = VerifyReport::default();
    walk(dir, storage, &mut |item| match item {
        DumpItem::Snapshot { .. } | DumpItem::Record { .. } => {}
        DumpItem::Batch {
            bytes, position, ..
        } => {
            report.segments += u64::from(position == 0);
            report.batches += 1;
            report.bytes += bytes as u64;
        }
        DumpItem::Damage(why) => report.damage.push(why),
    })
    .map(|walked| (report.notes, report.commit_records) = walked)?;
    Ok(report)
}

/// Shows the commit log and every batch, in the order of the files.
pub fn dump(
    dir: &Path,
    storage: &dyn Storage,
    out: &mut dyn FnMut(DumpItem),
) -> Result<(), LogError> {
    walk(dir, storage, out).map(|_| ())
}

/// Shows everything; returns the notes, and how many commit records there are, shown or not.
fn walk(
    dir: &Path,
    storage: &dyn Storage,
    out: &mut dyn FnMut(DumpItem),
) -> Result<(Vec<String>, u64), LogError> {
    let layout = Layout {
        dir: dir.to_owned(),
    };
    let mut replay = replay::replay(storage, &layout.commits())?;
    for entry in replay.state.entries() {
        out(DumpItem::Snapshot {
            entry: wording::line(&entry, &replay.state),
        });
    }
    let spoilt = std::mem::take(&mut replay.spoilt);
    for why in spoilt
        .into_iter()
        .map(|(_, why)| why)
        .chain(replay.damage.iter().cloned())
    {
        out(DumpItem::Damage(why));
    }
    let audit = audit::commit_log(storage, &layout.commits(), &replay)?;
    let known = replay.damage.clone();
    for damage in audit.damage {
        if !known.iter().any(|known| audit::same_place(known, &damage)) {
            out(DumpItem::Damage(damage));
        }
    }
    let state = match fold(&mut replay, out) {
        Ok(state) => state,
        Err(why) => {
            out(DumpItem::Damage(format!(
                "{}: {why}",
                layout.commits().display()
            )));
            return Ok((replay.notes, audit.records));
        }
    };
    for (key, topic, partition) in state.partitions() {
        for segment in &partition.segments {
            let path = layout.segment(&topic.name, key.partition, segment.name());
            match sweep::open_for_reading(storage, &path, segment.name()) {
                Ok(file) => {
                    check_size(&file, segment, out);
                    batches(&file, segment, out);
                }
                Err(error) => out(DumpItem::Damage(error.to_string())),
            }
        }
    }
    let mut notes = replay.notes;
    notes.extend(audit::unlisted(storage, &layout, &state)?);
    Ok((notes, audit.records))
}

fn fold(replay: &mut Replay, out: &mut dyn FnMut(DumpItem)) -> Result<State, DecodeError> {
    let mut state = std::mem::take(&mut replay.state);
    for record in &replay.records {
        for entry in &record.entries {
            state.apply(entry)?;
        }
        out(DumpItem::Record {
            file: record.path.display().to_string(),
            position: record.position,
            sequence: record.header.sequence,
            epoch: record.header.epoch,
            entries: record
                .entries
                .iter()
                .map(|entry| wording::line(entry, &state))
                .collect(),
        });
    }
    Ok(state)
}

/// A sealed segment has exactly its length. One that is too short is found by its batches.
fn check_size(file: &SegmentFile, segment: &Segment, out: &mut dyn FnMut(DumpItem)) {
    let Segment { end, length, .. } = *segment;
    let size = file.file.size().unwrap_or(length);
    if segment.sealed && size > length {
        let why = format!("the file has {size} bytes instead of {length}");
        let damage = damage(&file.path, length, end, &why);
        out(DumpItem::Damage(damage.to_string()));
    }
}

/// All batches of a segment. Behind a batch with a broken body the walk goes on at its length;
/// behind a broken header it looks for the next header that fits, so that all damage is found.
fn batches(file: &SegmentFile, segment: &Segment, out: &mut dyn FnMut(DumpItem)) {
    let (mut position, mut offset) = (0, segment.base);
    while position < segment.length {
        let room = segment.length - position;
        match read_batch(file, position, offset, room) {
            Ok(header) => {
                out(DumpItem::Batch {
                    file: file.path.display().to_string(),
                    position,
                    base_offset: offset,
                    records: header.records_count,
                    bytes: header.batch_bytes,
                });
                position += header.batch_bytes as u64;
                offset = header.next_offset() as u64;
            }
            Err((why, header)) => {
                out(DumpItem::Damage(
                    damage(&file.path, position, offset, &why).to_string(),
                ));
                let next = header
                    .map(|h| (position + h.batch_bytes as u64, h.next_offset() as u64))
                    .or_else(|| find_next(file, position + 1, offset, segment));
                let Some(next) = next else { return };
                (position, offset) = next;
            }
        }
    }
    // One from which compaction has taken all records is empty.
    if offset != segment.end && segment.length > 0 {
        let why = format!(
            "the segment ends at offset {offset} instead of {}",
            segment.end
        );
        out(DumpItem::Damage(
            damage(&file.path, position, offset, &why).to_string(),
        ));
    }
}

fn read_batch(
    file: &SegmentFile,
    position: u64,
    offset: u64,
    room: u64,
) -> Result<BatchHeader, (String, Option<BatchHeader>)> {
    let mut bytes = Vec::new();
    let io = |error: std::io::Error| (error.to_string(), None);
    file.file
        .read_at(position, HEADER_BYTES, &mut bytes)
        .map_err(io)?;
    let header = check_header(&bytes, offset, room).map_err(|why| (why, None))?;
    bytes.clear();
    file.file
        .read_at(position, header.batch_bytes, &mut bytes)
        .map_err(io)?;
    if bytes.len() < header.batch_bytes {
        return Err(("the file ends within the batch".into(), None));
    }
    match towpath_record::verify_crc(&bytes) {
        Ok(()) => Ok(header),
        // Tiling tells whether the length is right: the next batch stands behind it, or the end.
        Err(error) => {
            let next = position + header.batch_bytes as u64;
            let mut after = Vec::new();
            let read = file.file.read_at(next, HEADER_BYTES, &mut after);
            let fits = header.batch_bytes as u64 == room
                || read.is_ok()
                    && check_header(&after, header.next_offset() as u64, u64::MAX).is_ok();
            Err((error.to_string(), fits.then_some(header)))
        }
    }
}

/// The next whole batch with a later offset, and its place.
fn find_next(file: &SegmentFile, from: u64, offset: u64, segment: &Segment) -> Option<(u64, u64)> {
    const WINDOW_BYTES: u64 = 1 << 20;
    let mut start = from;
    while start < segment.length {
        let mut bytes = Vec::new();
        file.file
            .read_at(start, WINDOW_BYTES as usize + HEADER_BYTES, &mut bytes)
            .ok()?;
        for at in 0..bytes
            .len()
            .saturating_sub(HEADER_BYTES - 1)
            .min(WINDOW_BYTES as usize)
        {
            // Magic and a base offset in the segment's range, before the dearer checks.
            let header = &bytes[at..at + HEADER_BYTES];
            let base = header
                .first_chunk()
                .map_or(0, |base| u64::from_be_bytes(*base));
            if header[16] != 2 || base <= offset || base >= segment.end {
                continue;
            }
            let position = start + at as u64;
            if read_batch(file, position, base, segment.length - position).is_ok() {
                return Some((position, base));
            }
        }
        start += WINDOW_BYTES;
    }
    None
}
