//! What the source needs of its server, and makes there: checks, publication and slot.
//!
//! Nothing here changes what is already right, so all of it may be done again at every start.

use std::sync::Arc;

use towpath_sdk::{Error, Result, SourceContext};

use super::catalog::{Catalog, Table, fields};
use super::config::{PostgresSourceOptions, Snapshot};
use super::pgoutput::Lsn;
use super::position::Position;
use crate::wire::{Session, identifier, literal, qualified};

/// The oldest server that is supported: 14 sends logical messages.
const VERSION_MIN: u32 = 140_000;
/// The first one whose slots can follow a failover.
const VERSION_FAILOVER: u32 = 170_000;
/// The first one that takes options of a slot in parentheses.
const VERSION_OPTIONS: u32 = 150_000;

/// A server that was looked at.
pub struct Server {
    pub catalog: Catalog,
    pub options: Arc<PostgresSourceOptions>,
    version: u32,
    /// Its system identifier.
    pub system: u64,
    pub database: String,
    pub slot: String,
    pub publication: String,
}

/// A replication slot as the server has it.
struct Slot {
    plugin: String,
    database: String,
    is_active: bool,
    wal_status: String,
    confirmed: Lsn,
}

impl Server {
    /// Looks at the server whose catalogue this is; names what has to be changed there.
    pub async fn examine(
        mut catalog: Catalog,
        options: Arc<PostgresSourceOptions>,
        default_name: &str,
    ) -> Result<Self> {
        let version = catalog
            .setting("server_version_num")
            .await?
            .parse()
            .unwrap_or(0);
        let place = catalog.session.place().to_owned();
        if version < VERSION_MIN {
            let shown = catalog.setting("server_version").await?;
            return Err(Error::configuration("capture the changes of", place)
                .because(format!("it is PostgreSQL {shown}"))
                .remedy("14 is the oldest that is supported"));
        }
        if catalog.setting("wal_level").await? != "logical" {
            return Err(Error::configuration("capture the changes of", place)
                .because("its `wal_level` is not `logical`")
                .remedy("ALTER SYSTEM SET wal_level = logical, and restart the server"));
        }
        let sql = "SELECT system_identifier, current_database(), \
                   (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) \
                   FROM pg_control_system()";
        let rows = catalog.session.query("identify", sql).await?;
        let found: Option<[String; 3]> = rows.into_iter().next().and_then(fields);
        let Some([system, database, may_replicate]) = found else {
            return Err(Error::fatal("identify", place).because("its answer is another one"));
        };
        if may_replicate != "t" {
            return Err(Error::configuration("capture the changes of", place)
                .because("the user has no right to replicate")
                .remedy("ALTER ROLE ... REPLICATION"));
        }
        let slot = options
            .slot
            .clone()
            .unwrap_or_else(|| default_name.to_owned());
        let publication = options.publication.clone();
        Ok(Self {
            catalog,
            version,
            system: system.parse().unwrap_or(0),
            database,
            publication: publication.unwrap_or_else(|| slot.clone()),
            slot,
            options,
        })
    }

    fn place(&self) -> String {
        self.catalog.session.place().to_owned()
    }

    fn refused(&self, cause: impl Into<String>, remedy: impl Into<String>) -> Error {
        Error::configuration("capture the changes of", self.place())
            .because(cause.into())
            .remedy(remedy)
    }

    /// The tables that are captured; each that is named has to be there.
    pub async fn tables(&mut self) -> Result<Vec<Table>> {
        let mut tables = self.catalog.tables().await?;
        tables.retain(|table| self.options.captures(&table.full_name()));
        for name in self.options.tables.iter().filter_map(|glob| glob.as_name()) {
            if !tables.iter().any(|table| table.full_name() == name) {
                return Err(self.refused(
                    format!("there is no table {name}"),
                    "mend `tables`, or give the user the right to see it",
                ));
            }
        }
        let unread = tables.iter().find(|table| !table.has_key);
        if let (Some(table), false) = (unread, self.options.snapshot == Snapshot::Never) {
            return Err(self.refused(
                format!(
                    "{} has no primary key, by which its rows could be read",
                    table.full_name()
                ),
                "give it one, leave it out by `exclude`, or set `snapshot: never`",
            ));
        }
        if let Some(table) = tables
            .iter()
            .find(|table| table.identity == b'd' && !table.has_key)
        {
            let name = qualified(&table.schema, &table.name);
            tracing::warn!(
                "{name} has neither primary key nor replica identity: the server refuses its updates \
                 and deletions; ALTER TABLE {name} REPLICA IDENTITY FULL"
            );
        }
        Ok(tables)
    }

    /// Makes the publication what `tables` need, or says what is wrong with it.
    pub async fn publish(&mut self, tables: &[Table]) -> Result<()> {
        let sql = format!(
            "SELECT puballtables, pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot \
             FROM pg_publication WHERE pubname = {}",
            literal(&self.publication)
        );
        let rows = self
            .catalog
            .session
            .query("look for the publication of", &sql)
            .await?;
        let found: Option<[String; 3]> = rows.into_iter().next().and_then(fields);
        let name = identifier(&self.publication);
        let wanted: Vec<_> = tables
            .iter()
            .map(|one| qualified(&one.schema, &one.name))
            .collect();
        let wanted = wanted.join(", ");
        let doing = "publish the tables of";
        let Some([all, operations, _]) = found else {
            if !self.options.manage {
                return Err(self.refused(
                    format!("there is no publication {}", self.publication),
                    format!("CREATE PUBLICATION {name} FOR TABLE ..., or set `manage: true`"),
                ));
            }
            // Logical messages come with any publication, and one of no table can be made.
            let of = if tables.is_empty() {
                String::new()
            } else {
                format!("FOR TABLE {wanted}")
            };
            let sql =
                format!("CREATE PUBLICATION {name} {of} WITH (publish_via_partition_root = true)");
            return self.catalog.session.query(doing, &sql).await.map(|_| ());
        };
        if operations != "t" {
            return Err(self.refused(
                format!(
                    "publication {} leaves out some operations",
                    self.publication
                ),
                format!(
                    "ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate')"
                ),
            ));
        }
        if all == "t" {
            return Ok(());
        }
        let sql = format!(
            "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = {}",
            literal(&self.publication)
        );
        let rows = self
            .catalog
            .session
            .query("list the publication of", &sql)
            .await?;
        let published: Vec<[String; 2]> = rows.into_iter().filter_map(fields).collect();
        let is_published = |table: &Table| {
            let mut published = published.iter();
            published.any(|[schema, name]| *schema == table.schema && *name == table.name)
        };
        let missing = tables.iter().find(|table| !is_published(table));
        let is_exact = missing.is_none() && published.len() == tables.len();
        match missing {
            _ if self.options.manage && !is_exact && !tables.is_empty() => {
                let sql = format!("ALTER PUBLICATION {name} SET TABLE {wanted}");
                self.catalog.session.query(doing, &sql).await.map(|_| ())
            }
            Some(table) if !self.options.manage => Err(self.refused(
                format!(
                    "publication {} lacks {}",
                    self.publication,
                    table.full_name()
                ),
                format!(
                    "ALTER PUBLICATION {name} ADD TABLE {}",
                    qualified(&table.schema, &table.name)
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Compares what was committed with the slot, and makes the slot at the first start. Returns
    /// where to begin; a gap is an error.
    pub async fn begin(
        &mut self,
        replication: &mut Session,
        context: &SourceContext,
    ) -> Result<Position> {
        let kept = Position::of(&*context.state)?;
        let slot = self.find_slot().await?;
        let name = self.slot.clone();
        let anew = format!(
            "`towpath offsets reset {}` reads all tables anew",
            context.connector
        );
        if let Some(position) = &kept
            && position.system != self.system
        {
            let cause = format!(
                "it is another server: its system identifier is {}, and it was {}",
                self.system, position.system
            );
            return Err(self.refused(cause, format!("mend the address; {anew}")));
        }
        if let Some(slot) = &slot {
            if slot.plugin != "pgoutput" || slot.database != self.database {
                let cause = format!("slot {name} is one of {} in {}", slot.plugin, slot.database);
                return Err(self.refused(cause, "choose another name by `slot`"));
            }
            if slot.wal_status == "lost" {
                let cause = format!(
                    "slot {name} is lost: the server needed the space (max_slot_wal_keep_size)"
                );
                let drop = format!("SELECT pg_drop_replication_slot('{name}')");
                return Err(self.refused(cause, format!("{drop}; then {anew}")));
            }
        }
        match (kept, slot) {
            (Some(position), Some(slot)) if slot.confirmed > position.lsn => {
                let cause = format!(
                    "slot {name} is at {}, and only all up to {} was taken: someone else has read \
                     from it, or the data directory is an old one",
                    slot.confirmed, position.lsn
                );
                Err(self.refused(cause, anew))
            }
            (Some(position), Some(_)) => Ok(position),
            (Some(position), None) => {
                let cause = format!(
                    "slot {name} is gone, and with it what was changed since {}",
                    position.lsn
                );
                Err(self.refused(cause, anew))
            }
            // One that someone made for us, or that a start that was cut off has made.
            (None, Some(slot)) if self.options.slot.is_some() || !self.options.manage => {
                self.commit_position(slot.confirmed, context).await
            }
            (None, Some(slot)) if slot.is_active => {
                Err(Error::transient("capture the changes of", self.place())
                    .because(format!("slot {name} is in use by another session")))
            }
            (None, found) => {
                if found.is_some() {
                    let sql = format!("SELECT pg_drop_replication_slot({})", literal(&name));
                    self.catalog.session.query("drop the slot of", &sql).await?;
                } else if !self.options.manage {
                    let make =
                        format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')");
                    return Err(self.refused(format!("there is no slot {name}"), make));
                }
                let lsn = self.create_slot(replication).await?;
                self.commit_position(lsn, context).await
            }
        }
    }

    async fn commit_position(&self, lsn: Lsn, context: &SourceContext) -> Result<Position> {
        let position = Position {
            system: self.system,
            lsn,
            partial: None,
        };
        context.state.commit(vec![position.change()]).await?;
        Ok(position)
    }

    /// Where its log ends now.
    pub async fn end(&mut self) -> Result<Lsn> {
        let sql = "SELECT pg_current_wal_flush_lsn()";
        let rows = self.catalog.session.query("find the end of", sql).await?;
        let end = self.catalog.one(rows)?;
        Ok(Lsn::parse(&end).unwrap_or_default())
    }

    async fn find_slot(&mut self) -> Result<Option<Slot>> {
        let sql = format!(
            "SELECT coalesce(plugin, ''), coalesce(database, ''), active, coalesce(wal_status, 'lost'), \
             coalesce(confirmed_flush_lsn, '0/0') FROM pg_replication_slots WHERE slot_name = {}",
            literal(&self.slot)
        );
        let rows = self
            .catalog
            .session
            .query("look for the slot of", &sql)
            .await?;
        let found: Option<[String; 5]> = rows.into_iter().next().and_then(fields);
        let Some([plugin, database, active, wal_status, confirmed]) = found else {
            return Ok(None);
        };
        Ok(Some(Slot {
            plugin,
            database,
            is_active: active == "t",
            wal_status,
            confirmed: Lsn::parse(&confirmed).unwrap_or_default(),
        }))
    }

    /// Makes the slot; what is changed from the returned place on is sent.
    async fn create_slot(&mut self, replication: &mut Session) -> Result<Lsn> {
        let name = identifier(&self.slot);
        let options = match self.version {
            VERSION_FAILOVER.. => "(SNAPSHOT 'nothing', FAILOVER true)",
            VERSION_OPTIONS.. => "(SNAPSHOT 'nothing')",
            _ => "NOEXPORT_SNAPSHOT",
        };
        let sql = format!("CREATE_REPLICATION_SLOT {name} LOGICAL pgoutput {options}");
        let rows = replication.query("create a slot at", &sql).await?;
        let lsn = rows.first().and_then(|row| row.get(1)?.as_deref());
        lsn.and_then(Lsn::parse).ok_or_else(|| {
            Error::fatal("create a slot at", self.place()).because("its answer is another one")
        })
    }
}
