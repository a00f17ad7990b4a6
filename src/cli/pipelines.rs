//! Reading pipelines for `check` and `run`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use towpath_log::{Log, TopicInfo};
use towpath_pipeline::{
    Diagnostics, ExistingTopic, Loaded, Partitions, ProcessEnvironment, Surroundings, WorkerConfig,
    load, load_with_cases,
};
use towpath_sdk::config::{Format, Integer};

use super::failure::Failure;
use super::output::{colour, note};
use crate::registry::registry;

/// A pipeline may declare as many partitions as the log takes.
const _: () = assert!(Partitions::HIGHEST == towpath_log::PARTITIONS_MAX as u64);

/// Topics that are there.
pub type Topics = BTreeMap<String, ExistingTopic>;

/// The topics of `log`.
pub fn topics_of(log: &Log) -> Topics {
    let topic = |topic: TopicInfo| {
        let there = existing(topic.config.partitions, &topic.config.format);
        (topic.name, there)
    };
    log.topics().into_iter().map(topic).collect()
}

/// A topic that is there.
pub fn existing(partitions: u32, format: &str) -> ExistingTopic {
    let format = Format::from_word(format);
    ExistingTopic { partitions, format }
}

/// Reads `paths`, says what is probably not meant, and refuses what is wrong.
pub fn read(paths: &[PathBuf], config: &WorkerConfig, there: &Topics) -> Result<Loaded, Failure> {
    read_by(load, paths, config, there)
}

/// As [`read`], with the cases beside the pipelines and no topics but theirs.
pub fn read_with_cases(paths: &[PathBuf], config: &WorkerConfig) -> Result<Loaded, Failure> {
    read_by(load_with_cases, paths, config, &Topics::new())
}

fn read_by(
    load: fn(&[PathBuf], &Surroundings<'_>) -> Result<Loaded, Diagnostics>,
    paths: &[PathBuf],
    config: &WorkerConfig,
    there: &Topics,
) -> Result<Loaded, Failure> {
    let surroundings = Surroundings {
        registry: &registry(),
        environment: &ProcessEnvironment,
        existing_topics: there,
        topic_defaults: &config.topic_defaults,
    };
    let loaded = load(paths, &surroundings)
        .map_err(|diagnostics| Failure::diagnostics(&diagnostics, colour()))?;
    if !loaded.warnings.is_empty() {
        note(loaded.warnings.render_warnings(colour()).trim_end());
    }
    Ok(loaded)
}
