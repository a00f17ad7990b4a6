//! The messages of `pgoutput`, protocol 1 and 2 (PostgreSQL manual, "Logical Replication Message
//! Formats"). Total: whatever the bytes, a message or an error. Borrows from them.

/// A place in the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl std::fmt::Display for Lsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 as u32)
    }
}

impl Lsn {
    /// As the server writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let (high, low) = text.split_once('/')?;
        let high = u64::from(u32::from_str_radix(high, 16).ok()?);
        let low = u64::from(u32::from_str_radix(low, 16).ok()?);
        Some(Self(high << 32 | low))
    }
}

/// A message; those without a meaning for us are [`Change::Other`].
#[derive(Debug, PartialEq)]
pub enum Change<'a> {
    /// A transaction begins; all its messages follow it.
    Begin {
        /// Where its commit stands.
        commit_lsn: Lsn,
        /// Microseconds since 2000.
        commit_us: i64,
        xid: u32,
    },
    Commit {
        /// Behind the commit: what may be acknowledged.
        end_lsn: Lsn,
    },
    Relation(Relation<'a>),
    Insert {
        relation: u32,
        new: Tuple<'a>,
    },
    Update {
        relation: u32,
        old: Option<Old<'a>>,
        new: Tuple<'a>,
    },
    Delete {
        relation: u32,
        old: Old<'a>,
    },
    Truncate {
        relations: Vec<u32>,
    },
    /// Of `pg_logical_emit_message`.
    Message {
        transactional: bool,
        lsn: Lsn,
        prefix: &'a str,
        content: &'a [u8],
    },
    Other,
}

/// What is known of a row before its change.
#[derive(Debug, PartialEq)]
pub enum Old<'a> {
    /// The columns of the replica identity; the others are null.
    Key(Tuple<'a>),
    /// All, as with REPLICA IDENTITY FULL.
    Row(Tuple<'a>),
}

impl<'a> Old<'a> {
    /// Its values.
    pub fn tuple(&self) -> Tuple<'a> {
        match self {
            Self::Key(tuple) | Self::Row(tuple) => *tuple,
        }
    }
}

/// A table as the following changes mean it.
#[derive(Debug, PartialEq)]
pub struct Relation<'a> {
    pub id: u32,
    pub schema: &'a str,
    pub table: &'a str,
    /// `d`, `n`, `f` or `i`, as in `pg_class.relreplident`.
    pub identity: u8,
    pub columns: Vec<Column<'a>>,
}

/// A column of a relation.
#[derive(Debug, PartialEq)]
pub struct Column<'a> {
    /// Part of the replica identity.
    pub key: bool,
    pub name: &'a str,
    pub type_oid: u32,
    pub modifier: i32,
}

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Datum<'a> {
    Null,
    /// A large value that the change did not touch.
    Unchanged,
    /// In text form.
    Text(&'a [u8]),
}

/// The values of a row, in the order of the columns. They were checked when it was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuple<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Tuple<'a> {
    /// The values.
    pub fn values(&self) -> Values<'a> {
        Values(Reader(self.bytes))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }
}

/// Over the values of a [`Tuple`].
#[derive(Clone)]
pub struct Values<'a>(Reader<'a>);

impl<'a> Iterator for Values<'a> {
    type Item = Datum<'a>;

    #[inline]
    fn next(&mut self) -> Option<Datum<'a>> {
        self.0.datum()
    }
}

impl<'a> Change<'a> {
    /// Reads one message, whole. `None`: it is none.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let mut reader = Reader(rest);
        let change = match kind {
            b'B' => Self::Begin {
                commit_lsn: reader.lsn()?,
                commit_us: reader.u64()? as i64,
                xid: reader.u32()?,
            },
            b'C' => {
                reader.take(1 + 8)?;
                let end_lsn = reader.lsn()?;
                reader.take(8)?;
                Self::Commit { end_lsn }
            }
            b'R' => Self::Relation(reader.relation()?),
            b'I' => {
                let relation = reader.u32()?;
                let new = match reader.u8()? {
                    b'N' => reader.tuple()?,
                    _ => return None,
                };
                Self::Insert { relation, new }
            }
            b'U' => {
                let relation = reader.u32()?;
                let (old, marker) = match reader.u8()? {
                    b'K' => (Some(Old::Key(reader.tuple()?)), reader.u8()?),
                    b'O' => (Some(Old::Row(reader.tuple()?)), reader.u8()?),
                    marker => (None, marker),
                };
                let new = match marker {
                    b'N' => reader.tuple()?,
                    _ => return None,
                };
                Self::Update { relation, old, new }
            }
            b'D' => {
                let relation = reader.u32()?;
                let old = match reader.u8()? {
                    b'K' => Old::Key(reader.tuple()?),
                    b'O' => Old::Row(reader.tuple()?),
                    _ => return None,
                };
                Self::Delete { relation, old }
            }
            b'T' => {
                let count = reader.u32()? as usize;
                reader.u8()?;
                if count > reader.0.len() / 4 {
                    return None;
                }
                let relations = (0..count).map(|_| reader.u32()).collect::<Option<_>>()?;
                Self::Truncate { relations }
            }
            b'M' => {
                let transactional = reader.u8()? & 1 == 1;
                let lsn = reader.lsn()?;
                let prefix = reader.text()?;
                let length = reader.u32()? as usize;
                Self::Message {
                    transactional,
                    lsn,
                    prefix,
                    content: reader.take(length)?,
                }
            }
            // Types and origins are told by the catalogue, or nobody asks.
            b'Y' | b'O' => return Some(Self::Other),
            _ => return None,
        };
        reader.0.is_empty().then_some(change)
    }
}

#[derive(Clone)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn lsn(&mut self) -> Option<Lsn> {
        self.u64().map(Lsn)
    }

    fn text(&mut self) -> Option<&'a str> {
        let end = memchr::memchr(0, self.0)?;
        let text = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }

    #[inline]
    fn datum(&mut self) -> Option<Datum<'a>> {
        Some(match self.u8()? {
            b'n' => Datum::Null,
            b'u' => Datum::Unchanged,
            b't' => {
                let length = self.u32()? as usize;
                Datum::Text(self.take(length)?)
            }
            _ => return None,
        })
    }

    fn tuple(&mut self) -> Option<Tuple<'a>> {
        let count = self.u16()?;
        let all = self.0;
        for _ in 0..count {
            self.datum()?;
        }
        let bytes = &all[..all.len() - self.0.len()];
        Some(Tuple { count, bytes })
    }

    fn relation(&mut self) -> Option<Relation<'a>> {
        let id = self.u32()?;
        let schema = match self.text()? {
            "" => "pg_catalog",
            schema => schema,
        };
        let table = self.text()?;
        let identity = self.u8()?;
        let columns = (0..self.u16()?).map(|_| {
            Some(Column {
                key: self.u8()? & 1 == 1,
                name: self.text()?,
                type_oid: self.u32()?,
                modifier: self.u32()? as i32,
            })
        });
        Some(Relation {
            id,
            schema,
            table,
            identity,
            columns: columns.collect::<Option<_>>()?,
        })
    }
}

/// What wraps each message of a replication stream (PostgreSQL manual, "Streaming Replication
/// Protocol").
#[derive(Debug, PartialEq)]
pub enum Frame<'a> {
    /// A part of the log: one message of `pgoutput`.
    Data { start: Lsn, message: &'a [u8] },
    /// All up to `end` was sent; `reply` asks for an answer at once.
    KeepAlive { end: Lsn, reply: bool },
}

impl<'a> Frame<'a> {
    /// Reads one. `None`: it is none.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let mut reader = Reader(rest);
        match kind {
            b'w' => {
                let start = reader.lsn()?;
                reader.take(16)?;
                Some(Self::Data {
                    start,
                    message: reader.0,
                })
            }
            b'k' => {
                let end = reader.lsn()?;
                reader.take(8)?;
                let reply = reader.u8()? & 1 == 1;
                Some(Self::KeepAlive { end, reply })
            }
            _ => None,
        }
    }

    /// The answer: all below `flushed` is durable here and may be forgotten; with `ask` the server
    /// is to send a keep-alive at once.
    pub fn status(flushed: Lsn, now_us: i64, ask: bool) -> [u8; 34] {
        let mut status = [0; 34];
        status[0] = b'r';
        for at in [1, 9, 17] {
            status[at..at + 8].copy_from_slice(&flushed.0.to_be_bytes());
        }
        status[25..33].copy_from_slice(&now_us.to_be_bytes());
        status[33] = u8::from(ask);
        status
    }
}
