//! What references may look at.

use std::env::VarError;
use std::io::{self, Read};
use std::path::Path;

/// Where `${env:}` and `${file:}` look.
pub trait Environment {
    /// The environment variable `name`.
    fn variable(&self, name: &str) -> Result<String, VarError>;

    /// The whole file; an error when it has more than `bytes_max` bytes.
    fn file(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>>;
}

/// The environment of this process and its files.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        std::env::var(name)
    }

    fn file(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        file.take(limit).read_to_end(&mut bytes)?;
        if bytes.len() > bytes_max {
            return Err(io::Error::other(format!(
                "it has more than {bytes_max} bytes"
            )));
        }
        Ok(bytes)
    }
}
