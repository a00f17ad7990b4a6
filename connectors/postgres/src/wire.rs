//! A session with a server, on PostgreSQL's frontend/backend protocol 3.0 (PostgreSQL manual, part
//! VII, "Frontend/Backend Protocol").
//!
//! Only what replication needs: simple queries, `COPY ... TO STDOUT`, and the stream that follows
//! `START_REPLICATION`. Messages are looked at where they arrived, in one buffer; nothing is
//! allocated for a message of a copy. Every future may be dropped: what has arrived stays.

mod address;
mod login;
mod quoting;
mod server_error;
mod stream;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use towpath_sdk::{Error, Result};

pub use address::{Address, Host, Parts, SslMode};
pub use quoting::{identifier, literal, qualified};
pub use server_error::{ServerError, classed};
use stream::Stream;

/// The largest message a server may send: what PostgreSQL itself allows for a field.
const MESSAGE_BYTES_MAX: usize = 1 << 30;
/// What is read at once.
const READ_BYTES: usize = 512 << 10;
/// How long a connection may take until the server is ready.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Statements.
    Statements,
    /// Logical replication, and statements as well.
    Replication,
}

/// A session that is open. One statement at a time.
pub struct Session {
    stream: Stream,
    /// What has arrived, from `taken` on.
    arrived: Vec<u8>,
    taken: usize,
    /// Whom it is with, for messages.
    place: String,
}

/// One message of the server, without type and length.
pub struct Message<'a> {
    /// Its type.
    pub kind: u8,
    /// What is in it.
    pub body: &'a [u8],
}

/// The rows that a statement gave, in text form; `None` is null.
pub type Rows = Vec<Vec<Option<String>>>;

impl Session {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Transient when the server is not there or not ready; configuration when it refuses.
    pub async fn connect(address: &Address, purpose: Purpose) -> Result<Self> {
        let place = address.to_string();
        match tokio::time::timeout(CONNECT_TIMEOUT, login::connect(address, purpose)).await {
            Ok(session) => session,
            Err(_) => Err(Error::transient("connect to", place)
                .because(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))
                .remedy("see whether host and port are right and no firewall is between")),
        }
    }

    fn new(stream: Stream, place: String) -> Self {
        Self {
            stream,
            arrived: Vec::with_capacity(2 * READ_BYTES),
            taken: 0,
            place,
        }
    }

    /// The next message that has arrived whole; it is there until [`Session::message`] is called
    /// again.
    ///
    /// # Errors
    /// Fatal when it is no message.
    pub fn message(&mut self) -> Result<Option<Message<'_>>> {
        let rest = &self.arrived[self.taken..];
        let Some((&[kind, a, b, c, d], _)) = rest.split_first_chunk::<5>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            let cause = format!("a message of type {kind} and {length} bytes");
            return Err(Error::fatal("understand", &self.place).because(cause));
        }
        if rest.len() <= length {
            return Ok(None);
        }
        let from = self.taken + 5;
        self.taken += 1 + length;
        Ok(Some(Message {
            kind,
            body: &self.arrived[from..self.taken],
        }))
    }

    /// Waits until more has arrived.
    pub async fn fill(&mut self) -> Result<()> {
        if self.taken > 0 {
            self.arrived.drain(..self.taken);
            self.taken = 0;
        }
        self.arrived.reserve(READ_BYTES);
        let read = self.stream.read_buf(&mut self.arrived).await;
        let read = read.map_err(|error| self.lost(error))?;
        if read == 0 {
            return Err(self.lost("the server closed the connection"));
        }
        Ok(())
    }

    fn lost(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::transient("go on with", &self.place).because(cause)
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = self.stream.write_all(bytes).await;
        sent.map_err(|error| self.lost(error))?;
        let flushed = self.stream.flush().await;
        flushed.map_err(|error| self.lost(error))
    }

    async fn send_query(&mut self, sql: &str) -> Result<()> {
        let mut query = bytes::BytesMut::new();
        postgres_protocol::message::frontend::query(sql, &mut query)
            .map_err(|error| Error::fatal("send", sql).because(error))?;
        self.send(&query).await
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    /// What the server says, classed; `doing` is what it was for.
    pub async fn query(&mut self, doing: &str, sql: &str) -> Result<Rows> {
        self.send_query(sql).await?;
        let mut rows = Vec::new();
        let mut failed = None;
        loop {
            let Some(message) = self.message()? else {
                self.fill().await?;
                continue;
            };
            match message.kind {
                b'D' => match row(message.body) {
                    Some(row) => rows.push(row),
                    None => return Err(malformed(&self.place)),
                },
                b'E' => failed = Some(ServerError::parse(message.body)),
                b'Z' => break,
                _ => {}
            }
        }
        match failed {
            Some(error) => Err(classed(error, doing, &self.place)),
            None => Ok(rows),
        }
    }

    /// Begins a copy from the server, or a stream of both: the messages that follow have type
    /// [`COPY_DATA`] until one of [`COPY_DONE`].
    pub async fn begin_copy(&mut self, doing: &str, sql: &str) -> Result<()> {
        self.send_query(sql).await?;
        let mut failed = None;
        loop {
            let Some(message) = self.message()? else {
                self.fill().await?;
                continue;
            };
            match message.kind {
                b'H' | b'W' => return Ok(()),
                b'E' => failed = Some(ServerError::parse(message.body)),
                b'Z' => break,
                _ => {}
            }
        }
        let cause = "the server did not begin to copy";
        Err(match failed {
            Some(error) => classed(error, doing, &self.place),
            None => Error::fatal(doing, &self.place).because(cause),
        })
    }

    /// Takes the answer to a copy that has ended, so that another statement may follow.
    pub async fn end_copy(&mut self, doing: &str) -> Result<()> {
        let mut failed = None;
        loop {
            let Some(message) = self.message()? else {
                self.fill().await?;
                continue;
            };
            match message.kind {
                b'E' => failed = Some(ServerError::parse(message.body)),
                b'Z' => break,
                _ => {}
            }
        }
        failed.map_or(Ok(()), |error| Err(classed(error, doing, &self.place)))
    }

    /// Sends one message of a stream of both.
    pub async fn send_copy(&mut self, data: &[u8]) -> Result<()> {
        let mut message = Vec::with_capacity(data.len() + 5);
        message.push(b'd');
        message.extend(
            u32::try_from(data.len() + 4)
                .unwrap_or(u32::MAX)
                .to_be_bytes(),
        );
        message.extend(data);
        self.send(&message).await
    }

    /// Whom the session is with.
    pub fn place(&self) -> &str {
        &self.place
    }
}

/// The types of messages of a copy.
pub const COPY_DATA: u8 = b'd';
/// See [`COPY_DATA`].
pub const COPY_DONE: u8 = b'c';
/// What the server has to say against it.
pub const ERROR: u8 = b'E';

fn malformed(place: &str) -> Error {
    Error::fatal("understand", place).because("a row that is none")
}

/// The values of a DataRow.
fn row(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        rest = behind;
        values.push(match i32::from_be_bytes(*length) {
            -1 => None,
            length => {
                let (value, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                rest = behind;
                Some(String::from_utf8_lossy(value).into_owned())
            }
        });
    }
    Some(values)
}
