//! What the S3 sink reaches on this machine, each figure beside what it is compared with, measured
//! in the same rounds against the same server.
//!
//!     cargo build --release && cargo run --release -p towpath-rig --example s3_speed [MIB]
//!
//! MIB is the size of each input, 1024 unless said. The server is a process of its own: MinIO when
//! it was built (`tests/run --full` does), else `s3s-fs`. The worker is `towpath run --drain`, from
//! start to exit. A round runs everything once, each with another beginning; the first round warms
//! up, and the median of the others counts, of speeds as of what they are compared with.
//!
//! **gzip** is held against gzip alone on the cores left: the time in which all cores could do the
//! server's work and compress, as the same library does at the same level without anything else.
//! So reading the log, encoding, signing and sending count as lost.
//!
//! **Uncompressed** is held against a bare loop that uploads the same bytes, which it has in
//! memory, in the same parts with as many on their way.

#![expect(clippy::unwrap_used, reason = "whoever measures sees what fails")]

mod bare;
mod input;
mod paths;
mod server;
mod worker;

use std::path::Path;
use std::time::Instant;

use input::{Input, Kind};
use server::Server;
use worker::{PATH, Run, Worker};

/// Rounds that count.
const ROUNDS: usize = 3;
/// Records of the measurement of many paths, for each MiB of the others' input: 20 million at 1024.
const RECORDS_PER_MIB: u64 = 20_000_000 / 1024;

/// What one round found.
#[derive(Debug, Clone, Default)]
struct Round {
    /// Processor seconds of gzip alone.
    gzip_alone: f64,
    gzip: Run,
    bare: f64,
    plain: Run,
    parquet: Run,
    from_topic: Run,
    from_file: Run,
}

fn main() {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some(server::SERVE) {
        return server::serve();
    }
    let mib: u64 = argument.map_or(1024, |mib| mib.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let events = Input::write(dir.path(), Kind::Json, mib << 20);
    let access = Input::write(dir.path(), Kind::AccessLog, mib << 20);
    let server = Server::start();
    let worker = Worker::new(dir.path(), &server);
    worker.load("events", "json", &events);
    worker.load("access", "text", &access);
    println!("{mib} MiB, {}, {} cores", server.name, cores());
    let bytes = std::fs::read(&events.path).unwrap().into();
    let mut rounds = Vec::new();
    for number in 0..=ROUNDS {
        let round = round(number, &worker, &server, &events, &access, &bytes);
        if number > 0 {
            rounds.push(round);
        }
    }
    drop(bytes);
    report(&rounds, &events, &access);
    paths::measure(dir.path(), &server, mib * RECORDS_PER_MIB);
}

const GZIP: &str = "format: json, compression: { type: gzip, level: 1 }, rotate: { size: 64MiB }";
const PLAIN: &str = "format: json, rotate: { size: 64MiB }";
const PARQUET: &str = "format: { type: parquet, columns: { time: timestamp, client: string, method: string, \
     path: string, status: int, bytes: int, seconds: float, agent: string } }, compression: zstd, \
     rotate: { size: 64MiB }";

/// What is measured, and how.
type Step<'a> = (&'a str, &'a dyn Fn(&mut Round));

fn round(
    number: usize,
    worker: &Worker<'_>,
    server: &Server,
    events: &Input,
    access: &Input,
    bytes: &bytes::Bytes,
) -> Round {
    let mut round = Round::default();
    let steps: [Step<'_>; 7] = [
        ("gzip alone", &|round| {
            round.gzip_alone = bare::gzip(bytes, cores());
        }),
        ("topic -> gzip", &|round| {
            round.gzip = worker.sink("events", PATH, GZIP);
        }),
        ("bare uploads", &|round| {
            round.bare = bare::uploads(server, bytes);
        }),
        ("topic -> uncompressed", &|round| {
            round.plain = worker.sink("events", PATH, PLAIN);
        }),
        ("topic -> parquet", &|round| {
            round.parquet = worker.sink("events", PATH, PARQUET);
        }),
        ("access topic -> gzip", &|round| {
            round.from_topic = worker.sink("access", PATH, GZIP);
        }),
        ("access file -> topic -> gzip", &|round| {
            round.from_file = worker.file_to_sink(access, GZIP);
        }),
    ];
    for turn in 0..steps.len() {
        let (what, step) = &steps[(number + turn) % steps.len()];
        let begun = Instant::now();
        step(&mut round);
        let took = begun.elapsed().as_secs_f64();
        eprintln!("round {number} of {ROUNDS}: {what}: {took:.2} s");
        server.clear();
    }
    assert_eq!(round.plain.stored, events.bytes, "bytes of the objects");
    round
}

fn report(rounds: &[Round], events: &Input, access: &Input) {
    let of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let rate = |input: &Input, run: &dyn Fn(&Round) -> Run| {
        of(&|round| input.bytes as f64 / 1e6 / run(round).seconds)
    };
    let memory = |run: &dyn Fn(&Round) -> Run| {
        let peaks = rounds.iter().map(|round| run(round).memory);
        peaks.max().unwrap_or(0) as f64 / f64::from(1 << 20)
    };
    let line = |what: &str, rate: f64, memory: f64, against: &str| {
        println!("{what:38} {rate:5.0} MB/s {memory:5.0} MiB   {against}");
    };
    let all = cores() as f64;
    let ratio = of(&|round| {
        let ideal = (round.gzip_alone + round.gzip.server_cpu) / all;
        ideal / round.gzip.seconds
    });
    let left =
        of(&|round| events.bytes as f64 / 1e6 * all / (round.gzip_alone + round.gzip.server_cpu));
    line(
        "topic -> JSON lines, gzip 1",
        rate(events, &|round| round.gzip.clone()),
        memory(&|round| round.gzip.clone()),
        &format!(
            "{:.0} % of gzip alone on the cores left, {left:.0} MB/s (goal 80 %)",
            ratio * 100.0
        ),
    );
    let bare = of(&|round| events.bytes as f64 / 1e6 / round.bare);
    let ratio = of(&|round| round.bare / round.plain.seconds);
    line(
        "topic -> JSON lines, uncompressed",
        rate(events, &|round| round.plain.clone()),
        memory(&|round| round.plain.clone()),
        &format!(
            "{:.0} % of bare uploads, {bare:.0} MB/s (goal 85 %, 100 MiB)",
            ratio * 100.0
        ),
    );
    let core = of(&|round| events.bytes as f64 / 1e6 / round.parquet.cpu);
    line(
        "topic -> Parquet, zstd",
        rate(events, &|round| round.parquet.clone()),
        memory(&|round| round.parquet.clone()),
        &format!("{core:.0} MB/s a core of the worker (goal 80 MB/s)"),
    );
    line(
        "access topic -> JSON lines, gzip 1",
        rate(access, &|round| round.from_topic.clone()),
        memory(&|round| round.from_topic.clone()),
        "",
    );
    let ratio = of(&|round| round.from_topic.seconds / round.from_file.seconds);
    line(
        "access file -> topic -> the same",
        rate(access, &|round| round.from_file.clone()),
        memory(&|round| round.from_file.clone()),
        &format!(
            "{:.0} % of that from the topic alone (goal 60 %)",
            ratio * 100.0
        ),
    );
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `path` as YAML text.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "''"))
}
