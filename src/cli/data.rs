//! Where the data is: the options of every command that touches it, and the worker's settings.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use towpath_log::{Durability, Log, LogConfig, LogError, Recovery};
use towpath_pipeline::{ProcessEnvironment, SETTINGS_FILE, WorkerConfig, load_worker_config};

use super::failure::Failure;
use super::output::{colour, note};

/// The options of every command that touches data.
#[derive(Debug, Clone, Default, Args)]
pub struct DataArgs {
    /// The data directory [default: `data_dir` of the settings, else ./towpath-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The worker's settings [default: ./towpath.yaml if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What a command works with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub worker: WorkerConfig,
    /// `--data-dir`, else `data_dir`.
    pub data_dir: PathBuf,
}

impl DataArgs {
    pub fn settings(&self) -> Result<Settings, Failure> {
        let default = Path::new(SETTINGS_FILE);
        let file = self
            .config
            .as_deref()
            .or_else(|| default.exists().then_some(default));
        let worker = load_worker_config(file, &ProcessEnvironment)
            .map_err(|diagnostics| Failure::diagnostics(&diagnostics, colour()))?;
        let data_dir = self
            .data_dir
            .clone()
            .unwrap_or_else(|| PathBuf::from(&worker.data_dir));
        Ok(Settings { worker, data_dir })
    }
}

impl Settings {
    /// Whether the data directory holds a log. One that does not is not made by looking.
    pub fn hold_log(&self) -> bool {
        self.data_dir.join("commits").is_dir()
    }

    /// Opens the log, which is made if need be, and says what recovery found.
    pub fn open_log(&self) -> Result<Log, Failure> {
        self.check_owner()?;
        self.opened(Log::open_disk(&self.data_dir, self.log_config()))
    }

    /// Opens the log as it is at this moment, to look at it: changes nothing. Refused while
    /// another process has it, which may be a worker that does not answer yet.
    pub fn look_at_log(&self) -> Result<Log, Failure> {
        let held = File::open(self.data_dir.join("lock")).is_ok_and(|lock| {
            let mine = flock(&lock, FlockOperation::NonBlockingLockShared);
            mine == Err(Errno::WOULDBLOCK)
        });
        if held {
            let pid = std::fs::read_to_string(self.data_dir.join("lock")).ok();
            let pid = pid.and_then(|pid| pid.trim().parse::<u32>().ok());
            return Err(Failure::held(&self.data_dir, pid));
        }
        self.opened(Log::open_disk_read_only(&self.data_dir, self.log_config()))
    }

    fn log_config(&self) -> LogConfig {
        let durability = match self.worker.durability {
            towpath_pipeline::Durability::Fsync => Durability::Fsync,
            towpath_pipeline::Durability::Os => Durability::Os,
        };
        LogConfig {
            durability,
            ..LogConfig::default()
        }
    }

    fn opened(&self, result: Result<(Log, Recovery), LogError>) -> Result<Log, Failure> {
        let (log, recovery) = result.map_err(|error| Failure::log(&self.data_dir, &error))?;
        let found = [
            ("damaged", &recovery.damage),
            ("cut off, as it was never committed", &recovery.cuts),
            ("moved aside", &recovery.strays),
            ("note", &recovery.notes),
        ];
        for (what, lines) in found {
            for line in lines {
                note(&format!("log: {what}: {line}"));
            }
        }
        Ok(log)
    }

    /// Opening a log writes to it. What root writes into another user's directory, that user's
    /// worker could not open any more.
    fn check_owner(&self) -> Result<(), Failure> {
        let Ok(found) = std::fs::metadata(&self.data_dir) else {
            return Ok(());
        };
        let (owner, me) = (found.uid(), rustix::process::geteuid().as_raw());
        if owner == me {
            return Ok(());
        }
        Err(Failure::environment(format!(
            "the data directory {} belongs to user {owner}, and this is user {me}: run it as that \
             user, or choose another directory with --data-dir",
            self.data_dir.display()
        )))
    }
}
