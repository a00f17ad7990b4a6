//! What the log's topics are and hold.

use serde::{Deserialize, Serialize};
use towpath_log::{Cleanup, TopicInfo};
use towpath_sdk::config::nearest;
use towpath_sdk::{Error, Result};

use super::Control;

/// A topic and what it holds. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// Unique.
    pub name: String,
    /// The incarnation's id: a topic that was deleted and made again has another one.
    pub id: String,
    /// What its values are: `text`, `json` or `bytes`.
    pub format: String,
    /// What becomes of old records: `delete` or `compact`.
    pub cleanup: String,
    /// Records older than this may go.
    pub retention_time_ms: Option<u64>,
    /// Bytes a partition may hold.
    pub retention_bytes: Option<u64>,
    /// Over all partitions.
    pub records: u64,
    /// Over all partitions.
    pub bytes: u64,
    /// By number.
    pub partitions: Vec<Partition>,
    /// Sinks that read it; what they have not read is kept whatever the retention says.
    pub readers: Vec<TopicReader>,
}

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// Its number.
    pub partition: u32,
    /// Of the first record that is held.
    pub start_offset: u64,
    /// Behind the last record.
    pub end_offset: u64,
    /// Fewer than offsets where compaction has dropped some.
    pub records: u64,
    /// Of all its segments.
    pub bytes: u64,
    /// How many files hold it.
    pub segments: u64,
    /// The largest timestamp of the oldest segment.
    pub first_timestamp_ms: Option<i64>,
    /// The largest timestamp of the newest segment.
    pub last_timestamp_ms: Option<i64>,
    /// Why the partition has stopped.
    pub damage: Option<String>,
}

/// A sink that reads a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicReader {
    /// Its full name.
    pub connector: String,
    /// Records still to be delivered.
    pub lag_records: u64,
}

impl Control {
    /// All topics, by name. Waits for no disk.
    pub fn topics(&self) -> Vec<Topic> {
        let mut topics = self.log.topics();
        topics.sort_by(|left, right| left.name.cmp(&right.name));
        topics.iter().map(|info| self.topic_answer(info)).collect()
    }

    /// Topic `name`; an unknown one is refused with the nearest name.
    pub fn topic(&self, name: &str) -> Result<Topic> {
        Ok(self.topic_answer(&self.topic_info(name)?))
    }

    pub(super) fn topic_info(&self, name: &str) -> Result<TopicInfo> {
        if let Some(info) = self.log.topic(name) {
            return Ok(info);
        }
        let names: Vec<String> = self
            .log
            .topics()
            .into_iter()
            .map(|topic| topic.name)
            .collect();
        let error = Error::configuration("find topic", format!("`{name}`"))
            .because("the log does not hold it");
        Err(match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => error.remedy(format!("did you mean `{near}`?")),
            None => error.remedy("`towpath topics` lists them; a pipeline that is run makes them"),
        })
    }

    fn topic_answer(&self, info: &TopicInfo) -> Topic {
        let partitions: Vec<Partition> = info
            .partitions
            .iter()
            .map(|held| Partition {
                partition: held.partition,
                start_offset: held.start_offset,
                end_offset: held.end_offset,
                records: held.records,
                bytes: held.bytes,
                segments: held.segments as u64,
                first_timestamp_ms: held.first_timestamp_ms,
                last_timestamp_ms: held.last_timestamp_ms,
                damage: held.damage.clone(),
            })
            .collect();
        Topic {
            name: info.name.clone(),
            id: info.id.to_string(),
            format: info.config.format.clone(),
            cleanup: match info.config.cleanup {
                Cleanup::Delete => "delete",
                Cleanup::Compact => "compact",
            }
            .to_owned(),
            retention_time_ms: info.config.retention.time_ms,
            retention_bytes: info.config.retention.bytes,
            records: partitions.iter().map(|held| held.records).sum(),
            bytes: partitions.iter().map(|held| held.bytes).sum(),
            partitions,
            readers: self.readers(&info.name),
        }
    }

    fn readers(&self, topic: &str) -> Vec<TopicReader> {
        self.offsets()
            .into_iter()
            .filter(|connector| connector.offsets.iter().any(|at| at.topic == topic))
            .map(|connector| {
                let here = connector.offsets.iter().filter(|at| at.topic == topic);
                TopicReader {
                    lag_records: here.map(|at| at.lag_records).sum(),
                    connector: connector.name,
                }
            })
            .collect()
    }
}
