//! `timestamp_router`: topics by time, as Kafka Connect's `TimestampRouter` does.

use std::borrow::Cow;
use std::sync::Arc;

use towpath_sdk::config::{Form, Kind, Node, OptionType, Problems, options};
use towpath_sdk::{
    Error, Fill, Result, Scope, Template, TemplateName, Transform, TransformConfig,
    TransformContext, TransformExample, TransformType, WorkingBatch,
};

use crate::insert_field::NO_TIMESTAMP_MS;

options! {
    struct Options {
        /// The name of the topic, filled from `{topic}` and `{timestamp}`, whose format is
        /// strftime. Times are UTC.
        topic: TopicTemplate = "{topic}-{timestamp:%Y%m%d}",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "timestamp_router",
    summary: "Sends records to topics by their timestamps.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "a topic for each month",
        options: "topic: '{topic}-{timestamp:%Y-%m}'",
        input: r#"{"id":7}  # topic: orders; timestamp: 1577934245678"#,
        output: r#"{"id":7}  # topic: orders-2020-01"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let TopicTemplate(template) = Options::parse(node, problems)?.topic;
    let topic = String::new();
    Some(Arc::new(TimestampRouter { template, topic }))
}

/// A template of topic and timestamp.
#[derive(Clone, PartialEq)]
struct TopicTemplate(Template);

impl OptionType for TopicTemplate {
    fn kind() -> Kind {
        Kind::Template(Form {
            name: "template",
            pattern: None,
            example: "{topic}-{timestamp:%Y%m%d}",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        Template::from_node(node, &["topic", "timestamp"], problems).map(Self)
    }
}

#[derive(Debug, Clone)]
struct TimestampRouter {
    template: Template,
    /// The name at hand.
    topic: String,
}

impl TransformConfig for TimestampRouter {
    fn changes_places(&self) -> bool {
        true
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for TimestampRouter {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let mut name = std::mem::take(&mut self.topic).into_bytes();
            name.clear();
            self.template.render(&RowScope { batch, row }, &mut name)?;
            self.topic = String::from_utf8(name)
                .map_err(|error| Error::record("route", "a record").because(error))?;
            batch.set_topic(row, &self.topic)
        })
    }
}

/// What is known of where and when a row is.
struct RowScope<'a> {
    batch: &'a WorkingBatch,
    row: usize,
}

impl Scope for RowScope<'_> {
    fn lookup(&self, name: &TemplateName) -> Option<Fill<'_>> {
        match name {
            TemplateName::Topic => {
                let topic = self.batch.topic(self.row)?;
                Some(Fill::Text(Cow::Borrowed(topic)))
            }
            TemplateName::Timestamp => match self.batch.timestamp_ms(self.row) {
                NO_TIMESTAMP_MS => None,
                timestamp_ms => Some(Fill::Timestamp(timestamp_ms)),
            },
            _ => None,
        }
    }
}
