//! A whole pipeline, file -> topic -> file, as a process of its own.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::client::Client;
use super::super::failure::Failure;
use super::super::summary::memory;
use super::lines::{Input, Kind};
use super::scenario::{Expected, ONE_FILE, Scenario};
use super::{Figure, cannot};
use towpath_runtime::control::Topic;

/// Runs the scenario to its end on a new data directory, checks the output and removes both.
pub fn drain(dir: &Path, input: &Input, scenario: &Scenario) -> Result<Figure, Failure> {
    let dir = prepare(dir, input, scenario)?;
    let started = Instant::now();
    let output = towpath(&dir)?
        .args(["run", "--drain", "--json", "--data-dir"])
        .arg(dir.join("data"))
        .arg(dir.join("pipeline.yaml"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot("run towpath in", &dir, &error))?;
    let took = started.elapsed();
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        return Err(Failure::failed(format!(
            "the pipeline failed: {answer} {told}"
        )));
    }
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let mut figure = Figure::new(scenario.words, took, input.bytes, input.records);
    figure.memory_bytes = summary["data"]["memory_peak_bytes"].as_u64();
    check_output(&dir, input, scenario)?;
    remove(&dir)?;
    Ok(figure)
}

/// Starts the pipeline on an input of one line. How long it took until that was committed, and the
/// memory of the process when it has nothing to do.
pub fn start_and_idle(dir: &Path) -> Result<[Figure; 2], Failure> {
    let input = Input::write(&dir.join("one"), Kind::AccessLog, 1, 1)?;
    let dir = prepare(dir, &input, &ONE_FILE)?;
    let data_dir = dir.join("data");
    let started = Instant::now();
    let mut child = towpath(&dir)?
        .args(["run", "--data-dir"])
        .arg(&data_dir)
        .arg(dir.join("pipeline.yaml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| cannot("run towpath in", &dir, &error))?;
    let committed = super::super::client(first_record(&data_dir, &mut child, started));
    // Long enough to give back what the start needed.
    std::thread::sleep(Duration::from_secs(3));
    let memory = memory(child.id(), "VmRSS");
    let killed = child.kill().and_then(|()| child.wait());
    killed.map_err(|error| cannot("end towpath in", &dir, &error))?;
    remove(&dir)?;
    let start = Figure::new(
        "start of the process to first record committed",
        committed?,
        0,
        0,
    );
    let mut idle = Figure::new("memory when idle", Duration::ZERO, 0, 0);
    idle.memory_bytes = memory;
    Ok([start, idle])
}

/// Asks the worker until its log holds a record.
async fn first_record(
    data_dir: &Path,
    child: &mut Child,
    started: Instant,
) -> Result<Duration, Failure> {
    loop {
        if let Some(mut client) = Client::worker(data_dir).await {
            let topics: Vec<Topic> = client.get("/v1/topics").await?;
            if topics.iter().any(|topic| topic.records > 0) {
                return Ok(started.elapsed());
            }
        }
        if !matches!(child.try_wait(), Ok(None)) || started.elapsed() > Duration::from_secs(10) {
            return Err(Failure::failed(
                "the worker did not commit its first record",
            ));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A directory with the pipeline in it.
fn prepare(dir: &Path, input: &Input, scenario: &Scenario) -> Result<PathBuf, Failure> {
    let dir = dir.join("run");
    std::fs::create_dir(&dir).map_err(|error| cannot("make", &dir, &error))?;
    // A free port, so that a worker that runs is left alone.
    let settings = "admin: { listen: \"127.0.0.1:0\" }\n";
    let files = [
        ("pipeline.yaml", scenario.yaml(input, &dir)),
        ("towpath.yaml", settings.to_owned()),
    ];
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
    }
    Ok(dir)
}

/// This program, with the settings of `dir`.
fn towpath(dir: &Path) -> Result<Command, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::environment(format!("cannot find this program: {error}")))?;
    let mut command = Command::new(program);
    command.current_dir(dir);
    Ok(command)
}

fn remove(dir: &Path) -> Result<(), Failure> {
    std::fs::remove_dir_all(dir).map_err(|error| cannot("remove", dir, &error))
}

/// The output is what the scenario says.
fn check_output(dir: &Path, input: &Input, scenario: &Scenario) -> Result<(), Failure> {
    let out = dir.join("out");
    let listed = std::fs::read_dir(&out).map_err(|error| cannot("list", &out, &error))?;
    let outputs: Vec<PathBuf> = listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    let same = match (scenario.output, input.files.as_slice(), outputs.as_slice()) {
        (Expected::SameBytes, [from], [to]) => same_bytes(from, to),
        (Expected::SameBytes, ..) => Ok(false),
        (Expected::SameLines, ..) => {
            lines(&input.files).and_then(|from| Ok(from == lines(&outputs)?))
        }
        (Expected::LinesBut { .. }, ..) => {
            lines(&outputs).map(|(count, _)| count == scenario.output.lines(input))
        }
    };
    match same {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::failed(
            "the output is not what it must be by the input: this is a defect",
        )),
        Err(error) => Err(cannot("compare", &out, &error)),
    }
}

fn same_bytes(left: &Path, right: &Path) -> std::io::Result<bool> {
    let (mut left, mut right) = (File::open(left)?, File::open(right)?);
    if left.metadata()?.len() != right.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let length = left.read(&mut a)?;
        if length == 0 {
            return Ok(true);
        }
        right.read_exact(&mut b[..length])?;
        if a[..length] != b[..length] {
            return Ok(false);
        }
    }
}

/// Number and fingerprint of the lines, whatever their order.
fn lines(files: &[PathBuf]) -> std::io::Result<(u64, u64)> {
    let (mut count, mut sum) = (0_u64, 0_u64);
    for file in files {
        let mut input = BufReader::with_capacity(1 << 20, File::open(file)?);
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line)? > 0 {
            let mut hasher = DefaultHasher::new();
            hasher.write(&line);
            sum = sum.wrapping_add(hasher.finish());
            count += 1;
            line.clear();
        }
    }
    Ok((count, sum))
}
