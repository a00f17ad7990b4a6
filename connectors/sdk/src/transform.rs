//! Transforms: functions from batch to batch.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::{Format, Node, OptionsSpec, Problems};
use crate::{Result, StateChange, WorkingBatch};

/// One step between a source and the log, or between the log and a sink.
pub trait Transform: Send {
    /// Changes the selected rows of `batch`. It is a function of the batch, the batch's time and its
    /// state: no clock, no I/O. Called once for each batch, in order, by one task.
    ///
    /// # Errors
    /// Bad records are refused one by one ([`WorkingBatch::each`]); an error fails the task.
    fn apply(&mut self, batch: &mut WorkingBatch, context: &TransformContext) -> Result<()>;

    /// A record of the topic in [`TransformConfig::table_topic`], whose values are `format`: from now
    /// on `value` is the row of `key`; without a value there is none. Called for all records of the
    /// topic that are durable when the task starts, before the first batch, and for those that
    /// come later, between batches.
    ///
    /// # Errors
    /// End the task, such as a table that has become too large.
    fn table_row(&mut self, key: &[u8], value: Option<&[u8]>, format: Format) -> Result<()> {
        let _ = (key, value, format);
        Ok(())
    }

    /// Takes up the state of an earlier life: what [`Transform::changes`] has put and not deleted,
    /// in the order of the keys. Called once, before the first batch, if
    /// there is a [`TransformConfig::state_name`].
    ///
    /// # Errors
    /// Fatal when it cannot be read: never "start over".
    fn restore(&mut self, state: &[(Bytes, Bytes)]) -> Result<()> {
        let _ = state;
        Ok(())
    }

    /// What the records below offset `below` have made of the state since the last call; at a
    /// source `below` is beyond all. It becomes durable with what came of these records, or not at
    /// all: so a restart finds the state as it was where it goes on. Records from `below` on may
    /// have been applied; what they change comes with a later call.
    fn changes(&mut self, below: i64) -> TransformChanges {
        let _ = below;
        TransformChanges::default()
    }
}

/// Changes of a transform's state.
#[derive(Debug, Default, PartialEq)]
pub struct TransformChanges {
    /// Those that mean nothing until `last` is durable: they may become so before it, in this order,
    /// where there are more than one set of the log takes.
    pub ahead: Vec<StateChange>,
    /// The one that makes all count; `None` when nothing has changed. Small, as sets are limited.
    pub last: Option<StateChange>,
}

/// What a transform is given with a batch.
#[derive(Debug, Clone, Copy)]
pub struct TransformContext {
    /// When the runtime took the batch, milliseconds since 1970.
    pub now_ms: i64,
}

/// A checked configuration of a transform.
pub trait TransformConfig: Debug + Send + Sync {
    /// What the values are behind it, where they are `format` before it. By default the same.
    fn output(&self, format: Format) -> Format {
        format
    }

    /// Whether it needs what only a source or stream has: it changes topics, or makes several
    /// records of one. A sink's offsets count the records of its topics.
    fn changes_places(&self) -> bool {
        false
    }

    /// Whether it needs the partition or offset of records, which those of a source do not have
    /// yet.
    fn needs_offset(&self) -> bool {
        false
    }

    /// Whether it asks for fields of the value, which only JSON has.
    fn needs_fields(&self) -> bool {
        false
    }

    /// The topic that it looks records up in: the newest record of each key is a row.
    fn table_topic(&self) -> Option<&str> {
        None
    }

    /// Whether it gives a key to records that have none.
    fn makes_keys(&self) -> bool {
        false
    }

    /// As [`crate::SourceConfig::notes`].
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Under which name it keeps state, if what it does with a record depends on those before it,
    /// over restarts: its type, and whatever gives the state another meaning, without `/`. Then
    /// there is an instance for each partition that is read, or for each task of a source, and each
    /// has a state of its own. With another name it begins anew.
    fn state_name(&self) -> Option<String> {
        None
    }

    /// A new instance, for one task.
    fn transform(&self) -> Box<dyn Transform>;
}

/// A transform type: what stands behind its `type:` word.
#[derive(Debug, Clone)]
pub struct TransformType {
    /// The word, such as `parse_json`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its own options, without `type` and `when`.
    pub spec: fn() -> OptionsSpec,
    /// Reads the options; every problem is reported, `None` when there was one.
    pub parse: fn(&Node, &mut Problems) -> Option<Arc<dyn TransformConfig>>,
    /// Worked examples, which are tests.
    pub examples: &'static [TransformExample],
}

/// What a transform makes of a record.
#[derive(Debug, Clone, Copy)]
pub struct TransformExample {
    /// What it shows, in a few words.
    pub title: &'static str,
    /// The transform in YAML, without `type`.
    pub options: &'static str,
    /// The value that comes. What else the record has may stand behind two blanks and `# `, one
    /// behind the other with `; ` between them: `topic: NAME`, `key: TEXT`, `timestamp: MS`,
    /// `header NAME: TEXT`.
    pub input: &'static str,
    /// The values that leave, one a line, in the same form; only what the transform has changed
    /// stands behind them.
    pub output: &'static str,
}
