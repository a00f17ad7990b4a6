//! Runs one target: its corpus as it is, each word of its dictionary ten thousand times, then
//! mutants until the time is over.
//!
//! A panic, a broken property, and an input that takes too long are failures. The input at hand
//! stands in a file before it is tried, so it is there even when the process dies of it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::mutation::mutant;
use crate::harness::Random;

/// No input may take longer. Far beyond what any should, so that a busy machine fails no test.
const INPUT_TIME_MAX: Duration = Duration::from_secs(5);
/// How often a word is repeated to begin with.
const REPEATED: usize = 10_000;

/// What is fuzzed.
pub struct Target {
    pub name: &'static str,
    /// Words that mean something to it.
    pub dictionary: &'static [&'static str],
    /// Reads the input, and panics when what comes of it does not hold together.
    pub check: fn(&[u8]),
}

pub fn corpus_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// The kept inputs of a target, by name.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = corpus_dir().join(name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// For how long mutants are tried: half a second, or `TOWPATH_FUZZ_SECONDS`.
fn time() -> Duration {
    let given = std::env::var("TOWPATH_FUZZ_SECONDS").ok();
    let seconds = given.map_or(0.5, |seconds| {
        seconds
            .parse()
            .expect("TOWPATH_FUZZ_SECONDS must be a number")
    });
    Duration::from_secs_f64(seconds)
}

pub fn run(target: Target) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    fs::create_dir_all(&dir).unwrap();
    let kept = dir.join(target.name);
    let name = target.name;
    println!(
        "target {name}; the input at hand stands in {}",
        kept.display()
    );
    let mut trial = Trial {
        check: target.check,
        kept: File::create(&kept).unwrap(),
        tried: Arc::default(),
        slowest: Duration::ZERO,
    };
    let mut random = Random::new();
    let tried = Arc::clone(&trial.tried);
    let (at_work, watched) = channel::<()>();
    let worker = std::thread::spawn(move || {
        // Gone when the worker is, whatever ends it.
        let _at_work = at_work;
        let corpus = corpus(target.name);
        corpus.iter().for_each(|input| trial.input(input));
        for word in target.dictionary {
            trial.input(word.repeat(REPEATED).as_bytes());
        }
        let end = Instant::now() + time();
        while Instant::now() < end {
            trial.input(&mutant(&corpus, target.dictionary, &mut random));
        }
        trial.slowest
    });
    let mut before = None;
    while watched.recv_timeout(INPUT_TIME_MAX) == Err(RecvTimeoutError::Timeout) {
        let now = Some(tried.load(Relaxed));
        assert_ne!(now, before, "{name}: an input has no end");
        before = now;
    }
    let slowest = worker
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    println!(
        "{} inputs, the slowest took {slowest:?}",
        tried.load(Relaxed)
    );
    fs::remove_file(kept).unwrap();
}

struct Trial {
    check: fn(&[u8]),
    kept: File,
    tried: Arc<AtomicU64>,
    slowest: Duration,
}

impl Trial {
    fn input(&mut self, input: &[u8]) {
        self.kept.write_all_at(input, 0).unwrap();
        self.kept.set_len(input.len() as u64).unwrap();
        let begin = Instant::now();
        (self.check)(input);
        let took = begin.elapsed();
        assert!(took <= INPUT_TIME_MAX, "an input took {took:?}");
        self.slowest = self.slowest.max(took);
        self.tried.fetch_add(1, Relaxed);
    }
}
