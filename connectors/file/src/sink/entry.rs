//! What the sink's state says about one file, under the file's path as key.

use bytes::{BufMut, Bytes, BytesMut};
use towpath_sdk::config::Compression;
use towpath_sdk::{Error, Result};

/// Of an encoded entry; the first one did not tell the form.
const VERSION: u8 = 2;
/// How many bytes at the front of a file are hashed.
pub(super) const HEAD_BYTES: u64 = 4096;

/// A file that this sink creates or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whose records made it; only the task of that partition touches the entry.
    pub(super) topic: String,
    pub(super) partition: u32,
    /// That of the last commit; see `SinkContext::generation`.
    pub(super) generation: u32,
    /// The path with start offset 0, by which a rotated file that is not yet full is found again.
    pub(super) stream: String,
    /// When its first record came, milliseconds since 1970.
    pub(super) started_ms: i64,
    /// `None` is an intent: the file may have been created, and is empty then.
    pub(super) file: Option<Known>,
}

/// The file itself, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) identity: Identity,
    /// Bytes that are ours.
    pub(super) length: u64,
    pub(super) head: Head,
    pub(super) form: Form,
}

/// In which form records are in a file: a hash of what its format begins it with, and of its
/// compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form(u64);

impl Form {
    pub(super) fn new(head: &[u8], compression: Compression) -> Self {
        let mut form = Head::EMPTY;
        form.extend(0, compression.as_str().as_bytes());
        for part in head.chunks(HEAD_BYTES as usize) {
            form.extend(0, part);
        }
        Self(form.0)
    }
}

/// What tells a file from every other one, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Nanoseconds since 1970; 0 where the file system does not know. It tells a file from one
    /// that was created later and was given the same inode.
    pub(super) birth_ns: i64,
}

/// FNV-1a over the first bytes of a file, at most [`HEAD_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head(pub(super) u64);

impl Head {
    pub(super) const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    /// Takes in `bytes`, which stand in the file from `length` on.
    pub(super) fn extend(&mut self, length: u64, bytes: &[u8]) {
        let room = HEAD_BYTES.saturating_sub(length).min(bytes.len() as u64) as usize;
        for byte in &bytes[..room] {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl Identity {
    /// Device numbers may change at a reboot, so a known birth time stands in for them.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.inode == other.inode
            && self.birth_ns == other.birth_ns
            && (self.device == other.device || self.birth_ns != 0)
    }
}

impl Entry {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_bytes_max());
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.file.is_some()));
        out.put_u32(self.partition);
        out.put_u32(self.generation);
        out.put_i64(self.started_ms);
        for text in [&self.topic, &self.stream] {
            out.put_u32(text.len() as u32);
            out.put_slice(text.as_bytes());
        }
        if let Some(Known {
            identity,
            length,
            head,
            form,
        }) = &self.file
        {
            out.put_u64(identity.device);
            out.put_u64(identity.inode);
            out.put_i64(identity.birth_ns);
            out.put_u64(*length);
            out.put_u64(head.0);
            out.put_u64(form.0);
        }
        out.freeze()
    }

    /// What `encode` makes has at most so many bytes.
    pub(super) fn encoded_bytes_max(&self) -> usize {
        88 + self.topic.len() + self.stream.len()
    }

    /// Reads what `encode` wrote under `path`.
    ///
    /// # Errors
    /// Fatal when it cannot be read: going on would be guessing.
    pub(super) fn decode(path: &[u8], encoded: &[u8]) -> Result<Self> {
        let mut rest = encoded;
        read(&mut rest).filter(|_| rest.is_empty()).ok_or_else(|| {
            Error::fatal("read the state of", String::from_utf8_lossy(path))
                .because("it is damaged, or was written by a newer version")
                .remedy("run the version that wrote it")
        })
    }
}

fn read(rest: &mut &[u8]) -> Option<Entry> {
    let [version, has_file] = take(rest)?;
    if version != VERSION {
        return None;
    }
    let partition = u32::from_be_bytes(take(rest)?);
    let generation = u32::from_be_bytes(take(rest)?);
    let started_ms = i64::from_be_bytes(take(rest)?);
    let topic = text(rest)?;
    let stream = text(rest)?;
    let file = if has_file == 0 {
        None
    } else {
        let device = u64::from_be_bytes(take(rest)?);
        let inode = u64::from_be_bytes(take(rest)?);
        let birth_ns = i64::from_be_bytes(take(rest)?);
        let length = u64::from_be_bytes(take(rest)?);
        let head = Head(u64::from_be_bytes(take(rest)?));
        let form = Form(u64::from_be_bytes(take(rest)?));
        Some(Known {
            identity: Identity {
                device,
                inode,
                birth_ns,
            },
            length,
            head,
            form,
        })
    };
    Some(Entry {
        topic,
        partition,
        generation,
        stream,
        started_ms,
        file,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let length = u32::from_be_bytes(take(rest)?) as usize;
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    String::from_utf8(taken.to_vec()).ok()
}
