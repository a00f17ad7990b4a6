//! One pipeline file: its tree to a [`Pipeline`].

use std::path::Path;

use towpath_sdk::config::{Key, Node, NodeValue, Problem, Problems, Span};
use towpath_sdk::{Registry, Template, printable};

use crate::connector::Reader;
use crate::diagnostic::Sources;
use crate::name;
use crate::options::{Cleanup, PipelineOptions, TopicOptions, TopicSelector, without};
use crate::pipeline::{Pipeline, Topic};

/// What a pipeline may say one day.
const LATER: &[(&str, &str)] = &[("plugins", "`plugins`")];

/// A pipeline file as far as it is right.
pub(crate) struct Draft {
    /// Without the connectors in which something is wrong.
    pub pipeline: Pipeline,
    /// Every topic that is declared, also one that is wrong elsewhere.
    pub declares: Vec<String>,
    /// Where every source and stream writes, also one that is wrong elsewhere; `None`: not known.
    pub writes: Vec<Option<Template>>,
    /// What every stream, sink and transform reads, also one that is wrong elsewhere.
    pub reads: Vec<(TopicSelector, Span)>,
    /// The topic of dead letters of every connector that has one, also one that is wrong elsewhere.
    pub dead_letters: Vec<String>,
}

/// Reads the pipeline in `file`; every problem is reported.
pub(crate) fn read(
    document: Node,
    file: &Path,
    registry: &Registry,
    sources: &Sources,
    problems: &mut Problems,
) -> Draft {
    let root = without(&document, LATER, problems);
    let options = PipelineOptions::parse(&root, problems);
    if !matches!(root.value, NodeValue::Map(_)) {
        problems.settle(root.span);
    }
    let (name, span) = name(&root, file, problems);
    let is_empty = |part| {
        root.get(part)
            .is_none_or(|part| part.value == NodeValue::from(()))
    };
    // Topics alone are made, and wait for what fills them.
    let parts = ["sources", "streams", "sinks", "topics"];
    if parts.into_iter().all(is_empty) {
        let problem = Problem::missing(root.span, "the pipeline has no sources, sinks or topics");
        problems.push(problem.help("give it `sources:` and `sinks:`"));
    }
    let part = |name: &str| root.get(name).map_or(&[][..], entries);
    let (writes, reads) = (Vec::new(), Vec::new());
    let mut reader = Reader {
        pipeline: &name,
        registry,
        sources,
        writes,
        reads,
        dead_letters: Vec::new(),
    };
    let declares = part("topics")
        .iter()
        .map(|(key, _)| key.name.clone())
        .collect();
    let topics = part("topics")
        .iter()
        .filter_map(|(key, node)| topic(key, node, problems));
    let topics = topics.collect();
    let sources = part("sources").iter();
    let sources = sources
        .filter_map(|(key, node)| reader.source(key, node, problems))
        .collect();
    let streams = part("streams").iter();
    let streams = streams
        .filter_map(|(key, node)| reader.stream(key, node, problems))
        .collect();
    let sinks = part("sinks").iter();
    let sinks = sinks
        .filter_map(|(key, node)| reader.sink(key, node, problems))
        .collect();
    let Reader {
        writes,
        reads,
        dead_letters,
        ..
    } = reader;
    let description = options.and_then(|options| options.description);
    let file = file.to_owned();
    let pipeline = Pipeline {
        name,
        description,
        file,
        topics,
        sources,
        streams,
        sinks,
        cases: Vec::new(),
        document,
        span,
    };
    Draft {
        pipeline,
        declares,
        writes,
        reads,
        dead_letters,
    }
}

fn entries(node: &Node) -> &[(Key, Node)] {
    match &node.value {
        NodeValue::Map(entries) => entries,
        _ => &[],
    }
}

/// The pipeline's name and where it stands; empty when it is wrong.
fn name(root: &Node, file: &Path, problems: &mut Problems) -> (String, Span) {
    let Some(node) = root.get("name") else {
        return stem(file, root.span, problems);
    };
    match node.text() {
        Some(name) if name::check("pipeline", name, node, problems) => (name.to_owned(), node.span),
        _ => (String::new(), node.span),
    }
}

/// The file's name without extension.
fn stem(file: &Path, root: Span, problems: &mut Problems) -> (String, Span) {
    let name = file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if let Some(why) = name::wrong(&name) {
        let message = format!(
            "the file's name `{}` cannot be the name of a pipeline: {why}",
            printable(&name)
        );
        problems.push(Problem::new(root, message).help("add `name:`"));
    }
    (name, root)
}

fn topic(key: &Key, node: &Node, problems: &mut Problems) -> Option<Topic> {
    let legal = name::check(
        "topic",
        &key.name,
        &Node::new(key.span, &*key.name),
        problems,
    );
    let options = TopicOptions::parse(node, problems)?;
    if options.cleanup == Cleanup::Compact && options.retention.is_some() {
        let message =
            "a topic with `cleanup: compact` keeps the newest record of each key for ever";
        let problem = Problem::new(node.span_of("retention"), message);
        problems.push(problem.help("take `retention` out, or `cleanup`"));
    }
    legal.then(|| Topic {
        name: key.name.clone(),
        partitions: options.partitions,
        format: options.format,
        cleanup: options.cleanup,
        retention: options.retention,
        span: key.span,
    })
}
