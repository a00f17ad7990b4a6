//! How far each connector got, and moving that: only of a connector that does not run.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use towpath_log::{ConnectorKind as LoggedKind, RegistrationInfo, TopicInfo};
use towpath_sdk::config::{Node, OptionType, Problems, Span, Start};
use towpath_sdk::{Error, Result, is_internal_topic, printable};

use super::Control;
use crate::clock::now_ms;
use crate::commit::log_error;
use crate::prepare::forget;
use crate::status::{ConnectorKind, TaskState};
use crate::step::{Sequence, remembered};

/// What the log remembers of a connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectorOffsets {
    /// `pipeline.connector`.
    pub name: String,
    /// Source, stream or sink.
    pub kind: ConnectorKind,
    /// The `type:` word.
    pub connector_type: String,
    /// What it talks to.
    pub far_side: String,
    /// Milliseconds since 1970.
    pub last_configured_ms: i64,
    /// Under which name the offsets of a stream or sink are kept.
    pub group: Option<String>,
    /// Raised by each reset.
    pub generation: Option<u32>,
    /// Where a stream or sink is, by topic and partition.
    pub offsets: Vec<PartitionOffset>,
    /// What it keeps of its own: for a source, where it is in its own system.
    pub state: Vec<StateKey>,
}

/// Where a stream or sink is in a partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartitionOffset {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: u32,
    /// Of the first record that is not done; `None` before anything was.
    pub offset: Option<u64>,
    /// Behind the last record that is held.
    pub end_offset: u64,
    /// Records still to be done.
    pub lag_records: u64,
}

/// A key of a connector's state; its value is the connector's own affair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateKey {
    /// Safe to print.
    pub key: String,
    /// Of the value.
    pub bytes: u64,
}

/// Where a connector shall go on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
    /// For a stream or sink: `earliest`, `latest`, an offset, a time or a duration ago. Absent for a source,
    /// which begins again by its `start`.
    pub to: Option<String>,
    /// Only this topic.
    pub topic: Option<String>,
    /// Only this partition.
    pub partition: Option<u32>,
}

/// What a reset did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResetAnswer {
    /// Its full name.
    pub connector: String,
    /// The new place of a stream or sink.
    pub offsets: Vec<PartitionOffset>,
    /// How many keys of a source's state were deleted.
    pub state_keys_deleted: u64,
}

/// What was forgotten.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForgetAnswer {
    /// Its full name.
    pub connector: String,
    /// Dead letters that waited to be retried, and were deleted.
    pub letters: u64,
}

/// A place in a partition, as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Earliest,
    Latest,
    Offset(u64),
    /// So many records before the end.
    Back(u64),
    /// The first record of this time or later.
    TimeMs(i64),
}

impl Place {
    /// Reads `earliest`, `latest`, `1200`, `-10`, `2026-01-01T00:00:00Z` or `2h` (ago).
    pub fn parse(text: &str) -> Result<Self> {
        if let Ok(offset) = text.parse() {
            return Ok(Self::Offset(offset));
        }
        if let Some(back) = text
            .strip_prefix('-')
            .and_then(|digits| digits.parse().ok())
        {
            return Ok(Self::Back(back));
        }
        let mut problems = Problems::new();
        match Start::parse(&Node::new(Span::NONE, text), &mut problems) {
            Some(Start::Earliest) => Ok(Self::Earliest),
            Some(Start::Latest) => Ok(Self::Latest),
            Some(Start::At(time_ms)) => Ok(Self::TimeMs(time_ms)),
            Some(Start::Ago(ago)) => {
                let moment_ms = u128::from(now_ms()).saturating_sub(ago.0.as_millis());
                Ok(Self::TimeMs(i64::try_from(moment_ms).unwrap_or(i64::MAX)))
            }
            None => Err(
                Error::configuration("use", format!("`{}` as a place", printable(text)))
                    .because("expected `earliest`, `latest`, an offset, a time or a duration")
                    .remedy("such as 1200, -10 (from the end), 2026-01-01T00:00:00Z or 2h (ago)"),
            ),
        }
    }
}

impl Control {
    /// Of every connector that is registered, by name. Waits for no disk.
    pub fn offsets(&self) -> Vec<ConnectorOffsets> {
        let mut infos = self.log.registrations();
        infos.sort_by(|left, right| left.registration.name.cmp(&right.registration.name));
        infos
            .into_iter()
            .map(|info| self.connector_offsets(info))
            .collect()
    }

    /// Of connector `name`.
    pub fn offsets_of(&self, name: &str) -> Result<ConnectorOffsets> {
        Ok(self.connector_offsets(self.registration(name)?))
    }

    /// Moves a stream or sink, or lets a source begin again. Refused while the connector runs.
    pub fn reset_offsets(&self, name: &str, request: &ResetRequest) -> Result<ResetAnswer> {
        let info = self.registration(name)?;
        match info.registration.kind {
            LoggedKind::Source => {
                self.check_stopped("reset the offsets of", name)?;
                self.reset_source(name, request)
            }
            LoggedKind::Stream | LoggedKind::Sink => {
                for sharing in self.sharing_group(&info) {
                    self.check_stopped("reset the offsets of", &sharing)?;
                }
                self.reset_group(&info, request)
            }
        }
    }

    /// Deletes what the log remembers of a connector that no pipeline of the worker has, and
    /// releases what it pinned.
    pub fn forget(&self, name: &str) -> Result<ForgetAnswer> {
        self.registration(name)?;
        if self.state_of(name).is_some() {
            return Err(Error::configuration("forget", name)
                .because("a pipeline of the running worker has this connector")
                .remedy("take it out of the pipeline first"));
        }
        let letters = forget(&self.log, name)?;
        self.set_paused(name, false)?;
        Ok(ForgetAnswer {
            connector: name.to_owned(),
            letters,
        })
    }

    fn connector_offsets(&self, info: RegistrationInfo) -> ConnectorOffsets {
        let kind = match info.registration.kind {
            LoggedKind::Source => ConnectorKind::Source,
            LoggedKind::Stream => ConnectorKind::Stream,
            LoggedKind::Sink => ConnectorKind::Sink,
        };
        let (group, offsets, generation) = if kind != ConnectorKind::Source {
            let group = info.registration.group_name().to_owned();
            let generation = self.log.group(&group).map(|group| group.generation);
            (Some(group), self.group_offsets(&info), generation)
        } else {
            (None, Vec::new(), None)
        };
        let owner = group.as_deref().unwrap_or(&info.registration.name);
        let state = self.state_keys(owner);
        ConnectorOffsets {
            kind,
            connector_type: info.registration.connector_type,
            far_side: info.registration.far_side,
            last_configured_ms: info.last_configured_ms,
            name: info.registration.name,
            group,
            generation,
            offsets,
            state,
        }
    }

    /// The keys of a connector's state. What a transform remembers of a partition or task counts as
    /// one.
    fn state_keys(&self, owner: &str) -> Vec<StateKey> {
        let topics = self.log.topics();
        let name = |sequence: &Sequence| match sequence {
            Sequence::Task(task) => format!("task {task}"),
            Sequence::Retried => "what is retried".to_owned(),
            Sequence::Partition(partition, id) => {
                let topic = topics.iter().find(|topic| topic.id.to_string() == *id);
                let topic = topic.map_or("a deleted topic", |topic| &topic.name);
                format!("{topic} partition {partition}")
            }
        };
        let mut keys: Vec<StateKey> = Vec::new();
        for (key, value) in self.log.state(owner) {
            let bytes = value.len() as u64;
            let key = match remembered(&key) {
                Some((transform, sequence)) => format!("{transform} of {}", name(&sequence)),
                None => printable(&String::from_utf8_lossy(&key)),
            };
            match keys.last_mut().filter(|last| last.key == key) {
                Some(last) => last.bytes += bytes,
                None => keys.push(StateKey { key, bytes }),
            }
        }
        keys
    }

    /// Where a stream or sink is in each partition of its topics that exist.
    fn group_offsets(&self, info: &RegistrationInfo) -> Vec<PartitionOffset> {
        let committed = self.log.group(info.registration.group_name());
        let topics = info
            .registration
            .topics
            .iter()
            .filter_map(|name| self.log.topic(name));
        let mut offsets = Vec::new();
        for topic in topics {
            for held in &topic.partitions {
                // Most of a retry topic is not used.
                if is_internal_topic(&topic.name) && held.end_offset == 0 {
                    continue;
                }
                let place = (topic.name.clone(), held.partition);
                let offset = committed
                    .as_ref()
                    .and_then(|group| group.offsets.get(&place));
                offsets.push(place_of(&topic.name, held, offset.copied()));
            }
        }
        offsets
    }

    fn reset_source(&self, name: &str, request: &ResetRequest) -> Result<ResetAnswer> {
        if request.to.is_some() || request.topic.is_some() || request.partition.is_some() {
            return Err(Error::configuration("reset the offsets of", name)
                .because("a source has positions in its own system, not offsets")
                .remedy(
                    "leave `--to`, `--topic` and `--partition` out: it begins again by its `start`",
                ));
        }
        let keys: Vec<_> = self.log.state(name).into_keys().collect();
        let deleted = keys.len() as u64;
        self.change_state(name, keys.into_iter().map(|key| (key, None)))?;
        let connector = name.to_owned();
        Ok(ResetAnswer {
            connector,
            offsets: Vec::new(),
            state_keys_deleted: deleted,
        })
    }

    fn reset_group(&self, info: &RegistrationInfo, request: &ResetRequest) -> Result<ResetAnswer> {
        let name = &info.registration.name;
        let Some(to) = &request.to else {
            return Err(Error::configuration("reset the offsets of", name)
                .because("nothing says where to")
                .remedy("add `--to earliest`, `--to latest`, an offset, a time or a duration"));
        };
        let to = Place::parse(to)?;
        let mut offsets = Vec::new();
        for topic in self.reset_topics(info, request)? {
            for held in &topic.partitions {
                if request.partition.is_none_or(|only| only == held.partition) {
                    let offset = self.offset_of(&topic, held.partition, to)?;
                    offsets.push(place_of(&topic.name, held, Some(offset)));
                }
            }
        }
        if offsets.is_empty() {
            return Err(Error::configuration("reset the offsets of", name)
                .because("it reads no such topic and partition")
                .remedy(format!("`towpath offsets show {name}` lists them")));
        }
        self.forget_remembered(info, &offsets)?;
        let changes: Vec<_> = offsets
            .iter()
            .map(|at| (at.topic.clone(), at.partition, at.offset))
            .collect();
        self.log
            .reset_offsets(info.registration.group_name(), &changes)
            .map_err(|error| log_error("reset offsets", error))?;
        Ok(ResetAnswer {
            connector: name.clone(),
            offsets,
            state_keys_deleted: 0,
        })
    }

    /// Deletes what transforms remember of the partitions of `offsets`: what comes again shall not be
    /// taken for known. First this, then the offsets: a crash in between forgets only.
    fn forget_remembered(
        &self,
        info: &RegistrationInfo,
        offsets: &[PartitionOffset],
    ) -> Result<()> {
        let ids: Vec<_> = offsets
            .iter()
            .filter_map(|at| Some((at.partition, self.log.topic(&at.topic)?.id.to_string())))
            .map(|(partition, topic)| Sequence::Partition(partition, topic))
            .collect();
        let group = info.registration.group_name();
        let is_reset =
            |key: &Bytes| remembered(key).is_some_and(|(_, sequence)| ids.contains(&sequence));
        let keys = self.log.state(group).into_keys().filter(is_reset);
        self.change_state(group, keys.map(|key| (key, None)))
    }

    fn reset_topics(
        &self,
        info: &RegistrationInfo,
        request: &ResetRequest,
    ) -> Result<Vec<TopicInfo>> {
        let read = &info.registration.topics;
        match &request.topic {
            Some(name) if !read.contains(name) => Err(Error::configuration(
                "reset the offsets of",
                &info.registration.name,
            )
            .because(format!("it does not read topic `{name}`"))
            .remedy(format!("it reads: {}", read.join(", ")))),
            Some(name) => Ok(vec![self.topic_info(name)?]),
            // What was retried does not come twice because all else does.
            None => Ok(read
                .iter()
                .filter(|name| !is_internal_topic(name))
                .filter_map(|name| self.log.topic(name))
                .collect()),
        }
    }

    /// The offset that `place` is in a partition. An offset that was named must be held.
    pub(super) fn offset_of(&self, topic: &TopicInfo, partition: u32, place: Place) -> Result<u64> {
        let held = topic
            .partitions
            .iter()
            .find(|held| held.partition == partition)
            .ok_or_else(|| no_partition(topic, partition))?;
        match place {
            Place::Earliest => Ok(held.start_offset),
            Place::Latest => Ok(held.end_offset),
            Place::Back(records) => Ok(held
                .end_offset
                .saturating_sub(records)
                .max(held.start_offset)),
            Place::TimeMs(time_ms) => self
                .log
                .offset_at(&topic.name, partition, time_ms)
                .map_err(|error| log_error("find the offset of a time", error)),
            Place::Offset(offset) if (held.start_offset..=held.end_offset).contains(&offset) => {
                Ok(offset)
            }
            Place::Offset(offset) => Err(Error::configuration(
                "use",
                format!("offset {offset} of {}", topic.name),
            )
            .because(format!(
                "partition {partition} holds {} to {}",
                held.start_offset, held.end_offset
            ))
            .remedy("choose one of these, `earliest` or `latest`")),
        }
    }

    /// The connectors that keep their offsets in the same group, itself among them.
    fn sharing_group(&self, info: &RegistrationInfo) -> Vec<String> {
        let group = info.registration.group_name();
        let registered = self
            .log
            .registrations()
            .into_iter()
            .map(|other| other.registration);
        registered
            .filter(|other| other.group_name() == group)
            .map(|other| other.name)
            .collect()
    }

    fn check_stopped(&self, doing: &str, name: &str) -> Result<()> {
        use TaskState::{Done, Failed, Paused, Stopped};
        match self.state_of(name) {
            None | Some(Paused | Failed | Stopped | Done) => Ok(()),
            Some(state) => Err(Error::configuration(doing, name)
                .because(format!("it is {}", state.as_str()))
                .remedy(format!(
                    "`towpath pause {name}` first, `towpath resume {name}` after it"
                ))),
        }
    }
}

fn place_of(
    topic: &str,
    held: &towpath_log::PartitionInfo,
    offset: Option<u64>,
) -> PartitionOffset {
    let from = offset.unwrap_or(held.start_offset).max(held.start_offset);
    PartitionOffset {
        topic: topic.to_owned(),
        partition: held.partition,
        offset,
        end_offset: held.end_offset,
        lag_records: held.end_offset.saturating_sub(from),
    }
}

pub(super) fn no_partition(topic: &TopicInfo, partition: u32) -> Error {
    Error::configuration(
        "use",
        format!("partition {partition} of topic `{}`", topic.name),
    )
    .because(format!("it has {}", topic.partitions.len()))
    .remedy("partitions are numbered from 0")
}
