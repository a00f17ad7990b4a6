//! What the commit log says of a partition: its ends, and its segments.

use crate::entry::Entry;
use crate::segment::SegmentName;
use crate::state::Contradiction;
use crate::topic::PartitionKey;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Partition {
    /// Offset of the first record still held.
    pub start: u64,
    /// Offset the next record gets.
    pub end: u64,
    /// Below it each key stands once.
    pub clean: u64,
    /// In order of offsets. Only the last may be unsealed.
    pub segments: Vec<Segment>,
    /// A lease was taken from this offset on, and no segment listed since. Files from there on may
    /// hold any number of bytes that were never committed.
    pub leased: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Segment {
    /// Offset at which it begins, which names the file.
    pub base: u64,
    /// How often compaction has rewritten what is in it.
    pub generation: u32,
    /// Behind the last record.
    pub end: u64,
    /// Bytes of committed batches.
    pub length: u64,
    /// Committed records.
    pub records: u64,
    /// Largest timestamp, `i64::MIN` when empty.
    pub timestamp_ms_max: i64,
    pub sealed: bool,
}

impl Segment {
    pub(crate) fn name(&self) -> SegmentName {
        let (base, generation) = (self.base, self.generation);
        SegmentName { base, generation }
    }
}

impl Partition {
    /// The segment that holds `offset`, or the first with records behind it: offsets may be missing
    /// in a gap, and a segment between two gaps may be empty.
    pub(crate) fn segment_at(&self, offset: u64) -> Option<&Segment> {
        let after = self
            .segments
            .partition_point(|segment| segment.end <= offset);
        self.segments[after..]
            .iter()
            .find(|segment| segment.length > 0)
    }

    /// The segment that is appended to.
    pub(crate) fn active(&self) -> Option<&Segment> {
        self.segments.last().filter(|segment| !segment.sealed)
    }

    /// Compaction's new segment stands for those that it covers.
    fn replace(&mut self, new: Segment) -> Result<(), Contradiction> {
        let Segment { base, end, .. } = new;
        let is_replaced = |old: &Segment| (base..end).contains(&old.base);
        let mut replaced = self.segments.iter().filter(|old| is_replaced(old));
        if replaced.any(|old| !old.sealed || old.end > end || old.generation >= new.generation) {
            return Err(format!(
                "segment {} replaces what it does not cover",
                new.name()
            ));
        }
        self.segments.retain(|old| !is_replaced(old));
        let at = self.segments.partition_point(|segment| segment.base < base);
        self.segments.insert(at, new);
        self.end = self.end.max(end);
        Ok(())
    }

    fn segment_mut(&mut self, base: u64) -> Result<&mut Segment, Contradiction> {
        let found = self
            .segments
            .iter_mut()
            .rev()
            .find(|segment| segment.base == base);
        found.ok_or_else(|| format!("segment {base} is unknown"))
    }

    /// Makes a change of this partition. An error leaves it as it was.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<(), Contradiction> {
        match *entry {
            Entry::SegmentCreated { base, .. } => {
                if base < self.end || self.active().is_some() {
                    return Err(format!("segment {base} is created out of order"));
                }
                let timestamp_ms_max = i64::MIN;
                let segment = Segment {
                    base,
                    generation: 0,
                    end: base,
                    length: 0,
                    records: 0,
                    timestamp_ms_max,
                    sealed: false,
                };
                self.segments.push(segment);
                self.end = base;
                self.leased = None;
            }
            Entry::SegmentSealed { base, .. } => {
                self.segment_mut(base)?.sealed = true;
            }
            Entry::SegmentReplaced {
                end,
                name,
                length,
                records,
                timestamp_ms_max,
                ..
            } => {
                self.replace(Segment {
                    base: name.base,
                    generation: name.generation,
                    end,
                    length,
                    records,
                    timestamp_ms_max,
                    sealed: true,
                })?;
            }
            Entry::Cleaned { offset, .. } => self.clean = offset,
            Entry::Leased { base, .. } => {
                if base > self.end || self.active().is_some() {
                    return Err(format!("a lease from offset {base} on is out of order"));
                }
                self.leased = Some(base);
            }
            Entry::SegmentDeleted { base, .. } => {
                self.segments.retain(|segment| segment.base != base);
            }
            Entry::StartMoved { start, .. } => {
                self.start = self.start.max(start);
                self.end = self.end.max(start);
            }
            Entry::End {
                base,
                end,
                length,
                timestamp_ms_max,
                ..
            } => {
                let segment = self.segment_mut(base)?;
                if end < segment.end || length < segment.length {
                    return Err(format!("the end of segment {base} moves back to {end}"));
                }
                segment.records += end - segment.end;
                (segment.end, segment.length) = (end, length);
                segment.timestamp_ms_max = timestamp_ms_max;
                self.end = self.end.max(end);
            }
            Entry::Gap { to, .. } => {
                self.end = self.end.max(to);
            }
            _ => unreachable!("the state sends only entries about partitions here"),
        }
        Ok(())
    }

    /// The entries that make this partition out of nothing.
    pub(crate) fn entries(&self, key: PartitionKey, out: &mut Vec<Entry>) {
        for segment in &self.segments {
            let Segment {
                base,
                end,
                length,
                records,
                timestamp_ms_max,
                sealed,
                ..
            } = *segment;
            if segment.generation > 0 {
                out.push(Entry::SegmentReplaced {
                    key,
                    end,
                    name: segment.name(),
                    length,
                    records,
                    timestamp_ms_max,
                });
                continue;
            }
            out.push(Entry::SegmentCreated { key, base });
            out.push(Entry::End {
                key,
                base,
                end,
                length,
                timestamp_ms_max,
            });
            if sealed {
                out.push(Entry::SegmentSealed { key, base });
            }
        }
        if self.clean > 0 {
            let offset = self.clean;
            out.push(Entry::Cleaned { key, offset });
        }
        out.push(Entry::StartMoved {
            key,
            start: self.start,
        });
        out.push(Entry::Gap { key, to: self.end });
        out.extend(self.leased.map(|base| Entry::Leased { key, base }));
    }
}
