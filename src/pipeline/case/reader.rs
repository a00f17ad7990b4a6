//! Reading the cases of a pipeline: their shape, and whether their names mean something in it.

use std::path::{Path, PathBuf};

use towpath_sdk::config::{Key, Named, Node, NodeValue, OneOrMany, Problem, Problems, Span};
use towpath_sdk::{Registry, printable};

use super::{
    Brief, Case, CaseOptions, Content, FileBeside, InputOptions, InputRecord, InputRecordOptions,
};
use crate::diagnostic::Sources;
use crate::options::TopicSelector;

/// Where the cases of `file` may stand besides `file` itself.
pub(crate) fn file_beside(file: &Path) -> PathBuf {
    let end = file.extension().unwrap_or_default().to_string_lossy();
    file.with_extension(format!("test.{end}"))
}

/// Whether `file` holds cases, and no pipeline.
pub(crate) fn is_beside(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".test.yaml") || name.ends_with(".test.yml")
}

/// Reads the cases of one pipeline.
pub(crate) struct CaseReader<'a> {
    pub registry: &'a Registry,
    /// The pipeline, as it was read.
    pub document: &'a Node,
    /// What its streams and sinks read.
    pub reads: &'a [(TopicSelector, Span)],
    /// The texts, to say where a case stands.
    pub sources: &'a Sources,
}

impl CaseReader<'_> {
    /// Those in the pipeline itself.
    pub fn inside(&self, problems: &mut Problems) -> Vec<Case> {
        self.cases(self.document.get("tests"), problems)
    }

    /// Those in the file beside it, whose tree is `root`.
    pub fn beside(&self, root: &Node, problems: &mut Problems) -> Vec<Case> {
        if FileBeside::parse(root, problems).is_none() {
            return Vec::new();
        }
        self.cases(root.get("tests"), problems)
    }

    /// The sound ones of a list; every problem is reported.
    fn cases(&self, list: Option<&Node>, problems: &mut Problems) -> Vec<Case> {
        let Some(list) = list else {
            return Vec::new();
        };
        let NodeValue::List(items) = &list.value else {
            let message = format!("expected a list of cases, found {}", list.found());
            problems.push(Problem::new(list.span, message).help("begin each with `- name:`"));
            return Vec::new();
        };
        let read = items.iter().filter_map(|item| self.case(item, problems));
        read.collect()
    }

    fn case(&self, item: &Node, problems: &mut Problems) -> Option<Case> {
        self.check_names(item, problems);
        let options = CaseOptions::parse(item, problems)?;
        let now_ms = options.now.0;
        let InputOptions { sources, topics } = options.input;
        let (file, line) = self.sources.locate(item.span)?;
        Some(Case {
            name: options.name,
            file: file.into(),
            line,
            now_ms,
            sources: self.records(sources, now_ms),
            topics: self.records(topics, now_ms),
            expected: options.expect,
        })
    }

    fn records(
        &self,
        named: Named<OneOrMany<Brief<InputRecordOptions>>>,
        now_ms: i64,
    ) -> Vec<(String, Vec<InputRecord>)> {
        let of_name = |(name, records): (String, OneOrMany<Brief<InputRecordOptions>>)| {
            let known = self.origin_names(&name);
            let records = records.0.into_iter().map(|Brief(options)| {
                let fields = options.origin.0.into_iter();
                InputRecord {
                    value: options.value,
                    key: options.key.unwrap_or(Content::Null),
                    headers: options.headers.0,
                    timestamp_ms: options.timestamp.map_or(now_ms, |time| time.0),
                    origin: fields
                        .filter_map(|(field, value)| {
                            let known = known.iter().find(|(name, _)| *name == field)?;
                            Some((known.0, value))
                        })
                        .collect(),
                }
            });
            (name, records.collect())
        };
        named.0.into_iter().map(of_name).collect()
    }

    /// What the source `name` calls its own in templates.
    fn origin_names(&self, name: &str) -> &'static [(&'static str, &'static str)] {
        let source = self.document.get("sources").and_then(|all| all.get(name));
        let word = source.and_then(|source| source.get("type"));
        let found = word.and_then(|word| self.registry.get(word.text()?));
        found
            .and_then(|found| found.source.as_ref())
            .map_or(&[], |source| source.template_names)
    }

    /// Reports names that mean nothing in this pipeline.
    fn check_names(&self, case: &Node, problems: &mut Problems) {
        let part = |part: &str, name: &str| entries(case.get(part).and_then(|of| of.get(name)));
        let sources: Vec<&str> = names(self.document.get("sources")).collect();
        let sinks: Vec<&str> = names(self.document.get("sinks")).collect();
        for (key, records) in part("input", "sources") {
            if check("source", key, &sources, problems) {
                let known = self.origin_names(&key.name);
                let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                check_origins(records, &known, problems);
            }
        }
        for (key, records) in part("input", "topics") {
            self.check_topic(key, problems);
            check_origins(records, &[], problems);
        }
        for (key, _) in part("expect", "sinks") {
            check("sink", key, &sinks, problems);
        }
        let streams: Vec<&str> = names(self.document.get("streams")).collect();
        let all = [&*sources, &streams, &sinks].concat();
        for (key, _) in part("expect", "refused") {
            check("connector", key, &all, problems);
        }
    }

    /// A topic is given records for those who read it.
    fn check_topic(&self, topic: &Key, problems: &mut Problems) {
        if self.reads.iter().any(|(read, _)| read.matches(&topic.name)) {
            return;
        }
        let message = format!("nothing here reads the topic `{}`", printable(&topic.name));
        let named = self.reads.iter().filter_map(|(read, _)| match read {
            TopicSelector::Name(name) => Some(&**name),
            TopicSelector::Pattern(_) => None,
        });
        problems.push(Problem::new(topic.span, message).suggest(&topic.name, named));
    }
}

/// Whether the pipeline has what `key` names; otherwise that is reported.
fn check(what: &str, key: &Key, known: &[&str], problems: &mut Problems) -> bool {
    let is_known = known.contains(&&*key.name);
    if !is_known {
        let message = format!("the pipeline has no {what} `{}`", printable(&key.name));
        let problem = Problem::new(key.span, message);
        problems.push(problem.suggest(&key.name, known.iter().copied()));
    }
    is_known
}

/// Reports names in the `origin` of `records` that are not among `known`.
fn check_origins(records: &Node, known: &[&str], problems: &mut Problems) {
    let records = match &records.value {
        NodeValue::List(items) => items,
        _ => std::slice::from_ref(records),
    };
    for (key, _) in records
        .iter()
        .flat_map(|record| entries(record.get("origin")))
    {
        if !known.contains(&&*key.name) {
            let message = format!("the source has no name `{}`", printable(&key.name));
            let problem = Problem::new(key.span, message);
            problems.push(problem.suggest(&key.name, known.iter().copied()));
        }
    }
}

fn entries(node: Option<&Node>) -> &[(Key, Node)] {
    match node.map(|node| &node.value) {
        Some(NodeValue::Map(entries)) => entries,
        _ => &[],
    }
}

fn names(node: Option<&Node>) -> impl Iterator<Item = &str> {
    entries(node).iter().map(|(key, _)| &*key.name)
}
