//! `on_error`: what happens to bad records, and how many are borne.

use towpath_sdk::config::{Kind, Node, NodeValue, OptionType, Problem, Problems};
use towpath_sdk::{Limits, OnError, choice, options};

use crate::name;

/// What happens to the bad records of a connector.
#[derive(Debug, Clone, PartialEq)]
pub struct BadRecords {
    /// What is done with them.
    pub action: OnError,
    /// Where dead letters go: `PIPELINE.CONNECTOR.dead-letters` when nothing else is said.
    pub topic: String,
    /// How many of them a task bears.
    pub limits: Limits,
}

choice! {
    enum Action {
        /// The connector stops. What came before is delivered; what a source had read together with
        /// a record that its transforms or templates refuse is read again.
        Fail = "fail",
        /// The record is counted, logged and left out.
        Skip = "skip",
        /// The same, and it is kept as it came in a topic of dead letters.
        DeadLetter = "dead_letter",
    }
}

impl From<Action> for OnError {
    fn from(action: Action) -> Self {
        match action {
            Action::Fail => Self::Fail,
            Action::Skip => Self::Skip,
            Action::DeadLetter => Self::DeadLetter,
        }
    }
}

options! {
    struct OnErrorMap {
        /// What is done.
        action: Action,
        /// Where dead letters go; default: `PIPELINE.CONNECTOR.dead-letters`.
        topic: Option<String>,
        /// So many bad records are left out by a task, counted from when it was opened; the next one stops it. Default: any number.
        max_count: Option<u64>,
        /// The same as a share of the records that came, such as 0.01 for one in a hundred; of 1000 records at least.
        max_rate: Option<Share>,
    }
}

/// From 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Share(f64);

impl OptionType for Share {
    fn kind() -> Kind {
        Kind::Number
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let share = f64::parse(node, problems)?;
        if (0.0..=1.0).contains(&share) {
            return Some(Self(share));
        }
        let message = format!("expected a share from 0 to 1, found {}", node.found());
        problems.push(Problem::new(node.span, message).help("0.01 is one record in a hundred"));
        None
    }
}

/// `on_error`: a word, or a map with `action`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OnErrorOption {
    action: OnError,
    topic: Option<String>,
    limits: Limits,
}

impl OnErrorOption {
    /// For the connector `full_name`, whose `on_error` stands at `node`.
    pub fn of(
        self,
        full_name: &str,
        node: Option<&Node>,
        problems: &mut Problems,
    ) -> Option<BadRecords> {
        let Self {
            action,
            topic,
            limits,
        } = self;
        let topic = topic.unwrap_or_else(|| default_topic(full_name));
        let legal = match node {
            Some(node) if action == OnError::DeadLetter => {
                let at = node.get("topic").unwrap_or(node);
                name::check("topic", &topic, at, problems)
            }
            _ => true,
        };
        legal.then_some(BadRecords {
            action,
            topic,
            limits,
        })
    }
}

/// The topic of the dead letters of connector `full_name` when nothing else is said.
pub(crate) fn default_topic(full_name: &str) -> String {
    format!("{full_name}.dead-letters")
}

impl OptionType for OnErrorOption {
    fn kind() -> Kind {
        Kind::Either(vec![Action::kind(), OnErrorMap::kind()])
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        if !matches!(node.value, NodeValue::Map(_)) {
            let action = Action::parse(node, problems)?;
            return Some(Self {
                action: action.into(),
                topic: None,
                limits: Limits::default(),
            });
        }
        let options = OnErrorMap::parse(node, problems)?;
        let action = OnError::from(options.action);
        let useless = [
            (
                "topic",
                action == OnError::DeadLetter,
                "`action: dead_letter`",
            ),
            (
                "max_count",
                action != OnError::Fail,
                "`skip` and `dead_letter`",
            ),
            (
                "max_rate",
                action != OnError::Fail,
                "`skip` and `dead_letter`",
            ),
        ];
        let mut sound = true;
        for (option, allowed, meant) in useless {
            if !allowed && let Some(given) = node.get(option) {
                problems.add(given.span, format!("`{option}` goes with {meant} only"));
                sound = false;
            }
        }
        sound.then_some(Self {
            action,
            topic: options.topic,
            limits: Limits {
                count: options.max_count,
                rate: options.max_rate.map(|share| share.0),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use towpath_sdk::RATE_RECORDS_MIN;

    use super::*;

    #[test]
    fn the_documented_minimum_is_the_one_that_holds() {
        let spec = OnErrorMap::spec();
        let rate = spec.get("max_rate").expect("an option");
        let told = format!("of {RATE_RECORDS_MIN} records");
        assert!(format!("{rate:?}").contains(&told), "{rate:?}");
    }
}
