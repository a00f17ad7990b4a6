//! Sinks: what their options need of their topics, and that no two write the same.

use towpath_sdk::TemplateName;

use super::*;

impl Together<'_> {
    /// What a sink's options need of its topics.
    pub(super) fn check_sinks(&self, topics: &BTreeMap<String, Topic>, problems: &mut Problems) {
        let default = self.surroundings.topic_defaults.partitions.get();
        let known = topics.iter().map(|(name, topic)| {
            let partitions = topic.partitions.map_or(default, Partitions::get);
            (name, partitions)
        });
        let existing = self.surroundings.existing_topics.iter();
        let existing = existing.map(|(name, topic)| (name, topic.partitions));
        let partitions: BTreeMap<&String, u32> = existing.chain(known).collect();
        for sink in self.sinks() {
            let read = partitions.iter().filter(|(name, _)| sink.input.reads(name));
            let read: Vec<(String, u32)> = read
                .map(|(name, partitions)| ((*name).clone(), *partitions))
                .collect();
            if let Err(why) = sink.config.check_topics(&read) {
                problems.add(sink.connector.span, why);
            }
        }
    }

    /// A file or object has one writer.
    pub(super) fn check_writers(&self, topics: &BTreeMap<String, Topic>, problems: &mut Problems) {
        let existing = self.surroundings.existing_topics;
        let share_topic = |one: &Sink, other: &Sink| {
            let mut known = topics.keys().chain(existing.keys());
            known.any(|name| one.input.reads(name) && other.input.reads(name))
        };
        let mut writers: HashMap<(&str, String), Vec<(&str, &Sink)>> = HashMap::new();
        let pipelines = self.drafts.iter().map(|draft| &draft.pipeline);
        let sinks = pipelines.flat_map(|of| of.sinks.iter().map(|sink| (&*of.name, sink)));
        for (pipeline, sink) in sinks.filter(|(_, sink)| sink.connector.enabled) {
            let Some(path) = sink.config.path() else {
                continue;
            };
            let has = |wanted| path.names().any(|name| *name == wanted);
            let name = &sink.connector.name;
            let is_rival = |(other_pipeline, other): &&(&str, &Sink)| {
                !(has(TemplateName::Topic) && !share_topic(sink, other)
                    || has(TemplateName::Connector) && other.connector.name != *name
                    || has(TemplateName::Pipeline) && *other_pipeline != pipeline)
            };
            let place = (&*sink.connector.type_name, sink.config.far_side());
            let others = writers.entry(place).or_default();
            if let Some((_, first)) = others.iter().find(is_rival) {
                let message = format!(
                    "`{name}` would write to the same places as `{}`",
                    first.connector.full_name
                );
                let span = |sink: &Sink| sink.connector.node.span_of("path");
                let problem = Problem::new(span(sink), message).related(span(first), "its `path`");
                problems.push(
                    problem.help("give each a `path` of its own, such as one with `{connector}`"),
                );
            }
            others.push((pipeline, sink));
        }
    }
}
