//! What wakes the scanner: notifications of the kernel, acknowledgements, the stop.
//!
//! Notifications only save waiting: whatever they miss (an overflow, a network file system, no
//! watches left) the periodic scan finds. A write to a known file asks for a look at that file
//! alone; anything else, and any doubt, asks for a scan.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::content::{FileId, identify};

/// Written files are remembered one by one up to so many between two looks.
const WRITTEN_MAX: usize = 1024;

/// What happened since the scanner last looked.
#[derive(Debug, Default)]
pub struct Happened {
    /// Files that were written to, by absolute path.
    pub written: BTreeSet<PathBuf>,
    /// Anything else did.
    pub scan: bool,
    /// Batches that are durable.
    pub acked: u64,
    pub stop: bool,
    /// There is news in the fields above.
    news: bool,
}

/// Where others leave what happened, and the scanner waits for it.
#[derive(Debug, Default)]
pub struct Bell {
    happened: Mutex<Happened>,
    rung: Condvar,
}

impl Bell {
    /// Tells the scanner what happened.
    pub fn ring(&self, what: impl FnOnce(&mut Happened)) {
        let mut happened = self.lock();
        what(&mut happened);
        happened.news = true;
        self.rung.notify_one();
    }

    /// Waits for news, at most for `patience`, and takes it.
    pub fn wait(&self, patience: Duration) -> Happened {
        let happened = self.lock();
        let waited = self
            .rung
            .wait_timeout_while(happened, patience, |happened| !happened.news);
        let (mut happened, _) = waited.unwrap_or_else(PoisonError::into_inner);
        happened.news = false;
        Happened {
            written: std::mem::take(&mut happened.written),
            scan: std::mem::take(&mut happened.scan),
            ..*happened
        }
    }

    /// The lock is held for moments, and nothing in them can panic.
    fn lock(&self) -> MutexGuard<'_, Happened> {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches folders.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// By absolute path, as notifications name them: how `include` names them, and which folder
    /// it was, as a watch ends with the folder that had the name.
    folders: HashMap<PathBuf, (PathBuf, FileId)>,
    /// A folder could not be watched, and that was said.
    incomplete: bool,
}

impl Watch {
    /// Rings `bell` from now on. Without notifications it never does.
    pub fn new(bell: Arc<Bell>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            hear(&bell, event);
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(%error, "no notifications: new data is found every `poll_interval`");
            })
            .ok();
        Self {
            watcher,
            folders: HashMap::new(),
            incomplete: false,
        }
    }

    /// Watches `wanted` and nothing else. `true` when a folder is new: what happened in it before
    /// was not heard.
    pub fn folders(&mut self, wanted: &BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        let wanted: HashMap<PathBuf, (PathBuf, FileId)> = wanted
            .iter()
            .filter_map(|folder| {
                let named = if folder.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    folder
                };
                let (id, _) = identify(&std::fs::metadata(named).ok()?);
                Some((std::path::absolute(named).ok()?, (folder.clone(), id)))
            })
            .collect();
        self.folders.retain(|absolute, folder| {
            let stays = wanted.get(absolute) == Some(folder);
            if !stays {
                // It may be gone already, and its watch with it.
                drop(watcher.unwatch(absolute));
            }
            stays
        });
        let mut new = false;
        for (absolute, folder) in wanted {
            if self.folders.contains_key(&absolute) {
                continue;
            }
            match watcher.watch(&absolute, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(absolute, folder);
                    new = true;
                }
                Err(error) if !self.incomplete => {
                    self.incomplete = true;
                    let folder = absolute.display();
                    tracing::warn!(%folder, %error, "cannot watch a folder: new data there is found every `poll_interval`");
                }
                Err(_) => {}
            }
        }
        new
    }

    /// How `include` names the file that a notification names `absolute`.
    pub fn name(&self, absolute: &Path) -> Option<PathBuf> {
        let (folder, _) = self.folders.get(absolute.parent()?)?;
        Some(folder.join(absolute.file_name()?))
    }
}

fn hear(bell: &Bell, event: notify::Result<Event>) {
    let Ok(event) = event else {
        return bell.ring(|happened| happened.scan = true);
    };
    let written = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Data(_)) => true,
        // Reading, by us above all, changes nothing.
        EventKind::Access(_) => return,
        _ => false,
    };
    bell.ring(|happened| {
        if written && !event.need_rescan() && happened.written.len() < WRITTEN_MAX {
            happened.written.extend(event.paths);
        } else {
            happened.scan = true;
        }
    });
}
