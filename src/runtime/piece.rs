//! Append sets of what a stream has read: several where the transforms have made much of it.
//!
//! The offsets of a set are those up to which all that was read is in it or in one before it. Sets
//! settle in order, so after a crash the stream goes on behind the last one, and each record goes
//! through once. A source's position stands behind all of its read, which therefore is one set.

use towpath_log::GroupOffset;
use towpath_sdk::Refused;

use crate::stretch::Stretch;

/// About how much of what was read goes into one set; more when one record takes more.
const PIECE_BYTES: usize = 16 << 20;

/// What goes into one append set.
pub(crate) struct Piece {
    pub stretches: Vec<Stretch>,
    /// Where the next set goes on.
    pub offsets: Vec<GroupOffset>,
}

impl Piece {
    /// What came of all that was read up to `offsets`, in its order; at least one.
    pub fn all(stretches: Vec<Stretch>, offsets: Vec<GroupOffset>) -> Vec<Self> {
        let mut pieces = vec![Self {
            stretches: Vec::new(),
            offsets,
        }];
        // Of what was not read of the log nobody knows where to go on within it.
        let can_be_cut = stretches.iter().all(|stretch| stretch.offset.is_some());
        let mut bytes = 0;
        for stretch in stretches.into_iter().rev() {
            let size = stretch.batch.as_bytes().len();
            bytes += size;
            let next = pieces.last().and_then(|piece| piece.stretches.last());
            let within = next.is_some_and(|next| stretch.shares_record(next));
            if can_be_cut && !within && bytes > PIECE_BYTES && bytes > size {
                bytes = size;
                let offsets = pieces.last().map(Self::begin).unwrap_or_default();
                pieces.push(Self {
                    stretches: Vec::new(),
                    offsets,
                });
            }
            if let Some(piece) = pieces.last_mut() {
                piece.stretches.push(stretch);
            }
        }
        for piece in &mut pieces {
            piece.stretches.reverse();
        }
        pieces.reverse();
        pieces
    }

    /// Whether the record of `bad` is one of this set or of one before it.
    pub fn is_behind(&self, bad: &Refused) -> bool {
        let Some(place) = &bad.record.place else {
            return true;
        };
        let mut offsets = self.offsets.iter();
        offsets.any(|offset| {
            let is_of = offset.topic == place.topic && offset.partition == place.partition;
            is_of && place.offset < offset.offset
        })
    }

    /// The offsets with which the set before this one ends; its stretches are in reverse order.
    fn begin(&self) -> Vec<GroupOffset> {
        let mut offsets = self.offsets.clone();
        for offset in &mut offsets {
            let first = self.stretches.iter().rfind(|stretch| {
                stretch.origin.name == *offset.topic && stretch.partition == Some(offset.partition)
            });
            if let Some(first) = first.and_then(|stretch| stretch.offset) {
                offset.offset = first;
            }
        }
        offsets
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use towpath_record::BatchBuilder;
    use towpath_sdk::Origin;

    use super::*;

    /// A record of so many MiB, which stands at `offset` of `partition`.
    fn stretch(partition: u32, offset: u64, mib: usize) -> Stretch {
        let mut builder = BatchBuilder::default();
        let pushed = builder.push(0, None, Some(&vec![0; mib << 20]), &[]);
        pushed.expect("a record");
        let origin = Arc::new(Origin {
            name: "t".to_owned(),
            fields: Vec::new(),
        });
        let batch = builder
            .finish_at(i64::try_from(offset).expect("a small offset"))
            .expect("a batch");
        Stretch::read(&origin, partition, &batch)
    }

    /// What was read up to offset 90 of partition 0, and 95 of partition 1.
    fn pieces(stretches: Vec<Stretch>) -> Vec<(Vec<u64>, Vec<u64>)> {
        let offsets = [(0, 90), (1, 95)].map(|(partition, offset)| GroupOffset {
            group: "g".into(),
            topic: "t".into(),
            partition,
            offset,
        });
        let pieces = Piece::all(stretches, offsets.into()).into_iter();
        let shown = pieces.map(|piece| {
            let stretches = piece.stretches.iter().filter_map(|stretch| stretch.offset);
            let offsets = piece.offsets.iter().map(|offset| offset.offset);
            (stretches.collect(), offsets.collect())
        });
        shown.collect()
    }

    #[test]
    fn a_set_ends_where_the_next_one_goes_on() {
        let all = vec![
            stretch(0, 10, 9),
            stretch(0, 20, 9),
            stretch(1, 30, 9),
            stretch(0, 40, 30),
            stretch(0, 50, 5),
            stretch(0, 60, 5),
        ];
        let expected = [
            (vec![10], vec![20, 30]),
            (vec![20], vec![40, 30]),
            (vec![30], vec![40, 95]),
            (vec![40], vec![50, 95]),
            (vec![50, 60], vec![90, 95]),
        ];
        assert_eq!(pieces(all), expected);
        assert_eq!(pieces(Vec::new()), [(vec![], vec![90, 95])]);
    }

    /// Where topics or keys change within it, a record is several stretches.
    #[test]
    fn no_set_ends_within_a_record() {
        let all = vec![
            stretch(0, 10, 9),
            stretch(0, 20, 9),
            stretch(0, 20, 9),
            stretch(0, 20, 9),
            stretch(1, 20, 9),
        ];
        let expected = [
            (vec![10], vec![20, 20]),
            (vec![20, 20, 20], vec![90, 20]),
            (vec![20], vec![90, 95]),
        ];
        assert_eq!(pieces(all), expected);
    }

    #[test]
    fn what_was_not_read_of_the_log_is_one_set() {
        let mut of_source = stretch(0, 20, 20);
        of_source.offset = None;
        let found = pieces(vec![stretch(0, 10, 20), of_source]);
        assert_eq!(found, [(vec![10], vec![90, 95])]);
    }
}
