//! The entries of commit records and snapshots: each is one change of the [`crate::state::State`].
//!
//! The numbers are the format; those reserved for later are listed in `FORMAT.md` and refused here
//! by number, so that an older program never passes over what it does not understand.

use bytes::Bytes;
use uuid::Uuid;

use crate::encoding::{DecodeError, Put, Take};
use crate::registration::Registration;
use crate::segment::SegmentName;
use crate::topic::{PartitionKey, TopicConfig};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    /// A start of the log: all records from here on carry `epoch`.
    Started {
        epoch: u64,
        boot_id: String,
        os: bool,
    },
    /// A clean end: every segment is synced and cut to its length.
    Stopped,
    TopicCreated {
        topic: u32,
        id: Uuid,
        name: String,
        config: TopicConfig,
    },
    TopicChanged {
        topic: u32,
        config: TopicConfig,
    },
    TopicDeleted {
        topic: u32,
    },
    SegmentCreated {
        key: PartitionKey,
        base: u64,
    },
    /// Nothing is appended to the segment any more; its file has exactly `length` bytes.
    SegmentSealed {
        key: PartitionKey,
        base: u64,
    },
    /// Compaction: the segments from `name.base` up to `end` are one file now, sealed and synced.
    SegmentReplaced {
        key: PartitionKey,
        end: u64,
        name: SegmentName,
        length: u64,
        records: u64,
        timestamp_ms_max: i64,
    },
    SegmentDeleted {
        key: PartitionKey,
        base: u64,
    },
    StartMoved {
        key: PartitionKey,
        start: u64,
    },
    /// The committed end of a segment, and so of its partition.
    End {
        key: PartitionKey,
        base: u64,
        end: u64,
        length: u64,
        timestamp_ms_max: i64,
    },
    /// The offsets up to `to` may have been given out and lost: they never name a record.
    Gap {
        key: PartitionKey,
        to: u64,
    },
    /// Compaction: below `offset` each key stands once.
    Cleaned {
        key: PartitionKey,
        offset: u64,
    },
    /// From offset `base` on the segments of the partition are the holder's of a lease: any number of
    /// them, with any number of bytes, of which nothing counts before a record lists them.
    Leased {
        key: PartitionKey,
        base: u64,
    },
    /// An append set of `task` of `owner`.
    Set {
        owner: String,
        task: u32,
        generation: u32,
        number: u64,
    },
    StatePut {
        owner: String,
        key: Bytes,
        value: Bytes,
    },
    StateDeleted {
        owner: String,
        key: Bytes,
    },
    GroupOffset {
        group: String,
        key: PartitionKey,
        offset: u64,
    },
    GroupOffsetDeleted {
        group: String,
        key: PartitionKey,
    },
    GroupGeneration {
        group: String,
        generation: u32,
    },
    TaskGeneration {
        owner: String,
        task: u32,
        generation: u32,
    },
    Registered {
        registration: Registration,
        configured_ms: i64,
    },
    Forgotten {
        name: String,
    },
    Renamed {
        old: String,
        new: String,
    },
    /// In snapshots: the number the next topic gets.
    NextTopic {
        topic: u32,
    },
}

pub(crate) fn encode_all(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 * entries.len());
    for entry in entries {
        entry.encode(&mut out);
    }
    out
}

pub(crate) fn decode_all(body: Bytes) -> Result<Vec<Entry>, DecodeError> {
    let mut take = Take::new(body);
    let mut entries = Vec::new();
    while !take.is_empty() {
        entries.push(Entry::decode(&mut take)?);
    }
    Ok(entries)
}

impl Entry {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Started { epoch, boot_id, os } => {
                out.put_u8(1);
                out.put_u64(*epoch);
                out.put_bytes(boot_id.as_bytes());
                out.put_u8(u8::from(*os));
            }
            Self::Stopped => out.put_u8(2),
            Self::TopicCreated {
                topic,
                id,
                name,
                config,
            } => {
                out.put_u8(if config.is_compacted() { 31 } else { 3 });
                out.put_u32(*topic);
                out.put_uuid(*id);
                out.put_bytes(name.as_bytes());
                config.put(out);
            }
            Self::TopicChanged { topic, config } => {
                out.put_u8(if config.is_compacted() { 32 } else { 4 });
                out.put_u32(*topic);
                config.put(out);
            }
            Self::TopicDeleted { topic } => {
                out.put_u8(5);
                out.put_u32(*topic);
            }
            Self::SegmentCreated { key, base } => put_place(out, 6, *key, *base),
            Self::SegmentSealed { key, base } => put_place(out, 7, *key, *base),
            Self::SegmentReplaced {
                key,
                end,
                name,
                length,
                records,
                timestamp_ms_max,
            } => {
                put_place(out, 8, *key, name.base);
                out.put_u64(*end);
                out.put_u32(name.generation);
                out.put_u64(*length);
                out.put_u64(*records);
                out.put_i64(*timestamp_ms_max);
            }
            Self::SegmentDeleted { key, base } => put_place(out, 9, *key, *base),
            Self::StartMoved { key, start } => put_place(out, 10, *key, *start),
            Self::End {
                key,
                base,
                end,
                length,
                timestamp_ms_max,
            } => {
                put_place(out, 11, *key, *base);
                out.put_u64(*end);
                out.put_u64(*length);
                out.put_i64(*timestamp_ms_max);
            }
            Self::Gap { key, to } => put_place(out, 12, *key, *to),
            Self::Leased { key, base } => put_place(out, 15, *key, *base),
            Self::Cleaned { key, offset } => put_place(out, 17, *key, *offset),
            _ => self.encode_owned(out),
        }
    }

    /// The entries about connectors: sets, state, offsets, registrations.
    fn encode_owned(&self, out: &mut Vec<u8>) {
        match self {
            Self::Set {
                owner,
                task,
                generation,
                number,
            } => {
                out.put_u8(20);
                out.put_bytes(owner.as_bytes());
                out.put_u32(*task);
                out.put_u32(*generation);
                out.put_u64(*number);
            }
            Self::StatePut { owner, key, value } => {
                out.put_u8(21);
                out.put_bytes(owner.as_bytes());
                out.put_bytes(key);
                out.put_bytes(value);
            }
            Self::StateDeleted { owner, key } => {
                out.put_u8(22);
                out.put_bytes(owner.as_bytes());
                out.put_bytes(key);
            }
            Self::GroupOffset { group, key, offset } => {
                put_place(out, 23, *key, *offset);
                out.put_bytes(group.as_bytes());
            }
            Self::GroupOffsetDeleted { group, key } => {
                put_place(out, 24, *key, 0);
                out.put_bytes(group.as_bytes());
            }
            Self::GroupGeneration { group, generation } => {
                out.put_u8(25);
                out.put_bytes(group.as_bytes());
                out.put_u32(*generation);
            }
            Self::TaskGeneration {
                owner,
                task,
                generation,
            } => {
                out.put_u8(26);
                out.put_bytes(owner.as_bytes());
                out.put_u32(*task);
                out.put_u32(*generation);
            }
            Self::Registered {
                registration,
                configured_ms,
            } => {
                out.put_u8(27);
                registration.put(out);
                out.put_i64(*configured_ms);
            }
            Self::Forgotten { name } => {
                out.put_u8(28);
                out.put_bytes(name.as_bytes());
            }
            Self::Renamed { old, new } => {
                out.put_u8(29);
                out.put_bytes(old.as_bytes());
                out.put_bytes(new.as_bytes());
            }
            Self::NextTopic { topic } => {
                out.put_u8(30);
                out.put_u32(*topic);
            }
            _ => unreachable!("encode() writes every other entry itself"),
        }
    }

    fn decode(take: &mut Take) -> Result<Self, DecodeError> {
        Ok(match take.u8()? {
            1 => Self::Started {
                epoch: take.u64()?,
                boot_id: take.string()?,
                os: take.u8()? != 0,
            },
            2 => Self::Stopped,
            kind @ (3 | 31) => Self::TopicCreated {
                topic: take.u32()?,
                id: take.uuid()?,
                name: take.string()?,
                config: TopicConfig::take(take, kind == 31)?,
            },
            kind @ (4 | 32) => Self::TopicChanged {
                topic: take.u32()?,
                config: TopicConfig::take(take, kind == 32)?,
            },
            5 => Self::TopicDeleted { topic: take.u32()? },
            6 => Self::SegmentCreated {
                key: take_key(take)?,
                base: take.u64()?,
            },
            7 => Self::SegmentSealed {
                key: take_key(take)?,
                base: take.u64()?,
            },
            8 => {
                let (key, base, end) = (take_key(take)?, take.u64()?, take.u64()?);
                let generation = take.u32()?;
                Self::SegmentReplaced {
                    key,
                    end,
                    name: SegmentName { base, generation },
                    length: take.u64()?,
                    records: take.u64()?,
                    timestamp_ms_max: take.i64()?,
                }
            }
            9 => Self::SegmentDeleted {
                key: take_key(take)?,
                base: take.u64()?,
            },
            10 => Self::StartMoved {
                key: take_key(take)?,
                start: take.u64()?,
            },
            11 => Self::End {
                key: take_key(take)?,
                base: take.u64()?,
                end: take.u64()?,
                length: take.u64()?,
                timestamp_ms_max: take.i64()?,
            },
            12 => Self::Gap {
                key: take_key(take)?,
                to: take.u64()?,
            },
            15 => Self::Leased {
                key: take_key(take)?,
                base: take.u64()?,
            },
            17 => Self::Cleaned {
                key: take_key(take)?,
                offset: take.u64()?,
            },
            kind => return Self::decode_owned(kind, take),
        })
    }

    fn decode_owned(kind: u8, take: &mut Take) -> Result<Self, DecodeError> {
        Ok(match kind {
            20 => Self::Set {
                owner: take.string()?,
                task: take.u32()?,
                generation: take.u32()?,
                number: take.u64()?,
            },
            21 => Self::StatePut {
                owner: take.string()?,
                key: take.bytes()?,
                value: take.bytes()?,
            },
            22 => Self::StateDeleted {
                owner: take.string()?,
                key: take.bytes()?,
            },
            23 => {
                let (key, offset) = (take_key(take)?, take.u64()?);
                Self::GroupOffset {
                    group: take.string()?,
                    key,
                    offset,
                }
            }
            24 => {
                let (key, _) = (take_key(take)?, take.u64()?);
                Self::GroupOffsetDeleted {
                    group: take.string()?,
                    key,
                }
            }
            25 => Self::GroupGeneration {
                group: take.string()?,
                generation: take.u32()?,
            },
            26 => Self::TaskGeneration {
                owner: take.string()?,
                task: take.u32()?,
                generation: take.u32()?,
            },
            27 => Self::Registered {
                registration: Registration::take(take)?,
                configured_ms: take.i64()?,
            },
            28 => Self::Forgotten {
                name: take.string()?,
            },
            29 => Self::Renamed {
                old: take.string()?,
                new: take.string()?,
            },
            30 => Self::NextTopic { topic: take.u32()? },
            kind => {
                return Err(format!(
                    "entry kind {kind} is unknown: a newer Towpath wrote it"
                ));
            }
        })
    }
}

fn put_place(out: &mut Vec<u8>, kind: u8, key: PartitionKey, value: u64) {
    out.put_u8(kind);
    out.put_u32(key.topic);
    out.put_u32(key.partition);
    out.put_u64(value);
}

fn take_key(take: &mut Take) -> Result<PartitionKey, DecodeError> {
    Ok(PartitionKey {
        topic: take.u32()?,
        partition: take.u32()?,
    })
}
