//! An object that is being made, from its first record until it is done.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use towpath_sdk::{Block, Encoder, Result};

use super::scratch::{Scratch, Waiting};
use super::uploading::Order;

/// Its records go through two buffers: encoded bytes wait in `raw` until there are enough for a
/// chunk, which becomes a block, compressed members, or stays as it is; what comes of that waits in
/// `packed` until it is a part. Nothing else is held of an object at rest, so thousands may be open.
pub(super) struct Object {
    /// The index of its partition.
    pub(super) place: usize,
    pub(super) stream: Arc<str>,
    /// The index of its encoder.
    pub(super) encoder: usize,
    pub(super) key: String,
    pub(super) mark: String,
    /// Its first record.
    pub(super) from: u64,
    /// Behind its last record.
    pub(super) end: u64,
    pub(super) records: u64,
    /// When its first record came, and when it is to be closed; milliseconds since 1970.
    pub(super) came_ms: i64,
    pub(super) due_ms: Option<i64>,
    pub(super) raw: Waiting,
    /// Records in `raw`.
    pub(super) raw_records: u64,
    /// The blocks that were cut, if there are blocks.
    pub(super) blocks: Vec<Block>,
    /// Bytes that were cut.
    pub(super) cut: u64,
    /// Whether the last was.
    pub(super) ended: bool,
    /// Pieces that are being compressed.
    pub(super) packing: usize,
    pub(super) packed: Waiting,
    /// Bytes that were ever in `packed`.
    pub(super) size: u64,
    /// Where its upload takes orders, once it has one.
    pub(super) orders: Option<UnboundedSender<Order>>,
    /// It takes no more records.
    pub(super) full: bool,
    /// Its upload was told that this is all.
    pub(super) finishing: bool,
}

impl Object {
    /// Takes what waits in `raw` as it is to stand in the object, before compression: with the head
    /// in front when it is the first, and the end behind when it is the last. Blocks when something
    /// is on disk.
    pub(super) fn cut(
        &mut self,
        encoder: &mut dyn Encoder,
        scratch: &mut Scratch,
    ) -> Result<Vec<u8>> {
        let head = if self.cut == 0 { encoder.head() } else { &[] };
        let position = self.cut + head.len() as u64;
        let mut chunk = self.raw.take(scratch)?;
        if !chunk.is_empty() {
            let records = std::mem::take(&mut self.raw_records);
            let head = head.to_vec();
            let note = encoder.block(records, &mut chunk)?;
            chunk.splice(..0, head);
            if encoder.block_bytes().is_some() {
                self.blocks.push(Block { position, note });
            }
        }
        if self.full {
            chunk.append(&mut encoder.end(&self.blocks)?);
            self.ended = true;
        }
        self.cut += chunk.len() as u64;
        Ok(chunk)
    }

    /// Takes the next part, if there is enough for one; what is left of a full object is its last.
    /// Blocks when something is on disk.
    pub(super) fn take_part(&mut self, bytes: usize, scratch: &mut Scratch) -> Result<Vec<u8>> {
        let mut part = self.packed.take(scratch)?;
        if part.len() > bytes {
            self.packed.memory = part.split_off(bytes);
        }
        Ok(part)
    }

    /// Whether nothing will be added to `packed`.
    pub(super) fn is_drained(&self) -> bool {
        self.ended && self.packing == 0
    }

    /// Memory that spilling would give back.
    pub(super) fn held(&self) -> usize {
        self.raw.memory.capacity() + self.packed.memory.len()
    }

    /// Moves what waits to disk. Blocks.
    pub(super) fn spill(&mut self, scratch: &mut Scratch) -> Result<()> {
        self.raw.spill(scratch)?;
        self.packed.spill(scratch)
    }
}
