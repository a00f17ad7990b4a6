//! The schema registry: the schemas of the log, and which versions each subject has.
//!
//! A *subject* is what has versions: a topic for the schemas of its values, `TOPIC/key` for those of
//! its keys. A *version* is a schema's place among those of its subject, from 1. Both stand in the
//! compacted topic [`TOPIC`], one record a version.
//!
//! **Who decides what.** The id of a schema is made from its content alone, so tasks, restarts and
//! other logs agree on it without asking. Versions are decided in memory under one lock: the process
//! that holds the log has one registry for all its tasks.
//!
//! **Why no record is ever without its schema.** A task hands over, in the append set with its first
//! records of a version, the registration of that version and of all lower ones of the subject that
//! are not known to be committed. Its later sets need not: the log takes a task's sets in their order,
//! and none behind one that it has refused. Sets of different tasks commit in any order, so each of
//! them carries what it needs, and two may carry the same registration: the second repeats key and
//! value of the first, and changes nothing. If no set is committed there are no such records, and the
//! version is decided anew after a restart. A commit that survives a crash survives with all before
//! it, so what was seen committed is never missing behind what came later.

mod admission;
mod change;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use towpath_log::{Cleanup, Log, LogError, Retention, TopicBatch, TopicConfig};
use towpath_pipeline::OnSchemaChange;
use towpath_record::{BatchBuilder, Record};
use towpath_sdk::config::Format;
use towpath_sdk::{Error, Result, Schema, SchemaId, Schemas, printable};

pub(crate) use admission::Admission;
pub use text::{FieldText, SchemaText};

use crate::commit::log_error;

/// Where registrations are kept.
pub(crate) const TOPIC: &str = "__towpath.schemas";

/// A schema as text takes so many bytes at most.
const SCHEMA_BYTES_MAX: usize = 1 << 20;

/// The schemas of a subject, in the order of their versions.
pub(crate) type Versions = Vec<(SchemaId, Arc<Schema>)>;

/// A version of a subject.
pub(crate) type SubjectVersion = (String, u32);

/// The registry of a log; one for all tasks of a process.
pub(crate) struct SchemaRegistry {
    log: Log,
    /// `None` until it is needed first.
    held: Mutex<Option<Held>>,
}

#[derive(Default)]
struct Held {
    /// All that sources have told of or the log holds, those of all versions among them.
    schemas: HashMap<SchemaId, Arc<Schema>>,
    /// Versions in their order.
    subjects: BTreeMap<String, Vec<Version>>,
}

struct Version {
    id: SchemaId,
    /// Whether its registration is known to be committed.
    committed: bool,
}

/// The key of a registration.
#[derive(Serialize, Deserialize)]
struct Key {
    subject: String,
    version: u32,
}

/// The value of a registration.
#[derive(Serialize, Deserialize)]
struct Registered {
    id: String,
    schema: SchemaText,
}

impl std::fmt::Debug for SchemaRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SchemaRegistry({:?})", self.log)
    }
}

impl SchemaRegistry {
    pub fn new(log: Log) -> Self {
        Self {
            log,
            held: Mutex::new(None),
        }
    }

    /// The schemas of every subject, in the order of their versions.
    pub fn subjects(&self) -> Result<BTreeMap<String, Versions>> {
        let mut held = self.held()?;
        let Held { schemas, subjects } = held.get();
        let schema = |version: &Version| Some((version.id, schemas.get(&version.id)?.clone()));
        let versions = |versions: &Vec<Version>| versions.iter().filter_map(schema).collect();
        let subjects = subjects.iter();
        Ok(subjects
            .map(|(subject, all)| (subject.clone(), versions(all)))
            .collect())
    }

    /// The version of the schema `id` in `subject`, which it becomes if it may. `None` when nobody
    /// has told of that schema.
    ///
    /// # Errors
    /// The change is incompatible, and `on_change` does not take it: a record error where such
    /// records are kept aside, otherwise one of configuration.
    pub fn admit(
        &self,
        subject: &str,
        id: SchemaId,
        on_change: OnSchemaChange,
    ) -> Result<Option<u32>> {
        let mut held = self.held()?;
        let Held { schemas, subjects } = held.get();
        let Some(new) = schemas.get(&id) else {
            return Ok(None);
        };
        let versions = subjects.entry(subject.to_owned()).or_default();
        if let Some(known) = versions.iter().position(|version| version.id == id) {
            return Ok(Some(known as u32 + 1));
        }
        let latest = versions.len() as u32;
        let old = versions.last().and_then(|last| schemas.get(&last.id));
        if on_change != OnSchemaChange::Evolve
            && let Some(old) = old
            && let Err(why) = change::check(old, new)
        {
            return Err(incompatible(subject, latest, &why, on_change));
        }
        versions.push(Version {
            id,
            committed: false,
        });
        Ok(Some(latest + 1))
    }

    /// What a task must hand over with the next append set, and only once, for its records to have
    /// the versions `used`, by subject the highest; and what is to be told to [`Self::committed`]
    /// then. `None`: all is committed. The first time ever it waits for the disk.
    pub fn registration(
        &self,
        used: BTreeMap<String, u32>,
        now_ms: i64,
    ) -> Result<Option<(TopicBatch, Vec<SubjectVersion>)>> {
        if used.is_empty() {
            return Ok(None);
        }
        let mut versions = Vec::new();
        let mut builder = BatchBuilder::default();
        {
            let mut held = self.held()?;
            let Held { schemas, subjects } = held.get();
            for (subject, highest) in used {
                let known = subjects.get(&subject).map_or(&[][..], Vec::as_slice);
                for (version, one) in (1..=highest).zip(known) {
                    if let Some(schema) = schemas.get(&one.id)
                        && !one.committed
                    {
                        put(&mut builder, &subject, version, one.id, schema, now_ms)?;
                        versions.push((subject.clone(), version));
                    }
                }
            }
        }
        let Some(batch) = builder.finish() else {
            return Ok(None);
        };
        self.create_topic()?;
        let batch = TopicBatch {
            topic: TOPIC.into(),
            partition: 0,
            batch,
        };
        Ok(Some((batch, versions)))
    }

    /// The registrations of `versions` are committed.
    pub fn committed(&self, versions: &[SubjectVersion]) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = &mut *held else { return };
        for (subject, version) in versions {
            let known = held.subjects.get_mut(subject);
            if let Some(known) = known.and_then(|known| known.get_mut(*version as usize - 1)) {
                known.committed = true;
            }
        }
    }

    fn create_topic(&self) -> Result<()> {
        if self.log.topic(TOPIC).is_some() {
            return Ok(());
        }
        let config = TopicConfig {
            partitions: 1,
            format: Format::Json.as_str().to_owned(),
            cleanup: Cleanup::Compact,
            retention: Retention {
                time_ms: None,
                bytes: None,
            },
        };
        tokio::task::block_in_place(|| self.log.create_topic(TOPIC, &config))
            .map(|_| ())
            .map_err(|error| log_error(&format!("create topic {TOPIC}"), error))
    }

    /// What is known, read from the log at the first need, which waits for the disk.
    fn held(&self) -> Result<Guard<'_>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(tokio::task::block_in_place(|| Held::read(&self.log))?);
        }
        Ok(Guard(held))
    }
}

/// The lock on what was read.
struct Guard<'a>(MutexGuard<'a, Option<Held>>);

impl Guard<'_> {
    fn get(&mut self) -> &mut Held {
        self.0.get_or_insert_default()
    }
}

impl Held {
    fn read(log: &Log) -> Result<Self> {
        let mut rows = BTreeMap::new();
        if log.topic(TOPIC).is_some() {
            let failed = |error| log_error(&format!("read topic {TOPIC}"), error);
            let read = log.table(TOPIC).map_err(failed)?.catch_up(|record| {
                let row = row(record).map_err(|why| {
                    damaged(format!("the record at offset {}: {why}", record.offset))
                });
                rows.extend([row.map_err(Unreadable)?]);
                Ok::<_, Unreadable>(())
            });
            read.map_err(|Unreadable(error)| error)?;
        }
        let mut held = Self::default();
        for ((subject, version), (id, schema)) in rows {
            let versions = held.subjects.entry(subject).or_default();
            versions.push(Version {
                id,
                committed: true,
            });
            if versions.len() != version as usize {
                return Err(damaged(format!(
                    "version {version} is without those before it"
                )));
            }
            held.schemas.insert(id, Arc::new(schema));
        }
        Ok(held)
    }
}

/// Why the registrations cannot be read.
struct Unreadable(Error);

impl From<LogError> for Unreadable {
    fn from(error: LogError) -> Self {
        Self(log_error(&format!("read topic {TOPIC}"), error))
    }
}

/// What a registration says.
fn row(record: &Record<'_>) -> Result<(SubjectVersion, (SchemaId, Schema)), String> {
    let json = |error: serde_json::Error| error.to_string();
    let key: Key = serde_json::from_slice(record.key.unwrap_or_default()).map_err(json)?;
    let value = record.value.unwrap_or_default();
    let registered: Registered = serde_json::from_slice(value).map_err(json)?;
    let id = SchemaId::parse(registered.id.as_bytes());
    let id = id.ok_or_else(|| format!("`{}` is no id", printable(&registered.id)))?;
    let schema = Schema::try_from(&registered.schema)?;
    Ok(((key.subject, key.version), (id, schema)))
}

impl Schemas for SchemaRegistry {
    fn id_of(&self, schema: Schema) -> Result<SchemaId> {
        let text = SchemaText::from(&schema);
        let json = serde_json::to_string(&text).unwrap_or_default();
        let refused = |why: &str| {
            let name = printable(&schema.name);
            Err(Error::record("keep the schema", format!("`{name}`")).because(why))
        };
        if json.len() > SCHEMA_BYTES_MAX {
            return refused("it takes more than 1 MiB");
        }
        // Whatever is kept can be read again.
        let read = serde_json::from_str(&json).map_err(|error| error.to_string());
        let read = read.and_then(|text: SchemaText| Schema::try_from(&text));
        if read.as_ref() != Ok(&schema) {
            return refused("it is nested too deep");
        }
        let hash = Sha256::digest(json.as_bytes());
        let bits = hash
            .iter()
            .take(8)
            .fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let id = SchemaId::new(bits);
        let mut held = self.held()?;
        let known = held.get().schemas.entry(id);
        let known = known.or_insert_with(|| Arc::new(schema.clone()));
        match **known == schema {
            true => Ok(id),
            false => refused("another schema has the same hash: change a name in it"),
        }
    }

    fn get(&self, id: SchemaId) -> Result<Option<Arc<Schema>>> {
        Ok(self.held()?.get().schemas.get(&id).cloned())
    }
}

/// Appends a registration.
fn put(
    builder: &mut BatchBuilder,
    subject: &str,
    version: u32,
    id: SchemaId,
    schema: &Schema,
    now_ms: i64,
) -> Result<()> {
    let key = Key {
        subject: subject.to_owned(),
        version,
    };
    let value = Registered {
        id: id.to_string(),
        schema: schema.into(),
    };
    let cannot = || Error::fatal("register", format!("version {version} of {subject}"));
    let json = |error: serde_json::Error| cannot().because(error);
    let key = serde_json::to_vec(&key).map_err(json)?;
    let value = serde_json::to_vec(&value).map_err(json)?;
    builder
        .push(now_ms, Some(&key), Some(&value), &[])
        .map_err(|error| cannot().because(error))
}

fn damaged(why: String) -> Error {
    Error::fatal("read the schemas in topic", TOPIC)
        .because(why)
        .remedy("`towpath log verify` tells more")
}

fn incompatible(subject: &str, latest: u32, why: &str, on_change: OnSchemaChange) -> Error {
    let (doing, new) = ("take a new schema for", latest + 1);
    let what = match subject.strip_suffix(KEY_SUBJECT) {
        Some(topic) => format!("the keys of topic {topic}"),
        None => format!("topic {subject}"),
    };
    let why = format!("version {new} would not go with version {latest}: {why}");
    match on_change {
        OnSchemaChange::DeadLetter => Error::record(doing, what).because(why),
        _ => Error::configuration(doing, what).because(why).remedy(
            "set `on_schema_change: evolve` to take it all the same, or `dead_letter` to keep such \
             records aside; or write to another topic",
        ),
    }
}

/// Behind the topic's name in the subject of its keys; no topic has it in its name.
const KEY_SUBJECT: &str = "/key";
