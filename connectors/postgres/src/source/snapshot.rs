//! Reading the rows that are there, chunk by chunk. `chunk.rs` says why that is right.

use std::collections::VecDeque;

use tokio::task::JoinSet;
use towpath_sdk::{Error, Result, State, now_ms};

use super::catalog::{Catalog, Table as Listed};
use super::chunk::{Chunk, Lines};
use super::pgoutput::Lsn;
use super::position::Progress;
use super::table::{Column, Table};
use super::visible::Visible;
use crate::wire::{
    Address, COPY_DATA, COPY_DONE, ERROR, Purpose, ServerError, Session, classed, identifier,
    literal, qualified,
};

const DOING: &str = "read the rows of";
/// What a chunk should take, and what it may take before it is cut smaller.
const CHUNK_BYTES: usize = 8 << 20;
const CHUNK_BYTES_MAX: usize = 4 * CHUNK_BYTES;

/// Tables whose rows are still to be read.
pub struct Snapshot {
    address: Address,
    sessions: Vec<Session>,
    tasks: usize,
    tables: VecDeque<Unread>,
    rows_max: u64,
    /// How many rows a chunk gets now.
    rows: u64,
    marks: u64,
    /// Of this life, so that a mark of another one is not taken for one of ours.
    life: i64,
}

/// A table that was not read to its end.
struct Unread {
    listed: Listed,
    after: Vec<String>,
}

/// What to read: rows with `after < key <= until`.
struct Range {
    after: Vec<String>,
    until: Option<Vec<String>>,
}

impl Snapshot {
    /// Of those `tables` that were not read to their end.
    pub fn new(
        address: Address,
        tables: &[Listed],
        state: &dyn State,
        (tasks, rows): (u32, u32),
    ) -> Result<Self> {
        let mut unread = VecDeque::new();
        for listed in tables {
            if let Progress::After(after) = Progress::of(state, &listed.full_name())? {
                unread.push_back(Unread {
                    listed: listed.clone(),
                    after,
                });
            }
        }
        Ok(Self {
            address,
            sessions: Vec::new(),
            tasks: tasks as usize,
            tables: unread,
            rows_max: u64::from(rows),
            rows: u64::from(rows),
            marks: 0,
            life: now_ms(),
        })
    }

    /// Whether there is nothing left to read.
    pub fn is_done(&self) -> bool {
        self.tables.is_empty()
    }

    /// Reads the next chunks, side by side. `None`: one was too large, and smaller ones are next.
    pub async fn read(
        &mut self,
        catalog: &mut Catalog,
        database: &str,
    ) -> Result<Option<Vec<Chunk>>> {
        let Some(unread) = self.tables.front() else {
            return Ok(Some(Vec::new()));
        };
        let listed = unread.listed.clone();
        let columns = catalog.columns(listed.oid).await?;
        if columns.is_empty() {
            // Dropped meanwhile: there is nothing to read of it.
            self.tables.pop_front();
            return Ok(Some(Vec::new()));
        }
        let mut keys: Vec<(u16, usize)> = columns
            .iter()
            .enumerate()
            .filter_map(|(index, column)| Some((column.key?, index)))
            .collect();
        keys.sort_unstable();
        let keys: Vec<usize> = keys.into_iter().map(|(_, index)| index).collect();
        let names: Vec<_> = keys
            .iter()
            .map(|index| identifier(&columns[*index].name))
            .collect();
        let table = qualified(&listed.schema, &listed.name);
        let ranges = self.ranges(catalog, &table, &names, &unread.after).await?;
        let mut described = Vec::new();
        for column in &columns {
            described.push(Column {
                of: catalog.type_of(column.type_oid, column.modifier).await?,
                name: column.name.clone(),
                nullable: column.nullable,
                key: column.key.is_some(),
            });
        }
        let selected: Vec<_> = columns
            .iter()
            .map(|column| identifier(&column.name))
            .collect();
        let selected = selected.join(", ");
        let mut reading = JoinSet::new();
        for (index, range) in ranges.iter().enumerate() {
            let session = match self.sessions.pop() {
                Some(session) => session,
                None => Session::connect(&self.address, Purpose::Statements).await?,
            };
            let order = names.join(", ");
            let order = if order.is_empty() {
                order
            } else {
                format!(" ORDER BY {order}")
            };
            let sql = format!(
                "COPY (SELECT {selected} FROM {table}{}{order}) TO STDOUT",
                condition(&names, &range.after, range.until.as_deref())
            );
            reading.spawn(async move { (index, copy(session, &sql).await) });
        }
        let mut copied: Vec<Option<Copied>> = ranges.iter().map(|_| None).collect();
        let mut failed = None;
        while let Some(joined) = reading.join_next().await {
            match joined {
                Ok((index, Ok(copy))) => copied[index] = Some(copy),
                Ok((_, Err(error))) => failed = Some(error),
                Err(error) => failed = Some(Error::fatal(DOING, &table).because(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let copied: Vec<Copied> = copied.into_iter().flatten().collect();
        if copied.iter().any(|copied| copied.lines.is_none()) {
            self.rows = (self.rows / 2).max(1);
            return Ok(None);
        }
        let mut chunks = Vec::new();
        for (copied, range) in copied.into_iter().zip(ranges) {
            let lines = copied.lines.unwrap_or_default();
            self.sessions.extend(copied.session);
            self.fit(&lines);
            let table = Table::new(database, (&listed.schema, &listed.name), described.clone());
            let read = (copied.visible, copied.lsn, now_ms());
            chunks.push(Chunk::new(
                (listed.oid, table, keys.clone()),
                read,
                lines,
                range.until,
            ));
        }
        Ok(Some(chunks))
    }

    /// The next ranges of a table whose rows up to `after` were read.
    async fn ranges(
        &self,
        catalog: &mut Catalog,
        table: &str,
        names: &[String],
        after: &[String],
    ) -> Result<Vec<Range>> {
        let mut after = after.to_vec();
        let mut ranges = Vec::new();
        while ranges.len() < self.tasks {
            let until = match names {
                [] => None,
                names => {
                    let list = names.join(", ");
                    let sql = format!(
                        "SELECT {list} FROM {table}{} ORDER BY {list} OFFSET {} LIMIT 1",
                        condition(names, &after, None),
                        self.rows - 1,
                    );
                    let rows = catalog.session.query("find the chunks of", &sql).await?;
                    let row = rows.into_iter().next();
                    row.map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
                }
            };
            let is_last = until.is_none();
            ranges.push(Range {
                after: after.clone(),
                until: until.clone(),
            });
            match until {
                Some(until) if !is_last => after = until,
                _ => break,
            }
        }
        Ok(ranges)
    }

    /// Chooses how many rows come next, by what the last ones took.
    fn fit(&mut self, lines: &Lines) {
        if lines.len() > 0 {
            let row_bytes = (lines.size_bytes() / lines.len()).max(1);
            self.rows = ((CHUNK_BYTES / row_bytes) as u64).clamp(1, self.rows_max);
        }
    }

    /// `chunks` were handed over: what is next begins behind them.
    pub fn delivered(&mut self, bound: Option<Vec<String>>) {
        match (bound, self.tables.front_mut()) {
            (Some(after), Some(unread)) => unread.after = after,
            _ => drop(self.tables.pop_front()),
        }
    }

    /// A mark that no other one is like.
    pub fn mark(&mut self, slot: &str) -> String {
        self.marks += 1;
        format!("{slot}/{}/{}", self.life, self.marks)
    }
}

/// ` WHERE after < key AND key <= until`, each end where there is one.
fn condition(names: &[String], after: &[String], until: Option<&[String]>) -> String {
    let list = names.join(", ");
    let row = |values: &[String]| {
        let values: Vec<_> = values.iter().map(|value| literal(value)).collect();
        values.join(", ")
    };
    let after = (!after.is_empty()).then(|| format!("({list}) > ({})", row(after)));
    let until = until.map(|until| format!("({list}) <= ({})", row(until)));
    let ends: Vec<_> = after.into_iter().chain(until).collect();
    match ends.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", ends.join(" AND ")),
    }
}

/// What one transaction has read.
struct Copied {
    visible: Visible,
    lsn: Lsn,
    /// `None` when there was too much of it; the session is given up then.
    lines: Option<Lines>,
    session: Option<Session>,
}

async fn copy(mut session: Session, sql: &str) -> Result<Copied> {
    session
        .query(
            DOING,
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
        )
        .await?;
    let taken = "SELECT pg_current_snapshot(), pg_current_wal_insert_lsn()";
    let rows = session.query(DOING, taken).await?;
    let row = rows.into_iter().next().and_then(super::catalog::fields);
    let understood = row.and_then(|[visible, lsn]: [String; 2]| {
        Some((Visible::parse(&visible)?, Lsn::parse(&lsn)?))
    });
    let (visible, lsn) = understood
        .ok_or_else(|| Error::fatal(DOING, session.place()).because("a snapshot that is none"))?;
    session.begin_copy(DOING, sql).await?;
    let mut lines = Lines::default();
    loop {
        let Some(message) = session.message()? else {
            session.fill().await?;
            continue;
        };
        match message.kind {
            COPY_DATA => lines.push(message.body),
            COPY_DONE => break,
            ERROR => {
                let error = ServerError::parse(message.body);
                return Err(classed(error, DOING, session.place()));
            }
            _ => {}
        }
        if lines.size_bytes() > CHUNK_BYTES_MAX && lines.len() > 1 {
            return Ok(Copied {
                visible,
                lsn,
                lines: None,
                session: None,
            });
        }
    }
    session.end_copy(DOING).await?;
    session.query(DOING, "COMMIT").await?;
    Ok(Copied {
        visible,
        lsn,
        lines: Some(lines),
        session: Some(session),
    })
}
