//! How connectors are doing, and stopping and starting them by hand.

use serde::{Deserialize, Serialize};
use towpath_sdk::{Error, Result};

use super::{Control, OWNER, paused_key, unknown_connector};
use crate::status::{ConnectorStatus, TaskState, WorkerStatus};
use bytes::Bytes;

/// How everything is doing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusAnswer {
    /// Whether a worker runs; without one it has no `pid` and `started_ms`, and connectors are
    /// those the log remembers.
    pub running: bool,
    /// Everything else.
    #[serde(flatten)]
    pub status: WorkerStatus,
}

/// Which connectors were paused, resumed or restarted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changed {
    /// Their full names.
    pub connectors: Vec<String>,
}

impl Control {
    /// Of the worker, or else what the log tells. Waits for no disk.
    pub fn status(&self) -> StatusAnswer {
        match &self.worker {
            Some(worker) => StatusAnswer {
                running: true,
                status: worker.status(),
            },
            None => StatusAnswer {
                running: false,
                status: self.status_at_rest(),
            },
        }
    }

    /// Stops a connector, or all of a pipeline, until it is resumed, over restarts too. Returns
    /// when its tasks are closed.
    pub async fn pause(&self, name: &str) -> Result<Changed> {
        let connectors = self.resolve(name)?;
        for connector in &connectors {
            tokio::task::block_in_place(|| self.set_paused(connector, true))?;
            if let Some(worker) = &self.worker
                && self.state_of(connector).is_some()
            {
                worker.pause(connector).await?;
            }
        }
        Ok(Changed { connectors })
    }

    /// Lets a paused connector, or all of a pipeline, go on where it was.
    pub async fn resume(&self, name: &str) -> Result<Changed> {
        let connectors = self.resolve(name)?;
        for connector in &connectors {
            tokio::task::block_in_place(|| self.set_paused(connector, false))?;
            if let Some(worker) = &self.worker
                && self.state_of(connector).is_some()
            {
                worker.resume(connector).await?;
            }
        }
        Ok(Changed { connectors })
    }

    /// Opens the tasks of a connector, or all of a pipeline, anew: also those that failed.
    pub async fn restart(&self, name: &str) -> Result<Changed> {
        let Some(worker) = &self.worker else {
            return Err(Error::configuration("restart", name)
                .because("no worker is running")
                .remedy("start one with `towpath run`"));
        };
        let connectors: Vec<String> = self
            .resolve(name)?
            .into_iter()
            .filter(|name| self.state_of(name).is_some())
            .collect();
        if connectors.is_empty() {
            return Err(Error::configuration("restart", name)
                .because("no pipeline of the running worker has it")
                .remedy("`towpath status` lists what it runs"));
        }
        for connector in &connectors {
            worker.restart(connector).await?;
        }
        Ok(Changed { connectors })
    }

    /// The state of a connector that the worker has.
    pub(super) fn state_of(&self, name: &str) -> Option<TaskState> {
        let connectors = self.worker.as_ref()?.status().connectors;
        connectors
            .iter()
            .find(|connector| connector.name == name)
            .map(|connector| connector.state)
    }

    pub(super) fn set_paused(&self, connector: &str, paused: bool) -> Result<()> {
        self.change_state(
            OWNER,
            [(
                paused_key(connector),
                paused.then(|| Bytes::from_static(b"1")),
            )],
        )
    }

    /// The connector `name`, or all connectors of pipeline `name`.
    fn resolve(&self, name: &str) -> Result<Vec<String>> {
        let known = self.names();
        if known.contains(name) {
            return Ok(vec![name.to_owned()]);
        }
        let of_pipeline =
            |full: &&String| full.rsplit_once('.').is_some_and(|(own, _)| own == name);
        let found: Vec<String> = known.iter().filter(of_pipeline).cloned().collect();
        if found.is_empty() {
            Err(unknown_connector(name, &known))
        } else {
            Ok(found)
        }
    }

    fn status_at_rest(&self) -> WorkerStatus {
        let paused = self.log.state(OWNER);
        let connectors = self
            .offsets()
            .into_iter()
            .map(|connector| {
                let is_paused = paused.contains_key(&paused_key(&connector.name));
                let mut topics: Vec<String> = connector
                    .offsets
                    .iter()
                    .map(|at| at.topic.clone())
                    .collect();
                topics.dedup();
                ConnectorStatus {
                    lag_records: connector
                        .group
                        .is_some()
                        .then(|| connector.offsets.iter().map(|at| at.lag_records).sum()),
                    name: connector.name,
                    kind: connector.kind,
                    connector_type: connector.connector_type,
                    state: if is_paused {
                        TaskState::Paused
                    } else {
                        TaskState::Stopped
                    },
                    reason: Some("no worker is running".to_owned()),
                    since_ms: u64::try_from(connector.last_configured_ms).unwrap_or(0),
                    tasks: Vec::new(),
                    topics,
                    records: 0,
                    bytes: 0,
                    records_per_second: 0.0,
                    bytes_per_second: 0.0,
                    skipped: 0,
                    dead_letters: 0,
                    share_done: None,
                    seconds: 0.0,
                }
            })
            .collect();
        WorkerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: None,
            started_ms: None,
            data_dir: self.log.dir().display().to_string(),
            log_id: self.log.id().to_string(),
            log_failure: self.log.failure().map(|error| error.to_string()),
            connectors,
        }
    }
}
