//! The bytes of one open file, decompressed, read from any place.
//!
//! A plain file is read with `pread`. A compressed one is a stream: what lies behind the last
//! place that was read is kept for a while, so that reading on, and looking at the bytes in front
//! of a position, cost nothing, and so do its first bytes; going back elsewhere starts the stream
//! again. Either way the caller
//! sees one thing: `read_at`.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use towpath_sdk::Codecs;
use towpath_sdk::config::{Compression, InputCompression};

use super::fingerprint::{Fingerprint, HEAD_BYTES, TAIL_BYTES, hash};

/// Decompressed so many bytes at a time.
const STEP_BYTES: usize = 64 << 10;

/// Where a file is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// What changes when somebody writes to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// On disk, so compressed where the file is.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
    /// Also set by a rename; nobody can set it back.
    pub changed_ns: i64,
}

impl Stamp {
    /// When the file was last written to, milliseconds since 1970.
    pub fn modified_ms(&self) -> i64 {
        self.modified_ns / 1_000_000
    }

    /// Nobody has written to a file between these two looks at it.
    pub fn is_unwritten_since(&self, other: &Self) -> bool {
        self.size == other.size && self.modified_ns == other.modified_ns
    }
}

/// Identity and stamp of what `metadata` describes.
pub fn identify(metadata: &std::fs::Metadata) -> (FileId, Stamp) {
    let id = FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
    };
    let nanoseconds =
        |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
    let stamp = Stamp {
        size: metadata.size(),
        modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
    };
    (id, stamp)
}

/// An open regular file.
pub struct Content {
    file: Arc<File>,
    /// Nothing behind this place on disk is read.
    limit: u64,
    packed: Option<Packed>,
}

/// A compressed file's stream.
struct Packed {
    compression: Compression,
    codecs: Arc<dyn Codecs>,
    stream: Box<dyn Read + Send>,
    /// Decompressed so far.
    at: u64,
    /// The content in front of `at`, as far as it is kept.
    kept: Vec<u8>,
    /// The first bytes of the content, as far as they were seen.
    head: Vec<u8>,
    /// The stream cannot be read any further.
    broken: bool,
}

impl Content {
    /// Opens `path` if it is a regular file; never waits for the other end of a FIFO. Nothing
    /// behind byte `limit` on disk is read.
    pub fn open(
        path: &Path,
        limit: u64,
        compression: InputCompression,
        codecs: &Arc<dyn Codecs>,
    ) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut content = Self {
            file: Arc::new(file),
            limit,
            packed: None,
        };
        if let Some(compression) = content.compression(path, compression)? {
            content.packed = Some(Packed::new(&content.file, limit, compression, codecs)?);
        }
        Ok(content)
    }

    /// Identity and stamp as they are now.
    pub fn identify(&self) -> io::Result<(FileId, Stamp)> {
        Ok(identify(&self.file.metadata()?))
    }

    pub fn is_compressed(&self) -> bool {
        self.packed.is_some()
    }

    /// Told once to the kernel for a file that is read from end to end.
    pub fn will_read_on(&self) {
        // Advice; a file system that does not take it reads as well without.
        let _ = rustix::fs::fadvise(&*self.file, 0, None, rustix::fs::Advice::Sequential);
    }

    /// Reads content from `position` on; 0 is the end of what is there now. A short read says
    /// nothing.
    pub fn read_at(&mut self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.packed {
            Some(packed) => packed.read_at(&self.file, self.limit, position, into),
            None => {
                let room =
                    usize::try_from(self.limit.saturating_sub(position)).unwrap_or(usize::MAX);
                let room = room.min(into.len());
                read_at(&self.file, &mut into[..room], position)
            }
        }
    }

    /// Where the content ends now; a compressed one is read through for that.
    pub fn end(&mut self) -> io::Result<u64> {
        let Some(packed) = &mut self.packed else {
            return Ok(self.identify()?.1.size.min(self.limit));
        };
        while packed.step()? > 0 {
            packed.release(packed.at);
        }
        Ok(packed.at)
    }

    /// As [`Self::end`]; of a stream that breaks off, as it is still written or damaged, where it
    /// does.
    pub fn readable_end(&mut self) -> io::Result<u64> {
        match (self.end(), &self.packed) {
            (Err(error), Some(packed)) if error.raw_os_error().is_none() => Ok(packed.at),
            (end, _) => end,
        }
    }

    /// What was read in front of `position` is not needed again, but for a fingerprint.
    pub fn release(&mut self, position: u64) {
        if let Some(packed) = &mut self.packed {
            packed.release(position);
        }
    }

    /// Up to `bytes` of the content's beginning.
    pub fn head(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        if let Some(packed) = &mut self.packed {
            packed.see_head(&self.file, self.limit, bytes)?;
            return Ok(packed.head[..packed.head.len().min(bytes)].to_vec());
        }
        self.read_range(0, bytes)
    }

    /// Up to `bytes` of content from `from` on; fewer only at the end.
    pub fn read_range(&mut self, from: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut range = vec![0; bytes];
        let mut filled = 0;
        while filled < bytes {
            match self.read_at(from + filled as u64, &mut range[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        range.truncate(filled);
        Ok(range)
    }

    /// The fingerprint at `position`.
    pub fn fingerprint(&mut self, position: u64) -> io::Result<Fingerprint> {
        let tail = self.tail(position)?;
        Ok(Fingerprint::new(&self.head(HEAD_BYTES)?, &tail))
    }

    /// Whether this is the content that had `known` at `position`.
    pub fn is_the_one(&mut self, known: &Fingerprint, position: u64) -> io::Result<bool> {
        let head = self.head(usize::from(known.head_bytes))?;
        if head.len() < usize::from(known.head_bytes) || hash(&head) != known.head {
            return Ok(false);
        }
        let tail = self.tail(position)?;
        Ok(tail.len() as u64 == position.min(TAIL_BYTES as u64) && hash(&tail) == known.tail)
    }

    fn tail(&mut self, position: u64) -> io::Result<Vec<u8>> {
        let bytes = position.min(TAIL_BYTES as u64);
        self.read_range(position - bytes, bytes as usize)
    }

    /// How the file is compressed: as said, else by its first bytes, and by its name as long as
    /// there are too few of them.
    fn compression(&self, path: &Path, said: InputCompression) -> io::Result<Option<Compression>> {
        let mut head = [0; 4];
        let read = read_at(&self.file, &mut head, 0)?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        let too_few = said == InputCompression::Auto && read < head.len();
        Ok(match (said.of(&head[..read]), ending) {
            (Compression::None, Some("gz")) if too_few && read < 2 => Some(Compression::GZIP),
            (Compression::None, Some("zst")) if too_few => Some(Compression::ZSTD),
            (Compression::None, Some("sz")) if too_few => Some(Compression::Snappy),
            (Compression::None, _) => None,
            (found, _) => Some(found),
        })
    }
}

impl Packed {
    fn new(
        file: &Arc<File>,
        limit: u64,
        compression: Compression,
        codecs: &Arc<dyn Codecs>,
    ) -> io::Result<Self> {
        let stream = start(file, limit, &compression, &**codecs)?;
        let codecs = codecs.clone();
        let (kept, head) = (Vec::new(), Vec::new());
        Ok(Self {
            compression,
            codecs,
            stream,
            at: 0,
            kept,
            head,
            broken: false,
        })
    }

    fn read_at(
        &mut self,
        file: &Arc<File>,
        limit: u64,
        position: u64,
        into: &mut [u8],
    ) -> io::Result<usize> {
        if position < self.at - self.kept.len() as u64 {
            if let Some(head) = usize::try_from(position)
                .ok()
                .and_then(|at| self.head.get(at..))
                && !head.is_empty()
            {
                let read = into.len().min(head.len());
                into[..read].copy_from_slice(&head[..read]);
                return Ok(read);
            }
            self.stream = start(file, limit, &self.compression, &*self.codecs)?;
            self.at = 0;
            self.kept.clear();
        }
        while self.at <= position {
            if self.step()? == 0 {
                return Ok(0);
            }
            self.release(position.min(self.at));
        }
        // `position` lies in what is kept, as both ends of that were just compared with it.
        let from = self.kept.len() - (self.at - position) as usize;
        let read = into.len().min(self.kept.len() - from);
        into[..read].copy_from_slice(&self.kept[from..from + read]);
        Ok(read)
    }

    /// Decompresses a little more.
    fn step(&mut self) -> io::Result<usize> {
        let end = self.kept.len();
        self.kept.resize(end + STEP_BYTES, 0);
        let read = self.stream.read(&mut self.kept[end..]);
        self.kept
            .truncate(end + read.as_ref().map_or(0, |read| *read));
        self.broken = read.is_err();
        let read = read?;
        if self.at == self.head.len() as u64 && self.head.len() < HEAD_BYTES {
            let wanted = read.min(HEAD_BYTES - self.head.len());
            self.head.extend_from_slice(&self.kept[end..end + wanted]);
        }
        self.at += read as u64;
        Ok(read)
    }

    fn see_head(&mut self, file: &Arc<File>, limit: u64, bytes: usize) -> io::Result<()> {
        let bytes = bytes.min(HEAD_BYTES);
        let mut byte = [0];
        while self.head.len() < bytes && !self.broken {
            if self.read_at(file, limit, self.head.len() as u64, &mut byte)? == 0 {
                break;
            }
        }
        Ok(())
    }

    fn release(&mut self, position: u64) {
        let begin = self.at - self.kept.len() as u64;
        let keep_from = position.saturating_sub(TAIL_BYTES as u64);
        if keep_from > begin {
            self.kept.drain(..(keep_from - begin) as usize);
        }
        if self.kept.capacity() > self.kept.len() + 4 * STEP_BYTES {
            self.kept.shrink_to(STEP_BYTES);
        }
    }
}

fn start(
    file: &Arc<File>,
    limit: u64,
    compression: &Compression,
    codecs: &dyn Codecs,
) -> io::Result<Box<dyn Read + Send>> {
    let raw = Raw {
        file: file.clone(),
        at: 0,
        limit,
    };
    codecs
        .decompressor(compression, Box::new(raw))
        .map_err(io::Error::other)
}

/// A file from its beginning to the limit, whatever others do with the shared handle.
struct Raw {
    file: Arc<File>,
    at: u64,
    limit: u64,
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.limit.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = room.min(into.len());
        let read = read_at(&self.file, &mut into[..room], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn read_at(file: &File, into: &mut [u8], position: u64) -> io::Result<usize> {
    loop {
        match file.read_at(into, position) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
