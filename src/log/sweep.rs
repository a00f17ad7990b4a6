//! Comparing what the commit log lists with what lies in the directory: every listed segment is
//! checked, tails that were never committed are cut, and files nobody knows are moved aside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::append::ROUND_BYTES;
use crate::partition::{Partition, Segment};
use crate::pipeline::ROUNDS_IN_FLIGHT;
use crate::recovery::{Dirs, Leaving, Scene, Unproven};
use crate::segment::{SegmentFile, SegmentName, Walk, damage};
use crate::set::SET_BYTES_MAX;
use crate::state::State;
use crate::stray::stray_noted;
use crate::{LogError, LogErrorKind};

/// Most that can be appended and not yet committed: all rounds, each with a last set. More whole
/// batches than that behind the committed end mean that the commit log has lost records.
const IN_FLIGHT_BYTES: u64 = (ROUNDS_IN_FLIGHT * (ROUND_BYTES + SET_BYTES_MAX)) as u64;
const COPY_BYTES: usize = 1 << 20;

/// Checks all segments, and unless `read_only` makes what is right durable and cuts the rest.
pub(crate) fn segments(
    scene: &mut Scene<'_>,
    state: &State,
    unproven: &Unproven,
    read_only: bool,
) -> Result<(), LogError> {
    let mut known = Dirs::new();
    let mut changed = Dirs::new();
    for (key, topic, partition) in state.partitions() {
        let dir = scene.layout.partition(&topic.name, key.partition);
        if partition.segments.is_empty() && !read_only {
            make_dir(scene, &dir)?;
            // It may have been missing, and its first segment will sync only the directory itself.
            changed.insert(scene.layout.topics());
        }
        known.insert(dir.clone());
        let mut sound = true;
        for segment in &partition.segments {
            let path = dir.join(segment.name().to_string());
            let from = unproven.get(&(key, segment.base)).copied();
            let check = Check {
                path,
                segment,
                from,
                clean: state.stopped,
                os: state.os,
            };
            if let Err(error) = check.run(scene, read_only) {
                // A sync that fails, or no space, is not this segment's fault: nothing opens.
                if matches!(error.kind(), LogErrorKind::Failed | LogErrorKind::Transient) {
                    return Err(error);
                }
                let why = format!("{} partition {}: {error}", topic.name, key.partition);
                scene.recovery.damage.push(why.clone());
                scene.partition_damage.entry(key).or_insert(why);
                sound = false;
            }
            if from.is_some() {
                changed.insert(dir.clone());
            }
        }
        if sound
            && !read_only
            && let Err(error) = unlisted(scene, partition, &dir, state.os)
        {
            if error.kind() != LogErrorKind::Damaged {
                return Err(error);
            }
            let why = format!("{} partition {}: {error}", topic.name, key.partition);
            scene.recovery.damage.push(why.clone());
            scene.partition_damage.insert(key, why);
        }
    }
    if read_only {
        return Ok(());
    }
    strange_dirs(scene, &known)?;
    if !unproven.is_empty() {
        changed.insert(scene.layout.topics());
    }
    sync_dirs(scene, &changed)
}

fn sync_dirs(scene: &Scene<'_>, dirs: &Dirs) -> Result<(), LogError> {
    dirs.iter().try_for_each(|dir| {
        let synced = scene.storage.sync_dir(dir);
        synced.map_err(|error| LogError::io("sync", dir, error))
    })
}

pub(crate) fn make_dir(scene: &Scene<'_>, dir: &Path) -> Result<(), LogError> {
    scene
        .storage
        .create_dir(dir)
        .map_err(|error| LogError::io("create", dir, error))
}

/// The check of one listed segment.
struct Check<'a> {
    path: PathBuf,
    segment: &'a Segment,
    /// From here on nothing proves that the bytes are on the disk.
    from: Option<u64>,
    /// The log ended cleanly, so content is left for readers to check.
    clean: bool,
    os: bool,
}

impl Check<'_> {
    fn run(&self, scene: &mut Scene<'_>, read_only: bool) -> Result<(), LogError> {
        let Segment {
            base,
            end,
            length,
            sealed,
            ..
        } = *self.segment;
        let file = match scene.storage.open(&self.path, !read_only) {
            Ok(file) => file,
            Err(error) => {
                return Err(damage(
                    &self.path,
                    0,
                    base,
                    &format!("cannot open: {error}"),
                ));
            }
        };
        let file = SegmentFile::new(file, self.path.clone(), self.segment.name());
        let size = file
            .file
            .size()
            .map_err(|error| LogError::io("look at", &self.path, error))?;
        let cut_allowed = !sealed || self.from.is_some();
        if size < length || (size > length && !cut_allowed) {
            let why = format!("the file has {size} bytes instead of {length}");
            return Err(damage(&self.path, size.min(length), end, &why));
        }
        if cut_allowed && !self.clean {
            let mut walk = Walk::new(&file, 0, base, length);
            while walk.batch()?.is_some() {}
            if walk.offset != end {
                return Err(damage(
                    &self.path,
                    length,
                    walk.offset,
                    "records are missing",
                ));
            }
        }
        if read_only {
            return Ok(());
        }
        if let Some(from) = self.from {
            self.write_again(&file, from)?;
        }
        if size > length {
            self.cut(scene, &file, size)?;
        }
        if self.from.is_some() || size > length {
            let synced = file.file.sync();
            synced.map_err(|error| LogError::io("sync", &self.path, error).into_failed())?;
        }
        Ok(())
    }

    /// Dirties the bytes again, so that the sync behind it really writes them: after a failed sync
    /// the system may hold bytes that it takes for written and the disk never got.
    fn write_again(&self, file: &SegmentFile, from: u64) -> Result<(), LogError> {
        let io = |error| LogError::io("write again", &self.path, error);
        let mut at = from;
        let mut bytes = Vec::new();
        while at < self.segment.length {
            let length = COPY_BYTES.min((self.segment.length - at) as usize);
            bytes.clear();
            file.file.read_at(at, length, &mut bytes).map_err(io)?;
            file.file.write_at(at, &[&bytes]).map_err(io)?;
            at += length as u64;
        }
        Ok(())
    }

    fn cut(&self, scene: &mut Scene<'_>, file: &SegmentFile, size: u64) -> Result<(), LogError> {
        let Segment { end, length, .. } = *self.segment;
        let (batches, bytes) = whole_batches(file, length, end, size);
        if bytes > IN_FLIGHT_BYTES && !self.os {
            let why = format!(
                "{bytes} bytes of whole batches stand behind the committed end: the \
                               commit log has lost records"
            );
            return Err(damage(&self.path, length, end, &why));
        }
        if batches > 0 {
            scene.recovery.cuts.push(format!(
                "{}: cut at byte {length}, offset {end}: {batches} whole batches ({bytes} bytes) \
                 were written but never committed",
                self.path.display()
            ));
        }
        file.file
            .set_len(length)
            .map_err(|error| LogError::io("cut", &self.path, error))
    }
}

/// Whole batches behind the committed end, and their bytes.
fn whole_batches(file: &SegmentFile, position: u64, offset: u64, size: u64) -> (u64, u64) {
    let mut walk = Walk::new(file, position, offset, size);
    let mut batches = 0;
    while let Ok(Some(_)) = walk.batch() {
        batches += 1;
    }
    (batches, walk.position - position)
}

/// Notes the files in a partition's directory that the commit log does not list.
fn unlisted(
    scene: &mut Scene<'_>,
    partition: &Partition,
    dir: &Path,
    os: bool,
) -> Result<(), LogError> {
    // Offsets behind it were given up, or nobody has them yet.
    let listed_end = partition.segments.last();
    let listed_end = listed_end.map_or(partition.start, |last| last.end);
    let entries = scene.storage.list(dir);
    for entry in entries.map_err(|error| LogError::io("list", dir, error))? {
        let path = dir.join(&entry.name);
        let index_of = entry
            .name
            .strip_suffix(".index")
            .map(|stem| format!("{stem}.log"));
        let name = SegmentName::parse(index_of.as_deref().unwrap_or(&entry.name));
        let listed = name.is_some_and(|name| partition.segments.iter().any(|s| s.name() == name));
        if listed && !entry.is_dir {
            continue;
        }
        let mut remove = |path: PathBuf, why: &str| {
            let note = format!("{}: removed, {why}", path.display());
            scene.recovery.notes.push(note);
            Leaving::Remove(path)
        };
        let leaving = match name.filter(|_| !entry.is_dir) {
            Some(_) if index_of.is_some() => Leaving::Remove(path),
            Some(name) if partition.leased.is_some_and(|from| name.base >= from) => {
                // Not looked into: there may be any number of bytes.
                let what = "part of a set with a lease that was not committed";
                let cuts = &mut scene.recovery.cuts;
                cuts.push(format!("{}: removed: {what}", path.display()));
                Leaving::Remove(path)
            }
            Some(name) if name.base < partition.start => remove(path, "retention had dropped it"),
            Some(name) if is_of_compaction(partition, name) => {
                remove(path, "compaction had replaced it or was not finished")
            }
            Some(name) if name.base >= listed_end => {
                uncommitted(scene, &path, name, os)?;
                Leaving::Remove(path)
            }
            _ => Leaving::Stray(path),
        };
        scene.leaving.push(leaving);
    }
    Ok(())
}

/// Whether an unlisted segment was replaced by a listed one, or should have replaced some that are
/// listed: only compaction gives a generation to a name.
fn is_of_compaction(partition: &Partition, name: SegmentName) -> bool {
    let replaces =
        |listed: &Segment| listed.generation > 0 && (listed.base..listed.end).contains(&name.base);
    name.generation > 0 || partition.segments.iter().any(replaces)
}

/// Does what was noted, once it is durable that nothing lists these files: the record that dropped
/// them may have been nowhere but in the page cache.
///
/// That the files are gone is made durable too: one that will get the name of such a file must not
/// come out of a crash with what is in it now.
pub(crate) fn leave(scene: &mut Scene<'_>) -> Result<(), LogError> {
    let mut changed = Dirs::new();
    for leaving in std::mem::take(&mut scene.leaving) {
        match leaving {
            Leaving::Remove(path) => {
                let gone = scene.storage.remove(&path);
                gone.map_err(|error| LogError::io("remove", &path, error))?;
                changed.extend(path.parent().map(Path::to_path_buf));
            }
            Leaving::Stray(path) => stray_noted(scene, &path)?,
            // An empty one is a topic whose creation was cut short, or whose deletion was finished.
            Leaving::Strange(path) => {
                if scene.storage.remove_dir(&path).is_err() {
                    stray_noted(scene, &path)?;
                }
            }
        }
    }
    sync_dirs(scene, &changed)
}

/// A segment that was begun and never committed: a tail in the shape of a file.
fn uncommitted(
    scene: &mut Scene<'_>,
    path: &Path,
    name: SegmentName,
    os: bool,
) -> Result<(), LogError> {
    let base = name.base;
    let io = |error| LogError::io("open", path, error);
    let file = SegmentFile::new(
        scene.storage.open(path, false).map_err(io)?,
        path.into(),
        name,
    );
    let size = file.file.size().map_err(io)?;
    let (batches, bytes) = whole_batches(&file, 0, base, size);
    if bytes > IN_FLIGHT_BYTES && !os {
        return Err(damage(
            path,
            0,
            base,
            "the segment holds more than was ever in flight but is \
                                          not in the commit log, which has lost records",
        ));
    }
    if batches > 0 {
        scene.recovery.cuts.push(format!(
            "{}: removed: {batches} whole batches ({bytes} bytes) were written but never committed",
            path.display()
        ));
    }
    Ok(())
}

fn strange_dirs(scene: &mut Scene<'_>, known: &Dirs) -> Result<(), LogError> {
    let topics = scene.layout.topics();
    let entries = scene.storage.list(&topics);
    let entries = entries.map_err(|error| LogError::io("list", &topics, error))?;
    let paths = entries.iter().map(|entry| topics.join(&entry.name));
    let strange = paths.filter(|path| !known.contains(path));
    scene.leaving.extend(strange.map(Leaving::Strange));
    Ok(())
}

/// Shared by recovery and `verify`: opens a segment for reading only.
pub(crate) fn open_for_reading(
    storage: &dyn crate::storage::Storage,
    path: &Path,
    name: SegmentName,
) -> Result<Arc<SegmentFile>, LogError> {
    let file = storage.open(path, false);
    let file =
        file.map_err(|error| damage(path, 0, name.base, &format!("cannot open: {error}")))?;
    Ok(SegmentFile::new(file, path.to_owned(), name))
}
