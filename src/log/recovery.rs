//! Opening: what the directory holds becomes a running log.
//!
//! Nothing is cut or skipped silently, and nothing is visible before it was made durable by
//! writing it anew: after a crash, bytes that read well prove nothing about the disk. The order is
//! lock, replay, look at every segment, write the unproven again and sync, then a snapshot of what
//! counts, then a new commit file that says where this start begins, and only then are files removed
//! that nothing lists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use crate::append::CommitPoint;
use crate::commits;
use crate::config::LogConfig;
use crate::entry::{self, Entry};
use crate::frame::{self, BLOCK_BYTES, FrameHeader};
use crate::prove::{self, Folded};
use crate::replay::{self, Replay};
use crate::segment::Layout;
use crate::shared::{Parts, Shared};
use crate::state::State;
use crate::storage::{Clock, Lock, Storage};
use crate::stray;
use crate::sweep;
use crate::topic::{LogId, PartitionKey};
use crate::{Durability, LogError, LogErrorKind};

/// What opening found, in words. All empty after a clean end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// What was cut: it was never committed, so nobody was told of it.
    pub cuts: Vec<String>,
    /// Files the log does not know; moved to `stray/` or removed as named.
    pub strays: Vec<String>,
    /// What is missing or wrong. Nothing of it was changed; what it touches has stopped.
    pub damage: Vec<String>,
    /// Anything else worth knowing, such as an `os` log that stepped back.
    pub notes: Vec<String>,
}

/// An opened log before its committer runs.
pub(crate) struct Opened {
    pub shared: Arc<Shared>,
    pub state: State,
    /// None when the log is read-only: so opened, or its commit log is damaged.
    pub point: Option<CommitPoint>,
    pub lock: Option<Box<dyn Lock>>,
    pub recovery: Recovery,
}

/// What a log is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    /// Changes nothing: no lock, and no look at segments, which readers check themselves.
    Read,
}

/// In `os` mode after the machine stopped: offsets from here to this many further may have been
/// shown and lost: more than can be committed from one checkpoint to the next.
pub(crate) const GAP_OFFSETS: u64 = 1 << 32;

/// What recovery works with.
pub(crate) struct Scene<'a> {
    pub storage: &'a dyn Storage,
    pub layout: &'a Layout,
    pub recovery: Recovery,
    pub partition_damage: BTreeMap<PartitionKey, String>,
    /// What is to go once this start has begun.
    pub leaving: Vec<Leaving>,
}

/// A file or directory the log does not list, and where it goes.
pub(crate) enum Leaving {
    Remove(PathBuf),
    Stray(PathBuf),
    /// In `topics/`, where nothing should be: removed if it is an empty directory.
    Strange(PathBuf),
}

pub(crate) fn open(
    layout: Layout,
    access: Access,
    config: LogConfig,
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
) -> Result<Opened, LogError> {
    let lock = match access {
        Access::Write => Some(prepare(&*storage, &layout)?),
        Access::Read => None,
    };
    let boot_id = storage.boot_id();
    let boot_id = boot_id.map_err(|error| LogError::io("read", &layout.dir, error))?;
    let mut replay = replay::replay(&*storage, &layout.commits())?;
    let mut scene = Scene {
        storage: &*storage,
        layout: &layout,
        recovery: Recovery::default(),
        partition_damage: BTreeMap::new(),
        leaving: Vec::new(),
    };
    scene.recovery.notes.append(&mut replay.notes);
    scene
        .recovery
        .damage
        .extend(replay.spoilt.iter().map(|(_, why)| why.clone()));
    if replay.is_fresh() {
        scene.refuse_orphans()?;
        replay.log_id = Uuid::new_v4();
    }
    let machine_stopped = |state: &State| state.os && state.boot_id != boot_id;
    let mut folded = prove::fold(&mut scene, &mut replay, machine_stopped)?;
    let read_only = !replay.damage.is_empty() || access == Access::Read;
    if access == Access::Write {
        sweep::segments(&mut scene, &folded.state, &folded.unproven, read_only)?;
    }
    scene.recovery.damage.extend(replay.damage.iter().cloned());
    let failure = replay.damage.first().map(|why| {
        LogError::new(
            LogErrorKind::Damaged,
            format!("the commit log is damaged, so the log is read-only: {why}"),
        )
    });
    let mut point = None;
    let mut durable = folded.sequence;
    if !read_only {
        let start = Begin {
            epoch: replay.epoch_max + 1,
            boot_id,
            config,
        };
        let begun = begin(&mut scene, &replay, start, &mut folded)?;
        sweep::leave(&mut scene)?;
        durable = begun.sequence;
        point = Some(begun);
    }
    let state = folded.state;
    let (recovery, damage) = (scene.recovery, scene.partition_damage);
    let id = LogId(replay.log_id);
    let parts = Parts {
        id,
        layout,
        config,
        storage,
        clock,
        state: state.clone(),
        durable,
        damage,
        failure,
        read_only,
    };
    Ok(Opened {
        shared: Shared::new(parts),
        state,
        point,
        lock,
        recovery,
    })
}

/// Makes the directories and takes the lock.
fn prepare(storage: &dyn Storage, layout: &Layout) -> Result<Box<dyn Lock>, LogError> {
    let make = |dir: &PathBuf| {
        storage
            .create_dir(dir)
            .map_err(|error| LogError::io("create", dir, error))
    };
    make(&layout.dir)?;
    let path = layout.dir.join("lock");
    let text = format!("{}\n", std::process::id());
    let taken = storage.lock(&path, &text);
    let taken = taken.map_err(|error| LogError::io("lock", &path, error))?;
    let lock = taken.map_err(|holder| {
        let pid = holder
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok());
        let who = pid.map_or("another process".to_owned(), |pid: u32| {
            format!("process {pid}")
        });
        LogError::new(
            LogErrorKind::Locked { pid },
            format!(
                "{} is in use by {who}: stop it or use another directory",
                layout.dir.display()
            ),
        )
    })?;
    make(&layout.commits())?;
    make(&layout.topics())?;
    // New names in the data directory, and its own in its parent, must outlive the first set.
    let parent = layout
        .dir
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty());
    let parent = parent.map_or(PathBuf::from("."), std::path::Path::to_path_buf);
    for dir in [&parent, &layout.dir] {
        storage
            .sync_dir(dir)
            .map_err(|error| LogError::io("sync", dir, error))?;
    }
    Ok(lock)
}

impl Scene<'_> {
    /// A fresh log must not adopt segments whose commit log is gone.
    fn refuse_orphans(&self) -> Result<(), LogError> {
        let topics = self.layout.topics();
        let entries = self.storage.list(&topics);
        let entries = entries.map_err(|error| LogError::io("list", &topics, error))?;
        if entries.iter().any(|entry| entry.is_dir) {
            return Err(LogError::damaged(format!(
                "{} holds topics but {} holds no commit log; restore it from a copy, or move the \
                 topics away",
                topics.display(),
                self.layout.commits().display()
            )));
        }
        Ok(())
    }
}

struct Begin {
    epoch: u64,
    boot_id: String,
    config: LogConfig,
}

/// Writes the snapshot of what was found, and then the commit file with which this start begins.
fn begin(
    scene: &mut Scene<'_>,
    replay: &Replay,
    begin: Begin,
    folded: &mut Folded,
) -> Result<CommitPoint, LogError> {
    let (storage, dir) = (scene.storage, scene.layout.commits());
    let log_id = replay.log_id;
    // A damaged snapshot must not count as one of the two that are kept.
    for path in replay
        .spoilt
        .iter()
        .map(|(path, _)| path)
        .chain(&replay.strangers)
    {
        stray::stray_noted(scene, path)?;
    }
    // Before files are made, which may have to take the same names.
    remove_all(storage, &replay.temporaries)?;
    let (sequence, checksum) = (folded.sequence, folded.checksum);
    let state = &mut folded.state;
    if sequence > replay.sequence {
        // The records behind the last snapshot may be nowhere but in the page cache, and so may the
        // name of their file, which must be on the disk before a snapshot that follows them.
        storage
            .sync_dir(&dir)
            .map_err(|error| LogError::io("sync", &dir, error))?;
        let (epoch, previous) = (state.epoch, checksum);
        let header = FrameHeader {
            log_id,
            sequence,
            epoch,
            durable: sequence,
            previous,
        };
        commits::write_snapshot(storage, &dir, &header, &entry::encode_all(&state.entries()))?;
    }
    let epoch = begin.epoch;
    let os = begin.config.durability == Durability::Os;
    let mut entries = vec![Entry::Started {
        epoch,
        boot_id: begin.boot_id,
        os,
    }];
    if folded.gap {
        // Also of empty partitions: all they ever held may be what was lost.
        entries.extend(state.partitions().map(|(key, _, partition)| Entry::Gap {
            key,
            to: partition.end + GAP_OFFSETS,
        }));
    }
    for entry in &entries {
        state.apply(entry).map_err(LogError::invalid)?;
    }
    let sequence = sequence + 1;
    let header = FrameHeader {
        log_id,
        sequence,
        epoch,
        durable: sequence,
        previous: checksum,
    };
    let (record, checksum) = frame::encode(&header, &entry::encode_all(&entries));
    let position = (BLOCK_BYTES + record.len()) as u64;
    let size = begin
        .config
        .commit_file_bytes
        .min(256 << 10)
        .max(position + BLOCK_BYTES as u64);
    let file = commits::create(storage, &dir, &header, size.next_multiple_of(4096), &record)?;
    remove_all(storage, &replay.superseded)?;
    commits::drop_old(storage, &dir)?;
    Ok(CommitPoint {
        file: Arc::new(file),
        position,
        sequence,
        checksum,
    })
}

fn remove_all(storage: &dyn Storage, paths: &[PathBuf]) -> Result<(), LogError> {
    paths.iter().try_for_each(|path| {
        storage
            .remove(path)
            .map_err(|error| LogError::io("remove", path, error))
    })
}

/// Segments with the byte from which nothing proves that they are on the disk.
pub(crate) type Unproven = BTreeMap<(PartitionKey, u64), u64>;

/// Directories of partitions, without repetition.
pub(crate) type Dirs = BTreeSet<PathBuf>;
