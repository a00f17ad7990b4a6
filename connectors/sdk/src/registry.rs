//! Which connectors and transforms there are. The registry is a value handed around; nothing registers itself.

use std::fmt::Debug;
use std::sync::Arc;

use crate::config::{Fields, InputFormat, Node, OptionsSpec, OutputFormat, Problems};
use crate::{Sink, Source, Template, TransformType};

/// A connector type: what stands behind a `type:` word.
#[derive(Debug, Clone)]
pub struct ConnectorType {
    /// The word, such as `file`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// When it can be a source.
    pub source: Option<SourceType>,
    /// When it can be a sink.
    pub sink: Option<SinkType>,
}

/// How to configure the source side of a connector type.
#[derive(Debug, Clone)]
pub struct SourceType {
    /// Its own options, without those every source has.
    pub spec: fn() -> OptionsSpec,
    /// Reads the options; every problem is reported, `None` when there was one.
    pub parse: fn(&Node, &mut Problems) -> Option<Arc<dyn SourceConfig>>,
    /// Names that `topic` and `key` templates may use besides the general ones, each explained.
    pub template_names: &'static [(&'static str, &'static str)],
}

/// How to configure the sink side of a connector type.
#[derive(Debug, Clone)]
pub struct SinkType {
    /// Its own options, without those every sink has.
    pub spec: fn() -> OptionsSpec,
    /// Reads the options; every problem is reported, `None` when there was one.
    pub parse: fn(&Node, &mut Problems) -> Option<Arc<dyn SinkConfig>>,
}

/// A checked configuration of a source.
pub trait SourceConfig: Debug + Send + Sync {
    /// What is read, in a form that stays the same when only the connector's name changes.
    fn far_side(&self) -> String;

    /// Whether `--drain` can end: the source has, or can fix, an end.
    fn has_end(&self) -> bool;

    /// What the payloads are; what they become is also the format of the topic when that is not
    /// declared.
    fn format(&self) -> InputFormat;

    /// Whether it knows the types of its records. Only then are the schemas that their headers name
    /// registered; without it no header may name one.
    fn knows_types(&self) -> bool {
        self.format().knows_types()
    }

    /// The most tasks that make sense.
    fn tasks_max(&self) -> u32 {
        u32::MAX
    }

    /// What is right but perhaps not meant, found by a look at what is near, such as files: for
    /// `towpath check`. One line each. Changes nothing and goes to no other machine.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// A new task.
    fn source(&self) -> Box<dyn Source>;
}

/// A checked configuration of a sink.
pub trait SinkConfig: Debug + Send + Sync {
    /// What is written to, in a form that stays the same when only the connector's name changes.
    fn far_side(&self) -> String;

    /// What it names the things by that it writes, if each of them bears one writer only.
    fn path(&self) -> Option<&Template> {
        None
    }

    /// What is written, and of which fields; `None` takes the topic's format.
    fn format(&self) -> (Option<OutputFormat>, Fields);

    /// The most tasks that make sense.
    fn tasks_max(&self) -> u32 {
        u32::MAX
    }

    /// What the options alone cannot tell: whether they fit `topics`, each with its name and number
    /// of partitions. An error's text says what to change.
    fn check_topics(&self, topics: &[(String, u32)]) -> Result<(), String> {
        let _ = topics;
        Ok(())
    }

    /// A new task.
    fn sink(&self) -> Box<dyn Sink>;
}

/// The connector and transform types of this build.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    types: Vec<ConnectorType>,
    transforms: Vec<TransformType>,
}

impl Registry {
    /// A registry of `types`, whose names differ.
    pub fn new(types: Vec<ConnectorType>) -> Self {
        Self {
            types,
            transforms: Vec::new(),
        }
    }

    /// In the order in which they were registered.
    pub fn types(&self) -> &[ConnectorType] {
        &self.types
    }

    /// The connector type called `name`.
    pub fn get(&self, name: &str) -> Option<&ConnectorType> {
        self.types.iter().find(|connector| connector.name == name)
    }

    /// With these transform types.
    #[must_use]
    pub fn with_transforms(mut self, transforms: Vec<TransformType>) -> Self {
        self.transforms = transforms;
        self
    }

    /// In the order in which they were registered.
    pub fn transforms(&self) -> &[TransformType] {
        &self.transforms
    }

    /// The transform type `name`.
    pub fn transform(&self, name: &str) -> Option<&TransformType> {
        self.transforms.iter().find(|known| known.name == name)
    }
}
