//! Inputs, the same at each run: requests as an access log has them, as its lines or as JSON.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What the lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In the combined format, about 170 bytes.
    AccessLog,
    /// The same as an object, about 240 bytes.
    Json,
}

/// A file of lines.
#[derive(Debug)]
pub struct Input {
    pub path: PathBuf,
    pub bytes: u64,
    pub records: u64,
}

impl Input {
    /// Writes about `bytes` below `dir`.
    pub fn write(dir: &Path, kind: Kind, bytes: u64) -> Self {
        let path = dir.join(format!("{kind:?}.log"));
        let mut file = BufWriter::with_capacity(1 << 20, File::create_new(&path).unwrap());
        let (mut written, mut records, mut line) = (0, 0, Vec::new());
        let mut random = Random::default();
        while written < bytes {
            line.clear();
            request(kind, records, random.next(), &mut line);
            file.write_all(&line).unwrap();
            written += line.len() as u64;
            records += 1;
        }
        file.into_inner().unwrap().sync_data().unwrap();
        Self {
            path,
            bytes: written,
            records,
        }
    }
}

fn request(kind: Kind, number: u64, random: u64, out: &mut Vec<u8>) {
    let pick = |shift: u32, count: u64| (random >> shift) % count;
    let (minute, second) = (number / 60_000 % 60, number / 1000 % 60);
    let client = format!("203.0.{}.{}", pick(8, 200), pick(16, 250));
    let method = ["GET", "GET", "GET", "POST"][pick(24, 4) as usize];
    let path = format!("/articles/{}/view?page={}", pick(28, 5000), pick(40, 9));
    let status = [200, 200, 200, 304, 404, 500][pick(32, 6) as usize];
    let bytes = pick(12, 60_000);
    let agent = format!(
        "Mozilla/5.0 (X11; Linux x86_64) Chrome/{}.0",
        100 + pick(36, 20)
    );
    match kind {
        Kind::AccessLog => writeln!(
            out,
            r#"{client} - - [10/Oct/2026:13:{minute:02}:{second:02} +0000] "{method} {path} HTTP/1.1" {status} {bytes} "-" "{agent}""#
        ),
        Kind::Json => writeln!(
            out,
            r#"{{"time":"2026-10-10T13:{minute:02}:{second:02}.{:03}Z","client":"{client}","method":"{method}","path":"{path}","status":{status},"bytes":{bytes},"seconds":0.{:03},"agent":"{agent}"}}"#,
            number % 1000,
            pick(20, 1000),
        ),
    }
    .unwrap();
}

/// xorshift64: quick, and good enough to vary lines.
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
