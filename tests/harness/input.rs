//! A thread that does to the input what real programs do: appends, in pieces that end anywhere,
//! and rotates by rename while it still writes to the old file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Random;

/// Writes to `STREAM.log` in its directory until it is told to finish; rotated files are called
/// `STREAM.log.N`. Every line begins with `STREAM.N `, the file it was written to.
pub struct Appender {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Written>>,
}

/// What one thread wrote: each file's label and content.
type Written = Vec<(String, Vec<u8>)>;

struct Stream {
    directory: PathBuf,
    name: String,
    random: Random,
    /// Lines are UTF-8, without NUL and carriage return.
    plain: bool,
    line: u64,
}

impl Appender {
    /// One thread for each of `streams`.
    pub fn start(directory: PathBuf, streams: &[&str], plain: bool, random: &mut Random) -> Self {
        fs::create_dir_all(&directory).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let threads = streams
            .iter()
            .map(|name| {
                let (directory, name) = (directory.clone(), (*name).to_owned());
                let mut stream = Stream {
                    directory,
                    name,
                    random: random.fork(),
                    plain,
                    line: 0,
                };
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || stream.write_until(&stop))
            })
            .collect();
        Self { stop, threads }
    }

    /// Stops writing; what was written, by `STREAM.N`. The last file of each stream ends without
    /// a newline.
    pub fn finish(self) -> BTreeMap<String, Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    }
}

impl Stream {
    fn write_until(&mut self, stop: &AtomicBool) -> Written {
        let mut written = Vec::new();
        for generation in 0.. {
            let label = format!("{}.{generation}", self.name);
            let current = self.directory.join(format!("{}.log", self.name));
            let mut file = File::options()
                .append(true)
                .create_new(true)
                .open(&current)
                .unwrap();
            let mut content = Vec::new();
            for _ in 0..self.random.between(100, 500) {
                self.append(&mut file, &mut content, &label);
                if stop.load(Ordering::Relaxed) {
                    let last = format!("{label} unfinished");
                    file.write_all(last.as_bytes()).unwrap();
                    content.extend_from_slice(last.as_bytes());
                    written.push((label, content));
                    return written;
                }
            }
            let rotated = self
                .directory
                .join(format!("{}.log.{generation}", self.name));
            fs::rename(&current, rotated).unwrap();
            self.append(&mut file, &mut content, &label);
            written.push((label, content));
        }
        written
    }

    /// Appends some lines, in two writes with a pause between them now and then.
    fn append(&mut self, file: &mut File, content: &mut Vec<u8>, label: &str) {
        let mut chunk = Vec::new();
        for _ in 0..self.random.between(1, 60) {
            self.line += 1;
            write!(chunk, "{label} {:07} ", self.line).unwrap();
            for _ in 0..self.random.between(0, 120) {
                let byte = if self.plain {
                    self.random.between(32, 126) as u8
                } else {
                    self.random.between(0, 255) as u8
                };
                chunk.push(if byte == b'\n' { b'.' } else { byte });
            }
            chunk.push(b'\n');
        }
        let cut = match self.random.chance(20) {
            true => self.random.between(0, chunk.len() as u64) as usize,
            false => 0,
        };
        file.write_all(&chunk[..cut]).unwrap();
        std::thread::sleep(Duration::from_micros(self.random.between(200, 3000)));
        file.write_all(&chunk[cut..]).unwrap();
        content.extend_from_slice(&chunk);
    }
}
