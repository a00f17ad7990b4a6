//! Looking at all of the commit log, also at what no start reads any more: records before the
//! snapshot in use, and older snapshots. And at what lies in the directory without being listed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::LogError;
use crate::commits::{self, CommitFileBytes};
use crate::entry;
use crate::frame::{self, BLOCK_BYTES, Found, Frame};
use crate::replay::{self, Replay, damage_at, headers};
use crate::segment::{Layout, SegmentName};
use crate::state::State;
use crate::storage::Storage;

/// What the commit log holds, damaged or not.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// Each damaged place; what replay has found too is among it.
    pub damage: Vec<String>,
    pub records: u64,
}

/// Reads every commit file and every snapshot. What replay says of the log's end is taken as it
/// is; damaged heads of files, and damage of the snapshots it tried, are in its report.
pub(crate) fn commit_log(
    storage: &dyn Storage,
    dir: &Path,
    replay: &Replay,
) -> Result<Audit, LogError> {
    let listing = commits::list(storage, dir)?;
    let mut audit = Audit::default();
    let older = listing.snapshots.iter();
    for (sequence, path) in older.filter(|(sequence, _)| *sequence < replay.sequence) {
        let read = commits::read_snapshot(storage, path, *sequence);
        let why = match read.map(|(_, body)| replay::fold(body)) {
            Ok(Ok(_)) => continue,
            Ok(Err(why)) => format!("{}: byte 0: {why}", path.display()),
            Err(error) => error.to_string(),
        };
        audit.damage.push(why);
    }
    let read = listing.commits.iter();
    let mut files: Vec<CommitFileBytes> = read
        .filter_map(|path| commits::read(storage, path).ok())
        .collect();
    files.sort_by_key(|file| (file.epoch, file.first));
    for (number, file) in files.iter().enumerate() {
        // Where the next file of the epoch begins, or the next epoch, or where replay ended.
        let next = files[number + 1..].iter().map(|file| file.first).min();
        let last = replay.damage.is_empty().then(|| replay.expected());
        audit.file(file, next.into_iter().chain(last).min());
    }
    Ok(audit)
}

impl Audit {
    /// The records of a file up to `limit`, or to the last one that is there.
    fn file(&mut self, file: &CommitFileBytes, limit: Option<u64>) {
        let (mut position, mut sequence) = (BLOCK_BYTES, file.first);
        let mut chain = None;
        while position < file.bytes.len() && limit.is_none_or(|limit| sequence < limit) {
            let found = frame::decode(&file.bytes[position..], file.log_id, sequence);
            let at = match found {
                Found::Frame(frame) => {
                    if let Err(why) = check(file, &frame, chain) {
                        let wrong = damage_at(&file.path, position, sequence, &why);
                        self.damage.push(wrong);
                    }
                    position += frame.size_bytes;
                    (sequence, chain) = (sequence + 1, Some(frame.checksum));
                    self.records += 1;
                    continue;
                }
                Found::Damaged(at) => Some(at),
                Found::Torn | Found::Nothing => None,
            };
            let later = headers(file, position + BLOCK_BYTES, file.log_id).find(|(_, header)| {
                header.epoch == file.epoch
                    && header.sequence > sequence
                    && limit.is_none_or(|limit| header.sequence < limit)
            });
            // Without a known end, zeros with nothing behind them are the end.
            if at.is_some() || later.is_some() || limit.is_some() {
                let why = at.map_or("the record is missing", |_| "the record is damaged");
                let place = position + at.unwrap_or(0);
                self.damage
                    .push(damage_at(&file.path, place, sequence, why));
            }
            let Some((place, header)) = later else { return };
            (position, sequence, chain) = (place, header.sequence, None);
        }
    }
}

/// A frame that is whole must also belong where it stands.
fn check(file: &CommitFileBytes, frame: &Frame, chain: Option<u32>) -> Result<(), String> {
    if frame.header.epoch != file.epoch {
        return Err(format!(
            "epoch {} instead of {}",
            frame.header.epoch, file.epoch
        ));
    }
    if chain.is_some_and(|chain| chain != frame.header.previous) {
        return Err("the record does not follow the one before it".into());
    }
    entry::decode_all(frame.body.clone()).map(|_| ())
}

/// Whether two findings speak of the same byte of the same file.
pub(crate) fn same_place(one: &str, other: &str) -> bool {
    let place = |text: &str| text.split(',').next().map(str::to_owned);
    place(one) == place(other)
}

/// Files and directories of topics that `state` does not list.
pub(crate) fn unlisted(
    storage: &dyn Storage,
    layout: &Layout,
    state: &State,
) -> Result<Vec<String>, LogError> {
    let list = |dir: &Path| {
        let entries = storage.list(dir);
        entries.map_err(|error| LogError::io("list", dir, error))
    };
    let mut known = BTreeMap::new();
    for (key, topic, partition) in state.partitions() {
        known.insert(layout.partition(&topic.name, key.partition), partition);
    }
    let mut found = Vec::new();
    for entry in list(&layout.topics())? {
        let path = layout.topics().join(&entry.name);
        let Some(partition) = known.get(&path).filter(|_| entry.is_dir) else {
            found.push((path, "not known to the log"));
            continue;
        };
        for entry in list(&path)? {
            let segment = Path::new(&entry.name).with_extension("log");
            let name = SegmentName::parse(&segment.to_string_lossy());
            let is_kind = entry.name.ends_with(".log") || entry.name.ends_with(".index");
            let is_listed = |name| partition.segments.iter().any(|s| s.name() == name);
            let is_leased =
                |name: SegmentName| partition.leased.is_some_and(|from| name.base >= from);
            if !is_kind || !name.is_some_and(is_listed) {
                let what = match name.is_some_and(is_leased) {
                    true => "part of a set with a lease that is not committed",
                    false => "not known to the log",
                };
                found.push((path.join(&entry.name), what));
            }
        }
    }
    let tell = |(path, what): (PathBuf, &str)| format!("{}: {what}", path.display());
    Ok(found.into_iter().map(tell).collect())
}
