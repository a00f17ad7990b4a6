//! The files of the commit log: commit files, filled with zeros ahead of use, and snapshots.
//!
//! Both get their final name only when they are whole and synced, so one under its final name
//! that is short or wrong is damage, never a crash.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use uuid::Uuid;

use crate::LogError;
use crate::encoding::{Put, Take};
use crate::frame::{self, BLOCK_BYTES, Found, FrameHeader};
use crate::storage::{File, Storage};

/// The version of the format this program writes, and the only one it reads.
const FORMAT_VERSION: u32 = 1;

/// A commit file open for writing.
pub(crate) struct CommitFile {
    pub file: Box<dyn File>,
    pub path: PathBuf,
    pub size_bytes: u64,
}

/// A commit file read whole.
pub(crate) struct CommitFileBytes {
    pub path: PathBuf,
    /// Sequence of its first record.
    pub first: u64,
    pub epoch: u64,
    pub log_id: Uuid,
    pub bytes: Vec<u8>,
}

/// What lies in the directory of the commit log.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub commits: Vec<PathBuf>,
    /// Newest first.
    pub snapshots: Vec<(u64, PathBuf)>,
    pub temporaries: Vec<PathBuf>,
    pub strangers: Vec<PathBuf>,
}

pub(crate) fn commit_path(dir: &Path, first: u64, epoch: u64) -> PathBuf {
    dir.join(format!("{first:020}.{epoch}.commits"))
}

fn snapshot_path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:020}.snapshot"))
}

pub(crate) fn list(storage: &dyn Storage, dir: &Path) -> Result<Listing, LogError> {
    let entries = storage
        .list(dir)
        .map_err(|error| LogError::io("list", dir, error))?;
    let mut listing = Listing::default();
    for entry in entries {
        let path = dir.join(&entry.name);
        let sequence = entry
            .name
            .strip_suffix(".snapshot")
            .and_then(|name| name.parse().ok());
        if let Some(sequence) = sequence {
            listing.snapshots.push((sequence, path));
        } else if entry.name.ends_with(".commits") {
            listing.commits.push(path);
        } else if entry.name.ends_with(".temporary") {
            listing.temporaries.push(path);
        } else {
            listing.strangers.push(path);
        }
    }
    listing
        .snapshots
        .sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
    listing.commits.sort();
    Ok(listing)
}

pub(crate) fn read_whole(storage: &dyn Storage, path: &Path) -> Result<Vec<u8>, LogError> {
    let read = || {
        let file = storage.open(path, false)?;
        let length = usize::try_from(file.size()?).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        file.read_at(0, length.min(frame::FRAME_BYTES_MAX), &mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error| LogError::io("read", path, error))
}

/// Makes a commit file whose first record will be `header.sequence`, with `content` already in
/// it: the first record of an epoch, or nothing. Durable when this returns.
pub(crate) fn create(
    storage: &dyn Storage,
    dir: &Path,
    header: &FrameHeader,
    size_bytes: u64,
    content: &[u8],
) -> Result<CommitFile, LogError> {
    let path = commit_path(dir, header.sequence, header.epoch);
    let mut body = Vec::new();
    body.put_u32(FORMAT_VERSION);
    body.put_u64(size_bytes);
    let (head, _) = frame::encode(header, &body);
    let file = write_named(storage, &path, &[&head, content], size_bytes)?;
    Ok(CommitFile {
        file,
        path,
        size_bytes,
    })
}

/// Reads a commit file and checks its head: size, version, name.
pub(crate) fn read(storage: &dyn Storage, path: &Path) -> Result<CommitFileBytes, LogError> {
    let bytes = read_whole(storage, path)?;
    let wrong = |why: &str| {
        LogError::damaged(format!(
            "{}: byte 0: {why}; restore the file from a copy",
            path.display()
        ))
    };
    let (log_id, first) = named(&bytes).ok_or_else(|| wrong("this is not a commit file"))?;
    let Found::Frame(head) = frame::decode(&bytes, log_id, first) else {
        return Err(wrong("the head of the commit file is damaged"));
    };
    let mut take = Take::new(head.body);
    let version = take.u32().map_err(|why| wrong(&why))?;
    if version != FORMAT_VERSION {
        return Err(LogError::invalid(format!(
            "{}: format version {version}, this program knows {FORMAT_VERSION}: use the Towpath \
             that wrote it; nothing was changed",
            path.display()
        )));
    }
    let size = take.u64().map_err(|why| wrong(&why))?;
    if size != bytes.len() as u64 {
        return Err(wrong(&format!(
            "the file has {} bytes instead of {size}",
            bytes.len()
        )));
    }
    let epoch = head.header.epoch;
    if path.file_name() != commit_path(Path::new(""), first, epoch).file_name() {
        return Err(wrong("the file's name is not the one it was written under"));
    }
    Ok(CommitFileBytes {
        path: path.to_owned(),
        first,
        epoch,
        log_id,
        bytes,
    })
}

/// Writes a snapshot of the state after record `header.sequence`. Durable when this returns.
pub(crate) fn write_snapshot(
    storage: &dyn Storage,
    dir: &Path,
    header: &FrameHeader,
    body: &[u8],
) -> Result<(), LogError> {
    if frame::size_bytes(body.len()) > frame::FRAME_BYTES_MAX {
        return Err(LogError::invalid(format!(
            "{}: the state of the connectors takes {} bytes, more than a snapshot holds: let them \
             keep less",
            dir.display(),
            body.len()
        )));
    }
    let (bytes, _) = frame::encode(header, body);
    write_named(
        storage,
        &snapshot_path(dir, header.sequence),
        &[&bytes],
        bytes.len() as u64,
    )?;
    Ok(())
}

/// Reads a snapshot; its header's `previous` is the checksum of the record it follows.
pub(crate) fn read_snapshot(
    storage: &dyn Storage,
    path: &Path,
    sequence: u64,
) -> Result<(FrameHeader, Bytes), LogError> {
    let bytes = read_whole(storage, path)?;
    let log_id = named(&bytes).map(|(log_id, _)| log_id).unwrap_or_default();
    match frame::decode(&bytes, log_id, sequence) {
        Found::Frame(found) if found.size_bytes == bytes.len() => Ok((found.header, found.body)),
        Found::Damaged(at) => Err(snapshot_damage(path, at)),
        _ => Err(snapshot_damage(path, 0)),
    }
}

fn snapshot_damage(path: &Path, at: usize) -> LogError {
    LogError::damaged(format!(
        "{}: byte {at}: the snapshot is damaged",
        path.display()
    ))
}

/// Drops what no longer serves: all but the two newest snapshots, and the commit files whose
/// records all lie before the older of them. Nothing depends on when it becomes durable.
pub(crate) fn drop_old(storage: &dyn Storage, dir: &Path) -> Result<(), LogError> {
    let listing = list(storage, dir)?;
    let [_, (oldest, _), rest @ ..] = listing.snapshots.as_slice() else {
        return Ok(());
    };
    let first_of = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        name.split('.').next()?.parse::<u64>().ok()
    };
    let ended = listing
        .commits
        .windows(2)
        .filter(|pair| first_of(&pair[1]).is_some_and(|next| next <= *oldest));
    let ended = ended.map(|pair| &pair[0]);
    for path in rest.iter().map(|(_, path)| path).chain(ended) {
        storage
            .remove(path)
            .map_err(|error| LogError::io("remove", path, error))?;
    }
    Ok(())
}

/// Log id and sequence that the frame at the front of `bytes` names.
fn named(bytes: &[u8]) -> Option<(Uuid, u64)> {
    let mut take = Take::new(Bytes::copy_from_slice(bytes.get(12..36)?));
    Some((take.uuid().ok()?, take.u64().ok()?))
}

fn write_named(
    storage: &dyn Storage,
    path: &Path,
    parts: &[&[u8]],
    size_bytes: u64,
) -> Result<Box<dyn File>, LogError> {
    let temporary = path.with_extension("temporary");
    // One left by an attempt for which the disk was full.
    let _ = storage.remove(&temporary);
    let failed = |error| LogError::io("write", &temporary, error);
    let file = storage.create(&temporary).map_err(failed)?;
    file.write_at(0, parts).map_err(failed)?;
    let zeros = [0; BLOCK_BYTES * 16];
    let mut at = parts.iter().map(|part| part.len() as u64).sum();
    while at < size_bytes {
        let length = zeros
            .len()
            .min(usize::try_from(size_bytes - at).unwrap_or(zeros.len()));
        file.write_at(at, &[&zeros[..length]]).map_err(failed)?;
        at += length as u64;
    }
    let fatal = |doing: &str, path: &Path, error| LogError::io(doing, path, error).into_failed();
    file.sync()
        .map_err(|error| fatal("sync", &temporary, error))?;
    storage
        .rename(&temporary, path)
        .map_err(|error| LogError::io("rename", &temporary, error))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    storage
        .sync_dir(dir)
        .map_err(|error| fatal("sync", dir, error))?;
    Ok(file)
}
