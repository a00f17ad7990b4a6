//! How far the files are ahead of the committed offset.
//!
//! One `write` may change more files than one set of the log can say. Then a part of the lengths is
//! committed before the write is done, without offsets, which only `flush` may move; so the offset
//! that belongs to those lengths is committed with them, as state, and what comes again below it is
//! left out. The flush that reports the offset deletes it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use towpath_sdk::{Error, Result, SinkOffset, SinkPartition, StateChange};

/// The first layout of the value: this byte, generation, offset, the topic's id.
const VERSION: u8 = 1;
const FIXED_BYTES: usize = 1 + 4 + 8;
/// What the keys begin with, and no path does.
const KEY_MARK: u8 = 0;

/// Whether `key` is that of an offset and not of a file.
pub(super) fn is_key(key: &[u8]) -> bool {
    key.first() == Some(&KEY_MARK)
}

/// Under what the offset of a partition is kept.
pub(super) fn key(topic: &str, partition: u32) -> Bytes {
    let mut key = BytesMut::with_capacity(1 + topic.len() + 4);
    key.put_u8(KEY_MARK);
    key.put_slice(topic.as_bytes());
    key.put_u32(partition);
    key.freeze()
}

/// Says that the lengths committed with it hold what is below `reached`.
pub(super) fn put(reached: &SinkOffset, generation: u32) -> StateChange {
    let id = reached.topic.id.as_bytes();
    let mut value = BytesMut::with_capacity(FIXED_BYTES + id.len());
    value.put_u8(VERSION);
    value.put_u32(generation);
    value.put_u64(reached.offset);
    value.put_slice(id);
    StateChange::put(key(&reached.topic.name, reached.partition), value.freeze())
}

/// The offset that `value` says; `None` when it no longer holds, as the partition was begun anew.
///
/// # Errors
/// Fatal when it cannot be read: going on would be guessing.
pub(super) fn read(
    partition: &SinkPartition,
    generation: u32,
    mut value: &[u8],
) -> Result<Option<SinkOffset>> {
    if value.len() < FIXED_BYTES || value.get_u8() != VERSION {
        let place = format!("{}-{}", partition.topic.name, partition.partition);
        return Err(Error::fatal("read the state of", place)
            .because("it is damaged, or was written by a newer version")
            .remedy("run the version that wrote it"));
    }
    let of_generation = value.get_u32();
    let offset = value.get_u64();
    let holds = of_generation == generation
        && value == partition.topic.id.as_bytes()
        && offset > partition.offset;
    Ok(holds.then(|| SinkOffset {
        topic: partition.topic.clone(),
        partition: partition.partition,
        offset,
    }))
}
