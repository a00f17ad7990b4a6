//! The transforms of a connector: a list of maps with `type`, or of bare words.

use std::sync::Arc;

use towpath_sdk::config::{
    ExpressionText, Format, Key, Node, NodeValue, Problem, Problems, Span, options,
};
use towpath_sdk::{Expression, Registry, TransformConfig, printable};

/// Transform types that later versions bring.
const LATER_TYPES: &[&str] = &["wasm"];

/// Transform types that a build may do without, each behind a feature of its name.
const OPTIONAL_TYPES: &[&str] = &["vrl"];

/// A transform, ready to run. `Debug` shows its place.
#[derive(Clone)]
pub struct ConfiguredTransform {
    /// `pipeline.connector.transforms[2] (parse_json at FILE:LINE)`, for messages.
    pub place: String,
    /// The word of its type, to point at.
    pub(crate) span: Span,
    /// The options of its type.
    pub config: Arc<dyn TransformConfig>,
    /// The records it is meant for; all when absent.
    pub when: Option<Arc<dyn Expression>>,
}

impl std::fmt::Debug for ConfiguredTransform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place)
    }
}

impl ConfiguredTransform {
    fn needs_fields(&self) -> bool {
        let when = self.when.as_ref();
        self.config.needs_fields() || when.is_some_and(|when| when.needs_fields())
    }
}

/// Reports the first of `transforms` that asks for fields of values that have none: those of `what`,
/// which are `format` before them.
pub(crate) fn check_fields(
    transforms: &[ConfiguredTransform],
    what: &str,
    format: Format,
    problems: &mut Problems,
) {
    let mut format = format;
    for transform in transforms {
        if format != Format::Json && transform.needs_fields() {
            let message = format!(
                "this asks for fields of the value, but the values of `{what}` are {} here",
                format.as_str()
            );
            let help = "put `parse_json` or another parser before it";
            problems.push(Problem::new(transform.span, message).help(help));
            return;
        }
        format = transform.config.output(format);
    }
}

/// What the values are behind `transforms`, where they are `format` before them.
pub fn output(transforms: &[ConfiguredTransform], format: Format) -> Format {
    transforms
        .iter()
        .fold(format, |format, transform| transform.config.output(format))
}

options! {
    /// What every transform has.
    pub struct TransformOptions {
        /// What it does; `towpath transforms` lists the types.
        pub r#type: String,
        /// The records it is meant for; all when absent.
        pub when: Option<ExpressionText>,
    }
}

/// What a connector does with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It brings them into the log.
    Source,
    /// It takes them from topics to topics.
    Stream,
    /// It takes them out of the log.
    Sink,
}

impl Role {
    /// For messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Stream => "stream",
            Self::Sink => "sink",
        }
    }
}

/// Reads the transforms of a connector.
pub(crate) struct Reader<'a> {
    pub registry: &'a Registry,
    /// `pipeline.connector`.
    pub owner: &'a str,
    /// `FILE:LINE` of a place.
    pub locate: &'a dyn Fn(Span) -> String,
    /// What the connector does.
    pub role: Role,
}

impl Reader<'_> {
    /// Every problem is reported; `None` when there was one.
    pub fn read(
        &self,
        node: Option<&Node>,
        problems: &mut Problems,
    ) -> Option<Vec<ConfiguredTransform>> {
        let Some(node) = node else {
            return Some(Vec::new());
        };
        let items = match &node.value {
            NodeValue::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut read = Vec::new();
        for (index, item) in items.iter().enumerate() {
            read.push(self.one(index, item, problems));
        }
        read.into_iter().collect()
    }

    fn one(
        &self,
        index: usize,
        item: &Node,
        problems: &mut Problems,
    ) -> Option<ConfiguredTransform> {
        let (common, own) = split(item, problems)?;
        if let (None, NodeValue::Map(entries)) = (common.get("type"), &own.value)
            && let Some((key, _)) = entries
                .iter()
                .find(|(key, _)| self.registry.transform(&key.name).is_some())
        {
            let message = format!("`{}` is a type of transforms, and no option", key.name);
            let help = format!("write `- type: {}`, and its options beside it", key.name);
            problems.push(Problem::new(key.span, message).help(help));
            return None;
        }
        let options = TransformOptions::parse(&common, problems);
        let word = common.get("type")?;
        let name = word.text()?;
        let Some(found) = self.registry.transform(name) else {
            let shown = printable(name);
            let names = self.registry.transforms().iter().map(|known| known.name);
            problems.push(if LATER_TYPES.contains(&name) {
                Problem::not_yet(word.span, format!("the transform `{shown}`"))
            } else if OPTIONAL_TYPES.contains(&name) {
                let message = format!("this build of towpath has no transform `{shown}`");
                let help = format!("build it with `cargo build --release --features {shown}`");
                Problem::new(word.span, message).help(help)
            } else {
                let problem = Problem::new(word.span, format!("unknown transform `{shown}`"));
                problem.suggest(name, names)
            });
            return None;
        };
        let config = (found.parse)(&own, problems);
        let when = options.as_ref().and_then(|options| options.when.as_ref());
        let when = when.map(|text| compile(text, problems));
        let config = config?;
        let misplaced = match self.role {
            Role::Sink if config.changes_places() => Some(
                "a sink's offsets count the records of its topics: put it into the source or a stream",
            ),
            Role::Source if config.needs_offset() => Some(
                "records get partition and offset in the log: put it into the sink or a stream",
            ),
            _ => None,
        };
        if let Some(help) = misplaced {
            let message = format!("this `{name}` cannot be in a {}", self.role.as_str());
            problems.push(Problem::new(word.span, message).help(help));
            return None;
        }
        Some(ConfiguredTransform {
            place: format!(
                "{}.transforms[{index}] ({name} at {})",
                self.owner,
                (self.locate)(word.span)
            ),
            span: word.span,
            config,
            when: match when {
                Some(when) => Some(when?),
                None => None,
            },
        })
    }
}

/// What every transform has, and the type's own options.
fn split(item: &Node, problems: &mut Problems) -> Option<(Node, Node)> {
    let entries = match &item.value {
        NodeValue::Map(entries) => entries.clone(),
        NodeValue::String(_) => vec![(
            Key {
                name: "type".to_owned(),
                span: item.span,
            },
            item.clone(),
        )],
        _ => {
            let message = format!("expected a transform, found {}", item.found());
            problems.push(Problem::new(item.span, message).help("a map with `type`"));
            return None;
        }
    };
    let spec = TransformOptions::spec();
    let (common, own) = entries
        .into_iter()
        .partition(|(key, _)| spec.get(&key.name).is_some());
    let map = |entries| Node {
        value: NodeValue::Map(entries),
        ..item.clone()
    };
    Some((map(common), map(own)))
}

fn compile(text: &ExpressionText, problems: &mut Problems) -> Option<Arc<dyn Expression>> {
    towpath_expression::compile_condition(&text.text)
        .map_err(|error| {
            let mut problem = Problem::new(text.place(error.at), error.message);
            problem.help = error.help;
            problems.push(problem);
        })
        .ok()
}
