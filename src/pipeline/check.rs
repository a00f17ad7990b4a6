//! What only all files together show: names that collide, topics that nobody fills, formats that
//! do not agree.

mod dead_letters;
mod keys;
mod sinks;
mod streams;
mod tables;

use std::collections::{BTreeMap, HashMap, HashSet};

use towpath_sdk::Template;
use towpath_sdk::config::{Format, Problem, Problems, Span, nearest};
use towpath_sdk::printable;

use crate::document::Draft;
use crate::load::Surroundings;
use crate::options::{Cleanup, Partitions, TopicSelector};
use crate::pipeline::{Connector, Input, Output, Sink, Source, Stream, Topic};
use crate::transform::{check_fields, output};

/// What the worker keeps its own state under.
const WORKER_OWNER: &str = "towpath";

/// All files that were read.
pub(crate) struct Together<'a> {
    pub drafts: &'a [Draft],
    /// Whether that are all; otherwise what is missing may stand in the others.
    pub complete: bool,
    pub surroundings: &'a Surroundings<'a>,
}

impl Together<'_> {
    /// Reports what does not go together; every topic that is known by name.
    pub fn check(
        &self,
        problems: &mut Problems,
        warnings: &mut Problems,
    ) -> BTreeMap<String, Topic> {
        self.check_names(problems);
        self.check_groups(problems);
        let topics = self.topics(problems);
        self.check_existing(problems);
        self.check_keys(warnings);
        self.check_streams(&topics, problems);
        self.check_formats(&topics, problems);
        self.check_fields(&topics, problems);
        self.check_reads(&topics, problems, warnings);
        self.check_sinks(&topics, problems);
        self.check_writers(&topics, problems);
        self.check_dead_letters(&topics, problems);
        self.check_tables(&topics, problems);
        self.check_tasks(warnings);
        topics
    }

    fn connectors(&self) -> impl Iterator<Item = &Connector> {
        let pipelines = self.drafts.iter().map(|draft| &draft.pipeline);
        pipelines.flat_map(|pipeline| pipeline.connectors())
    }

    fn outputs(&self) -> impl Iterator<Item = (&Connector, &Output)> {
        let pipelines = self.drafts.iter().map(|draft| &draft.pipeline);
        pipelines.flat_map(|pipeline| pipeline.outputs())
    }

    fn inputs(&self) -> impl Iterator<Item = (&Connector, &Input)> {
        let pipelines = self.drafts.iter().map(|draft| &draft.pipeline);
        pipelines.flat_map(|pipeline| pipeline.inputs())
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        self.drafts.iter().flat_map(|draft| &draft.pipeline.sources)
    }

    fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.drafts.iter().flat_map(|draft| &draft.pipeline.streams)
    }

    fn sinks(&self) -> impl Iterator<Item = &Sink> {
        self.drafts.iter().flat_map(|draft| &draft.pipeline.sinks)
    }

    /// Names of pipelines, and of connectors over all pipelines, stand for one thing each.
    fn check_names(&self, problems: &mut Problems) {
        let mut pipelines: HashMap<&str, Span> = HashMap::new();
        for draft in self.drafts {
            let pipeline = &draft.pipeline;
            if pipeline.name.is_empty() {
                continue; // It is wrong in itself.
            }
            if let Some(first) = pipelines.insert(&pipeline.name, pipeline.span) {
                let message = format!("a second pipeline named `{}`", printable(&pipeline.name));
                let problem = Problem::new(pipeline.span, message).related(first, "the first");
                problems.push(problem.help("give one of them another `name:`"));
            }
        }
        let mut connectors: HashMap<&str, Span> = HashMap::new();
        for connector in self.connectors() {
            if let Some(first) = connectors.insert(&connector.full_name, connector.span) {
                let message = format!("a second connector named `{}`", connector.full_name);
                let problem = Problem::new(connector.span, message).related(first, "the first");
                problems.push(problem.help("sources, streams and sinks need different names, too"));
            }
        }
    }

    /// Offsets and state under one name belong to one connector; the worker keeps its own under
    /// its name.
    fn check_groups(&self, problems: &mut Problems) {
        let sources = self.sources().map(|source| &source.connector);
        let without_group = self.inputs().filter(|(_, input)| input.group.is_none());
        let mut owners: HashMap<&str, Span> = sources
            .chain(without_group.map(|(connector, _)| connector))
            .map(|connector| (&*connector.full_name, connector.span))
            .collect();
        for (connector, input) in self.inputs() {
            let Some(group) = input.group.as_deref() else {
                continue;
            };
            if group == WORKER_OWNER {
                let message = format!("the group `{WORKER_OWNER}` is the worker's own");
                let problem = Problem::new(connector.span, message);
                problems.push(problem.help("choose another name for `group`"));
            }
            if let Some(first) = owners.insert(group, connector.span) {
                let message = format!("the group `{}` has another owner", printable(group));
                let problem = Problem::new(connector.span, message).related(first, "this one");
                problems.push(problem.help("two cannot share offsets; use `tasks` to share work"));
            }
        }
    }

    /// Every topic that is declared or written under a constant name.
    fn topics(&self, problems: &mut Problems) -> BTreeMap<String, Topic> {
        let mut topics: BTreeMap<String, Topic> = BTreeMap::new();
        for topic in self.drafts.iter().flat_map(|draft| &draft.pipeline.topics) {
            if let Some(first) = topics.get(&topic.name) {
                let message = format!("the topic `{}` is declared twice", topic.name);
                let problem = Problem::new(topic.span, message).related(first.span, "first here");
                problems.push(problem.help("all pipelines can use it; declare it once"));
            } else {
                topics.insert(topic.name.clone(), topic.clone());
            }
        }
        for (_, output) in self.outputs() {
            if let Some(name) = output.constant_topic() {
                topics
                    .entry(name.to_owned())
                    .or_insert_with(|| undeclared(name));
            }
        }
        for topic in topics.values_mut() {
            let existing = self.surroundings.existing_topics.get(&topic.name);
            let held = existing.and_then(|existing| existing.format);
            topic.format = topic.format.or(held);
            let partitions = existing.and_then(|held| Partitions::new(held.partitions));
            topic.partitions = topic.partitions.or(partitions);
        }
        self.find_formats(&mut topics);
        topics
    }

    /// A topic that is there cannot become what is declared, but for more partitions.
    fn check_existing(&self, problems: &mut Problems) {
        for topic in self.drafts.iter().flat_map(|draft| &draft.pipeline.topics) {
            let name = &topic.name;
            let Some(held) = self.surroundings.existing_topics.get(name) else {
                continue;
            };
            if let (Some(declared), Some(format)) = (topic.format, held.format)
                && declared != format
            {
                let (declared, format) = (declared.as_str(), format.as_str());
                let message = format!(
                    "`{name}` is declared {declared}, but the data directory holds it as {format}"
                );
                let help = format!("declare it with `format: {format}`, or use another topic");
                problems.push(Problem::new(topic.span, message).help(help));
            }
            if let Some(declared) = topic.partitions.map(Partitions::get)
                && declared < held.partitions
            {
                let held = held.partitions;
                let message = format!(
                    "`{name}` has {held} partitions in the data directory, which cannot become {declared}"
                );
                let help = format!("declare {held} or more, or use another topic");
                problems.push(Problem::new(topic.span, message).help(help));
            }
        }
    }

    /// Everything written to a topic has the topic's format.
    fn check_formats(&self, topics: &BTreeMap<String, Topic>, problems: &mut Problems) {
        let declared = self.drafts.iter().flat_map(|draft| &draft.pipeline.topics);
        let declared_formats: HashSet<&str> = declared
            .filter(|topic| topic.format.is_some())
            .map(|topic| &*topic.name)
            .collect();
        let mut first_writers: HashMap<&str, (&Connector, &Output)> = HashMap::new();
        for (connector, output, written) in self.written(topics) {
            let Some((name, written)) = output.constant_topic().zip(written) else {
                continue;
            };
            let Some(topic) = topics.get(name) else {
                continue;
            };
            let (first, first_output) = *first_writers.entry(name).or_insert((connector, output));
            let Some(format) = topic.format.filter(|format| *format != written) else {
                continue;
            };
            let writer = &connector.name;
            let (written, format) = (written.as_str(), format.as_str());
            let held = self.surroundings.existing_topics.contains_key(name);
            problems.push(if !declared_formats.contains(name) && held {
                let message = format!("`{writer}` writes {written} to `{name}`, which the data directory holds as {format}");
                Problem::new(output.topic_span, message)
                    .help(format!("let it write {format}, or to another topic"))
            } else if !declared_formats.contains(name) {
                let first_name = &first.name;
                let message = format!("`{writer}` writes {written} to `{name}`, but `{first_name}` writes {format}");
                Problem::new(output.topic_span, message)
                    .related(first_output.topic_span, format!("`{first_name}` writes {format}"))
                    .help("let them write the same format, or to different topics")
            } else {
                let message = format!("`{writer}` writes {written} to `{name}`, whose values are {format}");
                Problem::new(output.topic_span, message)
                    .related(topic.span, "declared here")
                    .help(format!("declare the topic with `format: {written}`, or let `{writer}` write {format}"))
            });
        }
    }

    /// Only values that are JSON have fields that templates can look at.
    fn check_fields(&self, topics: &BTreeMap<String, Topic>, problems: &mut Problems) {
        for source in self.sources() {
            let (name, format) = (&source.connector.name, source.format());
            let read = source.config.format().topic_format();
            check_fields(&source.connector.transforms, name, read, problems);
            if format != Format::Json {
                let fields = source.connector.fields.iter();
                fields.for_each(|field| field.refuse(name, format, problems));
            }
        }
        let is_sound = |draft: &Draft| draft.writes.len() == draft.pipeline.outputs().count();
        if !self.complete || !self.drafts.iter().all(is_sound) {
            return; // What a broken source writes may be JSON.
        }
        for (connector, input) in self.inputs() {
            let read = self.formats_read(input, topics);
            let read = read.iter().find(|(_, format)| *format != Format::Json);
            if let Some((name, format)) = read {
                check_fields(&connector.transforms, name, *format, problems);
            }
            let behind = self.formats_behind(connector, input, topics);
            let without = behind.iter().find(|(_, format)| *format != Format::Json);
            if let Some((name, format)) = without {
                let fields = connector.fields.iter();
                fields.for_each(|field| field.refuse(name, *format, problems));
            }
        }
        for sink in self.sinks() {
            let behind = self.formats_behind(&sink.connector, &sink.input, topics);
            let without = behind.iter().find(|(_, format)| *format != Format::Json);
            if let Some((name, format)) = without {
                refuse_output(sink, name, *format, problems);
            }
        }
    }

    /// Every topic that is read is one that somebody fills.
    fn check_reads(
        &self,
        topics: &BTreeMap<String, Topic>,
        problems: &mut Problems,
        warnings: &mut Problems,
    ) {
        let writes = || self.drafts.iter().flat_map(|draft| &draft.writes);
        let all_known = self.complete && writes().all(Option::is_some);
        if !all_known {
            return;
        }
        let existing = self.surroundings.existing_topics;
        let constant = writes().flatten().filter(|topic| topic.is_constant());
        let written: Vec<&str> = constant.map(Template::literal_prefix).collect();
        let names = || {
            let known = topics.keys().chain(existing.keys()).map(String::as_str);
            let declared = self.drafts.iter().flat_map(|draft| &draft.declares);
            known
                .chain(written.iter().copied())
                .chain(declared.map(String::as_str))
                .chain(self.dead_letter_topics())
        };
        let transforms = self.outputs().flat_map(|(writer, _)| &writer.transforms);
        let routes = transforms
            .into_iter()
            .any(|each| each.config.changes_places());
        for (selector, span) in self.drafts.iter().flat_map(|draft| &draft.reads) {
            let some_template = |name: &str| writes().flatten().any(|topic| may_write(topic, name));
            match selector {
                TopicSelector::Name(name) if names().any(|known| known == name) => {}
                TopicSelector::Name(name) if some_template(name) => {}
                TopicSelector::Name(name) => {
                    let message =
                        format!("nothing writes the topic `{name}`, and it is not declared");
                    let problem = Problem::new(*span, message);
                    let near = nearest(name, names());
                    let near = near.map(|near| format!("did you mean `{near}`? "));
                    let declare = match near.is_none() || routes {
                        true => format!(
                            "if {} or another pipeline fills it, declare it: `topics: {{ {name}: {{}} }}`",
                            if routes {
                                "a transform, `produce`"
                            } else {
                                "`produce`"
                            },
                        ),
                        false => String::new(),
                    };
                    let help = near.unwrap_or_default() + &declare;
                    problems.push(problem.help(help.trim_end()));
                }
                TopicSelector::Pattern(_) if names().any(|known| selector.matches(known)) => {}
                TopicSelector::Pattern(_) => {
                    let message = "no topic matches this pattern yet";
                    warnings.push(Problem::new(*span, message));
                }
            }
        }
    }

    /// More tasks than the connector has use for.
    fn check_tasks(&self, warnings: &mut Problems) {
        let sources = self
            .sources()
            .map(|source| (&source.connector, source.config.tasks_max()));
        let sinks = self
            .sinks()
            .map(|sink| (&sink.connector, sink.config.tasks_max()));
        for (connector, tasks_max) in sources.chain(sinks) {
            if connector.tasks.get() > tasks_max {
                let message = format!("{} tasks, but it has use for {tasks_max}", connector.tasks);
                warnings.add(connector.span, message);
            }
        }
    }
}

fn undeclared(name: &str) -> Topic {
    let name = name.to_owned();
    Topic {
        name,
        partitions: None,
        format: None,
        cleanup: Cleanup::Delete,
        retention: None,
        span: Span::NONE,
    }
}

/// Whether what has this `topic` template may write to the topic `name`.
fn may_write(topic: &Template, name: &str) -> bool {
    match topic.is_constant() {
        true => topic.literal_prefix() == name,
        false => name.starts_with(topic.literal_prefix()),
    }
}

/// Values of `topic` that have no parts cannot be written in a format that needs some.
fn refuse_output(sink: &Sink, topic: &str, format: Format, problems: &mut Problems) {
    if let (Some(output), fields) = sink.config.format()
        && !output.fits(&fields, format)
    {
        let (word, format) = (output.as_str(), format.as_str());
        let message = format!("{word} needs JSON, but the values of `{topic}` are {format}");
        let help = "write `format: json` where they are read, add a transform such as `parse_json`, \
                    or write `fields: [value, offset]` and columns `value`, `offset`";
        problems.push(Problem::new(sink.format_span, message).help(help));
    }
}
