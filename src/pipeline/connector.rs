//! One connector: its entry to a [`Source`] or [`Sink`].

use towpath_sdk::config::{
    Key, Node, NodeValue, OptionsSpec, OutputFormat, Problem, Problems, Span,
};
use towpath_sdk::{Registry, Template, printable};

use crate::diagnostic::Sources;
use crate::fields::FieldUse;
use crate::name;
use crate::on_error::default_topic;
use crate::options::{CommonOptions, SinkOptions, SourceOptions, TopicSelector};
use crate::pipeline::{Connector, Sink, Source};
use crate::transform;

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
pub(crate) const TOPIC_NAMES: &[&str] = &[
    "key",
    "timestamp",
    "now",
    "value",
    "headers",
    "pipeline",
    "connector",
];
pub(crate) const KEY_NAMES: &[&str] = &[
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
    /// The texts, for messages at run time.
    pub sources: &'a Sources,
    /// Where every source writes, also one that is wrong elsewhere; `None`: not known.
    pub writes: Vec<Option<Template>>,
    /// What every sink reads, also one that is wrong elsewhere.
    pub reads: Vec<(TopicSelector, Span)>,
    /// The topic of dead letters of every connector that has one, also one that is wrong elsewhere.
    pub dead_letters: Vec<String>,
}

/// What is known of a connector before its own options.
struct Frame {
    /// `None` when something of it is wrong.
    connector: Option<Connector>,
    /// All options there are.
    all: OptionsSpec,
    /// The options that every source or sink has.
    role: Node,
    /// The connector's own options.
    own: Node,
}

impl Frame {
    /// Notes where templates, in which `names` may stand, look into values.
    fn find_fields(&mut self, names: &[&str]) {
        if let Some(connector) = &mut self.connector {
            connector.fields = FieldUse::all(&connector.node, &self.all, names);
        }
    }
}

impl Reader<'_> {
    pub fn source(&mut self, key: &Key, node: &Node, problems: &mut Problems) -> Option<Source> {
        let type_name = self.type_name(node, "source", problems);
        let found = type_name
            .as_deref()
            .and_then(|name| self.registry.get(name));
        let found = found.and_then(|connector| connector.source.as_ref());
        let own = found.map(|source| (source.spec)());
        let extra = found
            .map(|source| source.template_names)
            .unwrap_or_default();
        let extra: Vec<&str> = extra.iter().map(|(name, _)| *name).collect();
        let spec = SourceOptions::spec();
        let mut frame = self.frame(key, node, &spec, own.as_ref(), false, problems);
        frame.find_fields(&[Template::NAMES, &extra].concat());
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
        let mut frame = self.frame(
            key,
            node,
            &SinkOptions::spec(),
            own.as_ref(),
            true,
            problems,
        );
        frame.find_fields(Template::NAMES);
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
        let config = config??;
        let (format, fields) = config.format();
        if !fields.is_bare_value() && !format.as_ref().is_some_and(OutputFormat::has_names) {
            let span = frame.own.span_of("fields");
            let problem = Problem::new(
                span,
                "only JSON, CSV and Avro have names for several fields",
            );
            problems.push(problem.help("add `format: json`"));
        }
        Some(Sink {
            format_span: frame.own.span_of("format"),
            connector: frame.connector?,
            topics: options.topics.0,
            group: options.group,
            start: options.start,
            config,
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
        &mut self,
        key: &Key,
        node: &Node,
        role: &OptionsSpec,
        own: Option<&OptionsSpec>,
        of_sink: bool,
        problems: &mut Problems,
    ) -> Frame {
        let legal = name::check(
            "connector",
            &key.name,
            &Node::new(key.span, &*key.name),
            problems,
        );
        let common = CommonOptions::spec();
        let nothing = OptionsSpec::of(&[], Vec::new());
        let specs = [&common, role, own.unwrap_or(&nothing)];
        let all = specs
            .iter()
            .fold(nothing.clone(), |all, spec| all.with((*spec).clone()));
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        if let NodeValue::Map(entries) = &node.value {
            for (key, value) in entries {
                let mut key = key.clone();
                let meant = all.meant(&key.name, node);
                let is_known = all.get(&key.name).is_some();
                if !is_known && (own.is_some() || meant.is_some()) {
                    let message = format!("unknown option `{}`", printable(&key.name));
                    let problem = Problem::new(key.span, message);
                    problems.push(problem.suggest(&key.name, all.names()));
                    // What it was meant to be is then not also missing.
                    let Some(meant) = meant else { continue };
                    key.name = meant.to_owned();
                }
                let part = specs.iter().position(|spec| spec.get(&key.name).is_some());
                parts[part.unwrap_or(2)].push((key, value.clone()));
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
            .connector(key, node, &common, of_sink, problems)
            .filter(|_| legal);
        Frame {
            connector,
            all,
            role,
            own,
        }
    }

    fn connector(
        &mut self,
        key: &Key,
        node: &Node,
        common: &Node,
        of_sink: bool,
        problems: &mut Problems,
    ) -> Option<Connector> {
        let full_name = format!("{}.{}", self.pipeline, key.name);
        let dead_letters = common.get("on_error");
        let dead_letters = dead_letters.and_then(|node| dead_letter_topic(node, &full_name));
        self.dead_letters.extend(dead_letters);
        let transforms = transform::Reader {
            registry: self.registry,
            owner: &full_name,
            locate: &|span| self.sources.place(span),
            of_sink,
        };
        let transforms = transforms.read(common.get("transforms"), problems);
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
        let on_error = options
            .on_error
            .of(&full_name, common.get("on_error"), problems);
        Some(Connector {
            name: key.name.clone(),
            type_name: options.r#type,
            description: options.description,
            enabled: options.enabled,
            formerly: options.formerly,
            tasks: options.tasks,
            transforms: transforms?,
            on_error: on_error?,
            full_name,
            retry: options.retry,
            span: key.span,
            node: node.clone(),
            fields: Vec::new(),
        })
    }
}

/// Where dead letters go when `on_error`, at `node`, wants them kept, whatever is wrong elsewhere.
fn dead_letter_topic(node: &Node, full_name: &str) -> Option<String> {
    let action = node.get("action").unwrap_or(node);
    let named = node.get("topic").and_then(Node::text);
    let topic = || named.map_or_else(|| default_topic(full_name), str::to_owned);
    (action.text() == Some("dead_letter")).then(topic)
}
