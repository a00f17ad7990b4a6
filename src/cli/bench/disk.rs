//! What the disk does with plain writes: the least any log with its outputs must cost.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use super::super::failure::Failure;
use super::{Figure, cannot};
use crate::cli::bench::lines::Input;

/// Copied at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Writes the input's bytes to `copies` new files and syncs each; they are removed again.
pub fn copies(dir: &Path, input: &Input, copies: usize) -> Result<Figure, Failure> {
    let started = Instant::now();
    let paths: Vec<_> = (0..copies)
        .map(|copy| dir.join(format!("copy-{copy}")))
        .collect();
    let mut files = Vec::new();
    for path in &paths {
        files.push(File::create(path).map_err(|error| cannot("create", path, &error))?);
    }
    for source in &input.files {
        copy(source, &mut files).map_err(|error| cannot("copy", source, &error))?;
    }
    for (file, path) in files.iter().zip(&paths) {
        file.sync_data()
            .map_err(|error| cannot("sync", path, &error))?;
    }
    let took = started.elapsed();
    for path in &paths {
        std::fs::remove_file(path).map_err(|error| cannot("remove", path, &error))?;
    }
    let what = if copies == 1 {
        "plain copy: read, write, fdatasync".to_owned()
    } else {
        format!("plain copy to {copies} files: read, write, fdatasync")
    };
    Ok(Figure::new(what, took, input.bytes, input.records))
}

fn copy(source: &Path, targets: &mut [File]) -> std::io::Result<()> {
    let mut source = File::open(source)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = source.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        for target in targets.iter_mut() {
            target.write_all(&chunk[..length])?;
        }
    }
}
