//! One connector: its entry to a [`Source`] or [`Sink`].

use towpath_sdk::config::{Key, Node, NodeValue, OptionsSpec, Problem, Problems, Span};
use towpath_sdk::{Registry, Template, printable};

use crate::name;
use crate::options::{CommonOptions, SinkOptions, SourceOptions, TopicSelector};
use crate::pipeline::{Connector, Sink, Source};

/// Connector types that later versions bring.
const LATER_TYPES: &[&str] = &[
    "s3",
    "postgres",
    "http",
    "http_client",
    "http_server",
    "wasm",
];

/// More tasks help nobody, and cost memory each.
const TASKS_MAX: u32 = 1024;

/// The names that the `topic` of a source may use, and those of its `key`.
const TOPIC_NAMES: &[&str] = &[
    "key",
    "timestamp",
    "now",
    "value",
    "headers",
    "pipeline",
    "connector",
];
const KEY_NAMES: &[&str] = &[
    "topic",
    "key",
    "timestamp",
    "now",
    "value",
    "headers",
    "pipeline",
    "connector",
];

/// Reads the connectors of one pipeline, and notes which topics they name.
pub(crate) struct Reader<'a> {
    pub pipeline: &'a str,
    pub registry: &'a Registry,
    /// Where every source writes, also one that is wrong elsewhere; `None`: not known.
    pub writes: Vec<Option<Template>>,
    /// What every sink reads, also one that is wrong elsewhere.
    pub reads: Vec<(TopicSelector, Span)>,
}

/// What is known of a connector before its own options.
struct Frame {
    /// `None` when something of it is wrong.
    connector: Option<Connector>,
    /// The options that every source or sink has.
    role: Node,
    /// The connector's own options.
    own: Node,
}

impl Reader<'_> {
    pub fn source(&mut self, key: &Key, node: &Node, problems: &mut Problems) -> Option<Source> {
        let type_name = self.type_name(node, "source", problems);
        let found = type_name
            .as_deref()
            .and_then(|name| self.registry.get(name));
        let found = found.and_then(|connector| connector.source.as_ref());
        let own = found.map(|source| (source.spec)());
        let frame = self.frame(key, node, &SourceOptions::spec(), own.as_ref(), problems);
        let extra = found
            .map(|source| source.template_names)
            .unwrap_or_default();
        let extra: Vec<&str> = extra.iter().map(|(name, _)| *name).collect();
        let topic = frame.role.get("topic");
        let topic = topic.and_then(|topic| {
            let template = Template::from_node(topic, &[TOPIC_NAMES, &extra].concat(), problems)?;
            let legal = !template.is_constant()
                || name::check("topic", template.literal_prefix(), topic, problems);
            Some((template, topic.span)).filter(|_| legal)
        });
        self.writes
            .push(topic.as_ref().map(|(topic, _)| topic.clone()));
        let options = SourceOptions::parse(&frame.role, problems);
        let config = (found?.parse)(&frame.own, problems);
        let options = options?;
        let key = options.key.as_ref();
        let key =
            key.map(|key| Template::from_node(&key.0, &[KEY_NAMES, &extra].concat(), problems));
        let (topic, topic_span) = topic?;
        Some(Source {
            connector: frame.connector?,
            topic,
            key: match key {
                Some(key) => Some(key?),
                None => None,
            },
            partition_by: options.partition_by,
            config: config?,
            topic_span,
        })
    }

    pub fn sink(&mut self, key: &Key, node: &Node, problems: &mut Problems) -> Option<Sink> {
        let type_name = self.type_name(node, "sink", problems);
        let found = type_name
            .as_deref()
            .and_then(|name| self.registry.get(name));
        let found = found.and_then(|connector| connector.sink.as_ref());
        let own = found.map(|sink| (sink.spec)());
        let frame = self.frame(key, node, &SinkOptions::spec(), own.as_ref(), problems);
        let options = SinkOptions::parse(&frame.role, problems);
        let config = found.map(|sink| (sink.parse)(&frame.own, problems));
        let options = options?;
        if options.topics.is_empty() {
            problems.add(
                frame.role.span_of("topics"),
                "a sink reads at least one topic",
            );
        }
        let spans = match frame
            .role
            .get("topics")
            .map(|node| (&node.value, node.span))
        {
            Some((NodeValue::List(items), _)) => items.iter().map(|item| item.span).collect(),
            Some((_, span)) => vec![span],
            None => Vec::new(),
        };
        self.reads.extend(options.topics.iter().cloned().zip(spans));
        if let (Some(group), Some(node)) = (&options.group, frame.role.get("group")) {
            name::check("group", group, node, problems);
        }
        Some(Sink {
            connector: frame.connector?,
            topics: options.topics.0,
            group: options.group,
            start: options.start,
            config: config??,
        })
    }

    /// The connector's type, when it is one that can be a `role`. Otherwise it was reported.
    fn type_name(&self, node: &Node, role: &str, problems: &mut Problems) -> Option<String> {
        // A missing `type` is reported with the other options.
        let word = node.get("type")?;
        let name = word.text()?;
        let known = self.registry.get(name).filter(|connector| match role {
            "source" => connector.source.is_some(),
            _ => connector.sink.is_some(),
        });
        if known.is_some() {
            return Some(name.to_owned());
        }
        let shown = match &word.reference {
            Some(reference) => printable(&reference.written),
            None => printable(name),
        };
        let able = self.registry.types().iter().filter(|connector| match role {
            "source" => connector.source.is_some(),
            _ => connector.sink.is_some(),
        });
        let able = able.map(|connector| connector.name);
        problems.push(if name.starts_with("plugin.") {
            Problem::not_yet(word.span, format!("the plugin connector `{shown}`"))
        } else if LATER_TYPES.contains(&name) {
            Problem::not_yet(word.span, format!("the connector type `{shown}`"))
        } else if self.registry.get(name).is_some() {
            Problem::new(word.span, format!("`{shown}` cannot be a {role}"))
                .help(format!("possible: {}", able.collect::<Vec<_>>().join(", ")))
        } else {
            Problem::new(word.span, format!("unknown connector type `{shown}`")).suggest(name, able)
        });
        None
    }

    /// Reads what every connector has, and sorts the other options. Unknown ones are reported
    /// when the connector's `own` options are known.
    fn frame(
        &self,
        key: &Key,
        node: &Node,
        role: &OptionsSpec,
        own: Option<&OptionsSpec>,
        problems: &mut Problems,
    ) -> Frame {
        let legal = name::check(
            "connector",
            &key.name,
            &Node::new(key.span, &*key.name),
            problems,
        );
        let common = CommonOptions::spec();
        let known = || {
            let own = own
                .map(|own| own.names().collect::<Vec<_>>())
                .unwrap_or_default();
            common.names().chain(role.names()).chain(own)
        };
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        if let NodeValue::Map(entries) = &node.value {
            for (key, value) in entries {
                let part = if common.get(&key.name).is_some() {
                    0
                } else if role.get(&key.name).is_some() {
                    1
                } else if own.is_none_or(|own| own.get(&key.name).is_some()) {
                    2
                } else {
                    let message = format!("unknown option `{}`", printable(&key.name));
                    let problem = Problem::new(key.span, message);
                    problems.push(problem.suggest(&key.name, known()));
                    continue;
                };
                parts[part].push((key.clone(), value.clone()));
            }
        } else {
            let message = format!(
                "expected the options of a connector, found {}",
                node.found()
            );
            problems.push(Problem::new(node.span, message).help("a map with `type`"));
            problems.settle(node.span);
        }
        let [common, role, own] = parts.map(|entries| Node {
            value: NodeValue::Map(entries),
            ..node.clone()
        });
        let connector = self
            .connector(key, node, &common, problems)
            .filter(|_| legal);
        Frame {
            connector,
            role,
            own,
        }
    }

    fn connector(
        &self,
        key: &Key,
        node: &Node,
        common: &Node,
        problems: &mut Problems,
    ) -> Option<Connector> {
        let options = CommonOptions::parse(common, problems)?;
        if options.tasks.get() > TASKS_MAX {
            let message = format!("a connector has at most {TASKS_MAX} tasks");
            problems.add(common.span_of("tasks"), message);
        }
        if let (Some(formerly), Some(node)) = (&options.formerly, common.get("formerly")) {
            name::check("connector", formerly, node, problems);
        }
        let retry = &options.retry;
        if retry.first > retry.max {
            let span = common
                .get("retry")
                .map_or(common.span, |retry| retry.span_of("first"));
            problems.add(
                span,
                format!("`first` is longer than `max`, which is {}", retry.max),
            );
        }
        Some(Connector {
            name: key.name.clone(),
            full_name: format!("{}.{}", self.pipeline, key.name),
            type_name: options.r#type,
            description: options.description,
            enabled: options.enabled,
            formerly: options.formerly,
            tasks: options.tasks,
            on_error: options.on_error.0,
            retry: options.retry,
            span: key.span,
            node: node.clone(),
        })
    }
}
