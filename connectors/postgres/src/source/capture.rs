//! From the messages of the stream to batches of records. Does no I/O.
//!
//! **Transactions.** The changes of a transaction are handed over when its commit has come, in one
//! batch with its end as position; several small ones go together. One that does not fit in a batch
//! is handed over in several, each with how many of its changes were taken: the server sends a
//! transaction again whole, in the same order, and those are passed over then.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use towpath_record::BatchBuilder;
use towpath_sdk::{Error, Origin, Part, Result, SourceBatch, StateChange};

use super::acknowledged::Acknowledged;
use super::chunk::{Chunk, Fields};
use super::pgoutput::{Change, Datum, Lsn, Old, Tuple};
use super::position::{Position, Progress};
use super::table::{FULL_BYTES, Operation, Origination, Table};
use super::visible::Visible;

/// Microseconds from 1970 to 2000, PostgreSQL's epoch.
pub const EPOCH_US: i64 = 946_684_800_000_000;
/// How many transactions that were taken are remembered.
const RECENT_MAX: usize = 1 << 16;
/// Room for the first records of a table; most transactions are small.
const GATHER_BYTES: usize = 64 << 10;
/// The prefix of messages that mark a place for us.
pub const MARK_PREFIX: &str = "towpath";

/// What was taken from the stream and is not yet handed over.
pub struct Capture {
    /// What changes refer to by number; `None` is not captured.
    pub tables: HashMap<u32, Option<Table>>,
    pub acknowledged: Acknowledged,
    position: Position,
    open: Option<Open>,
    /// Records by table.
    parts: Vec<Gathered>,
    /// The end of the last transaction that waits.
    ended: Option<Lsn>,
    /// Rows that wait until a mark comes by.
    chunks: Vec<Chunk>,
    mark: Option<Mark>,
    /// Transactions that were taken, the newest last, and the newest that was forgotten.
    recent: VecDeque<u32>,
    forgotten: Option<u32>,
}

/// Records of one table.
struct Gathered {
    origin: Arc<Origin>,
    keyed: bool,
    builder: BatchBuilder,
}

/// A message that stands behind all that chunks hold.
struct Mark {
    content: String,
    has_come: bool,
}

/// A transaction whose commit has not come.
struct Open {
    commit_lsn: Lsn,
    xid: u32,
    time_ms: i64,
    /// Changes that have come, and how many of them are to be passed over.
    changes: u64,
    skip: u64,
}

impl Capture {
    pub fn new(position: Position) -> Self {
        Self {
            tables: HashMap::new(),
            acknowledged: Acknowledged::new(position.lsn),
            position,
            open: None,
            parts: Vec::new(),
            ended: None,
            chunks: Vec::new(),
            mark: None,
            recent: VecDeque::new(),
            forgotten: None,
        }
    }

    /// Whether the batch is to be handed over before more is taken.
    pub fn is_full(&self) -> bool {
        let sizes = self.parts.iter().map(|part| part.builder.size_bytes());
        sizes.sum::<usize>() >= FULL_BYTES
    }

    /// Whether no transaction is in the midst of being taken.
    pub fn is_between(&self) -> bool {
        self.open.is_none()
    }

    /// Whether nothing that was received is undelivered.
    pub fn is_idle(&self) -> bool {
        self.is_between() && self.ended.is_none()
    }

    /// Takes a message that stands at `lsn`.
    ///
    /// # Errors
    /// Fatal when messages do not follow each other as they should; a record error when a value is
    /// not understood.
    pub fn take(&mut self, lsn: Lsn, change: &Change<'_>) -> Result<()> {
        match change {
            Change::Begin {
                commit_lsn,
                commit_us,
                xid,
            } => {
                let skip = match self.position.partial {
                    // The server may send again what was taken but not yet acknowledged.
                    _ if *commit_lsn < self.position.lsn => u64::MAX,
                    Some((lsn, changes)) if lsn == *commit_lsn => changes,
                    _ => 0,
                };
                self.open = Some(Open {
                    commit_lsn: *commit_lsn,
                    xid: *xid,
                    time_ms: (commit_us + EPOCH_US).div_euclid(1000),
                    changes: 0,
                    skip,
                });
            }
            Change::Commit { end_lsn } => {
                let open = self.open.take().ok_or_else(out_of_turn)?;
                if self.recent.len() == RECENT_MAX {
                    self.forgotten = self.recent.pop_front();
                }
                self.recent.push_back(open.xid);
                self.ended = self.ended.max(Some(*end_lsn));
            }
            Change::Insert { relation, new } => {
                self.change(lsn, *relation, |this, from| {
                    this.insert(*relation, new, from)
                })?;
            }
            Change::Update { relation, old, new } => {
                let old = old.as_ref().map(Old::tuple);
                self.change(lsn, *relation, |this, from| {
                    this.update(*relation, old, new, from)
                })?;
            }
            Change::Delete { relation, old } => {
                let old = old.tuple();
                self.change(lsn, *relation, |this, from| {
                    this.delete(*relation, &old, from)
                })?;
            }
            Change::Truncate { relations } => {
                for relation in relations {
                    self.change(lsn, *relation, |this, from| this.truncate(*relation, from))?;
                }
            }
            Change::Message {
                prefix, content, ..
            } => {
                if let Some(mark) = &mut self.mark
                    && *prefix == MARK_PREFIX
                    && *content == mark.content.as_bytes()
                {
                    mark.has_come = true;
                }
            }
            Change::Relation(_) | Change::Other => {}
        }
        Ok(())
    }

    /// Counts a change of a table, and takes it unless it was taken before or nobody wants it.
    fn change(
        &mut self,
        lsn: Lsn,
        relation: u32,
        take: impl FnOnce(&mut Self, Origination) -> Result<()>,
    ) -> Result<()> {
        let open = self.open.as_mut().ok_or_else(out_of_turn)?;
        open.changes += 1;
        let from = Origination {
            lsn,
            xid: Some(open.xid),
            time_ms: open.time_ms,
        };
        let is_new = open.changes > open.skip;
        let table = self
            .tables
            .get(&relation)
            .ok_or_else(|| unknown(relation))?;
        if !is_new || table.is_none() {
            return Ok(());
        }
        take(self, from)
    }

    fn insert(&mut self, relation: u32, new: &Tuple<'_>, from: Origination) -> Result<()> {
        let (table, chunks, builder) = self.of(relation, &[new])?;
        newer(chunks, relation, from, table.key(new.values())?)?;
        table.push_row(Operation::Create, || new.values(), from, builder)
    }

    fn delete(&mut self, relation: u32, old: &Tuple<'_>, from: Origination) -> Result<()> {
        let (table, chunks, builder) = self.of(relation, &[old])?;
        newer(chunks, relation, from, table.key(old.values())?)?;
        table.push_row(Operation::Delete, || old.values(), from, builder)
    }

    /// An update of the key is a deletion under the old one and a creation under the new one.
    fn update(
        &mut self,
        relation: u32,
        old: Option<Tuple<'_>>,
        new: &Tuple<'_>,
        from: Origination,
    ) -> Result<()> {
        let (table, chunks, builder) = match &old {
            Some(old) => self.of(relation, &[old, new])?,
            None => self.of(relation, &[new])?,
        };
        let mut operation = Operation::Update;
        let mut before = None;
        if let Some(old) = &old {
            let old_key = table.key(old.values())?.map(<[u8]>::to_vec);
            if table.keyed && old_key.as_deref() != table.key(new.values())? {
                before = newer(chunks, relation, from, old_key.as_deref())?;
                table.push_row(Operation::Delete, || old.values(), from, builder)?;
                operation = Operation::Create;
            }
        }
        let replaced = newer(chunks, relation, from, table.key(new.values())?)?;
        let read = before.or(replaced);
        // What the update left alone stands in the old row, if that came whole, or was just read.
        let row = || {
            let mut old = old.iter().flat_map(Tuple::values);
            let mut read = read.iter().flat_map(Fields::values);
            new.values().map(move |datum| {
                let known = [old.next(), read.next()];
                let known = known
                    .into_iter()
                    .flatten()
                    .find(|one| matches!(one, Datum::Text(_)));
                match datum {
                    Datum::Unchanged => known.unwrap_or(datum),
                    _ => datum,
                }
            })
        };
        table.push_row(operation, row, from, builder)
    }

    fn truncate(&mut self, relation: u32, from: Origination) -> Result<()> {
        let (table, chunks, builder) = self.of(relation, &[])?;
        for chunk in unseeing(chunks, relation, from) {
            chunk.drop_all();
        }
        table.push_truncate(from, builder)
    }

    /// What a change of `relation` with these rows concerns.
    fn of(
        &mut self,
        relation: u32,
        rows: &[&Tuple<'_>],
    ) -> Result<(&mut Table, &mut Vec<Chunk>, &mut BatchBuilder)> {
        let table = self.tables.get_mut(&relation).and_then(Option::as_mut);
        let table = table.ok_or_else(|| unknown(relation))?;
        let columns = table.columns.len();
        if rows.iter().any(|row| row.len() != columns) {
            let cause = format!("it has not the {columns} columns of its table");
            let place = format!("a change of {}", table.origin.name);
            return Err(Error::fatal("understand", place).because(cause));
        }
        let builder = gathered(&mut self.parts, table);
        Ok((table, &mut self.chunks, builder))
    }

    /// Whether `visible` surely sees all that was taken so far.
    pub fn is_all_seen(&self, visible: &Visible) -> bool {
        self.recent.iter().all(|xid| visible.sees(*xid))
            && self.forgotten.is_none_or(|xid| visible.is_long_over(xid))
    }

    /// From now on `chunks` wait for the message `mark`.
    pub fn await_mark(&mut self, chunks: Vec<Chunk>, mark: String) {
        self.chunks = chunks;
        self.mark = Some(Mark {
            content: mark,
            has_come: false,
        });
    }

    /// Whether chunks wait for their mark.
    pub fn awaits_mark(&self) -> bool {
        self.mark.is_some()
    }

    /// The chunks whose mark has come by, with all before it handed over.
    pub fn marked_chunks(&mut self) -> Option<Vec<Chunk>> {
        let has_come = self.mark.as_ref().is_some_and(|mark| mark.has_come);
        (has_come && self.is_idle()).then(|| {
            self.mark = None;
            std::mem::take(&mut self.chunks)
        })
    }

    /// The batch to hand over now, if there is one: whole transactions, or a part of a large one.
    pub fn hand_over(&mut self) -> Option<SourceBatch> {
        let mut position = None;
        let mut state = Vec::new();
        if let Some(end) = self.ended.take() {
            self.position.lsn = self.position.lsn.max(end);
            self.position.partial = None;
            position = Some(self.position.lsn);
        }
        if let Some(open) = &self.open
            && open.changes > open.skip
        {
            self.position.partial = Some((open.commit_lsn, open.changes));
        } else if position.is_none() {
            return None;
        }
        state.push(self.position.change());
        self.acknowledged.handed_over(position);
        Some(self.batch(state))
    }

    /// Some of `chunk`, with how far its table was read, as a batch of its own.
    pub fn deliver(&mut self, chunk: &mut Chunk) -> Result<SourceBatch> {
        let builder = gathered(&mut self.parts, &chunk.table);
        let progress: Progress = chunk.deliver(builder)?;
        self.acknowledged.handed_over(None);
        let state = progress.change(&chunk.table.origin.name);
        Ok(self.batch(vec![state]))
    }

    /// The server has sent all up to `end`: a position of its own, if it is time for one.
    pub fn idle(&mut self, end: Lsn, now: std::time::Instant) -> Option<SourceBatch> {
        if !self.is_idle() {
            return None;
        }
        self.position.lsn = self.acknowledged.idle(end, now)?;
        self.position.partial = None;
        self.acknowledged.handed_over(Some(self.position.lsn));
        Some(self.batch(vec![self.position.change()]))
    }

    fn batch(&mut self, state: Vec<StateChange>) -> SourceBatch {
        let parts = self.parts.iter_mut().filter_map(|part| {
            Some(Part {
                batch: part.builder.finish()?,
                origin: part.origin.clone(),
                keyed: part.keyed,
                positions: Vec::new(),
            })
        });
        let parts = parts.collect();
        // A table of which nothing came for a batch needs no buffer.
        self.parts.clear();
        SourceBatch {
            parts,
            state,
            refused: Vec::new(),
        }
    }
}

/// Drops the row with `key` from the chunks that were read before the change `from`.
fn newer(
    chunks: &mut [Chunk],
    relation: u32,
    from: Origination,
    key: Option<&[u8]>,
) -> Result<Option<Fields>> {
    let Some(key) = key else {
        return Ok(None);
    };
    let mut dropped = None;
    for chunk in unseeing(chunks, relation, from) {
        dropped = chunk.drop_row(key)?.or(dropped);
    }
    Ok(dropped)
}

/// The chunks of a table whose snapshot does not see the change `from`.
fn unseeing(
    chunks: &mut [Chunk],
    relation: u32,
    from: Origination,
) -> impl Iterator<Item = &mut Chunk> {
    let sees = move |chunk: &Chunk| from.xid.is_none_or(|xid| chunk.visible.sees(xid));
    let chunks = chunks.iter_mut();
    chunks.filter(move |chunk| chunk.oid == relation && !sees(chunk))
}

fn gathered<'a>(parts: &'a mut Vec<Gathered>, table: &Table) -> &'a mut BatchBuilder {
    let found = parts
        .iter()
        .position(|part| Arc::ptr_eq(&part.origin, &table.origin));
    let index = found.unwrap_or_else(|| {
        parts.push(Gathered {
            origin: table.origin.clone(),
            keyed: table.keyed,
            builder: BatchBuilder::with_capacity(GATHER_BYTES),
        });
        parts.len() - 1
    });
    &mut parts[index].builder
}

#[cold]
fn out_of_turn() -> Error {
    Error::fatal("understand", "the stream of changes").because("a message out of turn")
}

#[cold]
fn unknown(relation: u32) -> Error {
    let cause = format!("a change of relation {relation}, which was not described");
    Error::fatal("understand", "the stream of changes").because(cause)
}
