//! Topics of dead letters: what goes there must not come back, and fit.

use towpath_sdk::OnError;

use super::*;

impl Together<'_> {
    /// Connectors whose bad records are kept, with what else they do to the topic where.
    fn keeping(&self) -> impl Iterator<Item = (&Connector, Option<&'static str>)> {
        let outputs = self.outputs().map(|(connector, output)| {
            let same = output.constant_topic() == Some(&connector.on_error.topic);
            (connector, same.then_some("writes its records to"))
        });
        let inputs = self.inputs().map(|(connector, input)| {
            let reads = input.reads(&connector.on_error.topic);
            (connector, reads.then_some("reads"))
        });
        let all = outputs.chain(inputs);
        all.filter(|(connector, _)| connector.on_error.action == OnError::DeadLetter)
    }

    /// Dead letters stand apart from what their connector works on, in a topic for any bytes.
    pub(super) fn check_dead_letters(
        &self,
        topics: &BTreeMap<String, Topic>,
        problems: &mut Problems,
    ) {
        for (connector, use_of_topic) in self.keeping() {
            let topic = &connector.on_error.topic;
            let span = connector.node.span_of("on_error");
            if let Some(does) = use_of_topic {
                let name = &connector.name;
                let message = format!("`{name}` {does} `{topic}`, where its dead letters would go");
                let problem = Problem::new(span, message);
                problems
                    .push(problem.help(
                        "name another one: `on_error: { action: dead_letter, topic: NAME }`",
                    ));
            }
            let known = topics.get(topic);
            if let Some(known) = known.filter(|known| known.cleanup == Cleanup::Compact) {
                let message =
                    format!("compaction of `{topic}` would drop dead letters with the same key");
                let problem = Problem::new(span, message).related(known.span, "declared here");
                problems.push(
                    problem.help("name another topic, or declare it without `cleanup: compact`"),
                );
            }
            let held = self.surroundings.existing_topics.get(topic);
            let format = match known {
                Some(known) => known.format,
                None => held.and_then(|held| held.format),
            };
            if format == Some(Format::Json) {
                let message =
                    format!("dead letters are any bytes, but the values of `{topic}` are json");
                let problem = Problem::new(span, message);
                let problem = match known.filter(|known| known.span != Span::NONE) {
                    Some(known) => problem.related(known.span, "declared here"),
                    None => problem,
                };
                problems
                    .push(problem.help("name another topic, or declare it with `format: bytes`"));
            }
        }
    }

    /// Whether `topic` is one of dead letters.
    pub(super) fn holds_dead_letters(&self, topic: &str) -> bool {
        self.dead_letter_topics().any(|name| name == topic)
    }

    /// Every topic of dead letters, also of a connector that is wrong elsewhere.
    pub(super) fn dead_letter_topics(&self) -> impl Iterator<Item = &str> {
        let topics = self.drafts.iter().flat_map(|draft| &draft.dead_letters);
        topics.map(String::as_str)
    }
}
