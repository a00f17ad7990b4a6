//! Objects many times larger than the worker's memory, of each kind that is read in another way:
//! lines, blocks of Avro, row groups of Parquet. With `TOWPATH_FULL=1` they have 10 GiB.

use std::process::{Command, Stdio};
use std::time::Duration;

use towpath_rig::Store;
use towpath_sdk::config::OutputFormat;

use super::files::{avro, parquet, parts};
use super::workdir_with;

const PIPELINE: &str = "
topics:
  lines: { retention: { size: 64MiB } }
sources:
  archive:
    type: s3
    bucket: ${env:S3_BUCKET}
    endpoint: ${env:S3_ENDPOINT}
    format: FORMAT
    topic: lines
";
/// What a worker may take: 20 MiB of its own, a block as it stands and as records, and what waits for
/// the disk. Measured: 37 MiB of lines, 85 of Avro, 60 of Parquet, with blocks of 16 MiB; 142 of Avro
/// beside a build.
const PEAK_KIB_MAX: u64 = 160 << 10;
const RECORDS_PER_BLOCK: usize = 16_000;
const RECORD_BYTES: usize = 1_000;

/// Values as JSON that do not compress.
fn values() -> Vec<String> {
    let mut state = 1_u64;
    let mut digits = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        format!("{:016x}", state ^ state >> 29)
    };
    (0..RECORDS_PER_BLOCK)
        .map(|_| (0..RECORD_BYTES / 16).map(|_| digits()).collect::<String>())
        .map(|text| format!("{{\"text\":\"{text}\"}}"))
        .collect()
}

/// The most memory that `command`, which must succeed, has had; and what it said.
fn peak_kib(mut command: Command) -> (u64, String) {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak_kib = kib.unwrap_or(peak_kib);
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (peak_kib, said)
}

fn check(word: &str, format: Option<OutputFormat>) {
    let full = std::env::var_os("TOWPATH_FULL").is_some();
    let blocks = if full { 640 } else { 20 };
    let store = Store::in_process();
    let values = values();
    store.put_parts("large", parts(format, &values, blocks));
    let workdir = workdir_with(&store.endpoint());
    let settings = "admin: { listen: '127.0.0.1:0' }\nmemory_limit: 64MiB\n";
    workdir.write("towpath.yaml", settings);
    workdir.write("in.yaml", PIPELINE.replace("FORMAT", word));
    let (peak_kib, said) = peak_kib(workdir.command(&["run", "--drain", "in.yaml"]));
    println!("{word}: {} MiB", peak_kib >> 10);
    let records = blocks * values.len();
    let shown: String = said.chars().filter(|shown| *shown != ',').collect();
    assert!(
        shown.contains(&records.to_string()),
        "not {records} records:\n{said}"
    );
    assert!(peak_kib < PEAK_KIB_MAX, "{word}: {peak_kib} KiB");
}

#[test]
fn lines_are_read_in_flat_memory() {
    check("json", None);
}

#[test]
fn avro_is_read_in_flat_memory() {
    check("avro", Some(avro()));
}

#[test]
fn parquet_is_read_in_flat_memory() {
    check("parquet", Some(parquet()));
}
