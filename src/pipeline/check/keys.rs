//! Keys: that records have one where it counts, and where those of a key stand.

use super::*;

impl Together<'_> {
    pub(super) fn check_keys(&self, warnings: &mut Problems) {
        let declared = self.drafts.iter().flat_map(|draft| &draft.pipeline.topics);
        for topic in declared {
            if topic.cleanup == Cleanup::Compact {
                self.check_keyless(topic, warnings);
            }
            self.check_more_partitions(topic, warnings);
        }
    }

    /// A compacted topic takes no record without a key, and no source has keys of its own.
    fn check_keyless(&self, topic: &Topic, warnings: &mut Problems) {
        let writes = |source: &&Source| source.output.constant_topic() == Some(&topic.name);
        for Source {
            connector, output, ..
        } in self.sources().filter(writes)
        {
            let mut transforms = connector.transforms.iter();
            if output.key.is_none() && !transforms.any(|transform| transform.config.makes_keys()) {
                let (name, to) = (&connector.name, &topic.name);
                let message = format!(
                    "nothing gives the records of `{name}` a key, and `{to}` takes none without"
                );
                let problem = Problem::new(output.topic_span, message);
                let problem = problem.related(topic.span, "compacted by key");
                warnings.push(problem.help("give the source a `key`, such as `key: '{value.id}'`"));
            }
        }
    }

    /// By the key a record finds its partition, as Kafka has it: with more of them another one.
    fn check_more_partitions(&self, topic: &Topic, warnings: &mut Problems) {
        let held = self.surroundings.existing_topics.get(&topic.name);
        let declared = topic.partitions.map(Partitions::get);
        let Some((held, declared)) = held.zip(declared) else {
            return;
        };
        let more = declared.saturating_sub(held.partitions);
        if more > 0 {
            let message = format!(
                "`{}` gets {more} more partitions: records of a key go to another one than before",
                topic.name
            );
            let help = match topic.cleanup {
                Cleanup::Compact => {
                    "what stands for a key in its former partition stays there for ever: fill \
                     another topic anew instead"
                }
                Cleanup::Delete => {
                    "their order holds within each; `dedupe` does not know them in the other one"
                }
            };
            warnings.push(Problem::new(topic.span, message).help(help));
        }
    }
}
