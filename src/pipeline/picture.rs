//! What flows where, in lines such as `nginx (file) -> access-logs [4] -> archive (file)`.

use crate::{Connector, Loaded, Pipeline, TopicDefaults};

/// One line for each topic that `pipeline` writes or reads.
pub fn picture(loaded: &Loaded, pipeline: &Pipeline, defaults: &TopicDefaults) -> Vec<String> {
    let mut topics: Vec<&str> = Vec::new();
    let written = pipeline.outputs().map(|(_, output)| output.topic.as_str());
    let read = loaded.topics.keys().map(String::as_str);
    let read = read.filter(|topic| pipeline.inputs().any(|(_, input)| input.reads(topic)));
    let declared = pipeline.topics.iter().map(|topic| &*topic.name);
    for topic in written.chain(read).chain(declared) {
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    topics
        .into_iter()
        .map(|topic| line(loaded, pipeline, defaults, topic))
        .collect()
}

fn line(loaded: &Loaded, pipeline: &Pipeline, defaults: &TopicDefaults, topic: &str) -> String {
    let from = pipeline
        .outputs()
        .filter(|(_, output)| output.topic.as_str() == topic);
    let from: Vec<String> = from.map(|(connector, _)| label(connector)).collect();
    let to = pipeline.inputs().filter(|(_, input)| input.reads(topic));
    let to: Vec<String> = to.map(|(connector, _)| label(connector)).collect();
    let middle = match loaded.topics.get(topic) {
        Some(known) => format!(
            "{topic} [{}]",
            known.partitions.unwrap_or(defaults.partitions)
        ),
        None => topic.to_owned(),
    };
    let parts = [from.join(", "), middle, to.join(", ")];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" -> ")
}

fn label(connector: &Connector) -> String {
    let off = if connector.enabled { "" } else { ", off" };
    format!("{} ({}{off})", connector.name, connector.type_name)
}
