//! How much of what is scarce one task takes.

/// The smallest part that S3 takes, but for an object's last.
pub(super) const PART_BYTES_MIN: u64 = 5 << 20;
/// The largest part: each is in memory while it is sent.
pub(super) const PART_BYTES_MAX: u64 = 32 << 20;
/// Parts of one object. S3 takes twice as many; their list must fit in one commit.
pub(super) const PARTS_MAX: u64 = 5_000;

/// In bytes, where nothing else is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A part.
    pub(super) part: usize,
    /// An object is closed when it has so much, whatever `rotate` says.
    pub(super) object: u64,
    /// Encoded bytes that are worth a chunk.
    pub(super) chunk: usize,
    /// What is compressed at once, to be a member or frame.
    pub(super) piece: usize,
    /// What is cut at a time.
    pub(super) cut: usize,
    /// Pieces that are compressed at the same time.
    pub(super) packing: usize,
    /// What waits in memory in all objects. Half of it stays when there is more.
    pub(super) resting: usize,
    /// Parts on their way.
    pub(super) flight: usize,
    /// Uploads that send or finish at the same time.
    pub(super) calls: usize,
    /// Full objects that wait for their turn before records have to.
    pub(super) waiting: usize,
    /// Keys of the state that one report deletes.
    pub(super) changes: usize,
}

impl Limits {
    /// With parts of `part_bytes`, or larger ones when objects are to have `object_bytes`.
    pub(super) fn new(part_bytes: u64, object_bytes: Option<u64>) -> Self {
        // An object may get larger than it should by what is being compressed.
        let parts = PARTS_MAX - 100;
        let part = object_bytes.map_or(0, |bytes| bytes.div_ceil(parts));
        let part = part.max(part_bytes).clamp(PART_BYTES_MIN, PART_BYTES_MAX);
        Self {
            part: part as usize,
            object: part * parts,
            chunk: 128 << 10,
            piece: 1 << 20,
            cut: 8 << 20,
            packing: 4,
            resting: 32 << 20,
            flight: 20 << 20,
            calls: 32,
            waiting: 4096,
            changes: 250 << 10,
        }
    }
}
