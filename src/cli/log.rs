//! `towpath log`: looks into the files of a log, with or without a worker, and changes nothing.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use towpath_log::{Disk, DumpItem, VerifyReport};

use super::data::DataArgs;
use super::failure::Failure;
use super::output::{Output, counted, size, stdout};

/// Printed at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Check or show the files of the log; needs no worker and changes nothing
#[derive(Debug, Args)]
pub struct LogArgs {
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Read everything and report all damage: file, byte, offset
    Verify {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Print commit records and batches in readable form
    Dump {
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Serialize)]
struct Verified<'a> {
    damage: &'a [String],
    notes: &'a [String],
    segments: u64,
    batches: u64,
    bytes: u64,
    commit_records: u64,
}

pub fn log(args: &LogArgs, output: Output) -> Result<(), Failure> {
    match &args.command {
        LogCommand::Verify { data } => verify(data, output),
        LogCommand::Dump { data } => dump(data, output),
    }
}

fn verify(args: &DataArgs, output: Output) -> Result<(), Failure> {
    let dir = data_dir(args)?;
    let report = towpath_log::verify(&dir, &Disk).map_err(|error| Failure::log(&dir, &error))?;
    let verified = Verified::of(&report);
    if report.damage.is_empty() {
        return output.data(&verified, Verified::render);
    }
    let places = counted(report.damage.len() as u64, "place");
    let mut failure = Failure::failed(format!(
        "the log in {} is damaged in {places}",
        dir.display()
    ));
    if output.json {
        failure.body.problems = report.damage.into_iter().map(Value::String).collect();
    } else {
        stdout(verified.render().as_bytes())?;
    }
    Err(failure)
}

fn dump(args: &DataArgs, output: Output) -> Result<(), Failure> {
    let dir = data_dir(args)?;
    let mut written = Ok(());
    let mut damaged = false;
    let mut ready = String::new();
    let mut print = |item: DumpItem| {
        damaged |= matches!(item, DumpItem::Damage(_));
        ready.push_str(&if output.json {
            format!("{}\n", item_json(&item))
        } else {
            item_text(&item)
        });
        if ready.len() >= CHUNK_BYTES && written.is_ok() {
            written = stdout(ready.as_bytes());
            ready.clear();
        }
    };
    let dumped = towpath_log::dump(&dir, &Disk, &mut print);
    written.and_then(|()| stdout(ready.as_bytes()))?;
    dumped.map_err(|error| Failure::log(&dir, &error))?;
    if damaged {
        Err(Failure::failed("the log is damaged"))
    } else {
        Ok(())
    }
}

fn data_dir(args: &DataArgs) -> Result<std::path::PathBuf, Failure> {
    let settings = args.settings()?;
    if settings.hold_log() {
        return Ok(settings.data_dir);
    }
    let dir = settings.data_dir.display();
    Err(Failure::environment(format!(
        "there is no log in the directory {dir}"
    )))
}

impl<'a> Verified<'a> {
    fn of(report: &'a VerifyReport) -> Self {
        Self {
            damage: &report.damage,
            notes: &report.notes,
            segments: report.segments,
            batches: report.batches,
            bytes: report.bytes,
            commit_records: report.commit_records,
        }
    }

    fn render(&self) -> String {
        let mut out = String::new();
        for damage in self.damage {
            out.push_str(&format!("damaged: {damage}\n"));
        }
        for note in self.notes {
            out.push_str(&format!("note: {note}\n"));
        }
        out.push_str(&format!(
            "read {}, {}, {}, {}: {}\n",
            counted(self.commit_records, "commit record"),
            counted(self.segments, "segment"),
            counted(self.batches, "batch"),
            size(self.bytes as f64),
            if self.damage.is_empty() {
                "no damage"
            } else {
                "damaged"
            }
        ));
        out
    }
}

fn item_text(item: &DumpItem) -> String {
    match item {
        DumpItem::Snapshot { entry } => format!("snapshot {entry}\n"),
        DumpItem::Record {
            file,
            position,
            sequence,
            epoch,
            entries,
        } => {
            let mut out = format!("{file} byte {position}: record {sequence}, epoch {epoch}\n");
            for entry in entries {
                out.push_str(&format!("    {entry}\n"));
            }
            out
        }
        DumpItem::Batch {
            file,
            position,
            base_offset,
            records,
            bytes,
        } => {
            let last = base_offset + u64::from(*records).saturating_sub(1);
            format!("{file} byte {position}: offsets {base_offset} to {last}, {bytes} bytes\n")
        }
        DumpItem::Damage(why) => format!("damaged: {why}\n"),
    }
}

fn item_json(item: &DumpItem) -> Value {
    match item {
        DumpItem::Snapshot { entry } => json!({ "kind": "snapshot", "entry": entry }),
        DumpItem::Record {
            file,
            position,
            sequence,
            epoch,
            entries,
        } => json!({
            "kind": "record", "file": file, "position": position, "sequence": sequence,
            "epoch": epoch, "entries": entries,
        }),
        DumpItem::Batch {
            file,
            position,
            base_offset,
            records,
            bytes,
        } => json!({
            "kind": "batch", "file": file, "position": position, "base_offset": base_offset,
            "records": records, "bytes": bytes,
        }),
        DumpItem::Damage(why) => json!({ "kind": "damage", "why": why }),
    }
}
