//! What a run begins with. What is refused creates nothing.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use towpath_log::Log;
use towpath_pipeline::Loaded;
use towpath_runtime::check_drain;

use super::RunArgs;
use crate::cli::data::Settings;
use crate::cli::failure::Failure;
use crate::cli::pipelines::{Topics, read, topics_of};
use crate::cli::progress::Screen;
use crate::http::admin;

/// How long another command may still hold the data directory.
const PATIENCE: Duration = Duration::from_secs(1);
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// What a run begins with.
pub struct Begin {
    pub log: Log,
    pub loaded: Loaded,
    /// None when a drain goes on without it.
    pub admin: Option<TcpListener>,
}

/// Reads the pipelines, opens the log and binds the admin port. What is refused creates nothing.
pub fn open(args: &RunArgs, settings: &Settings, screen: &Screen) -> Result<Begin, Failure> {
    if !settings.hold_log() {
        let loaded = read(&args.pipelines, &settings.worker, &Topics::new())?;
        if args.drain {
            check_drain(&loaded)?;
        }
        let admin = admin_listener(args, settings, screen)?;
        let log = open_log(settings)?;
        return Ok(Begin { log, loaded, admin });
    }
    let log = open_log(settings)?;
    let loaded = read(&args.pipelines, &settings.worker, &topics_of(&log));
    let both = loaded.and_then(|loaded| Ok((loaded, admin_listener(args, settings, screen)?)));
    if both.is_err() {
        // Why the run is refused is the news, however the log closes.
        let _ = log.close();
    }
    let (loaded, admin) = both?;
    Ok(Begin { log, loaded, admin })
}

/// The admin port. A drain is over soon, often beside a worker: it does without the port if that
/// is the default one and taken.
fn admin_listener(
    args: &RunArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Option<TcpListener>, Failure> {
    let address = settings.worker.admin.listen.0;
    match admin::bind(address) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if args.drain && address == default_address() => {
            screen.note(&format!(
                "warning: {error}; going on without the admin port"
            ));
            Ok(None)
        }
        Err(error) => Err(Failure::environment(error.to_string())),
    }
}

fn open_log(settings: &Settings) -> Result<Log, Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        match settings.open_log() {
            Err(failure) if failure.held && Instant::now() < until => {
                std::thread::sleep(RETRY_INTERVAL);
            }
            done => return done,
        }
    }
}

fn default_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8083))
}

/// Lets this process open as many files as the system allows at most: shells start programs with
/// a much lower limit, and connectors follow and write many files.
pub fn raise_open_files_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With the lower limit connectors open fewer files at a time.
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("cannot raise the limit of open files: {error}");
    }
}
