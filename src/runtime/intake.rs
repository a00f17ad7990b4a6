//! From what a source has read to batches for the log: its transforms, then topic, key and
//! partition.

use std::sync::Arc;

use towpath_log::{Log, TopicBatch};
use towpath_sdk::{Part, Refused, Result, Tolerance};

use crate::chain::Chain;
use crate::route::Router;
use crate::spec::{ConnectorSpec, SourceSpec};
use crate::step::{Changes, Sequence};
use crate::stretch::{Early, Stretch};
use crate::task_state::TaskState;

/// The way of one task's records.
pub(crate) struct Intake {
    /// The transforms, if there are any, and what is given before them.
    chain: Option<(Chain, Early)>,
    /// What the transforms see.
    sequence: Sequence,
    router: Router,
}

impl Intake {
    /// What is remembered of the records of `task` is in `state`; without it nothing is.
    ///
    /// # Errors
    /// The fixed topic cannot be created, or what is remembered cannot be read.
    pub fn new(
        spec: &Arc<ConnectorSpec>,
        source: &SourceSpec,
        on_error: &Tolerance,
        log: &Log,
        (task, state): (u32, Option<&TaskState>),
    ) -> Result<Self> {
        let mut chain = Chain::new(&spec.configured.transforms, on_error.clone());
        let sequence = Sequence::Task(task);
        if let Some(chain) = &mut chain {
            chain.open(&sequence, state)?;
        }
        Ok(Self {
            chain: chain.map(|chain| (chain, Early::new(spec, source))),
            sequence,
            router: Router::new(spec.clone(), source, on_error.clone(), log.clone())?,
        })
    }

    /// The batches for the log that come of `parts`, which were taken at `now_ms`; the order within
    /// an origin is kept. Bad records are added to `refused`, as far as `on_error` allows.
    ///
    /// # Errors
    /// Also a bad record's, when that ends the task.
    pub fn take(
        &mut self,
        parts: Vec<Part>,
        now_ms: i64,
        refused: &mut Vec<Refused>,
    ) -> Result<Vec<TopicBatch>> {
        let stretches = match &mut self.chain {
            None => parts.into_iter().map(Stretch::from).collect(),
            Some((chain, early)) => {
                let mut stretches = Vec::new();
                for part in parts {
                    stretches.extend(chain.for_source(
                        &self.sequence,
                        part,
                        early,
                        now_ms,
                        refused,
                    )?);
                }
                stretches
            }
        };
        self.router.route(stretches, now_ms, refused)
    }

    /// What the records taken so far have changed in what the transforms remember, since the last
    /// call.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        if let Some((chain, _)) = &mut self.chain {
            chain.take_changes(&self.sequence, i64::MAX, &mut changes);
        }
        changes
    }
}
