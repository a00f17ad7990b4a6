//! Topics that transforms look records up in: they must keep the newest record of each key.

use super::*;

impl Together<'_> {
    /// Retention would drop rows of a table one day. What is there already and is not declared is
    /// taken as it is.
    pub(super) fn check_tables(&self, topics: &BTreeMap<String, Topic>, problems: &mut Problems) {
        let transforms = self.connectors().flat_map(|each| &each.transforms);
        for transform in transforms {
            let topic = transform.config.table_topic();
            let Some(topic) = topic.and_then(|name| topics.get(name)) else {
                continue;
            };
            let name = &topic.name;
            let is_declared = topic.span != Span::NONE;
            let is_there = self.surroundings.existing_topics.contains_key(name);
            if topic.cleanup == Cleanup::Compact || !is_declared && is_there {
                continue;
            }
            let message = format!("retention would drop rows of the table `{name}`");
            let problem = Problem::new(transform.span, message);
            let problem = match is_declared {
                true => problem.related(topic.span, "declared here"),
                false => problem,
            };
            problems.push(problem.help(format!(
                "declare it as a table: `topics: {{ {name}: {{ cleanup: compact }} }}`"
            )));
        }
    }
}
