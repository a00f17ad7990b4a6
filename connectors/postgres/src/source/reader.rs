//! The one that reads a server: the stream of its changes, chunks of its tables between them, and
//! what it is told in return.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use towpath_sdk::{Error, Result, Schemas, SourceBatch, SourceContext};

use super::Control;
use super::capture::{Capture, EPOCH_US, MARK_PREFIX};
use super::catalog::Catalog;
use super::config::{PostgresSourceOptions, Snapshot as SnapshotMode};
use super::pgoutput::{Change, Frame, Lsn, Relation};
use super::server::Server;
use super::snapshot::Snapshot;
use super::table::{Column, Table};
use crate::wire::{
    Address, COPY_DATA, COPY_DONE, ERROR, Purpose, ServerError, Session, classed, identifier,
    literal,
};

/// How often the server hears of us at least; it gives up after `wal_sender_timeout`, a minute.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is asked for its end when that is waited for.
const ASK_INTERVAL: Duration = Duration::from_millis(20);
/// Until a transaction that committed is seen by all, which takes long only behind a slow standby.
const SEEN_INTERVAL: Duration = Duration::from_millis(50);
const DOING: &str = "follow the changes of";

/// Reads a server and hands over batches.
pub struct Reader {
    stream: Session,
    server: Server,
    capture: Capture,
    snapshot: Snapshot,
    schemas: Arc<dyn Schemas>,
    sender: mpsc::Sender<Result<SourceBatch>>,
    told: watch::Receiver<Control>,
    /// With a drain: where the server's log ended when it began.
    until: Option<Lsn>,
    only_snapshot: bool,
    /// The server has sent all up to here.
    sent: Lsn,
    /// What it was told last, and when.
    status: (Lsn, Instant),
    /// It wants to hear of us.
    asked: bool,
}

impl Reader {
    pub async fn open(
        options: &Arc<PostgresSourceOptions>,
        address: &Address,
        context: SourceContext,
        (sender, told): (mpsc::Sender<Result<SourceBatch>>, watch::Receiver<Control>),
    ) -> Result<Self> {
        let statements = Session::connect(address, Purpose::Statements).await?;
        let mut server = Server::examine(
            Catalog::new(statements),
            options.clone(),
            &default_name(&context.log_id, &context.connector),
        )
        .await?;
        let tables = server.tables().await?;
        server.publish(&tables).await?;
        let mut stream = Session::connect(address, Purpose::Replication).await?;
        let position = server.begin(&mut stream, &context).await?;
        let wanted = match options.snapshot {
            SnapshotMode::Never => &[],
            _ => &tables[..],
        };
        let limits = (options.snapshot_tasks, options.snapshot_chunk_rows);
        let snapshot = Snapshot::new(address.clone(), wanted, &*context.state, limits)?;
        let until = match context.drain {
            true => Some(server.end().await?),
            false => None,
        };
        let sql = format!(
            "START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {}, \
             messages 'true')",
            identifier(&server.slot),
            position.lsn,
            literal(&identifier(&server.publication)),
        );
        stream.begin_copy(DOING, &sql).await?;
        Ok(Self {
            stream,
            server,
            capture: Capture::new(position),
            snapshot,
            schemas: context.schemas,
            sender,
            told,
            until,
            only_snapshot: options.snapshot == SnapshotMode::Only,
            sent: position.lsn,
            status: (Lsn::default(), Instant::now()),
            asked: true,
        })
    }

    /// Until the end, a stop or an error, which goes where the batches go.
    pub async fn run(mut self) {
        if let Err(error) = self.follow().await {
            // Nobody there is nobody to tell.
            let _ = self.sender.send(Err(error)).await;
        }
    }

    /// Until the end, or a stop.
    async fn follow(&mut self) -> Result<()> {
        loop {
            self.take_arrived().await?;
            if self.capture.is_full() || self.capture.is_between() {
                let batch = self.capture.hand_over();
                self.send(batch).await?;
            }
            self.deliver_chunks().await?;
            if self.capture.is_idle() {
                let batch = self.capture.idle(self.sent, Instant::now());
                self.send(batch).await?;
            }
            if self.told.borrow().stop || self.is_at_end() {
                // What is durable by now need not be sent again.
                return self.report(false).await;
            }
            if !self.snapshot.is_done() && self.capture.is_idle() && !self.capture.awaits_mark() {
                self.read_chunks().await?;
                continue;
            }
            self.wait().await?;
        }
    }

    /// Whether nothing more is to be read.
    fn is_at_end(&self) -> bool {
        let rested =
            self.snapshot.is_done() && !self.capture.awaits_mark() && self.capture.is_idle();
        let reached = self
            .until
            .is_some_and(|until| self.sent.max(self.capture.acknowledged.newest()) >= until);
        rested && (reached || self.only_snapshot)
    }

    /// Takes the messages that have arrived, as long as there is room.
    async fn take_arrived(&mut self) -> Result<()> {
        while !self.capture.is_full() {
            let Some(message) = self.stream.message()? else {
                break;
            };
            let frame = match message.kind {
                COPY_DATA => Frame::parse(message.body),
                ERROR => {
                    let error = ServerError::parse(message.body);
                    return Err(classed(error, DOING, self.stream.place()));
                }
                COPY_DONE => {
                    return Err(Error::transient(DOING, self.stream.place())
                        .because("the server has ended the stream"));
                }
                _ => continue,
            };
            match frame {
                Some(Frame::Data { start, message }) => match Change::parse(message) {
                    Some(Change::Relation(relation)) => {
                        let relation = Described::of(&relation);
                        self.describe(relation).await?;
                    }
                    Some(change) => self.capture.take(start, &change)?,
                    None => return Err(self.not_understood()),
                },
                Some(Frame::KeepAlive { end, reply }) => {
                    self.sent = self.sent.max(end);
                    self.asked |= reply;
                }
                None => return Err(self.not_understood()),
            }
        }
        Ok(())
    }

    fn not_understood(&self) -> Error {
        Error::fatal("understand", self.stream.place()).because("a message of another protocol")
    }

    /// What a table is from now on.
    async fn describe(&mut self, relation: Described) -> Result<()> {
        let full_name = format!("{}.{}", relation.schema, relation.table);
        if !self.server.options.captures(&full_name) {
            self.capture.tables.insert(relation.id, None);
            return Ok(());
        }
        let catalog = &mut self.server.catalog;
        let now = catalog.columns(relation.id).await?;
        let mut columns = Vec::new();
        for (name, in_identity, type_oid, modifier) in relation.columns {
            let now = now.iter().find(|column| column.name == name);
            columns.push(Column {
                of: catalog.type_of(type_oid, modifier).await?,
                nullable: now.is_none_or(|column| column.nullable),
                // With the whole row as identity, the key is the primary one.
                key: match relation.identity {
                    b'f' | b'n' => now.is_some_and(|column| column.key.is_some()),
                    _ => in_identity,
                },
                name,
            });
        }
        let mut table = Table::new(
            &self.server.database,
            (&relation.schema, &relation.table),
            columns,
        );
        table.set_schema_id(self.schemas.id_of(table.value_schema())?);
        self.capture.tables.insert(relation.id, Some(table));
        Ok(())
    }

    /// Hands over what was read of tables, when its mark has come by.
    async fn deliver_chunks(&mut self) -> Result<()> {
        let Some(chunks) = self.capture.marked_chunks() else {
            return Ok(());
        };
        for mut chunk in chunks {
            loop {
                let batch = self.capture.deliver(&mut chunk)?;
                self.send(Some(batch)).await?;
                if chunk.is_delivered() {
                    break;
                }
            }
            self.snapshot.delivered(chunk.into_bound());
        }
        Ok(())
    }

    /// Reads chunks, and writes their mark.
    async fn read_chunks(&mut self) -> Result<()> {
        let read = self
            .snapshot
            .read(&mut self.server.catalog, &self.server.database);
        let Some(mut chunks) = within(read, &mut self.stream, &self.capture).await? else {
            return Ok(());
        };
        if chunks.is_empty() {
            return Ok(());
        }
        if !chunks
            .iter()
            .all(|chunk| self.capture.is_all_seen(&chunk.visible))
        {
            tokio::time::sleep(SEEN_INTERVAL).await;
            return Ok(());
        }
        for chunk in &mut chunks {
            let schema = chunk.table.value_schema();
            chunk.table.set_schema_id(self.schemas.id_of(schema)?);
        }
        let mark = self.snapshot.mark(&self.server.slot);
        let sql = format!(
            "SELECT pg_logical_emit_message(true, {}, {})",
            literal(MARK_PREFIX),
            literal(&mark)
        );
        self.server
            .catalog
            .session
            .query("mark a place at", &sql)
            .await?;
        self.capture.await_mark(chunks, mark);
        Ok(())
    }

    /// Hands a batch over; meanwhile the server hears of us.
    async fn send(&mut self, batch: Option<SourceBatch>) -> Result<()> {
        let Some(batch) = batch else {
            return Ok(());
        };
        loop {
            tokio::select! {
                permit = self.sender.reserve() => match permit {
                    Ok(permit) => {
                        permit.send(Ok(batch));
                        return Ok(());
                    }
                    // A stop: nobody takes any more.
                    Err(_) => return Err(Error::transient(DOING, self.stream.place()).because("it was stopped")),
                },
                () = tokio::time::sleep(STATUS_INTERVAL) => {}
            }
            self.report(false).await?;
        }
    }

    /// Tells the server what it may forget; with `ask` it answers at once.
    async fn report(&mut self, ask: bool) -> Result<()> {
        let acked = self.told.borrow_and_update().acked;
        self.capture.acknowledged.acked(acked);
        let lsn = self.capture.acknowledged.lsn();
        self.status = (lsn, Instant::now());
        self.asked = false;
        self.stream
            .send_copy(&Frame::status(lsn, now_us(), ask))
            .await
    }

    /// Until something arrives, is durable, or it is time to tell the server.
    async fn wait(&mut self) -> Result<()> {
        let asks = self.until.is_some() || self.capture.awaits_mark();
        let (lsn, at) = self.status;
        let acked = self.told.borrow().acked;
        self.capture.acknowledged.acked(acked);
        let is_news = self.capture.acknowledged.lsn() > lsn;
        let interval = if asks || is_news {
            ASK_INTERVAL
        } else {
            STATUS_INTERVAL
        };
        if self.asked || at.elapsed() >= interval {
            return self.report(asks && self.until.is_some()).await;
        }
        tokio::select! {
            filled = self.stream.fill() => filled?,
            changed = self.told.changed() => {
                if changed.is_err() {
                    return Err(Error::transient(DOING, self.stream.place()).because("it was stopped"));
                }
            }
            () = tokio::time::sleep(interval.saturating_sub(at.elapsed())) => {}
        }
        Ok(())
    }
}

/// Waits for `work`; meanwhile the server hears of us.
async fn within<T>(
    work: impl Future<Output = Result<T>>,
    stream: &mut Session,
    capture: &Capture,
) -> Result<T> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(STATUS_INTERVAL) => {}
        }
        let lsn = capture.acknowledged.lsn();
        stream
            .send_copy(&Frame::status(lsn, now_us(), false))
            .await?;
    }
}

/// A [`Relation`] that outlives its message.
struct Described {
    id: u32,
    schema: String,
    table: String,
    identity: u8,
    /// Name, whether it is part of the identity, type and modifier.
    columns: Vec<(String, bool, u32, i32)>,
}

impl Described {
    fn of(relation: &Relation<'_>) -> Self {
        let columns = relation.columns.iter();
        let columns = columns.map(|one| (one.name.to_owned(), one.key, one.type_oid, one.modifier));
        Self {
            id: relation.id,
            schema: relation.schema.to_owned(),
            table: relation.table.to_owned(),
            identity: relation.identity,
            columns: columns.collect(),
        }
    }
}

/// What slot and publication are called unless the options say: no two logs, and no two connectors
/// of one, have the same.
fn default_name(log_id: &str, connector: &str) -> String {
    let legal = |c: char| match c {
        'A'..='Z' => c.to_ascii_lowercase(),
        'a'..='z' | '0'..='9' => c,
        _ => '_',
    };
    let log: String = log_id
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(8)
        .collect();
    let connector: String = connector.chars().map(legal).take(40).collect();
    format!("towpath_{log}_{connector}").to_lowercase()
}

/// Microseconds since 2000.
fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX) - EPOCH_US
}
