//! A thread that appends lines to one file, in pieces that end anywhere.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Random;

/// Appends until it is told to finish; then gives back what it remembers of it.
pub struct Trickle<T> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Trickle<T> {
    /// Into a new file; `next` makes a line, and notes it in `written`.
    pub fn start(
        path: PathBuf,
        mut random: Random,
        mut written: T,
        next: fn(&mut T, &mut Random) -> Vec<u8>,
    ) -> Self {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut file = File::create_new(path).unwrap();
            while !told.load(Ordering::Relaxed) {
                let mut chunk = Vec::new();
                for _ in 0..random.between(1, 60) {
                    chunk.extend(next(&mut written, &mut random));
                    chunk.push(b'\n');
                }
                let cut = random.between(0, chunk.len() as u64) as usize;
                file.write_all(&chunk[..cut]).unwrap();
                std::thread::sleep(Duration::from_micros(random.between(200, 3000)));
                file.write_all(&chunk[cut..]).unwrap();
            }
            written
        });
        Self { stop, thread }
    }

    /// Stops; the last line is whole.
    pub fn finish(self) -> T {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
