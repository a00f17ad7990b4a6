//! The simulated disk as the log uses it: its files, names and lock, on a [`World`] that forgets,
//! and the faults that tests plan for it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::world::{Dir, Fault, NameChange, Node, SECTOR, Target, World};
use crate::storage::{DirEntry, File, Lock, Storage};

/// A disk in memory. Clones share it.
#[derive(Clone)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

impl SimDisk {
    /// An empty disk; `seed` decides what a power cut spares.
    pub fn new(seed: u64) -> Self {
        Self {
            world: Arc::new(Mutex::new(World::new(seed))),
        }
    }

    /// Lets `fault` happen `after` so many more operations.
    pub fn plan(&self, after: u64, fault: Fault) {
        let mut world = self.world();
        world.plan = Some((world.operations + after, fault));
    }

    /// Ends a planned full disk.
    pub fn free_space(&self) {
        self.world().full = false;
    }

    /// Forgets a planned fault that has not happened yet.
    pub fn calm(&self) {
        let mut world = self.world();
        (world.plan, world.full) = (None, false);
        (world.sync_fails, world.read_fails) = (false, false);
    }

    /// Whether a planned [`Fault::Stop`] has happened.
    pub fn is_stopped(&self) -> bool {
        self.world().stopped
    }

    /// The process is gone; what it wrote is still there. Drop the log first.
    pub fn kill(&self) {
        self.world().restart();
    }

    /// The machine is gone: of what was not synced any part may be. Drop the log first.
    pub fn cut_power(&self) {
        self.world().cut_power();
    }

    /// Changes a file from outside, durably.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut world = self.world();
        let Some(Target::File(number)) = world.find(path)? else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let file = &mut world.files[number];
        change(&mut file.seen);
        file.durable.clone_from(&file.seen);
        file.dirty.clear();
        Ok(())
    }

    /// An independent copy of everything as it is seen now.
    pub fn copy(&self) -> Self {
        let copy = Self::new(1);
        let world = self.world();
        let mut into = copy.world();
        into.boot = world.boot;
        into.files = world
            .files
            .iter()
            .map(|file| Node::settled(&file.seen))
            .collect();
        into.dirs = world
            .dirs
            .iter()
            .map(|dir| Dir::settled(&dir.seen))
            .collect();
        drop(into);
        copy
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_file(&self, number: usize) -> Box<dyn File> {
        Box::new(SimFile {
            disk: self.clone(),
            number,
        })
    }
}

impl Storage for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        if let Some(target) = world.find(path)? {
            let is_dir = matches!(target, Target::Dir(_));
            return if is_dir {
                Ok(())
            } else {
                Err(io::ErrorKind::AlreadyExists.into())
            };
        }
        world.need_space()?;
        let (parent, name) = world.parent(path)?;
        let number = world.dirs.len();
        world.dirs.push(Dir::default());
        world.dirs[parent].change(NameChange::Put(name, Target::Dir(number)));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut world = self.world();
        world.operate()?;
        let names = &world.dirs[world.dir(path)?].seen;
        let entries = names.iter().map(|(name, target)| DirEntry {
            name: name.clone(),
            is_dir: matches!(target, Target::Dir(_)),
        });
        Ok(entries.collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut world = self.world();
        world.operate()?;
        world.need_space()?;
        if world.find(path)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (parent, name) = world.parent(path)?;
        let number = world.files.len();
        world.files.push(Node::default());
        world.dirs[parent].change(NameChange::Put(name, Target::File(number)));
        Ok(self.open_file(number))
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Box<dyn File>> {
        let mut world = self.world();
        world.operate()?;
        match world.find(path)? {
            Some(Target::File(number)) => Ok(self.open_file(number)),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        // The longer name may need another block of the directory.
        world.need_space()?;
        let target = world.find(from)?.ok_or(io::ErrorKind::NotFound)?;
        let ((old, old_name), (new, new_name)) = (world.parent(from)?, world.parent(to)?);
        if old == new {
            world.dirs[old].change(NameChange::Rename(old_name, new_name, target));
        } else {
            world.dirs[old].change(NameChange::Remove(old_name));
            world.dirs[new].change(NameChange::Put(new_name, target));
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        let Some(Target::File(_)) = world.find(path)? else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let (parent, name) = world.parent(path)?;
        world.dirs[parent].change(NameChange::Remove(name));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        let dir = world.dir(path)?;
        if !world.dirs[dir].seen.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (parent, name) = world.parent(path)?;
        world.dirs[parent].change(NameChange::Remove(name));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        let fails = world.sync()?;
        let dir = world.dir(path)?;
        let dir = &mut world.dirs[dir];
        if fails {
            // What was pending is neither durable nor will be.
            return Err(io::Error::from_raw_os_error(5));
        }
        dir.pending.clear();
        dir.durable = dir.seen.clone();
        Ok(())
    }

    fn lock(&self, _path: &Path, text: &str) -> io::Result<Result<Box<dyn Lock>, String>> {
        let mut world = self.world();
        world.operate()?;
        if world.locked {
            return Ok(Err(text.to_owned()));
        }
        world.locked = true;
        Ok(Ok(Box::new(SimLock(self.clone()))))
    }

    fn boot_id(&self) -> io::Result<String> {
        Ok(format!("boot {}", self.world().boot))
    }
}

struct SimLock(SimDisk);

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.world().locked = false;
    }
}

struct SimFile {
    disk: SimDisk,
    number: usize,
}

impl File for SimFile {
    fn read_at(&self, at: u64, length: usize, into: &mut Vec<u8>) -> io::Result<usize> {
        let mut world = self.disk.world();
        world.operate()?;
        if std::mem::take(&mut world.read_fails) {
            return Err(io::Error::from_raw_os_error(5));
        }
        let bytes = &world.files[self.number].seen;
        let from = (at as usize).min(bytes.len());
        let to = (from + length).min(bytes.len());
        into.extend_from_slice(&bytes[from..to]);
        Ok(to - from)
    }

    fn write_at(&self, at: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut world = self.disk.world();
        let mut bytes = parts.concat();
        // A process may die, and a disk fill up, in the middle of a write, between two sectors.
        let before = world.stopped;
        let result = world.operate();
        let start = at as usize;
        let beyond = start + bytes.len() > world.files[self.number].seen.len();
        let result = result.and_then(|()| if beyond { world.need_space() } else { Ok(()) });
        if result.is_err() {
            let keep = world.random.below(bytes.len() as u64 / SECTOR as u64 + 1) as usize;
            let end = (start / SECTOR + keep) * SECTOR;
            bytes.truncate(if before { 0 } else { end.saturating_sub(start) });
        }
        let file = &mut world.files[self.number];
        let end = start + bytes.len();
        if !bytes.is_empty() {
            if file.seen.len() < end {
                file.seen.resize(end, 0);
            }
            file.seen[start..end].copy_from_slice(&bytes);
            file.touch(start, end);
        }
        result
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.operate()?;
        world.need_space()?;
        let file = &mut world.files[self.number];
        if file.seen.len() < length as usize {
            file.seen.resize(length as usize, 0);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.operate()?;
        let file = &mut world.files[self.number];
        let (before, length) = (file.seen.len(), length as usize);
        file.seen.resize(length, 0);
        file.touch(before.min(length), before.max(length));
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        let mut world = self.disk.world();
        world.operate()?;
        Ok(world.files[self.number].seen.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.disk.world();
        let fails = world.sync()?;
        let file = &mut world.files[self.number];
        let dirty = std::mem::take(&mut file.dirty);
        if fails {
            return Err(io::Error::from_raw_os_error(5));
        }
        let length = file.seen.len();
        file.durable.resize(length, 0);
        for sector in dirty {
            file.persist(sector);
        }
        Ok(())
    }
}
