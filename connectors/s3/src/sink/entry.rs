//! What the sink's state says, byte for byte. `super` says what it is for.
//!
//! A key is a letter, the topic's id, a zero byte, the partition's number, and what [`Kind`] says.
//! A value begins with the version of its layout. Numbers are big-endian; texts and lists have
//! their length in front.

use bytes::{BufMut, Bytes, BytesMut};
use towpath_sdk::{Error, Result, SinkPartition, State};

use crate::uploads::Part;

/// The first layout of all values.
const VERSION: u8 = 1;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An upload that may not have ended, by its mark.
    Upload,
    /// How far a stream of objects is done, by the number of its routing and its name.
    Ended,
    /// A routing, by its number.
    Routing,
    /// Since when the oldest record waits.
    Oldest,
}

impl Kind {
    fn letter(self) -> u8 {
        match self {
            Self::Upload => b'u',
            Self::Ended => b'e',
            Self::Routing => b'r',
            Self::Oldest => b'o',
        }
    }
}

/// A partition, as keys name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) topic_id: String,
    pub(super) partition: u32,
}

impl Place {
    pub(super) fn of(given: &SinkPartition) -> Self {
        Self {
            topic_id: given.topic.id.clone(),
            partition: given.partition,
        }
    }

    /// The key of the entry of `kind` that `rest` names.
    pub(super) fn key(&self, kind: Kind, rest: &[u8]) -> Bytes {
        let id = self.topic_id.as_bytes();
        let mut key = BytesMut::with_capacity(1 + id.len() + 1 + 4 + rest.len());
        key.put_u8(kind.letter());
        key.put_slice(id);
        key.put_u8(0);
        key.put_u32(self.partition);
        key.put_slice(rest);
        key.freeze()
    }

    /// The entries of `kind` of this partition: what names each, and its value.
    pub(super) fn scan(&self, state: &dyn State, kind: Kind) -> Vec<(Bytes, Bytes)> {
        let prefix = self.key(kind, b"");
        let found = state.scan(&prefix).into_iter();
        found
            .map(|(key, value)| (key.slice(prefix.len()..), value))
            .collect()
    }

    /// Every partition that has entries of `kind`.
    pub(super) fn all(state: &dyn State, kind: Kind) -> Result<Vec<Self>> {
        let mut places: Vec<Self> = Vec::new();
        for (key, _) in state.scan(&[kind.letter()]) {
            let mut rest = Reader(&key[1..]);
            let place = rest.place().ok_or_else(|| damaged("a key"))?;
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
        Ok(places)
    }
}

/// The stretches of time that `{now}` stood still for: from each offset on it was this, in
/// milliseconds since 1970.
pub(super) type Times = Vec<(u64, i64)>;

/// An upload from before it is created until its object is done or given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UploadEntry {
    pub(super) generation: u32,
    /// The object's key.
    pub(super) key: String,
    /// The number of the routing, and the stream, that the object belongs to.
    pub(super) routing: u32,
    pub(super) stream: String,
    /// `None` when it was not yet known.
    pub(super) id: Option<String>,
    /// `None` as long as the object may grow.
    pub(super) intent: Option<Intent>,
}

/// What an object is to be: the records of its stream below `end`, in these parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    pub(super) ended: Ended,
    pub(super) parts: Vec<Part>,
}

/// Up to where all records of a stream are in objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) generation: u32,
    pub(super) end: u64,
    /// For a path with `{now}`: what it was for the records of the partition from low to `end`.
    pub(super) times: Times,
}

/// How paths were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routing {
    pub(super) path: String,
    pub(super) timezone: String,
    /// `pipeline.connector`.
    pub(super) connector: String,
    /// Whether streams were by schema, too.
    pub(super) by_schema: bool,
}

/// The first record that is in no object, and when it came; milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Oldest {
    pub(super) generation: u32,
    pub(super) offset: u64,
    pub(super) came_ms: i64,
}

/// A value of the state.
pub(super) trait Entry: Sized {
    fn put(&self, out: &mut BytesMut);
    fn read(from: &mut Reader<'_>) -> Option<Self>;

    fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        self.put(&mut out);
        out.freeze()
    }

    /// Reads what `encode` wrote.
    ///
    /// # Errors
    /// Fatal when it cannot be read: going on would be guessing.
    fn decode(encoded: &[u8]) -> Result<Self> {
        let mut from = Reader(encoded);
        let read = from.u8().filter(|version| *version == VERSION);
        read.and_then(|_| Self::read(&mut from))
            .filter(|_| from.0.is_empty())
            .ok_or_else(|| damaged("an entry"))
    }
}

impl Entry for UploadEntry {
    fn put(&self, out: &mut BytesMut) {
        out.put_u32(self.generation);
        put_text(&self.key, out);
        out.put_u32(self.routing);
        put_text(&self.stream, out);
        put_option(self.id.as_ref(), out, |id, out| put_text(id, out));
        put_option(self.intent.as_ref(), out, |intent, out| {
            intent.ended.put(out);
            out.put_u32(intent.parts.len() as u32);
            for part in &intent.parts {
                out.put_u32(part.number);
                put_text(&part.etag, out);
                put_option(part.checksum.as_ref(), out, |sum, out| put_text(sum, out));
            }
        });
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            generation: from.u32()?,
            key: from.text()?,
            routing: from.u32()?,
            stream: from.text()?,
            id: from.option(Reader::text)?,
            intent: from.option(|from| {
                let ended = Ended::read(from)?;
                let parts = from.list(|from| {
                    Some(Part {
                        number: from.u32()?,
                        etag: from.text()?,
                        checksum: from.option(Reader::text)?,
                    })
                })?;
                Some(Intent { ended, parts })
            })?,
        })
    }
}

impl Entry for Ended {
    fn put(&self, out: &mut BytesMut) {
        out.put_u32(self.generation);
        out.put_u64(self.end);
        out.put_u32(self.times.len() as u32);
        for (offset, now_ms) in &self.times {
            out.put_u64(*offset);
            out.put_i64(*now_ms);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            generation: from.u32()?,
            end: from.u64()?,
            times: from.list(|from| Some((from.u64()?, from.i64()?)))?,
        })
    }
}

impl Entry for Routing {
    fn put(&self, out: &mut BytesMut) {
        for text in [&self.path, &self.timezone, &self.connector] {
            put_text(text, out);
        }
        out.put_u8(u8::from(self.by_schema));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            path: from.text()?,
            timezone: from.text()?,
            connector: from.text()?,
            by_schema: from.u8()? != 0,
        })
    }
}

impl Entry for Oldest {
    fn put(&self, out: &mut BytesMut) {
        out.put_u32(self.generation);
        out.put_u64(self.offset);
        out.put_i64(self.came_ms);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            generation: from.u32()?,
            offset: from.u64()?,
            came_ms: from.i64()?,
        })
    }
}

/// What names the entry of a stream's end among those of its partition.
pub(super) fn ended_name(routing: u32, stream: &str) -> Vec<u8> {
    [&routing.to_be_bytes(), stream.as_bytes()].concat()
}

/// Reads [`ended_name`].
pub(super) fn read_ended_name(name: &[u8]) -> Result<(u32, String)> {
    let mut from = Reader(name);
    let routing = from.u32();
    let stream = String::from_utf8(from.0.to_vec()).ok();
    routing.zip(stream).ok_or_else(|| damaged("a key"))
}

/// The number that names a routing.
pub(super) fn read_number(name: &[u8]) -> Result<u32> {
    Reader(name).u32().ok_or_else(|| damaged("a key"))
}

fn damaged(what: &str) -> Error {
    Error::fatal("read", format!("{what} of the state of the s3 sink"))
        .because("it is damaged, or was written by a newer version")
        .remedy("run the version that wrote it")
}

fn put_text(text: &str, out: &mut BytesMut) {
    out.put_u32(text.len() as u32);
    out.put_slice(text.as_bytes());
}

fn put_option<T>(value: Option<&T>, out: &mut BytesMut, put: impl Fn(&T, &mut BytesMut)) {
    out.put_u8(u8::from(value.is_some()));
    if let Some(value) = value {
        put(value, out);
    }
}

/// What is left to read.
pub(super) struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, behind) = self.0.split_first_chunk::<N>()?;
        self.0 = behind;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        let (taken, behind) = self.0.split_at_checked(length)?;
        self.0 = behind;
        String::from_utf8(taken.to_vec()).ok()
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.u8()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.u32()?;
        (0..count).map(|_| read(self)).collect()
    }

    fn place(&mut self) -> Option<Place> {
        let length = self.0.iter().position(|byte| *byte == 0)?;
        let topic_id = String::from_utf8(self.0[..length].to_vec()).ok()?;
        self.0 = &self.0[length + 1..];
        let partition = self.u32()?;
        Some(Place {
            topic_id,
            partition,
        })
    }
}
