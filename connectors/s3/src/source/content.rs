//! The bytes of one object, from a position on, as a thread reads them.
//!
//! An object is read with one request, whose body is taken as it arrives: nothing of it is held but
//! what the network has given last. When the body breaks off, it is asked for again from there on.
//! Each request names the ETag, so all bytes are those of one content.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use towpath_sdk::config::{Compression, InputCompression};
use towpath_sdk::{Codecs, Error};

use super::remote::Remote;
use crate::client::{Body, Failure, Listed};

/// A body that breaks off without having given a byte is asked for again so often.
const TRIES: u32 = 3;
/// As many bytes as tell a compression.
const MAGIC_BYTES: usize = 4;
/// An object may decompress to so many times its size, and to [`SMALL_BYTES`] in any case.
const RATIO_MAX: u64 = 1_000;
const SMALL_BYTES: u64 = 64 << 20;

/// Why an object cannot be read on.
#[derive(Debug)]
pub enum Trouble {
    /// There is none of that key any more.
    Gone,
    /// Another content stands under its key.
    Replaced,
    /// It alone cannot be read now, as it is not allowed.
    Denied(Error),
    /// It alone cannot be read, and never can: what it holds is damaged.
    Damaged(Error),
    /// Nothing can be read.
    Halt(Halt),
}

/// Why a task cannot go on.
#[derive(Debug)]
pub enum Halt {
    /// It ends with this.
    Failed(Error),
    /// It was stopped: nobody wants to know any more.
    Stopped,
}

impl From<Halt> for Trouble {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.into())
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        if failure.is("NoSuchKey") || failure.is("NoSuchVersion") {
            Self::Gone
        } else if failure.is("PreconditionFailed") || failure.is("InvalidRange") {
            // Some look at the range first, which a shorter content does not have.
            Self::Replaced
        } else if OF_ONE_OBJECT.iter().any(|code| failure.is(code)) {
            Self::Denied(failure.into())
        } else {
            Self::Halt(failure.into())
        }
    }
}

/// What a store answers for single objects while others can be read.
const OF_ONE_OBJECT: &[&str] = &["AccessDenied", "InvalidObjectState", "InvalidRequest"];

/// The content of an object, decompressed.
pub struct Content {
    stream: Box<dyn Read + Send>,
    trouble: Arc<Mutex<Option<Trouble>>>,
    object: Listed,
    /// Of the decompressed content.
    at: u64,
    is_compressed: bool,
}

impl Content {
    /// Opens `object`, to be read from `position` of its content on.
    pub fn open(
        remote: &Remote,
        object: &Listed,
        position: u64,
        compression: InputCompression,
        codecs: &dyn Codecs,
    ) -> Result<Self, Trouble> {
        let trouble = Arc::<Mutex<_>>::default();
        let raw = |at| Raw {
            remote: remote.clone(),
            object: object.clone(),
            at,
            arriving: None,
            chunk: Bytes::new(),
            trouble: trouble.clone(),
        };
        if compression == InputCompression::None {
            return Ok(Self {
                stream: Box::new(raw(position)),
                trouble: trouble.clone(),
                object: object.clone(),
                at: position,
                is_compressed: false,
            });
        }
        let mut beginning = raw(0);
        let mut head = [0; MAGIC_BYTES];
        let mut known = 0;
        while known < MAGIC_BYTES {
            match beginning.read(&mut head[known..]) {
                Ok(0) => break,
                Ok(read) => known += read,
                Err(_) => return Err(taken(&trouble)),
            }
        }
        let compression = compression.of(&head[..known]);
        let is_compressed = compression != Compression::None;
        let mut content = Self {
            stream: if is_compressed || position < known as u64 {
                let head = io::Cursor::new(Bytes::copy_from_slice(&head[..known]));
                codecs
                    .decompressor(&compression, Box::new(Read::chain(head, beginning)))
                    .map_err(Halt::Failed)?
            } else {
                drop(beginning);
                Box::new(raw(position))
            },
            trouble,
            object: object.clone(),
            at: 0,
            is_compressed,
        };
        if !is_compressed && position >= known as u64 {
            content.at = position;
        }
        content.skip_to(position)?;
        Ok(content)
    }

    /// Whether what is stored is compressed.
    pub fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// Reads on; 0 is the end.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        let read = match self.stream.read(into) {
            Ok(read) => read,
            Err(error) => {
                let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
                return Err(trouble.take().unwrap_or_else(|| self.damaged(error)));
            }
        };
        self.at += read as u64;
        if self.is_compressed && self.at > SMALL_BYTES && self.at / RATIO_MAX > self.object.size {
            let why = format!("it decompresses to more than {RATIO_MAX} times its size");
            return Err(self.damaged(io::Error::other(why)));
        }
        Ok(read)
    }

    fn skip_to(&mut self, position: u64) -> Result<(), Trouble> {
        let mut nothing = vec![0; 64 << 10];
        while self.at < position {
            let room = usize::try_from(position - self.at).unwrap_or(usize::MAX);
            let room = room.min(nothing.len());
            if self.read(&mut nothing[..room])? == 0 {
                let why = format!("it ends before byte {position}, up to which it was read before");
                return Err(self.damaged(io::Error::other(why)));
            }
        }
        Ok(())
    }

    fn damaged(&self, error: io::Error) -> Trouble {
        Trouble::Damaged(Error::transient("read", &self.object.key).because(error))
    }
}

fn taken(trouble: &Mutex<Option<Trouble>>) -> Trouble {
    let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
    trouble.take().unwrap_or(Halt::Stopped.into())
}

/// The object as it is stored.
struct Raw {
    remote: Remote,
    object: Listed,
    at: u64,
    arriving: Option<Body>,
    chunk: Bytes,
    /// Where to leave what an [`io::Error`] cannot say.
    trouble: Arc<Mutex<Option<Trouble>>>,
}

impl Raw {
    /// Waits for the next bytes; none at the end.
    fn arrive(&mut self) -> Result<(), Trouble> {
        let mut tries = 0;
        while self.chunk.is_empty() && self.at < self.object.size {
            let mut body = match self.arriving.take() {
                Some(body) => body,
                None => self.remote.get(&self.object, self.at)?,
            };
            let why = match self.remote.next(&mut body)? {
                Some(Ok(chunk)) => {
                    self.chunk = chunk;
                    self.arriving = Some(body);
                    continue;
                }
                Some(Err(error)) => error,
                None => "it ended early".into(),
            };
            tries += 1;
            if tries == TRIES {
                let error = Error::transient("read", &self.object.key);
                return Err(Halt::Failed(error.because(why)).into());
            }
        }
        Ok(())
    }
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Err(trouble) = self.arrive() {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
            return Err(io::Error::other("the object cannot be read"));
        }
        let read = into.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut into[..read]);
        self.at += read as u64;
        Ok(read)
    }
}
