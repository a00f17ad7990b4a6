//! The records of one task on their way to topics: whether each topic takes their schemas.
//!
//! What a record's schema is, its headers say. Records of one schema follow each other as a rule, so
//! the headers are compared with those of the record before, and looked into when they differ.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use towpath_log::TopicBatch;
use towpath_pipeline::OnSchemaChange;
use towpath_record::Headers;
use towpath_sdk::{Refused, Result, SchemaHeaders, SchemaId, Side};

use super::{KEY_SUBJECT, SchemaRegistry, SubjectVersion};

/// The schemas in the records of one task.
pub(crate) struct Admission {
    registry: Arc<SchemaRegistry>,
    on_change: OnSchemaChange,
    /// What was found right last: the topic's number and the headers.
    last: (usize, Vec<u8>),
    /// By the topic's number.
    known: HashSet<(usize, Side, SchemaId)>,
    /// The highest version of each subject that was not asked to be registered yet.
    used: BTreeMap<String, u32>,
}

impl Admission {
    pub fn new(registry: Arc<SchemaRegistry>, on_change: OnSchemaChange) -> Self {
        Self {
            registry,
            on_change,
            last: (0, Vec::new()),
            known: HashSet::new(),
            used: BTreeMap::new(),
        }
    }

    /// Whether a record with `headers` may go to `topic`, which has `number` in this task. An id
    /// that nobody has told of passes: what reads it will say so.
    ///
    /// # Errors
    /// Those of [`SchemaRegistry::admit`].
    pub fn check(&mut self, number: usize, topic: &str, headers: Headers<'_>) -> Result<()> {
        if headers.is_empty() || (self.last.0 == number && self.last.1 == headers.as_bytes()) {
            return Ok(());
        }
        for side in [Side::Value, Side::Key] {
            let Some(id) = SchemaHeaders::of(side).id_in(headers) else {
                continue;
            };
            if !self.known.contains(&(number, side, id)) {
                self.admit(topic, side, id, self.on_change)?;
                self.known.insert((number, side, id));
            }
        }
        self.last.0 = number;
        self.last.1.clear();
        self.last.1.extend_from_slice(headers.as_bytes());
        Ok(())
    }

    /// Dead letters keep their ids in `topic`, whatever their schemas are.
    pub fn keep(&mut self, topic: &str, refused: &[Refused]) -> Result<()> {
        let mut last: &[u8] = &[];
        for bad in refused {
            let headers = bad.record.headers();
            if headers.as_bytes() == last {
                continue;
            }
            last = headers.as_bytes();
            for side in [Side::Value, Side::Key] {
                if let Some(id) = SchemaHeaders::of(side).id_in(headers) {
                    self.admit(topic, side, id, OnSchemaChange::Evolve)?;
                }
            }
        }
        Ok(())
    }

    /// What must go into the append set at hand with the records that were checked.
    pub fn registration(
        &mut self,
        now_ms: i64,
    ) -> Result<Option<(TopicBatch, Vec<SubjectVersion>)>> {
        let used = std::mem::take(&mut self.used);
        self.registry.registration(used, now_ms)
    }

    fn admit(
        &mut self,
        topic: &str,
        side: Side,
        id: SchemaId,
        on_change: OnSchemaChange,
    ) -> Result<()> {
        let subject = match side {
            Side::Value => topic.to_owned(),
            Side::Key => format!("{topic}{KEY_SUBJECT}"),
        };
        if let Some(version) = self.registry.admit(&subject, id, on_change)? {
            let highest = self.used.entry(subject).or_default();
            *highest = version.max(*highest);
        }
        Ok(())
    }
}
