//! The folded state: what all commit records together say. Everything the log knows beside the
//! records themselves is here, and it changes in one way only: [`State::apply`].
//!
//! There are two of it in a running log: stage 1's, which runs ahead with what is in flight, and
//! the published one, which readers see.

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;

use crate::entry::Entry;
use crate::partition::Partition;
use crate::registration::RegistrationInfo;
use crate::topic::{PartitionKey, TopicConfig};

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    pub epoch: u64,
    pub boot_id: String,
    /// The last start ran in `os` mode.
    pub os: bool,
    /// The last thing that happened was a clean end.
    pub stopped: bool,
    pub next_topic: u32,
    pub topics: BTreeMap<u32, Topic>,
    pub names: BTreeMap<String, u32>,
    pub owners: BTreeMap<String, Owner>,
    pub groups: BTreeMap<String, Group>,
    pub registrations: BTreeMap<String, RegistrationInfo>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Topic {
    pub id: Uuid,
    pub name: String,
    pub config: TopicConfig,
    pub partitions: Vec<Partition>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Owner {
    pub state: BTreeMap<Bytes, Bytes>,
    /// By task.
    pub generations: BTreeMap<u32, u32>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Group {
    pub generation: u32,
    pub offsets: BTreeMap<PartitionKey, u64>,
}

/// A change that contradicts the state: a defect, or damage that a checksum did not find.
pub(crate) type Contradiction = String;

impl State {
    pub(crate) fn topic(&self, name: &str) -> Option<(u32, &Topic)> {
        let number = *self.names.get(name)?;
        Some((number, self.topics.get(&number)?))
    }

    pub(crate) fn partition(&self, key: PartitionKey) -> Option<&Partition> {
        self.topics
            .get(&key.topic)?
            .partitions
            .get(key.partition as usize)
    }

    /// All partitions with their topic.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (PartitionKey, &Topic, &Partition)> {
        self.topics.iter().flat_map(|(&topic, info)| {
            let numbered = (0..).zip(&info.partitions);
            numbered.map(move |(partition, state)| (PartitionKey { topic, partition }, info, state))
        })
    }

    pub(crate) fn generation(&self, owner: &str, task: u32) -> u32 {
        let owner = self.owners.get(owner);
        owner
            .and_then(|owner| owner.generations.get(&task))
            .copied()
            .unwrap_or(0)
    }

    fn partition_mut(&mut self, key: PartitionKey) -> Result<&mut Partition, Contradiction> {
        let topic = self.topics.get_mut(&key.topic);
        topic
            .and_then(|topic| topic.partitions.get_mut(key.partition as usize))
            .ok_or_else(|| format!("topic {} partition {} is unknown", key.topic, key.partition))
    }

    /// Makes one change. An error leaves the state as it was.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<(), Contradiction> {
        self.stopped = false;
        match entry {
            Entry::Started { epoch, boot_id, os } => {
                (self.epoch, self.os) = (*epoch, *os);
                self.boot_id.clone_from(boot_id);
            }
            Entry::Stopped => self.stopped = true,
            Entry::NextTopic { topic } => self.next_topic = *topic,
            Entry::TopicCreated {
                topic,
                id,
                name,
                config,
            } => {
                self.create_topic(*topic, *id, name, config)?;
            }
            Entry::TopicChanged { topic, config } => {
                let info = self.topics.get_mut(topic).ok_or("the topic is unknown")?;
                let count = info.partitions.len().max(config.partitions as usize);
                info.partitions.resize(count, Partition::default());
                info.config = config.clone();
            }
            Entry::TopicDeleted { topic } => {
                let info = self.topics.remove(topic).ok_or("the topic is unknown")?;
                self.names.remove(&info.name);
                for group in self.groups.values_mut() {
                    group.offsets.retain(|key, _| key.topic != *topic);
                }
            }
            Entry::SegmentCreated { key, .. }
            | Entry::SegmentSealed { key, .. }
            | Entry::SegmentReplaced { key, .. }
            | Entry::Cleaned { key, .. }
            | Entry::Leased { key, .. }
            | Entry::SegmentDeleted { key, .. }
            | Entry::StartMoved { key, .. }
            | Entry::End { key, .. }
            | Entry::Gap { key, .. } => self.partition_mut(*key)?.apply(entry)?,
            _ => self.apply_to_owners(entry),
        }
        Ok(())
    }

    fn create_topic(
        &mut self,
        topic: u32,
        id: Uuid,
        name: &str,
        config: &TopicConfig,
    ) -> Result<(), Contradiction> {
        if self.names.contains_key(name) || self.topics.contains_key(&topic) {
            return Err(format!("topic {name} is created twice"));
        }
        let partitions = vec![Partition::default(); config.partitions as usize];
        let info = Topic {
            id,
            name: name.to_owned(),
            config: config.clone(),
            partitions,
        };
        self.topics.insert(topic, info);
        self.names.insert(name.to_owned(), topic);
        self.next_topic = self.next_topic.max(topic + 1);
        Ok(())
    }

    /// The entries that make this state out of nothing: the content of a snapshot.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let started = Entry::Started {
            epoch: self.epoch,
            boot_id: self.boot_id.clone(),
            os: self.os,
        };
        let mut out = vec![started];
        for (&topic, info) in &self.topics {
            let (name, config) = (info.name.clone(), info.config.clone());
            out.push(Entry::TopicCreated {
                topic,
                id: info.id,
                name,
                config,
            });
        }
        out.push(Entry::NextTopic {
            topic: self.next_topic,
        });
        for (key, _, partition) in self.partitions() {
            partition.entries(key, &mut out);
        }
        for (name, owner) in &self.owners {
            owner.entries(name, &mut out);
        }
        for (group, info) in &self.groups {
            let (name, generation) = (group.clone(), info.generation);
            out.push(Entry::GroupGeneration {
                group: name,
                generation,
            });
            out.extend(
                info.offsets
                    .iter()
                    .map(|(&key, &offset)| Entry::GroupOffset {
                        group: group.clone(),
                        key,
                        offset,
                    }),
            );
        }
        out.extend(self.registrations.values().map(|info| Entry::Registered {
            registration: info.registration.clone(),
            configured_ms: info.last_configured_ms,
        }));
        if self.stopped {
            out.push(Entry::Stopped);
        }
        out
    }
}

impl Owner {
    fn entries(&self, name: &str, out: &mut Vec<Entry>) {
        for (&task, &generation) in &self.generations {
            out.push(Entry::TaskGeneration {
                owner: name.to_owned(),
                task,
                generation,
            });
        }
        for (key, value) in &self.state {
            let (owner, key, value) = (name.to_owned(), key.clone(), value.clone());
            out.push(Entry::StatePut { owner, key, value });
        }
    }
}
