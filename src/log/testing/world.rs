//! What a simulated disk holds. Each file and each directory has what a process sees and what
//! would be there after a power cut: of what was not synced, a power cut keeps any subset of
//! 512-byte sectors, of sizes and of names, chosen by the seed. A sync that fails forgets what was
//! dirty, as Linux does, so that a second one succeeds without writing it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use super::Random;

pub(super) const SECTOR: usize = 512;
const ROOT: usize = 0;

/// What goes wrong at a chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// From then on every operation fails, as for a process that is being killed.
    Stop,
    /// The next sync fails, once.
    SyncError,
    /// The next read fails, once.
    ReadError,
    /// The disk is full, and writes that need space are cut short, until
    /// [`SimDisk::free_space`](super::SimDisk::free_space).
    Full,
}

/// Everything on the disk, and what is about to go wrong with it.
pub(super) struct World {
    pub random: Random,
    pub files: Vec<Node>,
    pub dirs: Vec<Dir>,
    pub boot: u64,
    pub operations: u64,
    pub plan: Option<(u64, Fault)>,
    pub stopped: bool,
    pub full: bool,
    pub sync_fails: bool,
    pub read_fails: bool,
    pub locked: bool,
}

/// A file.
#[derive(Default)]
pub(super) struct Node {
    pub seen: Vec<u8>,
    pub durable: Vec<u8>,
    /// Sectors that no sync has covered.
    pub dirty: BTreeSet<usize>,
}

#[derive(Default)]
pub(super) struct Dir {
    pub seen: BTreeMap<String, Target>,
    pub durable: BTreeMap<String, Target>,
    /// What no sync has covered, in order.
    pub pending: Vec<NameChange>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Target {
    File(usize),
    Dir(usize),
}

#[derive(Clone)]
pub(super) enum NameChange {
    Put(String, Target),
    Remove(String),
    Rename(String, String, Target),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, Target>) {
        match self {
            Self::Put(name, target) => {
                names.insert(name.clone(), *target);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, target) => {
                names.remove(from);
                names.insert(to.clone(), *target);
            }
        }
    }
}

impl Node {
    pub(super) fn settled(bytes: &[u8]) -> Self {
        Self {
            seen: bytes.to_vec(),
            durable: bytes.to_vec(),
            dirty: BTreeSet::new(),
        }
    }

    fn cut_power(&mut self, random: &mut Random) {
        if self.seen.len() != self.durable.len() && random.one_in(2) {
            let (short, long) = (
                self.seen.len().min(self.durable.len()),
                self.seen.len().max(self.durable.len()),
            );
            let sectors = (long - short).div_ceil(SECTOR) as u64;
            let length = short + SECTOR * random.below(sectors + 1) as usize;
            self.durable.resize(length.min(long), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if random.one_in(2) {
                self.persist(sector);
            }
        }
        self.seen.clone_from(&self.durable);
    }

    /// What the process sees of a sector becomes durable.
    pub(super) fn persist(&mut self, sector: usize) {
        let from = sector * SECTOR;
        let to = (from + SECTOR).min(self.seen.len());
        if from < to {
            if self.durable.len() < to {
                self.durable.resize(to, 0);
            }
            self.durable[from..to].copy_from_slice(&self.seen[from..to]);
        }
    }

    pub(super) fn touch(&mut self, from: usize, to: usize) {
        self.dirty.extend(from / SECTOR..to.div_ceil(SECTOR));
    }
}

impl Dir {
    pub(super) fn settled(names: &BTreeMap<String, Target>) -> Self {
        Self {
            seen: names.clone(),
            durable: names.clone(),
            pending: Vec::new(),
        }
    }

    fn cut_power(&mut self, random: &mut Random) {
        let mut names = std::mem::take(&mut self.durable);
        for change in self.pending.drain(..) {
            if random.one_in(2) {
                change.apply(&mut names);
            }
        }
        self.seen.clone_from(&names);
        self.durable = names;
    }

    pub(super) fn change(&mut self, change: NameChange) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            files: Vec::new(),
            dirs: vec![Dir::default()],
            boot: 1,
            operations: 0,
            plan: None,
            stopped: false,
            full: false,
            sync_fails: false,
            read_fails: false,
            locked: false,
        }
    }

    pub(super) fn restart(&mut self) {
        (self.stopped, self.full, self.locked) = (false, false, false);
        (self.sync_fails, self.read_fails) = (false, false);
        self.plan = None;
    }

    pub(super) fn cut_power(&mut self) {
        self.restart();
        self.boot += 1;
        for file in &mut self.files {
            file.cut_power(&mut self.random);
        }
        for dir in &mut self.dirs {
            dir.cut_power(&mut self.random);
        }
    }

    /// Counts an operation and lets a planned fault happen.
    pub(super) fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        if let Some((at, fault)) = self.plan
            && self.operations >= at
        {
            self.plan = None;
            match fault {
                Fault::Stop => self.stopped = true,
                Fault::SyncError => self.sync_fails = true,
                Fault::ReadError => self.read_fails = true,
                Fault::Full => self.full = true,
            }
        }
        if self.stopped {
            Err(io::Error::other("the process was stopped"))
        } else {
            Ok(())
        }
    }

    pub(super) fn need_space(&self) -> io::Result<()> {
        if self.full {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Option<Target>> {
        let mut at = Target::Dir(ROOT);
        for component in path.components() {
            let Component::Normal(name) = component else {
                continue;
            };
            let Target::Dir(dir) = at else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            match self.dirs[dir].seen.get(&*name.to_string_lossy()) {
                Some(target) => at = *target,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    pub(super) fn dir(&self, path: &Path) -> io::Result<usize> {
        match self.find(path)? {
            Some(Target::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn parent(&self, path: &Path) -> io::Result<(usize, String)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = self.dir(path.parent().unwrap_or(Path::new("")))?;
        Ok((parent, name.to_string_lossy().into_owned()))
    }

    pub(super) fn sync(&mut self) -> io::Result<bool> {
        self.operate()?;
        Ok(std::mem::take(&mut self.sync_fails))
    }
}
