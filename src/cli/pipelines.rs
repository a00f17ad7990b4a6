//! Reading pipelines for `check` and `run`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use towpath_log::Log;
use towpath_pipeline::{Loaded, ProcessEnvironment, Surroundings, WorkerConfig, load};

use super::failure::Failure;
use super::output::{colour, note};
use crate::registry::registry;

/// Topics that are there, with their numbers of partitions.
pub type Topics = BTreeMap<String, u32>;

/// The topics of `log`.
pub fn topics_of(log: &Log) -> Topics {
    log.topics()
        .into_iter()
        .map(|topic| (topic.name, topic.config.partitions))
        .collect()
}

/// Reads `paths`, says what is probably not meant, and refuses what is wrong.
pub fn read(paths: &[PathBuf], config: &WorkerConfig, there: &Topics) -> Result<Loaded, Failure> {
    let loaded = load(
        paths,
        &Surroundings {
            registry: &registry(),
            environment: &ProcessEnvironment,
            existing_topics: there,
            topic_defaults: &config.topic_defaults,
        },
    )
    .map_err(|diagnostics| Failure::diagnostics(&diagnostics, colour()))?;
    if !loaded.warnings.is_empty() {
        note(loaded.warnings.render_warnings(colour()).trim_end());
    }
    Ok(loaded)
}
