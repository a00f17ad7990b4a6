//! Reading the commit log back: the newest good snapshot, then every record behind it in order,
//! up to the end, a torn tail, or damage. Changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use uuid::Uuid;

use crate::commits::{self, CommitFileBytes};
use crate::entry::{self, Entry};
use crate::frame::{self, BLOCK_BYTES, Found, Frame, FrameHeader};
use crate::state::State;
use crate::storage::Storage;
use crate::{LogError, LogErrorKind};

/// A commit record as it was read.
#[derive(Debug)]
pub(crate) struct CommitRecord {
    pub header: FrameHeader,
    pub checksum: u32,
    pub path: PathBuf,
    pub position: u64,
    pub entries: Vec<Entry>,
}

/// What the commit log holds.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub log_id: Uuid,
    /// The state of the snapshot, to which the records have not been applied.
    pub state: State,
    /// Of the snapshot: its record's sequence and checksum. 0 without one.
    pub sequence: u64,
    pub checksum: u32,
    pub records: Vec<CommitRecord>,
    /// Every record up to this one was durable.
    pub durable: u64,
    pub epoch_max: u64,
    /// Commit files of which no record counts any more.
    pub superseded: Vec<PathBuf>,
    pub temporaries: Vec<PathBuf>,
    pub strangers: Vec<PathBuf>,
    /// Ordinary findings, such as a torn tail.
    pub notes: Vec<String>,
    /// Damage, in words; with any, replay ended before the end of the log.
    pub damage: Vec<String>,
    /// Damaged snapshots that another one stood in for.
    pub spoilt: Vec<(PathBuf, String)>,
}

impl Replay {
    pub(crate) fn is_fresh(&self) -> bool {
        self.epoch_max == 0
    }

    /// Sequence of the record behind the last one that counts.
    pub(crate) fn expected(&self) -> u64 {
        self.records
            .last()
            .map_or(self.sequence, |record| record.header.sequence)
            + 1
    }

    fn chain(&self) -> u32 {
        self.records
            .last()
            .map_or(self.checksum, |record| record.checksum)
    }
}

/// Reads the commit log in `dir`.
pub(crate) fn replay(storage: &dyn Storage, dir: &Path) -> Result<Replay, LogError> {
    let listing = commits::list(storage, dir)?;
    let mut replay = Replay {
        temporaries: listing.temporaries,
        strangers: listing.strangers,
        ..Replay::default()
    };
    let mut files = Vec::new();
    for path in &listing.commits {
        match commits::read(storage, path) {
            Ok(file) => files.push(file),
            Err(error) if error.kind() == LogErrorKind::Damaged => {
                replay.damage.push(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    files.sort_by_key(|file| (file.epoch, file.first));
    let has_snapshots = !listing.snapshots.is_empty();
    let epoch = load_snapshot(storage, listing.snapshots, &mut replay)?;
    if let Some(file) = files.first() {
        replay.log_id = if epoch == 0 {
            file.log_id
        } else {
            replay.log_id
        };
    }
    replay.epoch_max = files.last().map_or(epoch, |file| file.epoch.max(epoch));
    check_start(&files, epoch, has_snapshots, dir, &mut replay);
    let mut epochs: BTreeMap<u64, Vec<CommitFileBytes>> = BTreeMap::new();
    for file in files {
        epochs.entry(file.epoch).or_default().push(file);
    }
    let starts: Vec<(u64, u64)> = epochs
        .iter()
        .filter_map(|(&epoch, files)| Some((epoch, files.first()?.first)))
        .collect();
    for (epoch_number, files) in epochs {
        let next = starts
            .iter()
            .find(|(epoch, _)| *epoch > epoch_number)
            .map(|(_, first)| *first);
        let gone = files
            .iter()
            .filter(|file| next.is_some_and(|next| file.first >= next));
        replay.superseded.extend(gone.map(|file| file.path.clone()));
        if epoch_number >= epoch && replay.damage.is_empty() {
            replay_epoch(&files, epoch_number, next, &mut replay);
        }
    }
    Ok(replay)
}

/// Loads the newest snapshot that is whole; returns its epoch, 0 without one.
fn load_snapshot(
    storage: &dyn Storage,
    snapshots: Vec<(u64, PathBuf)>,
    replay: &mut Replay,
) -> Result<u64, LogError> {
    for (sequence, path) in snapshots {
        let loaded = commits::read_snapshot(storage, &path, sequence).and_then(|(header, body)| {
            let state = fold(body)
                .map_err(|why| LogError::damaged(format!("{}: {why}", path.display())))?;
            Ok((header, state))
        });
        match loaded {
            Ok((header, state)) => {
                (replay.log_id, replay.state) = (header.log_id, state);
                (replay.sequence, replay.checksum) = (header.sequence, header.previous);
                replay.durable = header.sequence;
                return Ok(header.epoch);
            }
            Err(error) if error.kind() == LogErrorKind::Damaged => {
                let why = format!("{error}; the one before it is used");
                replay.spoilt.push((path, why));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}

pub(crate) fn fold(body: Bytes) -> Result<State, String> {
    let mut state = State::default();
    for entry in entry::decode_all(body)? {
        state.apply(&entry)?;
    }
    Ok(state)
}

/// A snapshot must have its commit file, and without one the log must go back to record 1.
fn check_start(
    files: &[CommitFileBytes],
    epoch: u64,
    has_snapshots: bool,
    dir: &Path,
    replay: &mut Replay,
) {
    let (sequence, log_id) = (replay.sequence, replay.log_id);
    let covered = files
        .iter()
        .any(|file| file.epoch == epoch && (file.first..).contains(&sequence));
    if epoch > 0 && !covered {
        replay.damage.push(format!(
            "{}: the commit file with record {sequence} is missing; restore it from a copy",
            dir.display()
        ));
    }
    if epoch == 0 && (has_snapshots || files.first().is_some_and(|file| file.first != 1)) {
        replay.damage.push(format!(
            "{}: no snapshot is whole and the commit log does not go back to record 1; restore \
             a snapshot from a copy",
            dir.display()
        ));
    }
    for file in files.iter().filter(|file| file.log_id != log_id) {
        replay.damage.push(format!(
            "{}: the file belongs to log {}, not to {log_id}; put the right file back",
            file.path.display(),
            file.log_id
        ));
    }
}

/// Reads the records of one epoch. `next` is where the following epoch took over.
fn replay_epoch(files: &[CommitFileBytes], epoch: u64, next: Option<u64>, replay: &mut Replay) {
    for (number, file) in files.iter().enumerate() {
        let expected = replay.expected();
        let following = files.get(number + 1);
        if following.is_some_and(|following| following.first <= expected) {
            continue;
        }
        if file.first > expected || next.is_some_and(|next| expected >= next) {
            break;
        }
        let stop = replay_file(file, epoch, next, replay);
        if next.is_some_and(|next| replay.expected() >= next) || !replay.damage.is_empty() {
            return;
        }
        if following.is_none_or(|following| following.first != replay.expected()) {
            end_epoch(&files[number..], epoch, next, stop, replay);
            return;
        }
    }
}

/// Where the records of a file end, and how.
struct Stop {
    position: usize,
    found: Option<Found>,
}

fn replay_file(file: &CommitFileBytes, epoch: u64, next: Option<u64>, replay: &mut Replay) -> Stop {
    let mut position = BLOCK_BYTES;
    let mut sequence = file.first;
    while position < file.bytes.len() && next.is_none_or(|next| sequence < next) {
        let found = frame::decode(&file.bytes[position..], replay.log_id, sequence);
        let Found::Frame(frame) = found else {
            // Records the snapshot covers are not needed, only to find those behind them.
            let wanted = replay.expected();
            if sequence < wanted
                && let Some(at) = find(file, position, epoch, wanted)
            {
                let why = damage_at(
                    &file.path,
                    position,
                    sequence,
                    "a record the snapshot covers",
                );
                replay.notes.push(why);
                (position, sequence) = (at, wanted);
                continue;
            }
            return Stop {
                position,
                found: Some(found),
            };
        };
        if sequence >= replay.expected() {
            let size = frame.size_bytes;
            if let Err(why) = add(file, position, epoch, frame, replay) {
                replay
                    .damage
                    .push(damage_at(&file.path, position, sequence, &why));
                break;
            }
            position += size;
        } else {
            position += frame.size_bytes;
        }
        sequence += 1;
    }
    Stop {
        position,
        found: None,
    }
}

fn add(
    file: &CommitFileBytes,
    position: usize,
    epoch: u64,
    frame: Frame,
    replay: &mut Replay,
) -> Result<(), String> {
    if frame.header.epoch != epoch {
        return Err(format!("epoch {} instead of {epoch}", frame.header.epoch));
    }
    if frame.header.previous != replay.chain() {
        return Err("the record does not follow the one before it".into());
    }
    replay.durable = replay.durable.max(frame.header.durable);
    replay.records.push(CommitRecord {
        header: frame.header,
        checksum: frame.checksum,
        path: file.path.clone(),
        position: position as u64,
        entries: entry::decode_all(frame.body)?,
    });
    Ok(())
}

/// The records of an epoch ended before a later epoch took over, or there is no later one: a torn
/// tail, or damage.
fn end_epoch(
    rest: &[CommitFileBytes],
    epoch: u64,
    next: Option<u64>,
    stop: Stop,
    replay: &mut Replay,
) {
    let Some(file) = rest.first() else { return };
    let wanted = replay.expected();
    let damaged = |why: &str| damage_at(&file.path, stop.position, wanted, why);
    if let Some(Found::Damaged(at)) = stop.found {
        let why = "the bytes are neither a record nor the start of one";
        replay
            .damage
            .push(damage_at(&file.path, stop.position + at, wanted, why));
        return;
    }
    if next.is_some() {
        replay.damage.push(damaged(
            "the record is missing, but a later start had read it",
        ));
        return;
    }
    // Any later record that knew this one to be durable proves that it was there.
    let proof = rest.iter().enumerate().any(|(number, later)| {
        let from = if number == 0 {
            stop.position
        } else {
            BLOCK_BYTES
        };
        headers(later, from, replay.log_id)
            .any(|(_, header)| header.epoch == epoch && header.durable >= wanted)
    });
    if proof {
        replay.damage.push(damaged(
            "the record is missing, but a later one proves that it was there",
        ));
        return;
    }
    if matches!(stop.found, Some(Found::Torn)) {
        replay.notes.push(format!(
            "{}: record {wanted} was cut short by the crash and nobody was told of it: left out",
            file.path.display()
        ));
    }
    replay
        .superseded
        .extend(rest.iter().skip(1).map(|file| file.path.clone()));
}

/// Frame headers from `position` on, wherever they stand.
pub(crate) fn headers(
    file: &CommitFileBytes,
    position: usize,
    log_id: Uuid,
) -> impl Iterator<Item = (usize, FrameHeader)> {
    let places = (position..file.bytes.len()).step_by(BLOCK_BYTES);
    places.filter_map(move |at| Some((at, frame::peek(&file.bytes[at..], log_id)?)))
}

fn find(file: &CommitFileBytes, from: usize, epoch: u64, sequence: u64) -> Option<usize> {
    let mut found = headers(file, from, file.log_id);
    found
        .find(|(_, h)| h.epoch == epoch && h.sequence == sequence)
        .map(|(at, _)| at)
}

pub(crate) fn damage_at(path: &Path, position: usize, sequence: u64, why: &str) -> String {
    format!(
        "{}: byte {position}, commit record {sequence}: {why}",
        path.display()
    )
}
