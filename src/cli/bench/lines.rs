//! The input of the measurements, the same at each run: access-log lines in the combined format,
//! 170 bytes on average, or JSON of 200 bytes, of which every tenth says `"status":500`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::failure::Failure;
use super::cannot;

/// Written at once.
const CHUNK_BYTES: usize = 1 << 20;

const METHODS: [&str; 4] = ["GET", "GET", "GET", "POST"];
const PATHS: [&str; 5] = [
    "/",
    "/products/item",
    "/search",
    "/static/js/app.js",
    "/api/v1/orders",
];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/141.0.0.0 Safari/537.36",
    "curl/8.14.1 (x86_64-pc-linux-gnu) libcurl/8.14.1 OpenSSL/3.5.1 zlib/1.3.1",
];

/// What the lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    AccessLog,
    Json,
}

/// Of so many JSON lines one is a failure.
pub const FAILURE_EVERY: u64 = 10;

/// Files of lines.
#[derive(Debug)]
pub struct Input {
    pub files: Vec<PathBuf>,
    pub bytes: u64,
    pub records: u64,
}

impl Input {
    /// Writes `files` files below `dir`, about `bytes` in all.
    pub fn write(dir: &Path, kind: Kind, files: u64, bytes: u64) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir).map_err(|error| cannot("make", dir, &error))?;
        let mut input = Self {
            files: Vec::new(),
            bytes: 0,
            records: 0,
        };
        for number in 0..files {
            let path = dir.join(format!("input-{number}.log"));
            let mut lines = Lines::new(kind, number);
            let written = write_file(&path, &mut lines, bytes / files);
            input.bytes += written.map_err(|error| cannot("write", &path, &error))?;
            input.records += lines.count;
            input.files.push(path);
        }
        Ok(input)
    }
}

fn write_file(path: &Path, lines: &mut Lines, bytes: u64) -> std::io::Result<u64> {
    let mut file = File::create_new(path)?;
    let mut written = 0;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + 1024);
    while written < bytes {
        chunk.clear();
        while chunk.len() < CHUNK_BYTES && written + (chunk.len() as u64) < bytes {
            lines.push(&mut chunk);
        }
        file.write_all(&chunk)?;
        written += chunk.len() as u64;
    }
    file.sync_data()?;
    Ok(written)
}

/// Makes lines up, by a generator that gives the same ones for the same seed.
struct Lines {
    kind: Kind,
    random: u64,
    count: u64,
}

impl Lines {
    fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            random: 0x9e37_79b9_7f4a_7c15 ^ (seed << 17),
            count: 0,
        }
    }

    fn push(&mut self, out: &mut Vec<u8>) {
        match self.kind {
            Kind::AccessLog => self.push_access(out),
            Kind::Json => self.push_json(out),
        }
        self.count += 1;
    }

    fn push_json(&mut self, out: &mut Vec<u8>) {
        let random = self.next();
        let pick = |shift: u32, count: usize| (random >> shift) as usize % count;
        let is_failure = self.count % FAILURE_EVERY == FAILURE_EVERY - 1;
        // Writing to a Vec cannot fail.
        let _ = writeln!(
            out,
            r#"{{"time":"2026-11-21T18:06:02.{:03}Z","method":"{}","path":"{}","status":{},"ms":{},"bytes":{},"client":{{"ip":"203.0.113.{}","name":"w"}},"session":"{random:016x}","id":"{:016x}"}}"#,
            self.count % 1_000,
            METHODS[pick(8, METHODS.len())],
            PATHS[pick(16, PATHS.len())],
            if is_failure { 500 } else { 200 },
            pick(20, 250),
            pick(24, 60_000),
            random % 256,
            random.rotate_left(32),
        );
    }

    fn push_access(&mut self, out: &mut Vec<u8>) {
        let random = self.next();
        let pick = |shift: u32, count: usize| (random >> shift) as usize % count;
        let seconds = self.count / 1_000;
        // Writing to a Vec cannot fail.
        let _ = writeln!(
            out,
            "203.0.113.{} - - [{:02}/Nov/2026:{:02}:{:02}:{:02} +0000] \"{} {}?id={} HTTP/1.1\" 200 {} \"-\" \"{}\"",
            random % 256,
            1 + seconds / 86_400 % 30,
            seconds / 3_600 % 24,
            seconds / 60 % 60,
            seconds % 60,
            METHODS[pick(8, METHODS.len())],
            PATHS[pick(16, PATHS.len())],
            random >> 40,
            pick(24, 60_000),
            AGENTS[pick(32, AGENTS.len())],
        );
    }

    /// xorshift64: quick, and good enough to vary lines.
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_long_as_said_and_the_same_each_time() {
        for (kind, bytes) in [(Kind::AccessLog, 170), (Kind::Json, 200)] {
            let lines = |seed| {
                let (mut lines, mut out) = (Lines::new(kind, seed), Vec::new());
                (0..10_000).for_each(|_| lines.push(&mut out));
                out
            };
            let average = lines(1).len() / 10_000;
            assert!(average.abs_diff(bytes) <= 5, "{kind:?}: {average}");
            assert_eq!(lines(1), lines(1));
            assert_ne!(lines(1), lines(2));
        }
    }
}
