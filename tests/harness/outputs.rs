//! Reading what sinks wrote, however it is compressed.

use std::fs;
use std::io::Read;
use std::path::Path;

/// The content of one output file, decompressed as its name says. All of it must be readable to
/// the end: a cut member or frame is an error.
#[track_caller]
fn read_output(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut content = Vec::new();
    let outcome = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut content),
        Some("zst") => zstd::stream::read::Decoder::new(&bytes[..])
            .and_then(|mut decoder| decoder.read_to_end(&mut content)),
        _ => {
            content = bytes;
            Ok(0)
        }
    };
    outcome.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    content
}

/// Every line of every file in `directory`, file by file in the order of their names, without the
/// newline. A file that does not end with one is refused.
#[track_caller]
pub fn read_lines(directory: &Path) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut files: Vec<_> = match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(error) => panic!("{}: {error}", directory.display()),
    };
    files.sort();
    let lines_of = |path: &std::path::PathBuf| {
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        let content = read_output(path);
        assert!(
            content.is_empty() || content.ends_with(b"\n"),
            "{name} ends within a line"
        );
        let lines = content.split_inclusive(|&byte| byte == b'\n');
        (
            name,
            lines.map(|line| line[..line.len() - 1].to_vec()).collect(),
        )
    };
    files.iter().map(lines_of).collect()
}
