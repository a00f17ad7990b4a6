//! `towpath bench`: what this machine's disk, log and a whole pipeline reach.
//!
//! Everything happens in a temporary directory, which is removed at the end. Pipelines are run as
//! processes of their own (this same program), so that their time goes from process start to exit
//! and their memory is theirs alone.

mod disk;
mod figures;
mod lines;
mod log;
mod pipeline;
mod scenario;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use towpath_sdk::config::Size;

use super::data::DataArgs;
use super::failure::Failure;
use super::output::{Align, Output, Table, count, note, size};
use scenario::{Inputs, ONE_FILE, TRANSFORMS};

/// Size of the quick measurement, and of the full one.
const QUICK_BYTES: u64 = 256 << 20;
const FULL_BYTES: u64 = 1 << 30;
/// Rounds of the full measurement that count; one more goes before them to warm up.
const FULL_ROUNDS: usize = 5;

/// Measure what this machine's disk, log and a pipeline reach
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Where to measure: a temporary directory is made in it [default: beside the data directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How much to write [default: 256MiB, with --full 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = super::option::<Size>)]
    size: Option<Size>,
    /// All figures: five rounds of all pipelines, one over the other, memory, start
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// One figure. Absent is what does not apply.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub what: String,
    pub seconds: f64,
    pub bytes: u64,
    pub records: u64,
    /// Peak of the process that was measured.
    pub memory_bytes: Option<u64>,
    /// Its records per second as a part of those of one file in the same round, the median of all
    /// rounds: 0.93 loses 7 %.
    pub against_one_file: Option<f64>,
}

impl Figure {
    pub fn new(what: impl Into<String>, took: Duration, bytes: u64, records: u64) -> Self {
        let seconds = took.as_secs_f64();
        Self {
            what: what.into(),
            seconds,
            bytes,
            records,
            memory_bytes: None,
            against_one_file: None,
        }
    }
}

pub fn bench(args: &BenchArgs, output: Output) -> Result<(), Failure> {
    let parent = match &args.dir {
        Some(dir) => dir.clone(),
        None => beside(&args.data.settings()?.data_dir),
    };
    let bytes = args
        .size
        .map_or(if args.full { FULL_BYTES } else { QUICK_BYTES }, |size| {
            size.0
        });
    // The processes that are measured have another working directory.
    let parent = std::path::absolute(&parent).map_err(|error| cannot("find", &parent, &error))?;
    check_space(&parent, bytes)?;
    let dir = tempfile::Builder::new()
        .prefix("towpath-bench-")
        .tempdir_in(&parent)
        .map_err(|error| cannot("make a directory in", &parent, &error))?;
    let figures = if args.full {
        figures::all(dir.path(), bytes, FULL_ROUNDS)?
    } else {
        quick(dir.path(), bytes)?
    };
    dir.close()
        .map_err(|error| cannot("remove what was made in", &parent, &error))?;
    output.data(&figures, |figures| render(figures))
}

fn quick(dir: &Path, bytes: u64) -> Result<Vec<Figure>, Failure> {
    note(&format!(
        "writing {} of access-log lines, and as much JSON",
        size(bytes as f64)
    ));
    let mut inputs = Inputs::new(dir, bytes);
    let input = inputs.of(&ONE_FILE)?;
    // Memory and disk that were never touched are slower the first time.
    disk::copies(dir, input, 1)?;
    let mut figures = vec![disk::copies(dir, input, 1)?, disk::copies(dir, input, 2)?];
    figures.extend(log::append_and_read(&dir.join("log"), input)?);
    figures.push(pipeline::drain(dir, input, &ONE_FILE)?);
    for scenario in TRANSFORMS {
        figures.push(pipeline::drain(dir, inputs.of(scenario)?, scenario)?);
    }
    Ok(figures)
}

/// The directory that the data directory is, or will be, in.
fn beside(data_dir: &Path) -> PathBuf {
    match data_dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Both inputs, log, output, and the plain copies.
fn check_space(dir: &Path, bytes: u64) -> Result<(), Failure> {
    let found = rustix::fs::statvfs(dir).map_err(|error| cannot("look at", dir, &error.into()))?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let needed = bytes.saturating_mul(6);
    if free < needed {
        return Err(Failure::environment(format!(
            "{} has {} free, the measurement needs {}; choose another with --dir, or a smaller --size",
            dir.display(),
            size(free as f64),
            size(needed as f64)
        )));
    }
    Ok(())
}

fn render(figures: &[Figure]) -> String {
    let columns = [
        ("WHAT", Align::Left),
        ("SECONDS", Align::Right),
        ("MB/S", Align::Right),
        ("RECORDS/S", Align::Right),
        ("MEMORY", Align::Right),
        ("AGAINST ONE FILE", Align::Right),
    ];
    let is_compared = figures
        .iter()
        .any(|figure| figure.against_one_file.is_some());
    let shown = columns.len() - usize::from(!is_compared);
    let mut table = Table::new(&columns[..shown]);
    for figure in figures {
        let per_second = |amount: f64| match amount > 0.0 && figure.seconds > 0.0 {
            true => count((amount / figure.seconds) as u64),
            false => "-".to_owned(),
        };
        let cells = [
            figure.what.clone(),
            if figure.seconds > 0.0 {
                format!("{:.3}", figure.seconds)
            } else {
                "-".to_owned()
            },
            per_second(figure.bytes as f64 / 1e6),
            per_second(figure.records as f64),
            figure
                .memory_bytes
                .map_or("-".to_owned(), |bytes| size(bytes as f64)),
            figure.against_one_file.map_or("-".to_owned(), compared),
        ];
        table.row(cells.into_iter().take(shown));
    }
    table.render("nothing measured")
}

/// `loses 7 %` for 0.93.
fn compared(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    let verb = if percent < 0.0 { "loses" } else { "gains" };
    format!("{verb} {:.0} %", percent.abs())
}

/// A failure of the surroundings: `doing` something to `path`.
fn cannot(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::environment(format!("cannot {doing} {}: {error}", path.display()))
}
