//! `dedupe`: drops records that were there before.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use towpath_sdk::config::{ExpressionText, Node, Problems, options};
use towpath_sdk::{
    Error, Result, Transform, TransformChanges, TransformConfig, TransformContext,
    TransformExample, TransformType, WorkingBatch,
};

use crate::by::{By, fingerprint};
use crate::seen::Seen;

/// About 64 MiB of memory.
const WINDOW_MAX: u32 = 1_000_000;

options! {
    /// What was there is remembered over restarts and crashes, as far as the window goes. Each
    /// partition has a window of its own (at a source, each task): give records that may be the same
    /// one key, so that they are in one partition. `offsets reset` forgets what was
    /// there, and so does another `by`.
    ///
    /// A record that a transform behind it refuses was there, too: have it stand last.
    struct Options {
        /// What records that are the same have in common; null refuses a record.
        by: ExpressionText = "key",
        /// How many different ones are remembered at least, up to 1,000,000; the oldest are
        /// forgotten. Each takes about 64 bytes of memory and 16 in the log.
        window: NonZeroU32 = 100000,
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "dedupe",
    summary: "Drops records that were there before.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "an event that may be sent twice",
        options: "by: value.event_id",
        input: r#"{"event_id":"a1"}"#,
        output: r#"{"event_id":"a1"}"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let options = Options::parse(node, problems)?;
    if options.window.get() > WINDOW_MAX {
        problems.add(node.span_of("window"), "`window` is 1000000 at most");
        return None;
    }
    let groups = u64::from(options.window.get());
    Some(Arc::new(Dedupe {
        by: By::compile(&options.by, problems)?,
        meaning: fingerprint(options.by.text.as_bytes()) as u64,
        groups,
        seen: Seen::new(groups),
    }))
}

#[derive(Debug, Clone)]
struct Dedupe {
    by: By,
    /// A hash of `by`: what was seen by another one would be taken for what it is not.
    meaning: u64,
    groups: u64,
    seen: Seen,
}

impl TransformConfig for Dedupe {
    fn needs_fields(&self) -> bool {
        self.by.needs_fields()
    }

    fn state_name(&self) -> Option<String> {
        Some(format!("dedupe-{:016x}", self.meaning))
    }

    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for Dedupe {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let group = self.by.group(batch, row)?.ok_or_else(|| {
                Error::record("tell", "a record from others")
                    .because("`by` is null")
                    .remedy("give `by` something that every record has")
            })?;
            // Records of a source have no offsets, and none are asked for.
            let offset = batch.offset(row).unwrap_or(0);
            if !self.seen.is_new(group, offset) {
                batch.drop_row(row);
            }
            Ok(())
        })
    }

    fn restore(&mut self, state: &[(Bytes, Bytes)]) -> Result<()> {
        let entries = state.iter().map(|(key, value)| (&key[..], &value[..]));
        self.seen = Seen::restore(self.groups, entries)?;
        Ok(())
    }

    fn changes(&mut self, below: i64) -> TransformChanges {
        self.seen.changes(below)
    }
}

#[cfg(test)]
mod tests {
    use towpath_sdk::config::Format::Json;

    use super::*;
    use crate::tests::table::{check_problems, config, emitted, loaded};

    /// What is left of a batch of `values`.
    fn left(dedupe: &mut dyn Transform, values: &str) -> String {
        let values: Vec<&[u8]> = values.split(' ').map(str::as_bytes).collect();
        let mut batch = loaded(&values, Json);
        let context = TransformContext { now_ms: 0 };
        dedupe.apply(&mut batch, &context).expect("records only");
        let refused = batch.refused().len();
        let left = emitted(&mut batch, Json).join(" ");
        format!("{left}{}", " !".repeat(refused))
    }

    /// The state of a transform that had none before these changes.
    fn stored(changes: TransformChanges) -> Vec<(Bytes, Bytes)> {
        let changes = changes.ahead.into_iter().chain(changes.last);
        changes
            .map(|change| (change.key, change.value.expect("nothing is deleted")))
            .collect()
    }

    #[test]
    fn what_was_there_is_dropped_also_after_a_restart() {
        let config = config(&TYPE, "{ by: value }").expect("sound options");
        let mut dedupe = config.transform();
        assert_eq!(left(&mut *dedupe, "1 2 1 null 2 3"), "1 2 3 !");
        let stored = stored(dedupe.changes(i64::MAX));
        assert_eq!(left(&mut *dedupe, "4 1"), "4");
        let mut again = config.transform();
        again.restore(&stored).expect("its own state");
        assert_eq!(left(&mut *again, "3 4 5"), "4 5", "4 was not committed");
        assert!(again.changes(i64::MAX).last.is_some());
        assert_eq!(again.changes(i64::MAX), TransformChanges::default());
        let foreign = (Bytes::new(), Bytes::new());
        config
            .transform()
            .restore(&[foreign])
            .expect_err("no state of its own");
    }

    #[test]
    fn another_by_begins_anew_and_another_window_does_not() {
        let name = |options| {
            let config = config(&TYPE, options).expect("sound options");
            config.state_name()
        };
        assert_eq!(name("{ by: value }"), name("{ by: value, window: 5 }"));
        assert_ne!(name("{ by: value }"), name("{ by: key }"));
    }

    #[test]
    fn the_key_says_what_is_the_same() {
        let mut dedupe = config(&TYPE, "").expect("sound options").transform();
        assert_eq!(left(&mut *dedupe, "1 2"), "1", "all have the key `k`");
    }

    #[test]
    fn wrong_options_are_told() {
        check_problems(
            &TYPE,
            &[
                ("{ window: 0 }", "expected a whole number from 1"),
                ("{ window: 1000001 }", "`window` is 1000000 at most"),
                ("{ by: value. }", "expected"),
            ],
        );
    }
}
