//! Whose turn it is in front of stage 1. While a lease is open, requests that touch its partitions
//! wait, and with them what must not overtake them.
//!
//! One request goes behind another when both are of one writer, or when they touch one partition and
//! one of the two asks for a lease of it; and then it goes behind it for good: whether that one holds
//! its lease or waits itself makes no difference. So each writer's sets and each partition's leases
//! keep the order in which they came, nobody is passed over for ever, and nobody waits in a circle:
//! who holds a lease waits for none, since the end of a lease is never held up, and who waits, waits
//! for those that came before. A lease takes all its partitions at once or waits for all of them.

use std::collections::VecDeque;

use crate::round::{Request, SetFrom};
use crate::state::State;
use crate::topic::PartitionKey;
use crate::validate;

/// The leases that are open, and who waits for them.
#[derive(Default)]
pub(crate) struct Turns {
    open: Vec<Claim>,
    /// In order; empty when no lease is open.
    waiting: Vec<(Claim, Request)>,
    /// Those that waited for a lease that has ended, to be taken before any other request.
    resumed: VecDeque<Request>,
}

/// What a request asks for.
struct Claim {
    from: SetFrom,
    partitions: Vec<PartitionKey>,
    /// It asks for a lease.
    alone: bool,
}

impl Turns {
    /// Gives the request back if it is its turn, and keeps it otherwise.
    pub(crate) fn pass(&mut self, state: &State, request: Request) -> Option<Request> {
        if self.open.is_empty() {
            return Some(request);
        }
        let Some(claim) = Claim::of(state, &request) else {
            return Some(request);
        };
        let ends = self.open.iter().any(|lease| lease.from == claim.from);
        let waiting = self.waiting.iter().map(|(claim, _)| claim);
        let mut before = self.open.iter().chain(waiting);
        if ends || !before.any(|before| before.goes_before(&claim)) {
            return Some(request);
        }
        self.waiting.push((claim, request));
        None
    }

    /// The next request that waited and is to be taken again.
    pub(crate) fn resumed(&mut self) -> Option<Request> {
        self.resumed.pop_front()
    }

    /// The lease of `from` is taken. Its request has been passed.
    pub(crate) fn begin(&mut self, from: &SetFrom, partitions: Vec<PartitionKey>) {
        self.open.push(Claim {
            from: from.clone(),
            partitions,
            alone: true,
        });
    }

    /// The lease of `from` has ended, if it has one: who waits is to ask again, in order.
    pub(crate) fn end(&mut self, from: &SetFrom) {
        let held = self.open.len();
        self.open.retain(|lease| lease.from != *from);
        if self.open.len() < held {
            let waiting = self.waiting.drain(..).map(|(_, request)| request);
            self.resumed.extend(waiting);
        }
    }

    /// All that wait: their turn will not come.
    pub(crate) fn give_up(&mut self) -> impl Iterator<Item = Request> + use<> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|(_, request)| request)
    }
}

impl Claim {
    /// `None` for what waits for no lease.
    fn of(state: &State, request: &Request) -> Option<Self> {
        let (from, partitions, alone) = match request {
            Request::Set { from, set, .. } => {
                let keys = set.batches.iter();
                let keys = keys.map(|at| validate::partition(state, &at.topic, at.partition));
                (from, keys.filter_map(Result::ok).collect(), false)
            }
            Request::Lease {
                from, partitions, ..
            } => (from, partitions.clone(), true),
            _ => return None,
        };
        Some(Self {
            from: from.clone(),
            partitions,
            alone,
        })
    }

    fn goes_before(&self, later: &Self) -> bool {
        let same_writer = SetFrom {
            number: later.from.number,
            ..self.from.clone()
        } == later.from;
        let shares = || {
            later
                .partitions
                .iter()
                .any(|key| self.partitions.contains(key))
        };
        same_writer || (self.alone || later.alone) && shares()
    }
}
