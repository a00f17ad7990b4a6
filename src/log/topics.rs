//! Making and deleting topics: the change itself, and the directories that go with it.

use crate::log::Log;
use crate::topic::{self, PartitionKey, TopicConfig, TopicInfo};
use crate::{LogError, change};

pub(crate) fn create(log: &Log, name: &str, config: &TopicConfig) -> Result<TopicInfo, LogError> {
    topic::check_topic(name, config)?;
    // Before a directory is made.
    log.writable()?;
    let files = log.files();
    // Directories first and durable, then the record that counts on them.
    let known = log.topic(name).map_or(0, |topic| topic.config.partitions);
    if known < config.partitions {
        let (storage, layout) = (&log.shared().storage, &log.shared().layout);
        for partition in known..config.partitions {
            let dir = layout.partition(name, partition);
            let made = storage.create_dir(&dir);
            made.map_err(|error| LogError::io("create", &dir, error))?;
        }
        let synced = storage.sync_dir(&layout.topics());
        synced.map_err(|error| {
            log.shared()
                .fail(LogError::io("sync", &layout.topics(), error))
        })?;
    }
    log.change(change::create_topic(name, config))?;
    drop(files);
    log.topic(name)
        .ok_or_else(|| LogError::invalid(format!("topic {name} was deleted")))
}

pub(crate) fn delete(log: &Log, name: &str) -> Result<(), LogError> {
    let files = log.files();
    let (number, topic) = {
        let published = log.shared().published();
        let found = published.state.topic(name);
        let (number, topic) =
            found.ok_or_else(|| LogError::invalid(format!("topic {name} does not exist")))?;
        (number, topic.clone())
    };
    log.change(change::delete_topic(name, number))?;
    let (storage, layout) = (&log.shared().storage, &log.shared().layout);
    for partition in 0..topic.partitions.len() as u32 {
        let dir = layout.partition(name, partition);
        let removed = change::remove_partition(&**storage, &dir);
        removed.map_err(|error| LogError::io("remove", &dir, error))?;
        let key = PartitionKey {
            topic: number,
            partition,
        };
        for segment in &topic.partitions[partition as usize].segments {
            log.shared().handles.remove(key, segment.name());
        }
    }
    let topics = layout.topics();
    let synced = storage.sync_dir(&topics);
    drop(files);
    synced.map_err(|error| log.shared().fail(LogError::io("sync", &topics, error)))
}
