//! Objects that are done: which may be finished, and how far their partitions are done with them.

use std::collections::VecDeque;

use towpath_sdk::{Flushed, SinkOffset, StateChange};

use super::entry::{Ended, Entry, Kind, Oldest, ended_name};
use super::object::Object;
use super::objects::Objects;
use super::partition::Partition;

impl Objects {
    /// Whether object `index` may be finished now: all is sent of it, and nothing of its stream comes
    /// before it.
    pub(super) fn may_finish(&self, index: usize) -> bool {
        self.slots[index].as_ref().is_some_and(|object| {
            let of_stream = self.partitions[object.place].objects.get(&object.stream);
            let first = of_stream.and_then(VecDeque::front);
            !object.finishing && object.is_drained() && first == Some(&index)
        })
    }

    /// What the intent of object `index`, of which all was sent, is to say.
    pub(super) fn ended(&self, object: &Object, generation: u32) -> Ended {
        let Partition { now, low, .. } = &self.partitions[object.place];
        Ended {
            generation,
            end: object.end,
            times: now.within(*low, object.end),
        }
    }

    /// Object `index` is done, and the state says so.
    pub(super) fn done(&mut self, index: usize) {
        let Some(object) = self.slots[index].take() else {
            return;
        };
        let partition = &mut self.partitions[object.place];
        if let Some(of_stream) = partition.objects.get_mut(&object.stream) {
            of_stream.pop_front();
            if of_stream.is_empty() {
                partition.objects.remove(&object.stream);
            }
        }
        partition.ended.insert(object.stream, object.end);
    }

    /// What to report: how far each partition is done, and what the state need not say any more.
    pub(super) fn report(&mut self, generation: u32) -> Flushed {
        let mut flushed = self.progress.report(Vec::new());
        for reached in std::mem::take(&mut flushed.offsets) {
            let mut partitions = self.partitions.iter_mut();
            let of = |one: &&mut Partition| {
                one.place.partition == reached.partition && one.topic == reached.topic
            };
            if let Some(partition) = partitions.find(of) {
                partition.accepted = reached.offset;
            }
        }
        let mut room = self.limits.changes;
        for (place, partition) in self.partitions.iter_mut().enumerate() {
            let objects = self.slots.iter().flatten();
            let oldest = objects
                .filter(|object| object.place == place)
                .min_by_key(|object| object.from);
            let low = oldest.map_or(partition.accepted, |object| object.from);
            if low > partition.low {
                partition.low = low;
                partition.refused = 0;
                partition.now.forget_below(low);
                flushed.offsets.push(SinkOffset {
                    topic: partition.topic.clone(),
                    partition: partition.place.partition,
                    offset: low,
                });
            }
            let slots = &self.slots;
            let finishing = |index: usize| slots[index].as_ref().is_some_and(|one| one.finishing);
            let forgotten = partition.forget_ended(finishing, &mut room);
            flushed.state.extend(forgotten);
            if let Some(object) = oldest.filter(|_| self.rotate.time.is_some()) {
                let oldest = Oldest {
                    generation,
                    offset: object.from,
                    came_ms: object.came_ms,
                };
                if partition.oldest != Some(oldest) {
                    partition.oldest = Some(oldest);
                    let key = partition.place.key(Kind::Oldest, b"");
                    flushed.state.push(StateChange::put(key, oldest.encode()));
                }
            }
        }
        flushed
    }
}

impl Partition {
    /// Forgets streams that are done no further than everything is; no more keys than there is
    /// `room` for.
    fn forget_ended(
        &mut self,
        finishing: impl Fn(usize) -> bool,
        room: &mut usize,
    ) -> Vec<StateChange> {
        let (low, place, objects) = (self.low, &self.place, &self.objects);
        let mut changes = Vec::new();
        let current = (self.routing, &mut self.ended);
        let earlier = self.earlier.iter_mut();
        let earlier = earlier.map(|(number, _, streams)| (*number, streams));
        for (routing, streams) in std::iter::once(current).chain(earlier) {
            streams.retain(|stream, end| {
                // An upload that is finishing will say another end under the same key.
                let first = objects.get(stream).and_then(VecDeque::front);
                if *end > low || first.is_some_and(|first| finishing(*first)) {
                    return true;
                }
                let key = place.key(Kind::Ended, &ended_name(routing, stream));
                let Some(left) = room.checked_sub(key.len()) else {
                    return true;
                };
                *room = left;
                changes.push(StateChange::delete(key));
                false
            });
        }
        changes
    }
}
