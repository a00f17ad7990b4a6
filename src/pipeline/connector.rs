//! One connector: its entry to a [`Source`], [`Stream`] or [`Sink`].

use towpath_sdk::config::{
    Key, Node, NodeValue, OptionsSpec, OutputFormat, Problem, Problems, Span,
};
use towpath_sdk::{ConnectorType, OnError, Registry, SourceConfig, Template, printable};

use crate::diagnostic::Sources;
use crate::fields::FieldUse;
use crate::name;
use crate::on_error::default_topic;
use crate::options::{
    CommonOptions, InputOptions, OnSchemaChange, OutputOptions, TopicSelector, TypeOptions,
};
use crate::pipeline::{Connector, Input, Output, STREAM, Sink, Source, Stream};
use crate::transform::{self, Role};

/// Connector types that later versions bring.
const LATER_TYPES: &[&str] = &["http", "http_client", "http_server", "wasm"];

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
    /// Where every source and stream writes, also one that is wrong elsewhere; `None`: not known.
    pub writes: Vec<Option<Template>>,
    /// What every stream, sink and transform reads, also one that is wrong elsewhere.
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
    /// The options that every connector of its role has.
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
        let type_name = self.type_name(node, Role::Source, problems);
        let found = type_name
            .as_deref()
            .and_then(|name| self.registry.get(name));
        let found = found.and_then(|connector| connector.source.as_ref());
        let own = found.map(|source| (source.spec)());
        let extra = found
            .map(|source| source.template_names)
            .unwrap_or_default();
        let extra: Vec<&str> = extra.iter().map(|(name, _)| *name).collect();
        let spec = OutputOptions::spec();
        let mut frame = self.frame(key, node, Role::Source, &spec, own.as_ref(), problems);
        frame.find_fields(&[Template::NAMES, &extra].concat());
        let topic_names = [TOPIC_NAMES, &extra].concat();
        let key_names = [KEY_NAMES, &extra].concat();
        let output = self.output(&frame.role, &topic_names, &key_names, problems);
        let config = (found?.parse)(&frame.own, problems);
        let (connector, output, config) = (frame.connector?, output?, config?);
        check_schema_change(&frame.role, &output, &connector, Some(&*config), problems);
        Some(Source {
            connector,
            output,
            config,
        })
    }

    pub fn stream(&mut self, key: &Key, node: &Node, problems: &mut Problems) -> Option<Stream> {
        let (input, output) = (InputOptions::spec(), OutputOptions::spec());
        let mut frame = self.frame(key, node, Role::Stream, &input, Some(&output), problems);
        frame.find_fields(Template::NAMES);
        let input = self.input(&frame.role, problems);
        // What it reads is a record of a topic, as what a source's `key` is made of.
        let output = self.output(&frame.own, KEY_NAMES, KEY_NAMES, problems);
        let (connector, output) = (frame.connector?, output?);
        check_schema_change(&frame.own, &output, &connector, None, problems);
        Some(Stream {
            connector,
            input: input?,
            output,
        })
    }

    pub fn sink(&mut self, key: &Key, node: &Node, problems: &mut Problems) -> Option<Sink> {
        let type_name = self.type_name(node, Role::Sink, problems);
        let found = type_name
            .as_deref()
            .and_then(|name| self.registry.get(name));
        let found = found.and_then(|connector| connector.sink.as_ref());
        let own = found.map(|sink| (sink.spec)());
        let spec = InputOptions::spec();
        let mut frame = self.frame(key, node, Role::Sink, &spec, own.as_ref(), problems);
        frame.find_fields(Template::NAMES);
        let input = self.input(&frame.role, problems);
        let config = (found?.parse)(&frame.own, problems)?;
        let (format, fields) = config.format();
        if !fields.is_bare_value() && !format.as_ref().is_some_and(OutputFormat::has_names) {
            let span = frame.own.span_of("fields");
            let problem = Problem::new(
                span,
                "only JSON, CSV, Avro and Parquet have names for several fields",
            );
            problems.push(problem.help("add `format: json`"));
        }
        Some(Sink {
            format_span: frame.own.span_of("format"),
            connector: frame.connector?,
            input: input?,
            config,
        })
    }

    /// Where records go, by the options at `node`; what the templates may name is said.
    fn output(
        &mut self,
        node: &Node,
        topic_names: &[&str],
        key_names: &[&str],
        problems: &mut Problems,
    ) -> Option<Output> {
        let topic = node.get("topic");
        let topic = topic.and_then(|topic| {
            let template = Template::from_node(topic, topic_names, problems)?;
            let legal = !template.is_constant()
                || name::check("topic", template.literal_prefix(), topic, problems);
            Some((template, topic.span)).filter(|_| legal)
        });
        self.writes
            .push(topic.as_ref().map(|(topic, _)| topic.clone()));
        let options = OutputOptions::parse(node, problems)?;
        let key = options.key.as_ref();
        let key = key.map(|key| Template::from_node(&key.0, key_names, problems));
        let (topic, topic_span) = topic?;
        Some(Output {
            topic,
            key: match key {
                Some(key) => Some(key?),
                None => None,
            },
            partition_by: options.partition_by,
            on_schema_change: options.on_schema_change.unwrap_or(OnSchemaChange::Fail),
            topic_span,
        })
    }

    /// What is read, by the options at `node`.
    fn input(&mut self, node: &Node, problems: &mut Problems) -> Option<Input> {
        let options = InputOptions::parse(node, problems)?;
        let topics_span = node.span_of("topics");
        if options.topics.is_empty() {
            problems.add(topics_span, "it reads no topic: name at least one");
        }
        let spans = match node.get("topics").map(|node| (&node.value, node.span)) {
            Some((NodeValue::List(items), _)) => items.iter().map(|item| item.span).collect(),
            Some((_, span)) => vec![span],
            None => Vec::new(),
        };
        self.reads.extend(options.topics.iter().cloned().zip(spans));
        if let (Some(group), Some(node)) = (&options.group, node.get("group")) {
            name::check("group", group, node, problems);
        }
        Some(Input {
            topics: options.topics.0,
            group: options.group,
            start: options.start,
            topics_span,
        })
    }

    /// The connector's type, when it is one that can be a `role`. Otherwise it was reported.
    fn type_name(&self, node: &Node, role: Role, problems: &mut Problems) -> Option<String> {
        // A missing `type` is reported with the other options.
        let word = node.get("type")?;
        let name = word.text()?;
        let is_able = |connector: &&ConnectorType| match role {
            Role::Source => connector.source.is_some(),
            _ => connector.sink.is_some(),
        };
        if self.registry.get(name).as_ref().is_some_and(is_able) {
            return Some(name.to_owned());
        }
        let shown = match &word.reference {
            Some(reference) => printable(&reference.written),
            None => printable(name),
        };
        let able = self.registry.types().iter().filter(is_able);
        let able = able.map(|connector| connector.name);
        problems.push(if name.starts_with("plugin.") {
            Problem::not_yet(word.span, format!("the plugin connector `{shown}`"))
        } else if LATER_TYPES.contains(&name) {
            Problem::not_yet(word.span, format!("the connector type `{shown}`"))
        } else if self.registry.get(name).is_some() {
            let role = role.as_str();
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
        role: Role,
        of_role: &OptionsSpec,
        own: Option<&OptionsSpec>,
        problems: &mut Problems,
    ) -> Frame {
        let legal = name::check(
            "connector",
            &key.name,
            &Node::new(key.span, &*key.name),
            problems,
        );
        let nothing = OptionsSpec::of(&[], Vec::new());
        let typed = match role {
            Role::Stream => nothing.clone(),
            Role::Source | Role::Sink => TypeOptions::spec(),
        };
        let common = CommonOptions::spec();
        let specs = [&typed, &common, of_role, own.unwrap_or(&nothing)];
        let all = specs
            .iter()
            .fold(nothing.clone(), |all, spec| all.with((*spec).clone()));
        let mut parts = [const { Vec::new() }; 4];
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
                parts[part.unwrap_or(3)].push((key, value.clone()));
            }
        } else {
            let message = format!(
                "expected the options of a connector, found {}",
                node.found()
            );
            let example = match role {
                Role::Stream => "a map with `topics` and `topic`",
                Role::Source | Role::Sink => "a map with `type`",
            };
            problems.push(Problem::new(node.span, message).help(example));
            problems.settle(node.span);
        }
        let [typed, common, of_role, own] = parts.map(|entries| Node {
            value: NodeValue::Map(entries),
            ..node.clone()
        });
        let type_name = match role {
            Role::Stream => Some(STREAM.to_owned()),
            _ => TypeOptions::parse(&typed, problems).map(|options| options.r#type),
        };
        let connector = self.connector(key, node, type_name, &common, role, problems);
        Frame {
            connector: connector.filter(|_| legal),
            all,
            role: of_role,
            own,
        }
    }

    fn connector(
        &mut self,
        key: &Key,
        node: &Node,
        type_name: Option<String>,
        common: &Node,
        role: Role,
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
            role,
        };
        let transforms = transforms.read(common.get("transforms"), problems);
        let tables = transforms.iter().flatten().filter_map(|transform| {
            let topic = TopicSelector::Name(transform.config.table_topic()?.to_owned());
            Some((topic, transform.span))
        });
        self.reads.extend(tables);
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
            type_name: type_name?,
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

/// Reports an `on_schema_change` among the options at `node` that could do nothing. A stream has no
/// `source`: the records that it reads may have schemas.
fn check_schema_change(
    node: &Node,
    output: &Output,
    connector: &Connector,
    source: Option<&dyn SourceConfig>,
    problems: &mut Problems,
) {
    let Some(span) = node.get("on_schema_change").map(|node| node.span) else {
        return;
    };
    if source.is_some_and(|source| !source.knows_types()) {
        let problem = Problem::new(span, "this source does not know the types of its records");
        let help = "take it out; `format: avro` knows them, and csv whose `columns` have types";
        problems.push(problem.help(help));
    } else if output.on_schema_change == OnSchemaChange::DeadLetter
        && connector.on_error.action != OnError::DeadLetter
    {
        let problem = Problem::new(span, "dead letters go where `on_error` keeps them");
        problems.push(problem.help("add `on_error: dead_letter`"));
    }
}

/// Where dead letters go when `on_error`, at `node`, wants them kept, whatever is wrong elsewhere.
fn dead_letter_topic(node: &Node, full_name: &str) -> Option<String> {
    let action = node.get("action").unwrap_or(node);
    let named = node.get("topic").and_then(Node::text);
    let topic = || named.map_or_else(|| default_topic(full_name), str::to_owned);
    (action.text() == Some("dead_letter")).then(topic)
}
