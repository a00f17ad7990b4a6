//! The options.

use std::num::NonZeroU64;
use std::sync::Arc;

use towpath_sdk::config::{Format, InputFormat, Node, Problems, Size, options};
use towpath_sdk::{Source, SourceConfig};

use crate::source::Generate;

/// A record has to fit in a batch.
const SIZE_BYTES_MAX: u64 = 64 << 20;

options! {
    /// Makes up records.
    pub struct GenerateOptions {
        /// Records a second, over all tasks; as fast as they are taken when absent.
        pub rate: Option<NonZeroU64>,
        /// How many; without end when absent.
        pub count: Option<u64>,
        /// Bytes of a value, or as many as its number takes.
        pub size: Size = "100B",
        /// What the values are: letters, JSON objects or any bytes.
        pub format: Format = "text",
        /// Another seed gives other values.
        pub seed: u64 = 0,
    }
}

pub(crate) fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn SourceConfig>> {
    let options = GenerateOptions::parse(node, problems)?;
    if options.size.0 > SIZE_BYTES_MAX {
        problems.add(node.span_of("size"), "the largest size is 64MiB");
        return None;
    }
    Some(Arc::new(GenerateConfig(Arc::new(options))))
}

/// A checked configuration.
#[derive(Debug)]
struct GenerateConfig(Arc<GenerateOptions>);

impl SourceConfig for GenerateConfig {
    fn far_side(&self) -> String {
        format!("seed {}", self.0.seed)
    }

    fn has_end(&self) -> bool {
        self.0.count.is_some()
    }

    fn format(&self) -> InputFormat {
        self.0.format.into()
    }

    fn source(&self) -> Box<dyn Source> {
        Box::new(Generate::new(self.0.clone()))
    }
}
