//! What the server may forget: the one place that decides it.
//!
//! The server keeps its log from the acknowledged place on. So that place must never be ahead of
//! what is durable here; and it must go on also where nothing is captured, or the server's disk
//! fills. Both follow from one rule: **only a place that was committed as a position is ever
//! acknowledged**. A position is the end of a transaction, committed with its records, or, when
//! nothing that was received is still undelivered, the end that a keep-alive told, committed alone
//! and at most once a second. Places only grow.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::pgoutput::Lsn;

/// A position alone is committed so often at most.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// The places of one life of the source.
#[derive(Debug)]
pub struct Acknowledged {
    /// Durable here.
    durable: Lsn,
    /// Handed over, by the number of their batch.
    handed: VecDeque<(u64, Lsn)>,
    /// The newest that was handed over.
    newest: Lsn,
    /// How many batches were handed over.
    batches: u64,
    idle_at: Option<Instant>,
}

impl Acknowledged {
    /// `position` is what was committed before.
    pub fn new(position: Lsn) -> Self {
        Self {
            durable: position,
            handed: VecDeque::new(),
            newest: position,
            batches: 0,
            idle_at: None,
        }
    }

    /// What the server may forget.
    pub fn lsn(&self) -> Lsn {
        self.durable
    }

    /// The newest place that is durable here or on its way to be.
    pub fn newest(&self) -> Lsn {
        self.newest
    }

    /// The next batch is handed over, and with it, if it ends a transaction, a position.
    pub fn handed_over(&mut self, position: Option<Lsn>) {
        self.batches += 1;
        if let Some(lsn) = position.filter(|lsn| *lsn > self.newest) {
            self.newest = lsn;
            self.handed.push_back((self.batches, lsn));
        }
    }

    /// The first `batches` batches are durable.
    pub fn acked(&mut self, batches: u64) {
        while let Some((number, lsn)) = self.handed.front() {
            if *number > batches {
                break;
            }
            self.durable = *lsn;
            self.handed.pop_front();
        }
    }

    /// A keep-alive told that all up to `end` was sent, and nothing of it waits here: the place to
    /// commit as a position of its own, if it is time.
    pub fn idle(&mut self, end: Lsn, now: Instant) -> Option<Lsn> {
        let rested = self
            .idle_at
            .is_none_or(|at| now.duration_since(at) >= IDLE_INTERVAL);
        if end <= self.newest || !rested {
            return None;
        }
        self.idle_at = Some(now);
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        /// The server sends a transaction; whether it is captured.
        Transaction(bool),
        KeepAlive,
        Second,
        /// What waits is handed over.
        HandOver,
        /// So many of the batches in flight become durable.
        Durable(u8),
        /// A kill: what was not durable is gone, the server sends from what it may not forget.
        Kill,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => any::<bool>().prop_map(Step::Transaction),
            2 => Just(Step::KeepAlive),
            1 => Just(Step::Second),
            3 => Just(Step::HandOver),
            3 => (1..4_u8).prop_map(Step::Durable),
            1 => Just(Step::Kill),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// Against a server that forgets what it may: over any kills each captured transaction is
        /// in the log once, and an idle server may forget all it has sent.
        #[test]
        fn nothing_is_forgotten_that_is_not_durable(steps in steps()) {
            // The server's log: the end of each transaction and whether it is captured.
            let mut written: Vec<(Lsn, bool)> = Vec::new();
            let (mut position, mut log) = (Lsn(0), Vec::new());
            let mut here = Acknowledged::new(position);
            // Received and not handed over; in flight: records and the position of each batch.
            let (mut waiting, mut flying) = (Vec::new(), VecDeque::new());
            let (mut handed, mut durable) = (0_u64, 0_u64);
            let mut forgotten = Lsn(0);
            let mut now = Instant::now();
            for step in steps {
                match step {
                    Step::Transaction(captured) => {
                        let end = Lsn(written.len() as u64 + 1);
                        written.push((end, captured));
                        if captured {
                            waiting.push(end);
                        }
                    }
                    Step::KeepAlive => {
                        let end = Lsn(written.len() as u64);
                        if waiting.is_empty() && let Some(lsn) = here.idle(end, now) {
                            here.handed_over(Some(lsn));
                            handed += 1;
                            flying.push_back((Vec::new(), lsn));
                        }
                    }
                    Step::Second => now += IDLE_INTERVAL,
                    Step::HandOver => {
                        if let Some(end) = waiting.last().copied() {
                            here.handed_over(Some(end));
                            handed += 1;
                            flying.push_back((std::mem::take(&mut waiting), end));
                        }
                    }
                    Step::Durable(count) => {
                        for _ in 0..count {
                            if let Some((records, lsn)) = flying.pop_front() {
                                log.extend(records);
                                position = lsn;
                                durable += 1;
                            }
                        }
                        here.acked(durable);
                    }
                    Step::Kill => {
                        flying.clear();
                        here = Acknowledged::new(position);
                        (handed, durable) = (0, 0);
                        waiting = written.iter().filter(|(end, captured)| *captured && *end > position)
                            .map(|(end, _)| *end).collect();
                    }
                }
                prop_assert!(here.lsn() <= position, "ahead of what is durable");
                prop_assert!(here.lsn() >= forgotten || handed == 0 && here.lsn() >= forgotten);
                forgotten = here.lsn();
            }
            // At rest: all is handed over, durable, and told.
            if let Some(end) = waiting.last().copied() {
                here.handed_over(Some(end));
                handed += 1;
                flying.push_back((waiting, end));
            }
            now += IDLE_INTERVAL;
            if let Some(lsn) = here.idle(Lsn(written.len() as u64), now) {
                here.handed_over(Some(lsn));
                handed += 1;
                flying.push_back((Vec::new(), lsn));
            }
            log.extend(flying.into_iter().flat_map(|(records, _)| records));
            here.acked(handed);
            prop_assert_eq!(here.lsn(), Lsn(written.len() as u64));
            let captured: Vec<_> = written.iter().filter(|(_, captured)| *captured).map(|(end, _)| *end).collect();
            prop_assert_eq!(log, captured);
        }
    }
}
