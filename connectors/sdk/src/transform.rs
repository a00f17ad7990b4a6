//! Transforms: functions from batch to batch.

use std::fmt::Debug;
use std::sync::Arc;

use crate::config::{Format, Node, OptionsSpec, Problems};
use crate::{Result, WorkingBatch};

/// One step between a source and the log, or between the log and a sink.
pub trait Transform: Send {
    /// Changes the selected rows of `batch`. It is a function of the batch and the batch's time: no
    /// clock, no I/O. Called once for each batch, in order, by one task.
    ///
    /// # Errors
    /// Bad records are refused one by one ([`WorkingBatch::each`]); an error fails the task.
    fn apply(&mut self, batch: &mut WorkingBatch, context: &TransformContext) -> Result<()>;
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
