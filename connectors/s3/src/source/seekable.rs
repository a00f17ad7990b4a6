//! One object as a format reads it that finds its records itself: on from wherever it wants, with one
//! request for each stretch. What is compressed is read again from its start to go back.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use towpath_sdk::config::InputCompression;
use towpath_sdk::{Codecs, Error, ErrorKind};

use super::content::{Content, Halt, Trouble};
use super::reader::Kit;
use super::remote::Remote;
use crate::client::Listed;

/// The object; makes no call before it is read.
pub struct Seekable {
    remote: Remote,
    object: Listed,
    /// As it was found, once it was.
    compression: InputCompression,
    codecs: Arc<dyn Codecs>,
    /// Of the decompressed content.
    at: u64,
    /// What is being read, from `at` on.
    content: Option<Content>,
    left: Left,
}

/// Where what an [`io::Error`] cannot say is left for who reads the object.
#[derive(Clone, Default)]
pub struct Left(Arc<Mutex<Option<Trouble>>>);

impl Left {
    /// Why `object` cannot be read, as reading it ended with `error`.
    pub fn trouble(&self, object: &Listed, error: Error) -> Trouble {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        left.unwrap_or_else(|| match error.kind() {
            ErrorKind::Record => {
                Trouble::Damaged(Error::transient("read", &object.key).because(error))
            }
            _ => Halt::Failed(error).into(),
        })
    }

    fn leave(&self, trouble: Trouble) -> io::Error {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
        io::Error::other("the object cannot be read")
    }
}

impl Seekable {
    /// `object`, and where it leaves its troubles.
    pub fn new(kit: &Kit, object: &Listed) -> (Self, Left) {
        let left = Left::default();
        let seekable = Self {
            remote: kit.remote.clone(),
            object: object.clone(),
            compression: kit.compression,
            codecs: kit.codecs.clone(),
            at: 0,
            content: None,
            left: left.clone(),
        };
        (seekable, left)
    }

    fn content(&mut self) -> io::Result<&mut Content> {
        let content = match self.content.take() {
            Some(content) => content,
            None => {
                let (remote, object) = (&self.remote, &self.object);
                Content::open(remote, object, self.at, self.compression, &*self.codecs)
                    .map_err(|trouble| self.left.leave(trouble))?
            }
        };
        if !content.is_compressed() {
            self.compression = InputCompression::None;
        }
        Ok(self.content.insert(content))
    }
}

impl Read for Seekable {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.content()?.read(into);
        let read = read.map_err(|trouble| self.left.leave(trouble))?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Seekable {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(_) if self.content()?.is_compressed() => {
                return Err(io::ErrorKind::Unsupported.into());
            }
            SeekFrom::End(by) => (self.object.size, by),
        };
        let to = from.checked_add_signed(by);
        let to = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if to != self.at {
            (self.at, self.content) = (to, None);
        }
        Ok(to)
    }
}
