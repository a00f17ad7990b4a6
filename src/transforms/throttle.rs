//! `throttle`: so many records in a window of time, and no more.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use towpath_sdk::config::{Duration, ExpressionText, Node, Problems, options};
use towpath_sdk::{
    Result, Transform, TransformConfig, TransformContext, TransformExample, TransformType,
    WorkingBatch,
};

use crate::by::By;

options! {
    /// Time is when the worker took the batch a record is in, and each task counts for itself.
    struct Options {
        /// The records that go on in each window; further ones are dropped.
        records: NonZeroU32,
        /// The length of a window.
        window: Duration = "1s",
        /// Records for which this gives the same are counted together; without it all are.
        by: Option<ExpressionText>,
        /// What may be counted apart in one window; what comes after that shares one count.
        groups_max: NonZeroU32 = 65536,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "throttle",
    summary: "Drops records beyond a number in each window of time.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "five a minute of each kind",
        options: "{ records: 5, window: 1m, by: value.error }",
        input: r#"{"error":"timeout"}"#,
        output: r#"{"error":"timeout"}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    let window_ms = i64::try_from(options.window.0.as_millis()).unwrap_or(i64::MAX);
    if window_ms == 0 {
        problems.add(node.span_of("window"), "a window of no length");
        return None;
    }
    let by = match &options.by {
        Some(text) => Some(By::compile(text, problems)?),
        None => None,
    };
    Some(Arc::new(Throttle {
        records_max: options.records.get(),
        by,
        counts: Counts {
            window_ms,
            groups_max: options.groups_max.get() as usize,
            window: 0,
            groups: HashMap::new(),
            others: 0,
        },
    }))
}

#[derive(Debug, Clone)]
struct Throttle {
    records_max: u32,
    by: Option<By>,
    counts: Counts,
}

impl TransformConfig for Throttle {
    fn needs_fields(&self) -> bool {
        self.by.as_ref().is_some_and(By::needs_fields)
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Throttle {
    fn apply(&mut self, batch: &mut WorkingBatch, context: &TransformContext) -> Result<()> {
        self.counts.enter(context.now_ms);
        batch.each(|batch, row| {
            let group = match &mut self.by {
                Some(by) => by.group(batch, row)?.unwrap_or_default(),
                None => 0,
            };
            let count = self.counts.of(group);
            if *count >= self.records_max {
                batch.drop_row(row);
            } else {
                *count += 1;
            }
            Ok(())
        })
    }
}

/// What went on in the window at hand.
#[derive(Debug, Clone)]
struct Counts {
    window_ms: i64,
    groups_max: usize,
    /// Windows since 1970.
    window: i64,
    groups: HashMap<u128, u32>,
    /// Of all groups beyond `groups_max`.
    others: u32,
}

impl Counts {
    /// Begins anew when another window holds at `now_ms`.
    fn enter(&mut self, now_ms: i64) {
        let window = now_ms.div_euclid(self.window_ms);
        if window != self.window {
            self.window = window;
            self.groups.clear();
            self.others = 0;
        }
    }

    fn of(&mut self, group: u128) -> &mut u32 {
        if self.groups.len() >= self.groups_max && !self.groups.contains_key(&group) {
            return &mut self.others;
        }
        self.groups.entry(group).or_insert(0)
    }
}

#[cfg(test)]
mod tests {
    use towpath_sdk::config::Format::Json;

    use super::*;
    use crate::tests::table::{check_problems, emitted, loaded, transform};

    /// What is left of batches that come at certain times.
    fn check(options: &str, batches: &[(i64, &str, &str)]) {
        let mut throttle = transform(&TYPE, options);
        for (now_ms, values, expected) in batches {
            let values: Vec<&[u8]> = values.split(' ').map(str::as_bytes).collect();
            let mut batch = loaded(&values, Json);
            let context = TransformContext { now_ms: *now_ms };
            throttle.apply(&mut batch, &context).expect("records only");
            assert_eq!(
                emitted(&mut batch, Json).join(" "),
                *expected,
                "{options} at {now_ms}"
            );
        }
    }

    #[test]
    fn a_window_lets_so_many_through() {
        check(
            r#"{"records": 3}"#,
            &[
                (1_000, "1 2", "1 2"),
                (1_999, "3 4", "3"),
                (2_000, "5", "5"),
                // A clock that was set back begins another window, too.
                (-1, "6 7 8 9", "6 7 8"),
            ],
        );
        check(
            r#"{"records": 1, "window": "1m", "by": "value"}"#,
            &[
                (0, "1 1 2", "1 2"),
                (59_999, "1 2 3", "3"),
                (60_000, "1", "1"),
            ],
        );
    }

    #[test]
    fn memory_is_bounded() {
        check(
            r#"{"records": 2, "by": "value", "groups_max": 2}"#,
            &[(0, "1 2 3 4 5 1 2 1", "1 2 3 4 1 2")],
        );
    }

    #[test]
    fn wrong_options_are_told() {
        check_problems(
            &TYPE,
            &[
                (r#"{"records": 0}"#, "expected a whole number from 1"),
                (r#"{"records": 1, "window": "0s"}"#, "a window of no length"),
                (r#"{"records": 1, "window": 5}"#, "expected a duration"),
            ],
        );
    }
}
