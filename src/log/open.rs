//! Opening a log: to write it, or only to look at it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::LogError;
use crate::compaction::Compacting;
use crate::config::LogConfig;
use crate::disk::{Disk, SystemClock};
use crate::inner::Inner;
use crate::log::Log;
use crate::pipeline::{Pipeline, Threads};
use crate::recovery::{self, Access, Opened, Recovery};
use crate::segment::Layout;
use crate::shared::Shared;
use crate::storage::{Clock, Lock, Storage};
use crate::table::Places;

impl Log {
    /// Opens the log in `dir`, making it if it is not there (its parent must be), and recovers
    /// what a crash left. Fails with `Locked` when another process has it.
    pub fn open(
        dir: &Path,
        config: LogConfig,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Log, Recovery), LogError> {
        Self::start(dir, Access::Write, config, storage, clock, Threads::start)
    }

    /// Opens the log in `dir` to look at it, and changes nothing: it takes no lock, and needs no
    /// more than read permission. It shows what the next start would find in the commit log, at
    /// this moment; readers check each batch, but segments as such are not looked at (`verify`
    /// does). Every change is refused as `Invalid`, and there is nothing to close. Fails when there
    /// is no log. While another process writes it, that process tells better: what is just being
    /// written may look torn, and a segment may be dropped below a reader.
    pub fn open_read_only(
        dir: &Path,
        config: LogConfig,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Log, Recovery), LogError> {
        Self::start(dir, Access::Read, config, storage, clock, Threads::start)
    }

    /// [`Log::open`] on the local disk with the system's clock.
    pub fn open_disk(dir: &Path, config: LogConfig) -> Result<(Log, Recovery), LogError> {
        let clock = Arc::new(SystemClock::default());
        Self::open(dir, config, Arc::new(Disk), clock)
    }

    /// [`Log::open_read_only`] on the local disk with the system's clock.
    pub fn open_disk_read_only(dir: &Path, config: LogConfig) -> Result<(Log, Recovery), LogError> {
        let clock = Arc::new(SystemClock::default());
        Self::open_read_only(dir, config, Arc::new(Disk), clock)
    }

    pub(crate) fn start(
        dir: &Path,
        access: Access,
        config: LogConfig,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        pipeline: impl FnOnce(
            &Arc<Shared>,
            crate::state::State,
            crate::append::CommitPoint,
            &Arc<dyn Lock>,
        ) -> Result<Arc<dyn Pipeline>, LogError>,
    ) -> Result<(Log, Recovery), LogError> {
        let layout = Layout {
            dir: PathBuf::from(dir),
        };
        let opened = recovery::open(layout, access, config.clamped(), storage, clock)?;
        let Opened {
            shared,
            state,
            point,
            lock,
            recovery,
        } = opened;
        let lock: Option<Arc<dyn Lock>> = lock.map(Arc::from);
        let pipeline = match (point, &lock) {
            (Some(point), Some(lock)) => Some(pipeline(&shared, state, point, lock)?),
            _ => None,
        };
        let (lock, files) = (Mutex::new(lock), Mutex::new(()));
        Ok((
            Log {
                inner: Arc::new(Inner {
                    shared,
                    pipeline,
                    lock,
                    files,
                    compacting: Compacting::default(),
                    tables: Places::default(),
                }),
            },
            recovery,
        ))
    }
}
