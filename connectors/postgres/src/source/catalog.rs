//! What the server's catalogue says: tables, their columns and keys, and types.

use std::collections::HashMap;
use std::pin::Pin;

use towpath_sdk::{Error, Result};

use super::types::Type;
use crate::wire::{Rows, Session, literal};

/// How deep a type may be made of others.
const DEPTH_MAX: usize = 16;

/// A table of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// `d`, `n`, `f` or `i`, as in `pg_class.relreplident`.
    pub identity: u8,
    /// Whether it has a primary key.
    pub has_key: bool,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub type_oid: u32,
    pub modifier: i32,
    pub nullable: bool,
    /// Its place in the primary key, from 1.
    pub key: Option<u16>,
}

impl Table {
    /// As people write it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// A session for questions, and what was answered before.
pub struct Catalog {
    pub session: Session,
    types: HashMap<(u32, i32), Type>,
}

impl Catalog {
    pub fn new(session: Session) -> Self {
        Self {
            session,
            types: HashMap::new(),
        }
    }

    /// All tables of people, partitioned ones as one.
    pub async fn tables(&mut self) -> Result<Vec<Table>> {
        let sql = "SELECT c.oid, n.nspname, c.relname, c.relreplident, \
                   EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) \
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p' \
                   AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' \
                   ORDER BY n.nspname, c.relname";
        let rows = self.session.query("list the tables of", sql).await?;
        let tables = rows.into_iter().map(|row| {
            let [oid, schema, name, identity, has_key] = fields(row)?;
            Some(Table {
                oid: oid.parse().ok()?,
                schema,
                name,
                identity: *identity.as_bytes().first()?,
                has_key: has_key == "t",
            })
        });
        self.understood(tables.collect())
    }

    /// The columns of a table that its changes carry, in their order.
    pub async fn columns(&mut self, oid: u32) -> Result<Vec<Column>> {
        let sql = format!(
            "SELECT a.attname, a.atttypid, a.atttypmod, a.attnotnull, \
             coalesce(array_position(i.indkey::int2[], a.attnum), -1) \
             FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
             WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped \
             AND a.attgenerated = '' ORDER BY a.attnum"
        );
        let rows = self
            .session
            .query("list the columns of a table of", &sql)
            .await?;
        let columns = rows.into_iter().map(|row| {
            let [name, type_oid, modifier, not_null, key] = fields(row)?;
            let key: i32 = key.parse().ok()?;
            Some(Column {
                name,
                type_oid: type_oid.parse().ok()?,
                modifier: modifier.parse().ok()?,
                nullable: not_null != "t",
                key: u16::try_from(key).ok().map(|place| place + 1),
            })
        });
        self.understood(columns.collect())
    }

    /// The type with this oid, as a column with this modifier has it.
    pub async fn type_of(&mut self, oid: u32, modifier: i32) -> Result<Type> {
        self.resolve(oid, modifier, 0).await
    }

    fn resolve(
        &mut self,
        oid: u32,
        modifier: i32,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Type>> + Send + '_>> {
        Box::pin(async move {
            if let Some(of) = Type::scalar(oid, modifier) {
                return Ok(of);
            }
            if let Some(of) = self.types.get(&(oid, modifier)) {
                return Ok(of.clone());
            }
            let of = self.look_up(oid, modifier, depth).await?;
            self.types.insert((oid, modifier), of.clone());
            Ok(of)
        })
    }

    async fn look_up(&mut self, oid: u32, modifier: i32, depth: usize) -> Result<Type> {
        let sql = format!(
            "SELECT t.typtype, t.typname, t.typbasetype, t.typtypmod, t.typrelid, t.typcategory, \
             t.typelem, coalesce(e.typdelim, ',') FROM pg_type t \
             LEFT JOIN pg_type e ON e.oid = t.typelem WHERE t.oid = {oid}"
        );
        let rows = self.session.query("look up a type of", &sql).await?;
        // A type that was dropped meanwhile: what is left of it is its text.
        let Some(row) = rows.into_iter().next() else {
            return Ok(Type::Text);
        };
        let fields: Option<[String; 8]> = fields(row);
        let [
            kind,
            name,
            base,
            base_modifier,
            relation,
            category,
            item,
            delimiter,
        ] = self.understood(fields)?;
        let number = |text: &str| text.parse::<u32>().unwrap_or(0);
        if depth >= DEPTH_MAX {
            return Ok(Type::Text);
        }
        Ok(match (&*kind, &*category) {
            ("d", _) => {
                let own = base_modifier.parse().unwrap_or(-1);
                let modifier = if modifier == -1 { own } else { modifier };
                self.resolve(number(&base), modifier, depth + 1).await?
            }
            ("b", "A") => {
                let of = self.resolve(number(&item), modifier, depth + 1).await?;
                let delimiter = delimiter.bytes().next().unwrap_or(b',');
                Type::Array(Box::new(of), delimiter)
            }
            ("c", _) => {
                let mut attributes = Vec::new();
                for column in self.columns(number(&relation)).await? {
                    let of = self
                        .resolve(column.type_oid, column.modifier, depth + 1)
                        .await?;
                    attributes.push((column.name, of));
                }
                Type::Composite(attributes)
            }
            _ if name == "hstore" => Type::Hstore,
            _ => Type::Text,
        })
    }

    /// What a setting of the server is.
    pub async fn setting(&mut self, name: &str) -> Result<String> {
        let sql = format!("SELECT current_setting({})", literal(name));
        let rows = self.session.query("read the settings of", &sql).await?;
        self.one(rows)
    }

    /// The one value that was asked for.
    pub fn one(&self, rows: Rows) -> Result<String> {
        let value = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next().flatten());
        self.understood(value)
    }

    fn understood<T>(&self, answer: Option<T>) -> Result<T> {
        answer.ok_or_else(|| {
            Error::fatal("understand", self.session.place()).because("its catalogue is another one")
        })
    }
}

/// The values of a row of as many, none of them null.
pub fn fields<const N: usize>(row: Vec<Option<String>>) -> Option<[String; N]> {
    let row: Vec<String> = row.into_iter().collect::<Option<_>>()?;
    row.try_into().ok()
}
